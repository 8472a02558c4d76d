"""What the core decides: each stop reason, each refusal, each answer of a person."""

import json
from datetime import timedelta
from uuid import UUID

import pytest

from agents.core import calls
from agents.core.decide import recover, repeated
from agents.core.events import Event, ModelRequested, RunResumed, RunStarted, RunSubmitted, facts_and_payload
from agents.core.exact import enclose
from agents.core.holdings import Holding, Holdings, Proof
from agents.core.spec import Approval, Limits
from agents.tools.seam import Failed
from agents.tools.seam import Finished as Done
from tests.agents.core.simulation import (
    DAN,
    Simulation,
    agent,
    failing,
    holds,
    rule,
    text,
    tool,
    uses,
)

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


def last_user_text(run: Simulation) -> str:
    return json.dumps(run.state.messages[-1]["content"])


def test_it_completes_with_a_text() -> None:
    run = Simulation(agent(), [text("done")]).begin({"a": 1})
    assert run.state.status == "completed"
    assert run.actions[-2:] == ["budget.settled", "run.completed"]
    assert run.history[-1].output == "done"  # type: ignore[attr-defined]


def test_it_calls_tools_of_a_turn_and_answers_in_the_models_order() -> None:
    spec = agent(tool("one"), tool("two"))
    run = Simulation(spec, [uses(("two", {}), ("one", {})), text("done")]).begin()
    assert [name for name, _ in run.performed] == ["two", "one"]
    results = run.state.messages[2]["content"]
    assert [block["tool_use_id"] for block in results] == ["toolu_0", "toolu_1"]
    assert run.state.status == "completed"


def test_it_tells_the_model_of_an_unknown_tool_and_executes_nothing() -> None:
    run = Simulation(agent(tool("one")), [uses(("two", {})), text("done")]).begin()
    assert run.performed == []
    assert "There is no tool 'two'. The tools are: one, escalate_to_human." in json.dumps(run.state.messages[2])
    assert "tool.denied" in run.actions


def test_it_tells_the_model_of_invalid_arguments() -> None:
    strict = tool("one", input_schema={"type": "object", "required": ["key"]})
    run = Simulation(agent(strict), [uses(("one", {})), text("done")]).begin()
    assert run.performed == []
    assert "'key' is a required property" in json.dumps(run.state.messages[2])


def test_it_denies_a_tool_that_the_principal_may_not_use() -> None:
    run = Simulation(agent(tool("one")), [uses(("one", {})), text("done")], held=holds()).begin()
    assert run.performed == []
    assert "may not use one" in json.dumps(run.state.messages[2])


def test_a_condition_lets_through_what_it_holds_for_and_its_words_are_not_told() -> None:
    one = tool("one", input_schema={"type": "object", "required": ["n"]})
    held = holds(one='args.n < 5 && principal.email == "dan@acme.example"')
    answers = [uses(("one", {"n": 4})), uses(("one", {"n": 5})), uses(("one", {})), text("done")]
    run = Simulation(agent(one), answers, held=held).begin()
    assert run.performed == [("one", {"n": 4})]
    said = json.dumps(run.state.messages)
    assert "may not use one with these arguments" in said
    assert "'n' is a required property" in said
    assert "< 5" not in said
    assert "dan@" not in said
    denied = [facts_and_payload(event)[0]["code"] for event in run.history if event.action == "tool.denied"]
    assert denied == ["not_granted", "invalid_arguments"]


def test_everybody_whom_a_call_is_made_for_must_hold_it() -> None:
    one = tool("one")
    eve = UUID(int=9)
    teams = {"teams": ["desk"]}
    held = {(DAN, one.id): Holding(False, {"1": "args.n < 5"}, {}), (eve, one.id): Holding(False, {"2": "true"}, {})}
    both = Holdings((DAN, eve), frozenset({DAN, eve}), held)
    assert both.proofs(one.id, {"n": 4}) == [
        Proof(DAN, one.id, "1", "args.n < 5", {}),
        Proof(eve, one.id, "2", "true", {}),
    ]
    assert both.proofs(one.id, {"n": 5}) is None
    held[eve, one.id] = Holding(False, {"2": "'credit' in principal.teams"}, teams)
    assert both.proofs(one.id, {"n": 4}) is None
    del held[eve, one.id]
    assert both.proofs(one.id, {"n": 4}) is None
    assert not both.ever(one.id)
    assert not both.gone


