"""What waits in line for a permit is woken whenever the wake comes, and goes on waiting however long it takes."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from pytest_django import Settings
from temporalio.worker import UnsandboxedWorkflowRunner

from agents.engine.temporal import workflow
from agents.engine.temporal.connection import connect
from agents.engine.temporal.messages import ENDED, LOOK, MODEL, WAKE, Standing
from tests.agents.engine.temporal.scripted import Stage, held_before_its_line, woken_before_its_line

Played = Callable[[Callable[[Stage], Awaitable[str | None]]], tuple[Stage, str | None]]


@pytest.fixture
def played(on_temporal: None, settings: Settings) -> Played:
    """Plays a scene on the dev server, outside of the sandbox; returns its stage and what came of it."""

    def play(scene: Callable[[Stage], Awaitable[str | None]]) -> tuple[Stage, str | None]:
        async def playing() -> tuple[Stage, str | None]:
            stage = Stage(await connect(settings.TEMPORAL), uuid4())
            stage.runner = UnsandboxedWorkflowRunner()
            return stage, await scene(stage)

        return asyncio.run(playing())

    return play


def test_a_wake_in_the_step_before_the_line_is_kept(played: Played) -> None:
    stage, status = played(woken_before_its_line)

    assert (status, stage.asked) == ("cancelled", [1, LOOK])


def test_the_worker_that_has_a_run_says_whether_its_call_needs_a_permit(played: Played) -> None:
    stage, status = played(held_before_its_line)

    assert (status, stage.asked) == ("completed", [LOOK, 2])


def test_it_does_not_go_on_as_a_new_one_while_it_is_woken(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "EVENTS", 6)

    async def scene(stage: Stage) -> str | None:
        go = asyncio.Event()

        async def take_up(attempt: int) -> Standing:
            if attempt == 1:
                await go.wait()
            return stage.at(MODEL, 1)

        async def step(seq: int) -> Standing:
            return Standing(ENDED, status="cancelled" if seq == LOOK else "completed")

        async with stage.play(take_up, step) as handle:
            await stage.until(lambda: stage.taken == 1)
            await handle.signal(WAKE)
            go.set()
            return await stage.ended(handle)

    stage, status = played(scene)

    assert (status, stage.taken, stage.asked) == ("cancelled", 2, [LOOK])


def test_a_permit_that_does_not_come_is_asked_for_again(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "PACE_WITHIN", timedelta(seconds=1))

    async def scene(stage: Stage) -> str | None:
        async def take_up(attempt: int) -> Standing:
            return stage.at(MODEL, 1)

        async def step(seq: int) -> Standing:
            return Standing(ENDED, status="completed")

        async with stage.play(take_up, step) as handle:
            return await stage.ended(handle)

    stage, status = played(scene)

    assert (status, stage.asked) == ("completed", [1])
