"""What one process holds: claimed once, stepped once, let go of in time."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db.models.functions import Now

from agents.actions.runs import cancel
from agents.core.decide import PROVIDER_ATTEMPTS
from agents.core.model import ModelAnswer
from agents.engine import store
from agents.engine.executor import Means, RunExecutor
from agents.engine.temporal import hands as module
from agents.engine.temporal.hands import Hands, NoPlace
from agents.engine.temporal.messages import ENDED, HELD, LOOK, LOST, MODEL, PARKED, RELEASED, TOOLS, Standing
from agents.engine.temporal.telling import Told
from agents.engine.toolbox import perform_call
from agents.models import Run
from agents.providers.claude import ClaudeProvider
from db.scope import tenant_scope
from quotas.provider import Gate
from tests.worlds import LEDGER, LOOKUP, PAY, World

Made = Callable[..., Hands]


@pytest.fixture
def made(on_temporal: None, database: None, model_url: str) -> Iterator[Made]:
    """Makes the hands of a process."""
    tools = ThreadPoolExecutor(4)
    answer = ClaudeProvider("rehearsal", model_url).answer

    def make(
        name: str,
        *,
        gate: Gate | None = None,
        stopping: Callable[[], bool] = lambda: False,
        pace: str | None = None,
    ) -> Hands:
        return Hands(name, Means(answer, perform_call, tools, stopping, gate), pace=pace)

    yield make
    tools.shutdown()


def lookups(acme: World) -> Run:
    acme.define("looker", role="You look up twice.", tool_specs={"lookup": LOOKUP})
    return acme.submit("looker", {"a": f"a {acme.slug}", "b": f"b {acme.slug}"})


def expire(acme: World, run: Run) -> None:
    """Let the run's lease run out."""
    with tenant_scope(acme.tenant_id):
        Run.objects.filter(id=run.id).update(due_at=Now() - timedelta(seconds=1))


def stepped(hands: Hands, run: Run, at: Standing) -> Standing:
    return hands.step(run.id, at.epoch, at.seq)


def test_a_step_that_is_asked_for_twice_is_performed_once(acme: World, made: Made) -> None:
    hands, run = made("one"), lookups(acme)
    first = hands.take_up(run.id, lost=0)
    assert (first.kind, first.queue, first.epoch) == (MODEL, "one", 1)

    second = stepped(hands, run, first)

    assert stepped(hands, run, first) == second
    assert second.kind == TOOLS
    assert acme.actions(run.id).count("model.requested") == 1


def test_it_goes_on_to_the_end_and_lets_go(acme: World, made: Made) -> None:
    hands, run = made("one"), lookups(acme)
    at = hands.take_up(run.id, lost=0)
    while at.kind != ENDED:
        at = stepped(hands, run, at)
    assert at.status == "completed"
    assert len(hands) == 0
    assert hands.take_up(run.id, lost=0) == Standing(ENDED, status="completed")


def test_a_look_performs_nothing_and_ends_a_run_that_was_cancelled_before_its_call(acme: World, made: Made) -> None:
    hands, run = made("one"), lookups(acme)
    at = hands.take_up(run.id, lost=0)

    assert hands.step(run.id, at.epoch, LOOK) == at
    cancel(run.id, acting_as=acme.alice)

    assert hands.step(run.id, at.epoch, LOOK) == Standing(ENDED, status="cancelled")
    assert len(hands) == 0
    assert "model.answered" not in acme.actions(run.id)


def test_a_look_leaves_tool_calls_to_their_step(acme: World, made: Made) -> None:
    hands, run = made("one"), lookups(acme)
    at = stepped(hands, run, hands.take_up(run.id, lost=0))
    cancel(run.id, acting_as=acme.alice)

    assert hands.step(run.id, at.epoch, LOOK) == at


def test_another_process_is_told_who_has_the_run(acme: World, made: Made) -> None:
    run = lookups(acme)
    at = made("one").take_up(run.id, lost=0)

    assert made("two").take_up(run.id, lost=0) == Standing(HELD, "one", at.epoch, at.seq)


def test_of_a_holder_that_does_not_have_it_the_lease_is_waited_for(acme: World, made: Made) -> None:
    run = lookups(acme)
    at = made("one").take_up(run.id, lost=0)
    assert made("one").step(run.id, at.epoch, at.seq) == Standing(LOST, epoch=at.epoch)  # another one of the name

    waits = made("two").take_up(run.id, lost=at.epoch)

    assert waits.kind == PARKED
    assert waits.pause_s is not None
    expire(acme, run)
    assert made("two").take_up(run.id, lost=at.epoch).epoch == 2
    assert acme.actions(run.id)[-3:] == ["run.resumed", "model.failed", "model.requested"]