def test_a_run_ends_when_whom_it_acts_for_is_gone() -> None:
    one = tool("one")
    gone = Holdings((DAN,), frozenset(), {})
    run = Simulation(agent(one), [uses(("one", {}), ("made up", {}), ("escalate_to_human", {}))], held=gone).begin()
    assert run.performed == []
    assert run.actions[-2:] == ["budget.settled", "run.failed"]
    assert run.history[-1].code == "principal_gone"  # type: ignore[attr-defined]
    denied = [facts_and_payload(event)[0] for event in run.history if event.action == "tool.denied"]
    assert [(each["tool"], each["code"]) for each in denied] == [
        ("one", "principal_gone"),
        ("unknown", "principal_gone"),
        ("escalate_to_human", "principal_gone"),
    ]


@pytest.mark.parametrize(
    ("effect", "happened"), [("read", ("tool.failed", "spare")), ("write", ("tool.unknown", None))]
)
def test_a_call_that_fails_when_it_is_repeated_may_have_been_done_before(
    effect: str, happened: tuple[str, str | None]
) -> None:
    put = tool("put", effect=effect, idempotent=True, fallback="spare")
    run = Simulation(agent(put, tool("spare", effect=effect, offered=False)), [])
    run.add(RunSubmitted(agent="a", version=1, principal="user:p", requested_by="user:p", input={}))
    run.add(RunStarted(epoch=1, at=run.now.isoformat()), ModelRequested(turn=1, model="m"))
    run.answers = [uses(("put", {}))]
    run.add(run._answer(1))
    run.add(*calls.plan(run.state, run.spec, Holdings.assumed([put.id]), now=run.now))
    nobody_there = Failed("unreachable", "nobody there", retryable=True)
    first = calls.outcome_event(run.state, run.spec, run.state.calls[0], nobody_there)

    run.add(RunResumed(epoch=2, reason="lease_expired", at=run.now.isoformat()))
    again = calls.outcome_event(run.state, run.spec, run.state.calls[0], nobody_there)

    assert (first.action, getattr(first, "fallback", None)) == ("tool.failed", "spare")
    assert (again.action, getattr(again, "fallback", None)) == happened


def test_tools_that_stand_in_for_each_other_are_tried_once_each() -> None:
    one, other = tool("one", fallback="other"), tool("other", fallback="one", offered=False)
    nobody_there = Failed("unreachable", "nobody there", retryable=True)

    run = Simulation(agent(one, other), [uses(("one", {})), text("Neither.")], lambda name, arguments: nobody_there)
    run.begin()

    assert [name for name, _ in run.performed] == ["one", "other"]
    assert run.actions.count("tool.failed") == 2
    assert run.state.status == "completed"


def test_a_call_lost_in_mid_air_is_not_made_again_without_its_grant() -> None:
    look, put, pay = tool("look"), tool("put", effect="write", idempotent=True), tool("pay", effect="write")
    run = Simulation(agent(look, put, pay), [], held=holds(look, put, pay))
    run.add(RunSubmitted(agent="a", version=1, principal="user:p", requested_by="user:p", input={}))
    run.add(RunStarted(epoch=1, at=run.now.isoformat()), ModelRequested(turn=1, model="m"))
    run.answers = [uses(("look", {}), ("put", {}), ("pay", {}))]
    run.add(run._answer(1))
    run.add(*calls.plan(run.state, run.spec, holds(look, put, pay), now=run.now))

    assert repeated(run.state, run.spec) == {look.id, put.id}
    still = recover(run.state, run.spec, holds(look, put))
    revoked = recover(run.state, run.spec, holds())
    gone = recover(run.state, run.spec, Holdings((DAN,), frozenset(), {}))

    def told(events: list[Event]) -> list[tuple[str, str, str | None]]:
        facts = [(event.action, facts_and_payload(event)[0]) for event in events]
        return [(action, each["tool"], each.get("code")) for action, each in facts]

    assert told(still) == [("tool.unknown", "pay", None)]
    assert told(revoked) == [
        ("tool.denied", "look", "not_granted"),
        ("tool.unknown", "put", None),
        ("tool.unknown", "pay", None),
    ]
    assert told(gone)[0] == ("tool.denied", "look", "principal_gone")


