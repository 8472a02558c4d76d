"""A sealer like the installation's: the tests share a database, so they share its copies and keys too."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.conf import settings

from audit.sealer.copies import Copies
from audit.sealer.sealer import Sealer
from db import session
from tests.audit.conftest import superuser
from tests.worlds import World, world

__all__ = ["superuser"]

HOST = "log.example"
SEED = settings.AUDIT_SIGNING_KEYS[0]

Superuser = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def acme(database: None) -> World:
    """A fresh tenant, whose journal has what its making recorded."""
    return world()


@pytest.fixture
def copies(database: None) -> Copies:
    """Where the last checkpoints are kept."""
    return Copies(settings.AUDIT_CHECKPOINTS_DIR)


@pytest.fixture
def sealer(database: None, copies: Copies) -> Iterator[Sealer]:
    """A sealer."""
    with session.connect() as connection:
        yield made(connection, copies)


def made(connection: Any, copies: Copies, **more: Any) -> Sealer:
    """Return another sealer, which knows what is in the database and the copies."""
    return Sealer(connection, copies, **{"host": HOST, "seeds": (SEED,), **more})