def test_one_whose_lease_was_taken_over_does_nothing(acme: World, made: Made) -> None:
    first, run = made("one"), lookups(acme)
    at = first.take_up(run.id, lost=0)
    at = stepped(first, run, at)
    assert at.kind == TOOLS
    expire(acme, run)
    made("two").take_up(run.id, lost=0)
    before = acme.actions(run.id)

    assert stepped(first, run, at).kind == LOST

    assert acme.actions(run.id) == before
    assert len(first) == 0


def test_a_lost_lease_is_noticed_by_the_heartbeat(acme: World, made: Made) -> None:
    first, run = made("one"), lookups(acme)
    first.take_up(run.id, lost=0)
    expire(acme, run)
    made("two").take_up(run.id, lost=0)

    first.heartbeat()

    assert len(first) == 0


def test_a_lease_is_renewed_while_the_run_waits_to_be_asked_for(acme: World, made: Made) -> None:
    hands, run = made("one"), lookups(acme)
    hands.take_up(run.id, lost=0)
    expire(acme, run)

    hands.heartbeat()

    assert made("two").take_up(run.id, lost=0).kind == HELD


def test_a_stopping_process_gives_back_what_it_holds_without_being_asked(acme: World, made: Made) -> None:
    stop: list[bool] = []
    hands, run = made("one", stopping=lambda: bool(stop)), lookups(acme)
    at = stepped(hands, run, hands.take_up(run.id, lost=0))
    assert at.kind == TOOLS
    stop.append(True)

    with ThreadPoolExecutor(1) as threads:
        told = hands.wind_down(threads)

    assert [each.id for each in told] == [run.id]
    assert len(hands) == 0
    assert acme.actions(run.id)[-1] == "tool.finished"
    assert hands.step(run.id, at.epoch, at.seq).kind == LOST
    assert made("two").take_up(run.id, lost=at.epoch).kind == MODEL


def test_a_stopping_process_makes_no_call_that_waits_for_its_permit(acme: World, made: Made) -> None:
    stop: list[bool] = []
    hands, other = made("one", stopping=lambda: bool(stop), pace="permits"), made("two", pace="permits")
    runs = [lookups(acme) for _ in range(4)]
    for run in runs:
        assert hands.take_up(run.id, lost=0).pace == "permits"
    stop.append(True)

    with ThreadPoolExecutor(4) as threads:
        told = hands.wind_down(threads)

    assert {each.id for each in told} == {run.id for run in runs}
    assert len(hands) == 0
    for run in runs:
        (failed,) = [event for event in acme.events(run.id) if event.action == "model.failed"]
        assert failed.facts["code"] == "withdrawn"
        again = other.take_up(run.id, lost=1)
        assert (again.kind, again.pace, acme.run(run.id).cost_nano) == (MODEL, "permits", 0)
        assert acme.actions(run.id)[-3:] == ["model.failed", "run.resumed", "model.requested"]
        assert stepped(other, run, again).kind == TOOLS


def test_calls_that_were_taken_back_do_not_count_as_failures(acme: World, made: Made) -> None:
    run, lost = lookups(acme), 0
    for number in range(PROVIDER_ATTEMPTS + 1):
        hands = made(str(number), stopping=lambda: True, pace="permits")
        lost = hands.take_up(run.id, lost=lost).epoch
        with ThreadPoolExecutor(1) as threads:
            hands.wind_down(threads)

    assert made("last", pace="permits").take_up(run.id, lost=lost).kind == MODEL


def test_a_stopping_process_waits_for_the_call_that_has_its_permit(acme: World, made: Made) -> None:
    stop: list[bool] = []
    begun, go = threading.Event(), threading.Event()
    hands, run = made("one", stopping=lambda: bool(stop), pace="permits"), lookups(acme)
    at, real = hands.take_up(run.id, lost=0), hands._means.answer

    def slow(*args: Any, **named: Any) -> ModelAnswer:
        begun.set()
        go.wait(10)
        return real(*args, **named)

    hands._held[run.id].executor.means = replace(hands._means, answer=slow)
    with ThreadPoolExecutor(2) as threads:
        asked = threads.submit(stepped, hands, run, at)
        begun.wait(10)
        stop.append(True)
        hands.wind_down(threads)
        go.set()

    assert asked.result() == Standing(RELEASED)
    assert acme.actions(run.id)[-1] == "model.answered"


