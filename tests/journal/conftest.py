"""A journal that fails for real, in the database."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
import pytest

from tests.audit.conftest import superuser

__all__ = ["superuser"]

#: What the database says when its disk is full, at the statement that adds a record and at no other.
_FULL = """
CREATE FUNCTION disk_is_full() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'no space left for the record' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER disk_is_full BEFORE INSERT ON audit_record FOR EACH STATEMENT EXECUTE FUNCTION disk_is_full();
"""
_ROOM_AGAIN = "DROP TRIGGER disk_is_full ON audit_record; DROP FUNCTION disk_is_full();"

Failing = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def failing(superuser: psycopg.Connection[tuple[Any, ...]]) -> Failing:
    """Return the block in which no record can be written."""

    @contextmanager
    def block() -> Iterator[None]:
        superuser.execute(_FULL.encode())
        try:
            yield
        finally:
            superuser.execute(_ROOM_AGAIN.encode())

    return block
