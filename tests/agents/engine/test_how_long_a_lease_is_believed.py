"""A worker believes in its lease no longer than the database grants it, whatever its transaction had to wait for.

For the database a transaction has one time, that of its BEGIN, and the lease runs from there.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from agents.core.events import ModelFailed
from agents.core.fold import fold
from agents.engine import claims, leases, store
from agents.engine.executor import Means, RunExecutor
from agents.engine.leases import LEASE, Claimed
from agents.engine.store import Step
from agents.models import Run
from db.scope import tenant_scope
from tests.agents.engine.conftest import PATIENCE_S
from tests.agents.engine.test_leases import claim_and_begin, lookup_run, means
from tests.locks import until_waited_for
from tests.worlds import World

__all__ = ["means"]

#: The shortest rest of a lease that a step leaves as it is.
_ALMOST_RENEWED = """
UPDATE agents_run SET due_at = now() + %s + interval '1 microsecond' WHERE tenant_id = %s AND id = %s RETURNING now()
"""


@dataclass
class Begun:
    """A moment between a step's BEGIN and its writing, on `lease_clock`; and the database's time of the BEGIN."""

    at: float
    now: datetime


def waits(step: Step, run: Claimed) -> Begun:
    """Let the open step wait for its run's row; what is left of the lease is the database's word alone."""
    at, run.lease_until = leases.lease_clock(), 0.0
    row = step.connection.execute(_ALMOST_RENEWED, [LEASE / 2, run.tenant_id, run.id]).fetchone()
    assert row is not None
    return Begun(at, row[0])


def steps(run: Run, means: Means) -> tuple[Claimed, Begun]:
    mine = claim_and_begin(means, run)
    event = ModelFailed(turn=1, model="m", code="overloaded", retryable=True, error="late")

    def step() -> Begun:
        with store.step(mine.run) as made:
            begun = waits(made, mine.run)
            made.append(fold(mine.state, event), [event])
        return begun

    with ThreadPoolExecutor(1) as thread:
        with tenant_scope(run.tenant_id):
            Run.objects.select_for_update().get(id=run.id)
            done = thread.submit(step)
            until_waited_for()
        return mine.run, done.result(PATIENCE_S)


def claims_with_a_history(run: Run, means: Means) -> tuple[Claimed, Begun]:
    claim_and_begin(means, run)
    with tenant_scope(run.tenant_id):
        Run.objects.filter(id=run.id).update(ready_at=run.created_at)
    with claims.claim("test", after=UUID(int=run.tenant_id.int - 1)) as claimed:
        assert claimed is not None
        step, mine = claimed
        begun = waits(step, mine)
        RunExecutor(mine, means).begin(step)
    return mine, begun


@pytest.mark.parametrize("does", [steps, claims_with_a_history])
def test_a_wait_in_a_transaction_makes_no_lease_longer(
    does: Callable[[Run, Means], tuple[Claimed, Begun]], acme: World, means: Means
) -> None:
    run = lookup_run(acme)

    mine, begun = does(run, means)

    granted = acme.run(run.id).due_at - begun.now  # type: ignore[operator]
    assert timedelta(seconds=mine.lease_until - begun.at) <= granted
    assert mine.lease_until > begun.at
