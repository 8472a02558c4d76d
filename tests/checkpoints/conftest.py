"""A log of its own database, somebody who cosigns it, and a clock that tests set."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from audit.log.note import VerifierKey
from audit.sealer import keys
from audit.sealer.loop import sealer
from checkpoints import asking
from config.checkpoints import Recipient
from config.checkpoints import Witness as Setting
from db import session
from db.scope import tenant_scope
from tests.audit.conftest import superuser
from tests.audit.sealer import logs
from tests.checkpoints.mail import Mail, taking_mail
from tests.checkpoints.witness import Witness, witnessing
from tests.faults.conftest import database, own_database
from tests.worlds import World, world

__all__ = ["database", "own_database", "superuser"]


class Clock:
    """The time as tests have it. Starts well ahead of what the database thinks, which no longer matters then."""

    def __init__(self) -> None:
        self.now = datetime(2031, 5, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def passes(self, **more: float) -> None:
        """Let time go by."""
        self.now += timedelta(**more)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def acme(database: None) -> World:
    """A fresh tenant, whose log is sealed and signed."""
    made = world()
    grow(made, 300)
    return made


@pytest.fixture
def witness(acme: World, settings: Any) -> Iterator[Witness]:
    """One that knows the tenant's log, and is set as the only one."""
    with witnessing(f"witness.example/{acme.tenant_id}") as made:
        knows(made, acme)
        settings.WITNESSES = (setting(made, acme),)
        settings.WITNESS_ALLOW = (made.place,)
        yield made
    asking.client.cache_clear()


def setting(made: Witness, *worlds: World) -> Setting:
    """Return the witness as WITNESSES has it, asked for these tenants' logs alone: other tests leave some behind."""
    return Setting(VerifierKey.parse(made.vkey), made.url, tuple(each.slug for each in worlds))


def knows(witness: Witness, acme: World) -> None:
    """Let the witness know the log."""
    with tenant_scope(acme.tenant_id):
        origin = logs.log_of(acme).origin
    witness.logs[origin] = [key.text for key in keys.verifiers(origin)]


def grow(acme: World, count: int) -> int:
    """Append, seal and sign; returns the log's size."""
    logs.append(acme, count)
    with session.connect() as connection:
        sealer(connection).seal(acme.tenant_id)
    return logs.signed(acme).head.size


@pytest.fixture
def mail(acme: World, settings: Any) -> Iterator[Mail]:
    """A mail server, and one to whom the tenant's checkpoints are sent."""
    with taking_mail() as made:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", made.port
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        settings.CHECKPOINT_MAIL = (Recipient(acme.slug, "auditor@example.org"),)
        yield made
