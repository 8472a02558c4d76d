"""A sealer of the tests' own: its copies in a folder of the test, its keys made up."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from audit.sealer.copies import Copies
from audit.sealer.sealer import Sealer
from db import session
from tests.audit.conftest import superuser
from tests.worlds import World, world

__all__ = ["superuser"]

HOST = "log.example"
SEED = bytes(range(32))

Superuser = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def acme(database: None) -> World:
    """A fresh tenant, whose journal has what its making recorded."""
    return world()


@pytest.fixture
def copies(tmp_path: Path) -> Copies:
    """Where the last checkpoints are kept."""
    return Copies(tmp_path / "checkpoints")


@pytest.fixture
def sealer(database: None, copies: Copies) -> Iterator[Sealer]:
    """A sealer."""
    with session.connect() as connection:
        yield made(connection, copies)


def made(connection: Any, copies: Copies, **more: Any) -> Sealer:
    """Return another sealer, which knows what is in the database and the copies."""
    return Sealer(connection, copies, **{"host": HOST, "seeds": (SEED,), **more})
