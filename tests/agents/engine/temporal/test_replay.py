"""Histories that former releases made are replayed: a change that breaks determinism would stop runs in flight.

`pytest tests/agents/engine/temporal/record.py` records those of a release. What is recorded stays: workflows of its
kind may be open wherever that release ran.
"""

import asyncio
import json
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from agents.engine.temporal.messages import MODEL, WORKFLOW, Standing
from agents.engine.temporal.workflow import RunWorkflow

HISTORIES = Path(__file__).parent / "histories"
RECORDED = sorted(HISTORIES.glob("*/*.json"))

KINDS = {
    *("parallel-calls", "approval", "overloaded", "cancelled", "given-back", "lost-worker", "went-on-1", "went-on-2"),
    *("paced-unwoken", "paced", "withdrawn"),  # the first: before what waits for a permit could be woken
    *("wake-forgotten", "woken-before-its-line"),  # the first: before a wake in the step before the line was kept
    *("held-unasked", "held-before-its-line"),  # the first: before the holder of a run was asked where it stands
}


def replayed(workflows: type, path: Path) -> Exception | None:
    """Replay a recorded history; returns why it could not have been."""
    history = WorkflowHistory.from_json(path.stem, json.loads(path.read_text()))
    found = asyncio.run(Replayer(workflows=[workflows]).replay_workflow(history, raise_on_replay_failure=False))
    return found.replay_failure


def test_there_is_a_history_of_each_kind() -> None:
    assert {path.stem for path in RECORDED} >= KINDS


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_it_does_what_it_did(path: Path) -> None:
    assert replayed(RunWorkflow, path) is None


@workflow.defn(name=WORKFLOW, sandboxed=False)
class Changed(RunWorkflow):
    """A workflow that begins with what no history has."""

    @workflow.run
    async def drive(self, run_id: str, known: Standing | None = None) -> str | None:
        await self._pace(run_id, Standing(MODEL, pace="another queue"))
        return await super().drive(run_id, known)


def test_a_change_that_breaks_determinism_is_noticed() -> None:
    assert {replayed(Changed, path) is None for path in RECORDED} == {False}