def test_it_does_not_offer_a_tool_that_only_serves_as_a_fallback() -> None:
    spec = agent(tool("one"), tool("hidden", offered=False))
    run = Simulation(spec, [uses(("hidden", {})), text("done")]).begin()
    assert run.performed == []


def test_it_discards_an_answer_whose_calls_share_an_id() -> None:
    stop, blocks = uses(("one", {}), ("one", {}))
    blocks[1]["id"] = blocks[0]["id"]
    run = Simulation(agent(tool("one")), [(stop, blocks), text("done")]).begin()
    assert run.performed == []
    assert run.state.status == "completed"
    assert [message["role"] for message in run.state.messages] == ["user", "assistant"]


@pytest.mark.parametrize("stop", ["max_tokens", "refusal", "model_context_window_exceeded", "end_turn", "pause_turn"])
def test_it_executes_no_tool_unless_the_model_stopped_for_tool_use(stop: str) -> None:
    run = Simulation(agent(tool("one")), [uses(("one", {}), stop=stop), text("done")]).begin()
    assert run.performed == []


def test_it_asks_for_a_shorter_answer_after_max_tokens_and_keeps_the_cut_one_out() -> None:
    run = Simulation(agent(), [text("half", "max_tokens"), text("done")]).begin()
    assert run.state.status == "completed"
    assert "half" not in json.dumps(run.state.messages)
    assert "cut off at max_tokens" in json.dumps(run.state.messages[0])


def test_it_sends_a_paused_turn_back_unchanged() -> None:
    run = Simulation(agent(), [text("wait", "pause_turn"), text("done")]).begin()
    assert run.state.messages[1] == {"role": "assistant", "content": [{"type": "text", "text": "wait"}]}
    assert run.state.status == "completed"


def test_a_refusal_asks_a_person_whose_message_goes_to_the_model() -> None:
    run = Simulation(agent(), [text("no", "refusal"), text("done")]).begin()
    assert run.state.questions[0].kind == "question"
    assert run.state.questions[0].reason == "model_refused"
    run.answer_question("respond", message="It is allowed.")
    assert run.state.status == "completed"
    assert "It is allowed." in json.dumps(run.state.messages)


def test_a_rejected_refusal_fails_the_run_with_its_code() -> None:
    run = Simulation(agent(), [text("no", "refusal")]).begin().answer_question("reject", reason="stop")
    assert run.state.status == "failed"
    assert run.history[-1].code == "model_refused"  # type: ignore[attr-defined]


def test_it_feeds_validation_errors_back_then_asks_a_person() -> None:
    spec = agent(output_schema=SCHEMA, limits=Limits(validation_retries=2))
    run = Simulation(spec, [text("{}"), text("nonsense"), text('{"n": "x"}'), text('{"n": 1}')]).begin()
    assert run.actions.count("output.rejected") == 3
    assert run.state.questions[0].reason == "validation_failed"
    run.answer_question("respond", message="n is a number")
    assert run.state.status == "completed"
    assert run.history[-1].output == {"n": 1}  # type: ignore[attr-defined]


def test_it_retries_when_a_rule_fails_and_escalates_or_rejects_where_the_rule_says_so() -> None:
    retry = agent(output_schema=SCHEMA, rules=(rule("output.n > 5"),))
    assert Simulation(retry, [text('{"n": 1}'), text('{"n": 6}')]).begin().state.status == "completed"
    escalate = agent(output_schema=SCHEMA, rules=(rule("output.n > 5", "escalate"),))
    assert Simulation(escalate, [text('{"n": 1}')]).begin().state.questions[0].kind == "output"
    reject = agent(output_schema=SCHEMA, rules=(rule("output.n > 5", "reject"),))
    assert Simulation(reject, [text('{"n": 1}')]).begin().state.status == "failed"


def test_a_rule_that_cannot_be_evaluated_does_not_hold() -> None:
    spec = agent(output_schema=SCHEMA, rules=(rule("output.missing > 5"),), limits=Limits(validation_retries=0))
    assert Simulation(spec, [text('{"n": 1}')]).begin().state.questions[0].reason == "validation_failed"


