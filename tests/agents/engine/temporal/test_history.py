"""What Temporal's history holds of a run, and how much: ids, numbers and codes; far below the server's limits."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from agents.core.model import ModelAnswer, ModelRequest, Usage
from agents.engine.temporal import hands
from agents.engine.temporal.worker import TemporalWorker
from agents.models import Run
from db.scope import tenant_scope
from escalations.actions.decisions import Answer, decide
from escalations.models import Escalation
from tests.agents.engine.temporal.histories import bytes_of, chain, held
from tests.agents.engine.temporal.serving import serving
from tests.agents.engine.temporal.test_runs import approve, until
from tests.worlds import LOOKUP, PAY, World

Json = Any
Settles = Callable[[World, UUID], Run]

#: The server's limits of one history: 51,200 events and 50 MB; it warns at a fifth.
EVENTS = 10_240
BYTES = 10 * 2**20


def test_it_holds_no_content(acme: World, worker: TemporalWorker, settles: Settles) -> None:
    acme.define("payer", role="You pay.", tool_specs={"pay": PAY})
    run = acme.submit("payer", {"to": "canary-of-input"})
    parked = settles(acme, run.id)

    approve(acme, parked)

    until(lambda: acme.run(run.id).status == "completed")
    until(lambda: chain(run.id)[-1].events[-1].HasField("workflow_execution_completed_event_attributes"))
    (history,) = chain(run.id)
    text = held(history)
    assert str(run.id) in text
    for words in ("canary", "You pay", "pay 500", "Paid.", "test_pay", acme.slug, "rita", "claude"):
        assert words not in text
    journal = str(acme.events(run.id))
    assert "canary-of-input" in journal


def test_what_an_error_says_stays_here(
    acme: World, worker: TemporalWorker, settles: Settles, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = hands.Hands.take_up
    failed: list[UUID] = []

    def fail_first(self: hands.Hands, run_id: UUID, *, lost: int) -> Json:
        if run_id not in failed:  # another test's run may still be about
            failed.append(run_id)
            raise RuntimeError("canary-of-error") from ValueError("canary-of-cause")
        return real(self, run_id, lost=lost)

    monkeypatch.setattr(hands.Hands, "take_up", fail_first)
    acme.define("looker", role="You look keys up.", tool_specs={"lookup": LOOKUP})
    run = acme.submit("looker", {"a": "a", "b": "b"})

    assert settles(acme, run.id).status == "completed"

    text = held(chain(run.id)[0])
    assert "canary" not in text
    assert "failed" in text


def one_call_a_turn(turns: int) -> Callable[..., ModelAnswer]:
    """Return a model that calls a tool in each of so many turns, then ends."""

    def answer(request: ModelRequest, *, timeout_s: float) -> ModelAnswer:
        turn = len(request.messages) // 2
        use = {"type": "tool_use", "id": f"toolu_{turn}", "name": "lookup", "input": {"key": f"key {turn}"}}
        usage = Usage(1, 1)
        if turn < turns:
            return ModelAnswer(request.model, "tool_use", [use], usage)
        return ModelAnswer(request.model, "end_turn", [{"type": "text", "text": "Enough."}], usage)

    return answer


def ended(acme: World, run: Run, settles: Settles) -> Run:
    """Wait for the end, letting it take more turns when it asks."""
    while not (seen := settles(acme, run.id)).ended_at:
        with tenant_scope(acme.tenant_id):
            asked = Escalation.objects.filter(run_id=run.id, status="open").first()
        if asked is not None:
            decide(asked.id, Answer("approve", asked.digest), acting_as=acme.rita)
    return seen


def drive(acme: World, turns: int, settles: Settles) -> tuple[Run, int]:
    """Drive a run of so many tool turns; returns it and how many histories it took, none of them long."""
    limits = {"turns": 1000, "tool_calls": 10_000, "tokens": 10**9, "usd": "1000"}
    acme.define("long", role="You are long.", tool_specs={"lookup": LOOKUP}, limits=limits)
    acme.grant("review", acme.agent("long"), acme.rita)
    run = acme.submit("long", {})
    with serving(one_call_a_turn(turns)):
        done = ended(acme, run, settles)
        until(lambda: chain(run.id)[-1].events[-1].HasField("workflow_execution_completed_event_attributes"))
    histories = chain(run.id)
    assert max(len(history.events) for history in histories) < EVENTS / 4
    assert max(bytes_of(history) for history in histories) < BYTES / 4
    return done, len(histories)


def test_a_long_run_goes_on_in_one_history_after_another(acme: World, on_temporal: None, settles: Settles) -> None:
    done, histories = drive(acme, 170, lambda of, run: settled(of, run, 240.0))

    assert done.status == "completed"
    assert (done.model_calls, done.tool_calls) == (171, 170)
    assert histories == 2
    assert acme.actions(done.id).count("run.resumed") == 0


@pytest.mark.large
@pytest.mark.timeout(1800)
def test_a_run_of_5000_steps_stays_far_below_the_limits(acme: World, on_temporal: None) -> None:
    done, histories = drive(acme, 2500, lambda of, run: settled(of, run, 1500.0))

    assert done.status == "completed"
    assert (done.model_calls, done.tool_calls) == (2501, 2500)
    assert histories > 10


def settled(of: World, run_id: UUID, seconds: float) -> Run:
    """Wait until a run asks or has ended."""
    until(lambda: bool((seen := of.run(run_id)).ended_at) or seen.waiting_for == "decision", seconds)
    return of.run(run_id)
