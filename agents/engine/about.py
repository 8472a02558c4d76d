"""Whom runs are about, as keyed hashes beside them: what `new_runs.QUEUE` and `START_CHILD` take."""

import json
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from db.pool import Connection
from vault import hashing
from vault.hashing import Key

#: What the hashes are of (`vault.hashing`).
PURPOSE: Final = "subject"

NOBODY: Final = "[]"


def rows(subjects: Sequence[str]) -> str:
    """Return the rows of a new run of the tenant in scope, as JSON."""
    return _rows(subjects, hashing.newest()) if subjects else NOBODY


def rows_of_child(connection: Connection, tenant_id: UUID, subjects: Sequence[str]) -> str:
    """Return those of a run that a step starts. A tenant without a key yet: none; `audit subjects` makes them."""
    key = hashing.newest_over(connection, tenant_id) if subjects else None
    return _rows(subjects, key) if key is not None else NOBODY


def digests(subject: str) -> list[str]:
    """Return every hash that a subject may stand under, by any key of the tenant in scope."""
    return [key.digest(PURPOSE, subject) for key in hashing.all_keys()]


def _rows(subjects: Sequence[str], key: Key) -> str:
    return json.dumps([{"digest": key.digest(PURPOSE, each), "key": key.number} for each in subjects])