@pytest.mark.parametrize(
    ("decision", "status"), [("approve", "completed"), ("reject", "failed"), ("respond", "completed")]
)
def test_an_output_to_confirm_ends_as_the_person_says(decision: str, status: str) -> None:
    spec = agent(output_schema=SCHEMA, escalate_when="output.n > 5")
    run = Simulation(spec, [text('{"n": 9}'), text('{"n": 1}')]).begin()
    assert run.state.waiting_for == "decision"
    assert run.answer_question(decision, message="lower", reason="no").state.status == status


def test_an_output_that_nobody_confirms_in_time_is_denied() -> None:
    spec = agent(output_schema=SCHEMA, escalate_when="output.n > 5", review={"expires_s": 60.0})
    run = Simulation(spec, [text('{"n": 9}')]).begin()
    assert run.history[-1].until == "2026-11-01T00:01:00+00:00"  # type: ignore[attr-defined]
    assert run.resume(seconds=30).state.status == "waiting"
    run.resume(seconds=31)
    assert run.actions[-3:] == ["decision.expired", "budget.settled", "run.failed"]
    assert run.state.status == "failed"


def test_an_output_that_a_person_wrote_is_confirmed_in_time_of_its_own() -> None:
    review = {"required": 2, "expires_s": 60}
    spec = agent(output_schema=SCHEMA, escalate_when="output.n > 5", review=review)
    run = Simulation(spec, [text('{"n": 9}')]).begin()
    run.now += timedelta(seconds=40)
    run.answer_question("edit", output=enclose({"n": 7}))
    assert run.state.questions[0].expires_at == "2026-11-01T00:01:40+00:00"


def test_an_irreversible_call_waits_for_approval_and_is_made_once() -> None:
    pay = tool("pay", effect="irreversible")
    run = Simulation(agent(pay), [uses(("pay", {"amount": 5})), text("done")]).begin()
    assert run.performed == []
    assert run.state.questions[0].kind == "tool_call"
    run.answer_question("approve")
    assert run.performed == [("pay", {"amount": 5})]
    assert run.state.status == "completed"


@pytest.mark.parametrize(("decision", "words"), [("reject", "too much"), ("respond", "ask first")])
def test_a_call_that_is_not_approved_is_not_made_and_the_model_is_told(decision: str, words: str) -> None:
    pay = tool("pay", effect="irreversible")
    run = Simulation(agent(pay), [uses(("pay", {"amount": 5})), text("done")]).begin()
    run.answer_question(decision, reason=words, message=words)
    assert run.performed == []
    assert words in json.dumps(run.state.messages[2])


def test_an_approval_lapses_when_the_grant_is_gone() -> None:
    pay = tool("pay", effect="irreversible")
    run = Simulation(agent(pay), [uses(("pay", {"amount": 5})), text("done")]).begin()
    run.held = holds()
    run.answer_question("approve")
    assert run.performed == []
    assert run.state.status == "completed"


def test_an_approval_condition_over_the_arguments_is_asked_about_only_when_it_holds() -> None:
    pay = tool("pay", effect="write", approval_value=Approval("args.amount > 100"))
    assert Simulation(agent(pay), [uses(("pay", {"amount": 5})), text("done")]).begin().performed
    assert not Simulation(agent(pay), [uses(("pay", {"amount": 500}))]).begin().performed
    assert not Simulation(agent(pay), [uses(("pay", {}))]).begin().performed  # it cannot be told: ask


def test_calls_beside_one_that_waits_are_made_meanwhile() -> None:
    spec = agent(tool("one"), tool("pay", effect="irreversible"))
    run = Simulation(spec, [uses(("pay", {}), ("one", {})), text("done")]).begin()
    assert run.performed == [("one", {})]
    assert run.state.waiting_for == "decision"
    assert run.answer_question("approve").state.status == "completed"


def test_the_models_own_question_is_answered_by_a_person() -> None:
    run = Simulation(agent(), [uses(("escalate_to_human", {"question": "Which one?"})), text("done")]).begin()
    assert run.state.questions[0].reason == "model_asked"
    run.answer_question("respond", message="The left one.")
    assert run.state.messages[2]["content"][0]["content"] == "The left one."


