"""The database of the tests: a real PostgreSQL server, real commits, and the runtime role.

A run gets a database of its own, copied from a template that is migrated once for each state of the migrations. Nothing
is flushed between tests, because the journal can't be: a test makes tenants of its own instead.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator

import hypothesis
import pytest
from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from pytest_django.plugin import DjangoDbBlocker

from db import embedded
from ops.machine import close_connections
from tests import template_database

# A slow machine is no failure, so examples have no deadline; `make test-all` tries more of them.
hypothesis.settings.register_profile("quick", deadline=None)
hypothesis.settings.register_profile("full", deadline=None, max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

# What `tests/faults` samples by; the same in every process of the run.
os.environ.setdefault("KILL_POINTS_SEED", str(secrets.randbelow(10**6)))


# What takes long goes first, so that no process is left alone with it in the end; before it what looks at every tenant
# of the database, of which each test leaves some behind.
_FIRST = ("vault", "conformance", "faults", "agents/engine", "journeys", "ops", "signin", "console")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests in the order in which processes take them up, a file each."""
    folders = [settings.BASE_DIR / "tests" / name for name in _FIRST]

    def place(item: pytest.Item) -> int:
        return next((at for at, folder in enumerate(folders) if item.path.is_relative_to(folder)), len(folders))

    items.sort(key=place)


def pytest_report_header() -> str:
    """Say how to repeat this run's choice of kill points."""
    return f"KILL_POINTS_SEED={os.environ['KILL_POINTS_SEED']}"


@pytest.fixture(scope="session")
def embedded_server() -> Iterator[embedded.Server]:
    """The tests' own server; the last run to leave stops it."""
    yield embedded.ensure_running(settings.DATA_DIR)
    embedded.stop_if_unused(settings.DATA_DIR)


@pytest.fixture(scope="session")
def django_db_setup(embedded_server: embedded.Server, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Point both aliases at this run's database."""
    with django_db_blocker.unblock(), template_database.copied(embedded_server) as name:
        template_database.use(name)
        yield
        close_connections()


@pytest.fixture
def database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Real commits as the runtime role; connections are returned afterwards, rows stay."""
    with django_db_blocker.unblock():
        yield
        connections.close_all()


@pytest.fixture
def owner_connection(database: None) -> BaseDatabaseWrapper:
    """A connection as the owner of the tables, for the few tests that look behind the runtime role's back."""
    return connections["owner"]


@pytest.fixture(scope="session")
def process_environment(django_db_setup: None, embedded_server: embedded.Server) -> dict[str, str]:
    """The environment for a child process (`manage.py …`) that shall use this run's database."""
    return template_database.environment(embedded_server)


@pytest.fixture(scope="session")
def web_server(process_environment: dict[str, str]) -> Iterator[str]:
    """The address of a real web server, a process of its own on this run's database."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "web", "--port", "0"]
    with subprocess.Popen(command, env=process_environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        word, _, url = process.stdout.readline().strip().partition(" ")
        assert word == "serving"
        yield url
        process.terminate()
