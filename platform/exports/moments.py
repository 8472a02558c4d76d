"""Up to which moment an export tells of the journal, and when all that was recorded until then can be seen.

A record has the time at which its statement began, and is seen when its transaction has ended: one of a moment ago may
come yet. So an export begins when the transactions are over that were writing records at its moment.
"""

from datetime import datetime
from typing import Final

from django.db import connection

from agents.actions.runs import transaction_time
from exports.errors import WritersLinger
from exports.models import Export

#: Seconds between two looks, and after how many of them the writers are waited for no more. The database ends a
#: transaction that does nothing within half a minute; one that works for ten may do so for hours.
LOOK_S: Final = 1.0
LOOKS: Final = 600

#: Who writes records at this moment: whoever inserts holds this lock from before the record's row is made until the
#: transaction ends. The sealer only reads them. A lock tells no tenant, so all tenants' writers are waited for.
_WRITERS: Final = """
SELECT coalesce(array_agg(DISTINCT virtualtransaction), '{}') FROM pg_locks
WHERE locktype = 'relation' AND relation = 'audit_record'::regclass AND mode = 'RowExclusiveLock' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()
"""


def settle(export: Export) -> bool:
    """Say whether all that was recorded until the export's moment can be seen; the first call chooses the moment.

    It is later than the answer to who asked for the export, as nobody sees an export before that. The caller holds its
    row, and saves it. Raises `WritersLinger` when it was waited for long enough: without what is being written, an
    export would lack records of before its moment.
    """
    state = export.state
    if "moment" not in state:
        state["moment"], state["writers"] = transaction_time().isoformat(), _writers()  # in this order
    elif state["writers"]:
        state["writers"] = sorted({*state["writers"]} & {*_writers()})
    if state["writers"]:
        state["waits_for"], state["settling"] = "writers", state.get("settling", 0) + 1
        if state["settling"] > LOOKS:
            raise WritersLinger
    return not state["writers"]


def moment(export: Export) -> datetime:
    """Return the moment before which an export tells of all records, once `settle` has chosen it."""
    return datetime.fromisoformat(export.state["moment"])


def _writers() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(_WRITERS)
        row: tuple[list[str]] = cursor.fetchone()
    return row[0]
