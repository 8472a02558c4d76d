"""How long a run may stay queued, and what happens to a worker whose step does not end in its time."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from agents.core.decide import CallModel, Perform
from agents.engine import claims, leases
from agents.engine.executor import Means, RunExecutor
from agents.engine.toolbox import perform_call
from agents.models import Run
from agents.providers.claude import ClaudeProvider
from tests.agents.engine.serving import serving
from tests.worlds import LEDGER, LOOKUP, World

Settles = Callable[[World, UUID], Run]


@pytest.fixture
def means(model_url: str) -> Means:
    """What an executor of the test's own performs with."""
    answer = ClaudeProvider("rehearsal", model_url).answer
    return Means(answer, perform_call, tools=None, stopping=lambda: False)  # type: ignore[arg-type]


def looking(acme: World, **limits: Any) -> Run:
    acme.define("looker", role="You look up twice.", tool_specs={"lookup": LOOKUP}, limits=limits)
    return acme.submit("looker", {"a": f"a {acme.slug}", "b": f"b {acme.slug}"})


def claim(run: Run, means: Means) -> RunExecutor:
    with claims.claim("test", after=UUID(int=run.tenant_id.int - 1)) as claimed:
        assert claimed is not None
        step, mine = claimed
        assert mine.id == run.id
        executor = RunExecutor(mine, means)
        executor.begin(step)
    return executor


def test_a_run_that_no_worker_begins_in_time_fails_when_one_comes(
    acme: World, model_url: str, settles: Settles
) -> None:
    run = looking(acme, queued_s=1)
    threading.Event().wait(1.2)
    with serving(model_url):
        ended = settles(acme, run.id)
    assert (ended.status, ended.error_code) == ("failed", "not_started_in_time")
    assert acme.actions(run.id) == ["run.submitted", "run.started", "run.failed"]


def test_a_run_that_is_begun_in_time_is_not_held_to_it(acme: World, model_url: str, settles: Settles) -> None:
    run = looking(acme, queued_s=3600)
    with serving(model_url):
        assert settles(acme, run.id).status == "completed"


def test_a_call_of_the_model_gets_the_time_that_the_agent_gives_it(acme: World, means: Means) -> None:
    given: list[float] = []

    def answer(request: Any, *, timeout_s: float) -> Any:
        given.append(timeout_s)
        return means.answer(request, timeout_s=timeout_s)

    executor = claim(looking(acme, model_s=45), Means(answer, perform_call, tools=None, stopping=lambda: False))  # type: ignore[arg-type]
    executor._call_model(CallModel(1))
    assert given == [45.0]


def test_a_step_that_hangs_loses_its_lease_however_alive_its_worker_is(
    acme: World, means: Means, model_url: str, settles: Settles, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, hanging = threading.Event(), threading.Event()

    def hangs(*_: Any) -> Any:
        hanging.set()
        release.wait()
        return perform_call(*_)

    run = looking(acme)
    executor = claim(run, Means(means.answer, hangs, tools=None, stopping=lambda: False))  # type: ignore[arg-type]
    lost: list[BaseException] = []

    def drive() -> None:
        try:
            executor.carry_on(CallModel(1))
        except leases.LostLease as error:
            lost.append(error)

    thread = threading.Thread(target=drive)
    thread.start()
    hanging.wait()
    assert leases.heartbeat([executor.run]) == {run.id}
    late = executor.run.busy_until
    assert late is not None
    monkeypatch.setattr(leases, "lease_clock", lambda: late + 1)

    assert leases.heartbeat([executor.run]) == set()

    monkeypatch.undo()
    leases.release(executor.run)  # its lease runs out
    with serving(model_url):
        assert settles(acme, run.id).status == "completed"
    release.set()
    thread.join()
    assert len(lost) == 1
    assert acme.actions(run.id).count("tool.finished") == 2
    assert LEDGER.effects[f"lookup b {acme.slug}"] == 1


def test_a_lease_is_renewed_for_as_long_as_nothing_is_in_progress(
    acme: World, means: Means, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = claim(run := looking(acme), means)
    command = executor.one_step(CallModel(1))  # and now the run waits in memory, as for Temporal to ask for more
    assert executor.run.busy_until is None
    clock = leases.lease_clock
    monkeypatch.setattr(leases, "lease_clock", lambda: clock() + 7200)

    assert leases.heartbeat([executor.run]) == {run.id}

    assert isinstance(command, Perform)
    executor.one_step(command)
    assert executor.run.busy_until is None


def test_a_call_that_waits_for_a_thread_is_not_in_progress(acme: World, means: Means) -> None:
    busy: list[float | None] = []

    def perform(run: leases.Claimed, *arguments: Any) -> Any:
        busy.append(run.busy_until)
        return perform_call(run, *arguments)

    class Tools:
        """Threads of which none is free until all calls are queued."""

        def __init__(self) -> None:
            self.waiting: list[Any] = []

        def submit(self, *call: Any) -> None:
            busy.append(executor.run.busy_until)
            self.waiting.append(call)
            if len(self.waiting) == 2:
                for perform_one, *arguments in self.waiting:
                    perform_one(*arguments)

    acme.define("both", role="You look keys up.", tool_specs={"lookup": LOOKUP})
    executor = claim(
        acme.submit("both", {"a": f"a {acme.slug}", "b": f"b {acme.slug}"}),
        Means(means.answer, perform, tools=Tools(), stopping=lambda: False),  # type: ignore[arg-type]
    )
    executor.carry_on(CallModel(1))
    assert [each is None for each in busy[:4]] == [True, True, False, False]
