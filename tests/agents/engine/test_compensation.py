"""What runs did is undone over HTTP, latest first, whatever ended them, and whoever drove them meanwhile."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db.models.functions import Now

from agents.actions import tools
from agents.actions.runs import cancel
from agents.core.decide import Command, Perform
from agents.engine import claims, toolbox
from agents.engine.executor import Means, RunExecutor, Stopped
from agents.engine.toolbox import perform_call
from agents.models import AgentVersion, Run
from agents.presenters import runs_json, with_names
from agents.providers.claude import ClaudeProvider
from agents.tools.registry import build_registry
from db.scope import tenant_scope
from egress.client import Client
from escalations.actions.decisions import Answer, decide
from escalations.models import Escalation
from tests.agents.engine.serving import serving
from tests.agents.engine.waiting import ended, until
from tests.faults import effects
from tests.faults.effects import Effects, Fault
from tests.worlds import World

Json = Any


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Effects]:
    """The server that bookings are made at and undone."""
    with effects.serving() as server:
        host, _, port = server.place.partition(":")
        kinds = build_registry(client=Client(frozenset({(host, int(port))})), sources_dir=Path("/nowhere"))
        monkeypatch.setattr(toolbox, "registry", lambda: kinds)
        yield server


@pytest.fixture
def means(model_url: str) -> Means:
    """What an executor of the test's own performs with."""
    answer = ClaudeProvider("rehearsal", model_url).answer
    return Means(answer, perform_call, tools=None, stopping=lambda: False)  # type: ignore[arg-type]


def define(acme: World, outside: Effects, *, undo: Json = None, **spec: Json) -> None:
    """An agent that books three things, each of which can be undone; whatever it says of it is refused."""
    book = {
        "description": "Book something.",
        "type": "http",
        "http": {"method": "POST", "url": f"{outside.url}/once/book"},
        "input_schema": {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]},
        "effect": "write",
        "idempotent": True,
        "compensate_with": {"tool": "undo", "arguments": {"of": "result.key", "what": "args.what"}},
    }
    undoes = {
        "description": "Undo a booking.",
        "type": "http",
        "http": {"method": "POST", "url": f"{outside.url}/once/undo"},
        "input_schema": {"type": "object", "properties": {"of": {}, "what": {}}, "required": ["of", "what"]},
        "effect": "write",
        **(undo or {}),
    }
    refused = {
        "output_schema": {"type": "object", "properties": {"booked": {"type": "integer"}}, "required": ["booked"]},
        "rules": [{"id": "none", "assert": "output.booked == 0", "message": "Book nothing.", "on_fail": "reject"}],
    }
    # The tool that undoes is pinned with the one that it undoes; no agent has to offer it.
    with tenant_scope(acme.tenant_id):
        tools.put("undo", undoes, acting_as=acme.alice)
    acme.define("booker", role="You book things.", tool_specs={"book": book}, **{**refused, **spec})


def start(acme: World) -> Run:
    return acme.submit("booker", {"a": "a", "b": "b", "c": "c"})


def undone(outside: Effects) -> list[str]:
    return [each.body["what"] for each in outside.ledger.at("/once/undo") if each.done]


def only_question(acme: World, run: Run) -> Escalation:
    until(acme, run, lambda now: now.waiting_for == "decision")
    with tenant_scope(acme.tenant_id):
        return Escalation.objects.get(run_id=run.id, status="open")


def answer(acme: World, question: Escalation, decision: str, **more: Json) -> None:
    acme.grant("review", acme.agent("booker"), acme.rita)
    decide(question.id, Answer(decision, question.digest, **more), acting_as=acme.rita)


def test_a_failed_run_undoes_its_bookings_latest_first(acme: World, outside: Effects, model_url: str) -> None:
    define(acme, outside)
    with serving(model_url):
        run = ended(acme, start(acme))
    assert (run.status, run.error_code) == ("failed", "rule_violated")
    assert undone(outside) == ["c", "b", "a"]
    booked = {each.body["what"]: each.key for each in outside.ledger.at("/once/book")}
    assert [each.body["of"] for each in outside.ledger.at("/once/undo")] == [booked[name] for name in "cba"]
    assert acme.actions(run.id)[-9:] == [
        "run.compensating",
        *["tool.requested", "tool.compensated"] * 3,
        "budget.settled",
        "run.failed",
    ]
    assert set(outside.ledger.of(str(run.id)).values()) == {1}
    with tenant_scope(acme.tenant_id):
        (told,) = runs_json(with_names(Run.objects.filter(id=run.id)), {}, payloads=True)
    assert told["error"]["code"] == "rule_violated"
    assert told["error"]["detail"] == "Book nothing."
    assert told["usage"]["tool_calls"] == 6


def test_a_version_pins_what_undoes_its_tools_without_offering_it(acme: World, outside: Effects) -> None:
    define(acme, outside)
    with tenant_scope(acme.tenant_id):
        (version,) = AgentVersion.objects.all()
    assert [(each["name"], each["offered"]) for each in version.compiled["tools"]] == [("book", True), ("undo", False)]


def test_a_run_that_is_cancelled_half_way_undoes_what_it_did(acme: World, outside: Effects, model_url: str) -> None:
    define(acme, outside, escalate_when="true", rules=[])
    with serving(model_url):
        run = start(acme)
        question = only_question(acme, run)
        assert question.kind == "output"
        cancel(run.id, acting_as=acme.alice)
        assert ended(acme, run).status == "cancelled"
    assert undone(outside) == ["c", "b", "a"]
    with tenant_scope(acme.tenant_id):
        assert Escalation.objects.get(run_id=run.id).status == "withdrawn"


