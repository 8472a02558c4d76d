"""One rig for each file of tests: a database, a web server and a tenant of its own."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from django.conf import settings
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from db import embedded
from ops.machine import close_connections
from tests import template_database
from tests.agents.engine.temporal.server import temporal_address
from tests.faults.building import built
from tests.faults.rig import Rig

__all__ = ["temporal_address"]


@pytest.fixture(scope="module")
def own_database(
    django_db_setup: None, embedded_server: embedded.Server, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    """A database that only this file's processes use; in this process, too, it is the one that is used."""
    before = str(settings.DATABASES["default"]["NAME"])
    with django_db_blocker.unblock(), template_database.copied(embedded_server) as name:
        close_connections()
        template_database.use(name)
        try:
            yield name
        finally:
            close_connections()
            template_database.use(before)


@pytest.fixture
def database(own_database: str, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Real commits as the runtime role."""
    with django_db_blocker.unblock():
        yield
        connections.close_all()


@pytest.fixture(scope="module", params=["django_q", pytest.param("temporal", marks=pytest.mark.large)])
def engine(request: pytest.FixtureRequest) -> str:
    """The engine that drives the runs."""
    return str(request.param)


@pytest.fixture(scope="module")
def engine_variables(engine: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """What the engine needs in the environment: a server, and a queue that only this file's processes serve."""
    if engine != "temporal":
        return {}
    address: str = request.getfixturevalue("temporal_address")
    return {"TEMPORAL_ADDRESS": address, "TEMPORAL_TASK_QUEUE": f"rig-{secrets.token_hex(4)}"}


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    """Variables of the environment of this file's processes; a file that needs some overrides it."""
    return {}


@pytest.fixture(scope="module")
def rig(
    engine: str,
    engine_variables: dict[str, str],
    variables: dict[str, str],
    own_database: str,
    embedded_server: embedded.Server,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Rig]:
    """An installation to break, with the agents of `tests.faults.agents`."""
    environment = {**template_database.environment(embedded_server), **engine_variables, **variables}
    superuser, logs = embedded_server.dsn(database=own_database), tmp_path_factory.mktemp("logs")
    with ExitStack() as stack:
        with django_db_blocker.unblock():
            made = stack.enter_context(built(environment, engine=engine, superuser=superuser, logs=logs))
        yield made
