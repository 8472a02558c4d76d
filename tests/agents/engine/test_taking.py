"""A new run is taken by its first step, in one update; one that was tried before is counted before it is read."""

from uuid import UUID

import pytest

from agents.core.decide import CallModel
from agents.engine import claims, specs
from agents.engine.executor import Means, RunExecutor
from agents.models import Run
from db import trip
from db.pool import Connection, transaction_connection
from db.scope import SCOPE
from tests.agents.engine.setting_aside import claim, dies_in_the_fold, looking, means
from tests.worlds import World

__all__ = ["means"]


def version_of_row(connection: Connection, run: Run) -> object:
    """Where the run's row stands now: another place for each update."""
    return connection.execute("SELECT ctid, epoch FROM agents_run WHERE id = %s", [run.id]).fetchone()


def test_the_claim_of_a_new_run_and_its_first_step_are_one_update(acme: World, means: Means) -> None:
    claim(means, looking(acme))  # so that the version is known to this process
    run = acme.submit("looker", {"a": "a", "b": "b"})

    with claims.claim("test", after=UUID(int=run.tenant_id.int - 1)) as claimed:
        assert claimed is not None
        step, mine = claimed
        assert (mine.id, mine.epoch) == (run.id, 1)
        before = version_of_row(step.connection, run)
        assert isinstance(RunExecutor(mine, means).begin(step), CallModel)

    with transaction_connection() as raw, trip.transaction(raw, (SCOPE, [str(run.tenant_id)])):
        assert version_of_row(raw, run) != before
    assert before[1] == 0  # type: ignore[index]
    taken = acme.run(run.id)
    assert (taken.epoch, taken.worker, taken.tries, taken.status, taken.ready_at) == (1, "test", 1, "running", None)
    assert taken.due_at is not None


def test_a_new_run_that_killed_a_worker_is_counted_although_its_version_is_known(
    acme: World, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = looking(acme)
    with monkeypatch.context() as patched:
        patched.setattr(specs, "_made", {})  # a process that has just begun
        dies_in_the_fold(means, acme.run(run.id), monkeypatch)
    claim(means, acme.submit("looker", {"a": "a", "b": "b"}))

    dies_in_the_fold(means, acme.run(run.id), monkeypatch)

    assert acme.run(run.id).tries == 2