def test_a_run_that_was_cancelled_without_a_word_ends_when_its_permit_comes(acme: World, made: Made) -> None:
    hands, run = made("one", pace="permits"), lookups(acme)
    at = hands.take_up(run.id, lost=0)
    cancel(run.id, acting_as=acme.alice)

    assert stepped(hands, run, at) == Standing(ENDED, status="cancelled")
    assert "model.answered" not in acme.actions(run.id)


@pytest.mark.parametrize("seq", [LOOK, None], ids=["looking", "with a permit"])
def test_a_look_that_the_database_does_not_answer_leaves_things_as_they_are(
    seq: int | None, acme: World, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands, run = made("one", pace="permits"), lookups(acme)
    at = hands.take_up(run.id, lost=0)

    def away(*_: object) -> None:
        raise psycopg.OperationalError("away")

    with monkeypatch.context() as patched:
        patched.setattr(store, "since", away)
        after = hands.step(run.id, at.epoch, at.seq if seq is None else seq)

    assert after == at if seq == LOOK else after.kind == TOOLS
    assert hands.take_up(run.id, lost=0) == after
    assert "model.failed" not in acme.actions(run.id)


def test_a_stopping_process_says_so_when_it_is_asked(acme: World, made: Made) -> None:
    stop: list[bool] = []
    hands, run = made("one", stopping=lambda: bool(stop)), lookups(acme)
    at = hands.take_up(run.id, lost=0)
    stop.append(True)

    assert stepped(hands, run, at) == Standing(RELEASED)


def test_a_step_that_breaks_is_waited_for_and_taken_up_again(
    acme: World, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY | {"approval": {"when": "false"}}})
    hands, run = made("one"), acme.submit("payer", {"to": acme.slug})
    at = stepped(hands, run, hands.take_up(run.id, lost=0))
    assert at.kind == TOOLS

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(RunExecutor, "one_step", broken)
        assert stepped(hands, run, at) == Standing(LOST, epoch=at.epoch)
    assert hands.take_up(run.id, lost=at.epoch).kind == PARKED
    assert LEDGER.effects[f"pay 500 to {acme.slug}"] == 0


def test_a_run_that_nobody_asks_for_is_forgotten_and_dropped(acme: World, made: Made) -> None:
    hands, run = made("one"), lookups(acme)
    hands.take_up(run.id, lost=0)
    assert hands.forgotten(60.0) == []

    hands._held[run.id].asked_at -= 90.0
    assert hands.forgotten(60.0) == [run.id]
    assert hands.forgotten(60.0) == []  # once in that time
    hands.drop(run.id)

    assert len(hands) == 0


def test_of_the_runs_in_line_those_are_told_of_that_were_cancelled(acme: World, made: Made) -> None:
    hands, runs = made("one", pace="permits"), [lookups(acme) for _ in range(3)]
    first, second, third = [hands.take_up(run.id, lost=0) for run in runs]
    assert stepped(hands, runs[2], third).kind == TOOLS
    assert hands.overtaken() == []

    for run in runs[1:]:
        cancel(run.id, acting_as=acme.alice)

    assert hands.overtaken() == [Told(runs[1].id, acme.tenant_id, wakes=True)]
    assert hands.step(runs[1].id, second.epoch, LOOK).kind == ENDED
    assert hands.overtaken() == []
    assert hands.step(runs[0].id, first.epoch, LOOK) == first


def test_no_run_is_taken_up_that_would_have_to_wait_for_the_supplier(
    acme: World, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PLACE_WITHIN_S", 0.1)
    gate, run = Gate(concurrency=1, tokens=0), lookups(acme)
    taken = gate.enter()
    assert taken is not None
    hands = made("one", gate=gate)

    with pytest.raises(NoPlace):
        hands.take_up(run.id, lost=0)
    assert acme.actions(run.id) == ["run.submitted"]

    taken.leave()
    assert hands.take_up(run.id, lost=0).kind == MODEL
    gate.close()


def test_a_run_taken_up_anew_leaves_the_place_of_the_one_before(acme: World, made: Made) -> None:
    gate = Gate(concurrency=2, tokens=0)
    try:
        hands, run = made("one", gate=gate), lookups(acme)
        at = hands.take_up(run.id, lost=0)
        assert at.kind == MODEL
        expire(acme, run)
        again = hands.take_up(run.id, lost=at.epoch)
        assert (again.kind, again.epoch) == (MODEL, 2)
        assert gate.enter() is not None
        assert stepped(hands, run, again).kind == TOOLS
    finally:
        gate.close()


def test_a_run_that_is_not_there_has_ended(made: Made) -> None:
    assert made("one").take_up(UUID(int=1), lost=0) == Standing(ENDED)