def test_a_run_whose_output_is_rejected_undoes_what_it_did(acme: World, outside: Effects, model_url: str) -> None:
    define(acme, outside, escalate_when="true", rules=[])
    with serving(model_url):
        run = start(acme)
        answer(acme, only_question(acme, run), "reject", reason="no")
        over = ended(acme, run)
    assert (over.status, over.error_code) == ("failed", "output_rejected")
    assert undone(outside) == ["c", "b", "a"]


def test_one_that_cannot_be_undone_waits_for_a_person_and_the_others_wait_with_it(
    acme: World, outside: Effects, model_url: str
) -> None:
    define(acme, outside)
    outside.will("/once/undo", Fault(status=409), Fault(status=409))
    with serving(model_url):
        run = start(acme)
        question = only_question(acme, run)
        assert (question.kind, question.reason) == ("reconcile", "compensation_failed")
        assert undone(outside) == []
        answer(acme, question, "reject", reason="try again")
        until(acme, run, lambda _: acme.actions(run.id).count("decision.requested") == 2)
        answer(acme, only_question(acme, run), "approve", message="done by hand")
        assert ended(acme, run).status == "failed"
    assert undone(outside) == ["b", "a"]


def test_a_compensation_whose_connection_breaks_is_unknown(acme: World, outside: Effects, model_url: str) -> None:
    define(acme, outside)
    outside.will("/once/undo", Fault(status=0, done=True))
    with serving(model_url):
        run = start(acme)
        question = only_question(acme, run)
        assert (question.kind, question.reason) == ("reconcile", "compensation_unknown")
        answer(acme, question, "approve")
        assert ended(acme, run).status == "failed"
    assert undone(outside) == ["c", "b", "a"]
    assert acme.actions(run.id).count("tool.compensated") == 2


def test_who_cancels_a_waiting_run_again_wakes_nobody(acme: World, outside: Effects, model_url: str) -> None:
    define(acme, outside)
    outside.will("/once/undo", Fault(status=409))
    run = start(acme)
    with serving(model_url):
        only_question(acme, run)
        cancel(run.id, acting_as=acme.alice)
        until(acme, run, lambda _: acme.actions(run.id)[-2:] == ["run.resumed", "run.waiting"])
    before = acme.actions(run.id)

    cancel(run.id, acting_as=acme.alice)

    assert acme.run(run.id).ready_at is None
    assert acme.actions(run.id) == before


@pytest.mark.parametrize("idempotent", [True, False])
def test_a_worker_that_dies_in_a_compensation_is_followed_by_one_that_goes_on(
    acme: World, outside: Effects, means: Means, model_url: str, idempotent: bool
) -> None:
    define(acme, outside, undo={"idempotent": idempotent})
    run = start(acme)
    with claims.claim("test", after=UUID(int=acme.tenant_id.int - 1)) as claimed:
        assert claimed is not None
        step, mine = claimed
        dying = RunExecutor(mine, means)
        command: Command | Stopped = dying.begin(step)
    while dying.state.ending is None:
        if isinstance(command, Perform):
            happened = [
                dying._outcome(call, perform_call(mine, call, f"{run.id}-{dying.state.turn}-{call.index}"))
                for call in command.calls
            ]
        else:
            happened = [dying._call_model(command)]  # type: ignore[arg-type]
        command = dying._commit(happened)
    assert isinstance(command, Perform)
    with tenant_scope(acme.tenant_id):
        Run.objects.filter(id=run.id).update(due_at=Now() - timedelta(seconds=1))

    with serving(model_url):
        if not idempotent:
            question = only_question(acme, run)
            assert question.reason == "compensation_unknown"
            answer(acme, question, "reject")
        assert ended(acme, run).status == "failed"

    assert undone(outside) == ["c", "b", "a"]


def test_the_connection_of_a_write_that_may_be_repeated_breaks_and_it_is_repeated(
    acme: World, outside: Effects, model_url: str
) -> None:
    define(acme, outside, rules=[])
    outside.will("/once/book", Fault(status=0, done=True), Fault(status=0))
    with serving(model_url):
        run = start(acme)
        assert ended(acme, run).status == "completed"
    assert set(outside.ledger.of(str(run.id)).values()) == {1}
    assert len(outside.ledger.of(str(run.id))) == 3


def test_one_whose_connection_always_breaks_is_a_persons_to_reconcile(
    acme: World, outside: Effects, model_url: str
) -> None:
    define(acme, outside, rules=[])
    outside.will("/once/book", *[Fault(status=0, done=True)] * 6)
    with serving(model_url):
        run = start(acme)
        until(acme, run, lambda now: now.waiting_for == "decision")
        with tenant_scope(acme.tenant_id):
            questions = list(Escalation.objects.filter(run_id=run.id))
        assert {question.kind for question in questions} == {"reconcile"}
        acme.grant("review", acme.agent("booker"), acme.rita)
        for question in questions:
            decide(question.id, Answer("reject", question.digest), acting_as=acme.rita)
        while acme.run(run.id).ended_at is None:
            until(acme, run, lambda now: now.ended_at is not None or now.waiting_for == "decision")
            with tenant_scope(acme.tenant_id):
                more = list(Escalation.objects.filter(run_id=run.id, status="open"))
            for question in more:
                decide(question.id, Answer("reject", question.digest), acting_as=acme.rita)
    assert set(outside.ledger.of(str(run.id)).values()) == {1}
    assert acme.run(run.id).status == "completed"
