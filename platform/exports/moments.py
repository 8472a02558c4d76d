"""Up to which moment an export tells of the journal, and when all that was recorded until then can be seen.

A record has the time at which its statement began, and is seen when its transaction has ended: one of a moment ago may
come yet. So an export begins when the transactions are over that were writing records at its moment.
"""

from datetime import datetime
from typing import Final

from django.db import connection

from agents.actions.runs import transaction_time
from exports.models import Export

#: Seconds between two looks.
LOOK_S: Final = 1.0

#: Who writes records at this moment: whoever inserts holds this lock from before the record's row is made until the
#: transaction ends. The sealer only reads them.
_WRITERS: Final = """
SELECT coalesce(array_agg(DISTINCT virtualtransaction), '{}') FROM pg_locks
WHERE locktype = 'relation' AND relation = 'audit_record'::regclass AND mode = 'RowExclusiveLock' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()
"""


def settle(export: Export) -> bool:
    """Say whether all that was recorded until the export's moment can be seen; the first call chooses the moment.

    It is later than the answer to who asked for the export, as nobody sees an export before that. The caller holds its
    row, and saves it.
    """
    state = export.state
    if "moment" not in state:
        state["moment"], state["writers"] = transaction_time().isoformat(), _writers()  # in this order
    elif state["writers"]:
        state["writers"] = sorted({*state["writers"]} & {*_writers()})
    return not state["writers"]


def moment(export: Export) -> datetime:
    """Return the moment before which an export tells of all records, once `settle` has chosen it."""
    return datetime.fromisoformat(export.state["moment"])


def _writers() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(_WRITERS)
        row: tuple[list[str]] = cursor.fetchone()
    return row[0]
