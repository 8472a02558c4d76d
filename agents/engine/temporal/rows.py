"""What dispatching asks the runs' rows, across tenants, in the dispatch role."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from agents.engine.temporal.messages import ENDED, HELD, PARKED, Standing
from agents.engine.temporal.telling import Told
from db.pool import transaction_connection
from db.roles import DISPATCH

#: Seconds a run may be due before the sweep sees to it: time for whoever made it due to tell Temporal themselves.
GRACE_S: Final = 3.0

#: Seconds until it is told of again, when it still has not been claimed; and a new one that is in Temporal's queue.
AGAIN_S: Final = 20.0
TURN_S: Final = 300.0

#: Runs one sweep tells of.
MOST: Final = 200

_WHERE: Final = """
SELECT status, ended_at IS NOT NULL, epoch, seq, worker, ready_at IS NOT NULL, extract(epoch FROM due_at - now()),
    status = 'queued' OR waiting_for IS NOT DISTINCT FROM 'provider'
FROM agents_run WHERE id = %s
"""

# Runs whose start or wake-up did not get through, whose timer or lease has run out: all of them can be claimed now.
_DUE: Final = """
UPDATE agents_run SET ready_at = coalesce(ready_at, now()), due_at = now() + %(again)s * interval '1 second'
WHERE id IN (
    SELECT id FROM agents_run WHERE engine = 'temporal' AND due_at <= now() - %(grace)s * interval '1 second'
    ORDER BY due_at LIMIT %(most)s FOR UPDATE SKIP LOCKED)
RETURNING id, tenant_id, priority, status <> 'queued'
"""

# Nobody claimed or woke it since: it has its place in Temporal's queue, and need not be told of again soon.
_IN_LINE: Final = """
UPDATE agents_run SET due_at = now() + %(turn)s * interval '1 second'
WHERE id IN (
    SELECT id FROM agents_run WHERE id = ANY(%(runs)s) AND status = 'queued' AND ready_at IS NOT NULL AND due_at > now()
    ORDER BY id FOR UPDATE SKIP LOCKED)
RETURNING id
"""

_OVERTAKEN: Final = """
SELECT r.id, r.tenant_id FROM unnest(%(runs)s::uuid[], %(epochs)s::integer[], %(seqs)s::integer[])
    AS mine(id, epoch, seq) JOIN agents_run r USING (id)
WHERE r.epoch = mine.epoch AND r.seq > mine.seq
"""


def due() -> list[Told]:
    """Return what to tell of runs that nobody has claimed since they were due; the next sweeps pass them over."""
    return [Told(*row) for row in _ask(_DUE, {"again": AGAIN_S, "grace": GRACE_S, "most": MOST})]


def in_line(runs: Sequence[UUID]) -> None:
    """Say that Temporal was told of these; the next sweeps pass the new ones of them over until their turn may come."""
    if runs:
        _ask(_IN_LINE, {"runs": list(runs), "turn": TURN_S})


def overtaken(known: Sequence[tuple[UUID, int, int]]) -> list[Told]:
    """Return what to tell of runs to which more happened than their holder knows. known: (run, epoch, seq)."""
    runs, epochs, seqs = map(list, zip(*known, strict=True))
    found = _ask(_OVERTAKEN, {"runs": runs, "epochs": epochs, "seqs": seqs})
    return [Told(run_id, tenant_id, wakes=True) for run_id, tenant_id in found]


def calls_first(run_id: UUID) -> bool:
    """Say whether the run calls the model first when it is taken up, as far as one can see."""
    return any(row[-1] for row in _ask(_WHERE, [run_id]))


def standing(run_id: UUID, *, lost: int) -> Standing:
    """Return where a run stands that could not be claimed. lost: the epoch of a holder that does not have it.

    A run that is not there (any more) has ended as far as Temporal is concerned.
    """
    rows = _ask(_WHERE, [run_id])
    if not rows:
        return Standing(ENDED)
    status, ended, epoch, seq, worker, ready, due_s, calls = rows[0]
    if ended:
        return Standing(ENDED, status=status)
    if ready:  # since the claim was tried
        return Standing(PARKED, pause_s=0.1, calls=calls)
    pause_s = None if due_s is None else max(0.1, float(due_s))
    leased = status == "running" and worker is not None and pause_s is not None
    if leased and epoch != lost:
        return Standing(HELD, queue=worker, epoch=epoch, seq=seq)
    return Standing(PARKED, pause_s=pause_s, calls=calls)


def _ask(statement: str, parameters: Any) -> Sequence[Any]:
    with transaction_connection() as connection, connection.transaction():
        connection.execute(f"SET LOCAL ROLE {DISPATCH}")
        return connection.execute(statement, parameters).fetchall()
