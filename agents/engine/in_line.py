"""The plain steps of one tenant that are ready at the same time, written in one transaction (docs/adr/0014)."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

import psycopg

from agents.engine import leases, statements
from agents.engine.together import Together
from db import trip
from db.pool import transaction_connection
from db.scope import SCOPE

log = logging.getLogger(__name__)

#: A step of more records goes by itself: the ids of one statement's records are in order up to 16,384 of them.
MOST_ENTRIES: Final = 256

#: A step of more characters, too: nobody else should wait for it.
MOST_CHARS: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Ready:
    """A plain step that is ready to be written: its statement for it alone, and that one's values."""

    statement: trip.Statement
    step: str
    entries_json: str
    entries: int

    @property
    def is_plain(self) -> bool:
        """Say whether it goes in line: more windows than the month's are locked in an order of their own."""
        small = self.entries <= MOST_ENTRIES and len(self.entries_json) <= MOST_CHARS
        return small and self.statement is not statements.STEP_AND_SETTLE_ALL


#: The row of a step that was written, with its time, and when its trip began on `lease_clock`.
Written = tuple[Sequence[bytes | None], float]


def write(tenant_id: UUID, ready: Ready) -> Written | None:
    """Write a step, with others where it can; returns None when its fence or its grants did not let it be written.

    Raises `psycopg.Error`.
    """
    written = LINE.write(tenant_id, ready) if ready.is_plain else "apart"
    return _write_alone(tenant_id, ready, SCOPE) if written == "apart" else written


def _write_alone(tenant_id: UUID, ready: Ready, scope: trip.Statement) -> Written | None:
    """Write a step by itself; returns None when nothing was written."""
    with transaction_connection() as connection:
        begun = leases.lease_clock()
        own = (ready.statement, (ready.step, ready.entries_json))
        _, rows = trip.make(connection, (scope, [str(tenant_id)]), own)
    return (rows[0], begun) if rows else None


def _write_in_line(tenant_id: UUID, ready: Sequence[Ready]) -> Sequence[Written | Literal["apart"] | None]:
    """Write steps of a tenant's runs in one transaction; returns None for what its fence or its grants did not let be.

    "apart" when nothing was written, and each is to be tried by itself: the server refused one of them, or a lock was
    not to be had at once. Raises `psycopg.OperationalError` when the connection breaks or none is to be had.
    """
    try:
        if len(ready) == 1:
            return [_write_alone(tenant_id, ready[0], statements.SCOPE_IN_LINE)]
        granted = any(each.statement is statements.STEP_IF_GRANTED for each in ready)
        settle = any(each.statement is statements.STEP_AND_SETTLE for each in ready)
        steps = (statements.STEPS[granted, settle], [_steps(ready)])
        with transaction_connection() as connection:
            begun = leases.lease_clock()
            _, rows = trip.make(connection, (statements.SCOPE_IN_LINE, [str(tenant_id)]), steps)
    except psycopg.Error as error:
        if _is_lost(error):
            raise
        why = type(error).__name__  # not its words, which may hold somebody's data
        log.warning("the database refused %s steps that stood in line (%s); each goes by itself", len(ready), why)
        return ["apart"] * len(ready)
    written: dict[int, Written] = {trip.integer(member): (said, begun) for member, *said in rows}
    return [written.get(member) for member in range(len(ready))]


def _is_lost(error: psycopg.Error) -> bool:
    """Say whether the connection is gone, or never came; all else is the server's word on what it was asked."""
    state = error.sqlstate or ""
    return isinstance(error, psycopg.OperationalError) and (not state or state.startswith(("08", "57P")))


def _steps(ready: Sequence[Ready]) -> str:
    made, before = [], 0
    for member, each in enumerate(ready):
        made.append(f'{{"member":{member},"entries_before":{before},"entries":{each.entries_json},{each.step[1:]}')
        before += each.entries
    return f"[{','.join(made)}]"


#: Of this process, with a place in it for each step that is ready.
LINE: Final = Together(_write_in_line)
os.register_at_fork(after_in_child=LINE.start_afresh)