def test_a_failed_tool_goes_on_to_its_fallback() -> None:
    spec = agent(tool("main", fallback="spare"), tool("spare", offered=False))
    run = Simulation(spec, [uses(("main", {})), text("done")], outcome=failing("main")).begin()
    assert [name for name, _ in run.performed] == ["main", "spare"]
    assert run.state.messages[2]["content"][0] == {
        "type": "tool_result",
        "tool_use_id": "toolu_0",
        "content": "ok",
    }


def test_a_final_failure_does_not_go_on_to_the_fallback() -> None:
    spec = agent(tool("main", fallback="spare"), tool("spare", offered=False))
    run = Simulation(spec, [uses(("main", {})), text("done")], outcome=failing("main", retryable=False)).begin()
    assert [name for name, _ in run.performed] == ["main"]
    assert "main is down" in last_user_text(run) or "main is down" in json.dumps(run.state.messages[2])


def test_the_same_call_with_the_same_result_thrice_asks_a_person() -> None:
    run = Simulation(agent(tool("one")), [uses(("one", {"a": 1}))] * 6).begin()
    assert len(run.performed) == 3
    assert run.state.questions[0].reason == "loop_detected"
    assert run.answer_question("reject").state.status == "failed"


def test_numbers_too_large_to_check_are_a_problem_not_a_crash() -> None:
    strict = tool("one", input_schema={"type": "object", "properties": {"n": {"multipleOf": 0.1}}})
    run = Simulation(agent(strict), [uses(("one", {"n": 10**400})), text("done")]).begin()
    assert run.performed == []
    assert "cannot be checked" in json.dumps(run.state.messages[2])


def test_a_rule_may_speak_of_what_the_tools_said() -> None:
    spec = agent(tool("score"), output_schema=SCHEMA, rules=(rule("output.n == tools.score.n"),))
    run = Simulation(spec, [uses(("score", {})), text('{"n": 1}'), text('{"n": 7}')], outcome=lambda *_: Done({"n": 7}))
    run.begin()
    assert run.actions.count("output.rejected") == 1
    assert run.history[-1].output == {"n": 7}  # type: ignore[attr-defined]


@pytest.mark.parametrize("words", ["NaN", '{"n": NaN}', "[" * 2000, '{"n": 1}' * 2, "\ud83d"])
def test_what_is_not_json_is_sent_back(words: str) -> None:
    run = Simulation(agent(output_schema=SCHEMA), [text(words), text('{"n": 1}')]).begin()
    assert run.history[-1].output == {"n": 1}  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["a" * 500, "nul \x00", "half \ud83d", "john.smith@example.com"])
def test_a_name_the_model_made_up_stays_out_of_the_facts(name: str) -> None:
    run = Simulation(agent(tool("one")), [uses((name, {})), text("done")]).begin()
    denied = next(event for event in run.history if event.action == "tool.denied")
    facts, payload = facts_and_payload(denied)
    assert facts["tool"] == "unknown"
    assert name not in str(facts)
    assert payload is not None


@pytest.mark.parametrize("call_id", ["", "x" * 200, "a b", "nul\x00", None])
def test_an_answer_whose_call_has_no_proper_id_is_discarded(call_id: object) -> None:
    stop, blocks = uses(("one", {}))
    blocks[0]["id"] = call_id
    run = Simulation(agent(tool("one")), [(stop, blocks), text("done")]).begin()
    assert run.performed == []
    assert run.state.status == "completed"


def test_a_fallback_cannot_be_called_by_its_own_name() -> None:
    spec = agent(tool("main", fallback="spare"), tool("spare", offered=False))
    run = Simulation(spec, [uses(("spare", {})), text("done")]).begin()
    assert run.performed == []
    assert "There is no tool 'spare'" in json.dumps(run.state.messages[2])


def test_an_input_with_a_large_number_reaches_the_model_as_it_is() -> None:
    run = Simulation(agent(), [text("done")]).begin({"n": 12345678901234567891})
    assert run.state.status == "completed"
    assert "12345678901234567891" in json.dumps(run.state.messages[0])
