"""The chore that makes exports: takes one that is due, and goes on with it for a while in a thread of its own.

A step is one transaction: it locks the export's row under the epoch of the hold, adds parts, and says where the next
one begins. So a worker may die at any moment: whoever takes the export next goes on from the last step, and one that
was overtaken writes nothing. There is one thread a process, which takes turns between exports.
"""

import itertools
import logging
import threading
import time
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import connection, connections

from agents.actions.runs import transaction_time
from audit.stored import BrokenLog
from db.errors import Refusal
from db.roles import dispatch
from db.scope import tenant_scope
from exports import bundles, listings, moments
from exports.actions import exports
from exports.models import Export

log = logging.getLogger(__name__)

#: Seconds for which a hold lasts without a step, and for which one export is gone on with before the next.
HOLD_S: Final = 60
TURN_S: Final = 5.0

#: How often it is begun anew without a step, or breaks at the same one, before it is given up.
TRIES: Final = 5

_TAKE: Final = """
UPDATE exports_export SET next_at = now() + make_interval(secs => %(hold)s), epoch = epoch + 1
WHERE id = (SELECT id FROM exports_export WHERE next_at <= now()
            ORDER BY next_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING tenant_id, id, epoch
"""

_Hold = tuple[UUID, UUID, int]


class Makers:
    """The thread of one process that makes exports, for as long as there is something to make."""

    def __init__(self) -> None:
        self._thread = threading.Thread()

    def see_to(self) -> None:
        """Begin with what is due, unless the thread is at it."""
        if self._thread.is_alive():
            return
        hold = take()
        if hold is not None:
            # It ends with the process, whatever it is at: what it did not commit is done again elsewhere.
            self._thread = threading.Thread(target=_make, args=(hold,), name="exports", daemon=True)
            self._thread.start()

    def join(self) -> None:
        """Wait until there is nothing more to make."""
        if self._thread.is_alive():
            self._thread.join()


def _make(hold: _Hold | None) -> None:
    try:
        while hold is not None:
            work(hold)
            hold = take()
    except Exception:
        log.exception("an export broke; it is taken again")
    finally:
        connections.close_all()


def take() -> _Hold | None:
    """Take the export that is due first, of any tenant; None when there is none."""
    with dispatch(), connection.cursor() as cursor:
        cursor.execute(_TAKE, {"hold": HOLD_S})
        row: _Hold | None = cursor.fetchone()
        return row


def work(hold: _Hold, *, turn_s: float = TURN_S) -> None:
    """Go on with an export until it is made, or its turn is over."""
    until = time.monotonic() + turn_s
    try:
        if not _begin(hold):
            return
        digest = None
        while _step(hold, digest, leave=time.monotonic() >= until):
            digest = _digest(hold)
    except (Refusal, BrokenLog) as error:
        with tenant_scope(hold[0]):
            export = _held(hold)
            if export is not None:
                code = error.code if isinstance(error, Refusal) else "log_broken"
                exports.failed(export, code, str(error))
    except Exception:
        _broke(hold)
        raise


def _broke(hold: _Hold) -> None:
    """Count that it broke. A process that ended meanwhile counts nothing here, so deploys do not add up."""
    with tenant_scope(hold[0]):
        export = _held(hold)
        if export is not None:
            export.state["broke"] = export.state.get("broke", 0) + 1
            export.save()


def _begin(hold: _Hold) -> bool:
    """Count the try; says False when there is nothing to make, after letting go of what was kept long enough."""
    with tenant_scope(hold[0]):
        _let_go(hold)
        export = _held(hold)
        if export is None:
            return False
        export.state["tries"] = export.state.get("tries", 0) + 1
        if export.state["tries"] > TRIES or export.state.get("broke", 0) >= TRIES:
            exports.failed(export, "export_broke", "It could not be made; the workers' log says why.")
            return False
        export.save()
        return True


def _digest(hold: _Hold) -> str | None:
    """Return what a bundle ends with, and what takes long to read, when all else of it is there.

    The export's row is not held meanwhile: who lets it go, or erases, need not wait; the hold is, from read to read.
    Nothing in between can be kept of a hash, so whoever follows a process that ended reads it over from the start. That
    it ended is no fault of the export once it had read on: the try counts no more.
    """
    tenant_id, export_id, _ = hold
    with tenant_scope(tenant_id):
        export = _held(hold)
        if export is None or not export.state.get("written"):
            return None
    reads = itertools.count()

    def go_on() -> bool:
        export = _held(hold)
        if export is None:
            return False
        export.next_at = transaction_time() + timedelta(seconds=HOLD_S)
        if next(reads):
            export.state["tries"] = 0
        export.save(update_fields=["next_at", "state"])
        return True

    return bundles.digest_of(tenant_id, export_id, go_on)


def _step(hold: _Hold, digest: str | None = None, *, leave: bool) -> bool:
    """Take one step; says whether another is to follow at once. leave: whether the turn is over."""
    with tenant_scope(hold[0]):
        export = _held(hold)
        if export is None:
            return False
        exports.check_room(export)
        is_new = not export.state.get("written")
        export.state.pop("waits_for", None)
        if not moments.settle(export):
            waits_s = moments.LOOK_S
        else:
            waits_s = bundles.step(export, digest) if export.format == exports.BUNDLE else listings.step(export)
        if export.status not in exports.OPEN:
            return False
        export.status = "running"
        if is_new:  # there is nothing to add to what is written until its leaves are read over
            export.state |= {"tries": 0, "broke": 0}
        now = transaction_time()
        leave = leave and not export.state.get("written")  # what was read of it by then would be read again
        export.next_at = now + timedelta(seconds=waits_s if leave or waits_s else HOLD_S)
        export.save()
        return not leave and not waits_s


def _held(hold: _Hold) -> Export | None:
    """Return the export, locked, as long as it is to be made, and by this hold."""
    _, export_id, epoch = hold
    rows = Export.objects.select_for_update()
    return rows.filter(id=export_id, epoch=epoch, status__in=exports.OPEN).first()


def _let_go(hold: _Hold) -> None:
    """Let go of what is made, and was kept long enough."""
    _, export_id, epoch = hold
    rows = Export.objects.select_for_update().filter(id=export_id, epoch=epoch)
    export = rows.exclude(status__in=exports.OPEN).first()
    if export is not None:
        exports.let_go(export)


MAKERS: Final = Makers()
