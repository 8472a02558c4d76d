"""What is undone when a run ends without its output, in which order, and when a person is asked about it."""

from dataclasses import replace
from typing import Any

import pytest

from agents.core import continuing
from agents.core.decide import recover, repeated
from agents.core.events import Event, RunCancelRequested, ToolRequested, facts_and_payload
from agents.core.exact import disclose
from agents.core.fold import fold_all
from agents.core.holdings import Holdings
from agents.core.spec import AgentSpec, Approval, Limits
from agents.core.state import Effect, RunState
from agents.tools.seam import Failed, Finished, Outcome, OutcomeUnknown
from tests.agents.core.simulation import DAN, RUN, Simulation, agent, failing, rule, text, tool, uses

Json = Any

BACK: Json = {"tool": "cancel", "arguments": {"id": "result.id", "note": "'undo ' + args.what"}}
BOOK = tool("book", effect="write", compensate_with=BACK)
CANCEL = tool(
    "cancel",
    effect="write",
    offered=False,
    input_schema={"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
)
LOOK = tool("look")
PAY = tool("pay", effect="write")
REFUSED = {"output_schema": {"type": "object"}, "rules": (rule("false", on_fail="reject"),)}


def booked(name: str, arguments: Json) -> Outcome:
    """Each booking gets an id that follows from what is booked."""
    return Finished({"id": f"id of {arguments.get('what')}"}) if name == "book" else Finished("done")


def run_of(spec: AgentSpec, *answers: Any, **more: Any) -> Simulation:
    return Simulation(
        spec, list(answers), **{"outcome": booked, "state": RunState(RUN, undoable=spec.undoable), **more}
    ).begin()


def book(*what: str) -> tuple[str, list[Json]]:
    return uses(*(("book", {"what": each}) for each in what))


def rejected(*tools: Any, **more: Any) -> AgentSpec:
    return agent(BOOK, CANCEL, *tools, **REFUSED, **more)


def cancelled_in(run: Simulation) -> Simulation:
    run.add(RunCancelRequested(by="user:p"))
    return run.resume()


def undone(run: Simulation) -> list[str]:
    return [arguments["id"] for name, arguments in run.performed if name == "cancel"]


def test_a_failed_run_undoes_what_it_did_latest_first() -> None:
    run = run_of(rejected(LOOK), book("a", "b"), uses(("look", {})), book("c"), text("{}"))

    assert run.performed[-3:] == [
        ("cancel", {"id": f"id of {each}", "note": f"undo {each}"}) for each in ("c", "b", "a")
    ]
    assert run.actions[-10:] == [
        "output.rejected",
        "run.compensating",
        *["tool.requested", "tool.compensated"] * 3,
        "budget.settled",
        "run.failed",
    ]
    assert run.history[-1].code == "rule_violated"  # type: ignore[attr-defined]


def test_a_completed_run_undoes_nothing() -> None:
    run = run_of(agent(BOOK, CANCEL), book("a"), text("done"))
    assert run.state.status == "completed"
    assert undone(run) == []


def test_a_run_that_did_nothing_to_undo_ends_at_once() -> None:
    run = run_of(rejected(PAY), uses(("pay", {})), text("{}"))
    assert "run.compensating" not in run.actions
    assert run.state.status == "failed"


def test_a_cancelled_run_undoes_what_it_did_and_withdraws_what_it_asked() -> None:
    spec = agent(BOOK, CANCEL, tool("pay", effect="irreversible"))
    run = run_of(spec, uses(("book", {"what": "a"}), ("pay", {})))
    assert run.state.questions

    cancelled_in(run)

    assert undone(run) == ["id of a"]
    assert run.state.status == "cancelled"
    assert run.performed[-1][0] == "cancel"


def test_an_output_that_a_person_rejects_undoes_what_was_done() -> None:
    spec = agent(BOOK, CANCEL, output_schema={"type": "object"}, escalate_when="true")
    run = run_of(spec, book("a"), text("{}"))
    run.answer_question("reject", reason="no")
    assert undone(run) == ["id of a"]
    assert (run.state.status, run.history[-1].code) == ("failed", "output_rejected")  # type: ignore[attr-defined]


def test_each_compensating_call_has_an_intent_and_a_key_of_its_own() -> None:
    run = run_of(rejected(), book("a", "b"), text("{}"))
    intents = [event for event in run.history if isinstance(event, ToolRequested)]
    assert len({each.idempotency_key for each in intents}) == 4
    assert [(each.turn, each.call, each.call_id) for each in intents[2:]] == [(3, 0, "toolu_1"), (3, 1, "toolu_0")]


def test_no_grant_is_asked_for_what_undoes_even_when_whom_the_run_acts_for_is_gone() -> None:
    run = run_of(agent(BOOK, CANCEL, escalates=True), book("a"), uses(("escalate_to_human", {"question": "?"})))
    run.held = Holdings((DAN,), frozenset(), {})
    run.answers = [book("b")]
    run.answer_question("respond", message="go on")

    assert undone(run) == ["id of a"]
    assert run.history[-1].code == "principal_gone"  # type: ignore[attr-defined]


def asked(run: Simulation) -> tuple[str, str]:
    (question,) = run.state.questions
    return question.kind, question.reason


@pytest.mark.parametrize("decision", ["approve", "respond"])
def test_a_compensation_that_fails_waits_for_a_person_before_any_other(decision: str) -> None:
    broken = {"id of b"}

    def outcome(name: str, arguments: Json) -> Outcome:
        if name == "cancel" and arguments["id"] in broken:
            return Failed("http_status", "HTTP 500: down")
        return booked(name, arguments)

    run = run_of(rejected(), book("a"), book("b"), text("{}"), outcome=outcome)
    assert asked(run) == ("reconcile", "compensation_failed")
    assert undone(run) == ["id of b"]

    run.answer_question("reject")
    assert undone(run) == ["id of b", "id of b"]
    assert asked(run) == ("reconcile", "compensation_failed")

    run.answer_question(decision, message="by hand")
    assert undone(run) == ["id of b", "id of b", "id of a"]
    assert run.state.status == "failed"


def test_a_compensation_that_was_mended_is_made_again_on_demand_with_the_same_key() -> None:
    outcomes = iter([OutcomeUnknown("the line broke"), Finished("done")])
    run = run_of(
        rejected(),
        *(book("a"), text("{}")),
        outcome=lambda name, arguments: next(outcomes) if name == "cancel" else booked(name, arguments),
    )
    assert asked(run) == ("reconcile", "compensation_unknown")
    run.answer_question("reject")
    assert run.state.status == "failed"
    keys = [each.idempotency_key for each in run.history if isinstance(each, ToolRequested) and each.tool == "cancel"]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_arguments_that_cannot_be_had_wait_for_a_person() -> None:
    run = run_of(rejected(), book("a"), text("{}"), outcome=lambda *_: Finished("no id in here"))
    assert [name for name, _ in run.performed] == ["book"]
    assert asked(run) == ("reconcile", "compensation_failed")
    run.answer_question("approve")
    assert run.state.status == "failed"


def test_a_tool_that_the_version_does_not_hold_waits_for_a_person() -> None:
    run = run_of(agent(BOOK, **REFUSED), book("a"), text("{}"))
    assert asked(run) == ("reconcile", "compensation_failed")


def test_what_undoes_takes_the_approval_that_the_tool_takes_and_it_never_expires() -> None:
    guarded = tool("cancel", effect="write", offered=False, approval_value=Approval("true", 2, "desk", 60))
    run = run_of(agent(BOOK, guarded, **REFUSED), book("a"), text("{}"))
    assert asked(run) == ("tool_call", "approval_required")
    assert run.state.questions[0].expires_at is None
    assert undone(run) == []
    run.answer_question("approve")
    assert undone(run) == ["id of a"]
    assert run.state.status == "failed"


def test_who_rejects_the_approval_leaves_the_effect() -> None:
    guarded = tool("cancel", effect="irreversible", offered=False)
    run = run_of(agent(BOOK, guarded, **REFUSED), book("a"), text("{}"))
    run.answer_question("reject", reason="let it stand")
    assert undone(run) == []
    assert run.state.status == "failed"


def unsure(name: str, arguments: Json) -> Outcome:
    return OutcomeUnknown("no answer") if name == "book" else Finished("done")


@pytest.mark.parametrize(
    ("answer", "undoes"),
    [
        ({"decision": "approve", "output": {"id": "7"}}, ["7"]),
        ({"decision": "reject"}, []),
        ({"decision": "respond"}, []),
    ],
)
def test_of_a_call_of_unknown_outcome_a_person_says_whether_there_is_anything_to_undo(
    answer: Json, undoes: list[str]
) -> None:
    run = run_of(agent(BOOK, CANCEL), book("a"), outcome=unsure)
    assert asked(run) == ("reconcile", "outcome_unknown")
    assert cancelled_in(run).state.waiting_for == "decision"
    assert asked(run) == ("reconcile", "outcome_unknown")

    run.answer_question(answer.pop("decision"), **answer)

    assert run.state.status == "cancelled"
    assert undone(run) == undoes


def test_what_nobody_knows_is_told_with_what_the_call_answered() -> None:
    run = run_of(agent(PAY), uses(("pay", {})), text("done"), outcome=lambda *_: OutcomeUnknown("HTTP 504: too slow"))
    assert run.state.questions[0].reason == "outcome_unknown"
    assert run.history[-2].detail == "HTTP 504: too slow"  # type: ignore[attr-defined]

    run.answer_question("respond", message="the bank will not say")

    assert run.state.status == "completed"
    (block,) = run.state.messages[2]["content"]
    assert block["is_error"]
    assert "the bank will not say\n[the call] HTTP 504: too slow" in block["content"]


def test_what_a_person_said_had_happened_is_undone_and_what_nobody_knew_is_asked_about_again() -> None:
    run = run_of(rejected(), book("a"), outcome=unsure)
    run.answers = [book("b")]
    run.answer_question("approve", output={"id": "1"})
    run.answers = [text("{}")]
    run.answer_question("respond", message="no idea")

    assert asked(run) == ("reconcile", "outcome_unknown")
    run.answer_question("reject")
    assert undone(run) == ["1"]
    assert run.state.status == "failed"


def test_a_fallback_undoes_in_place_of_a_tool_that_is_down() -> None:
    first = tool("cancel", effect="write", offered=False, fallback="spare")
    run = run_of(
        agent(BOOK, first, tool("spare", effect="write", offered=False), **REFUSED),
        *(book("a"), text("{}")),
        outcome=lambda name, arguments: (
            failing("cancel")(name, arguments) if name == "cancel" else booked(name, arguments)
        ),
    )
    assert [(name, arguments["id"]) for name, arguments in run.performed[1:]] == [
        ("cancel", "id of a"),
        ("spare", "id of a"),
    ]
    assert run.state.status == "failed"


def test_the_calls_of_a_run_that_is_undone_count_against_no_cap() -> None:
    run = run_of(rejected(limits=Limits(tool_calls=2)), book("a"), book("b"), text("{}"))
    assert undone(run) == ["id of b", "id of a"]


def test_cancelling_a_run_that_is_undone_already_changes_nothing() -> None:
    run = run_of(
        rejected(),
        book("a"),
        text("{}"),
        outcome=lambda name, arguments: Failed("raised", "no") if name == "cancel" else booked(name, arguments),
    )
    cancelled_in(run)
    assert asked(run) == ("reconcile", "compensation_failed")
    run.answer_question("approve")
    assert run.state.status == "failed"


@pytest.mark.parametrize("idempotent", [True, False])
def test_a_compensation_lost_in_mid_air_is_made_again_if_it_may_be(idempotent: bool) -> None:
    spec = agent(BOOK, tool("cancel", effect="write", idempotent=idempotent, offered=False), **REFUSED)
    run = run_of(spec, book("a"), text("{}"))
    place = run.actions.index("run.compensating") + 2
    state = fold_all(run.history[:place], RunState(RUN, undoable=spec.undoable))

    assert repeated(state, spec) == frozenset()
    lost: list[Event] = recover(state, spec, Holdings.none((DAN,)))
    assert [event.action for event in lost] == ([] if idempotent else ["tool.unknown"])


def test_a_record_of_what_is_undone_names_runs_below_only_where_there_are_some() -> None:
    own = Effect(1, 0, "toolu_1", "book", {}, "done")
    plain = facts_and_payload(continuing.reversal(RunState(RUN, effects=(own,), turn=2)))
    below = facts_and_payload(continuing.reversal(RunState(RUN, effects=(replace(own, run=str(RUN)),), turn=2)))
    assert plain[0] == {"of": str(RUN), "turn": 2}  # as the release before writes and reads it
    assert "run" not in disclose((plain[1] or {})["effects"])[0]
    assert below[0]["below"] is True  # a field that the release before refuses
    assert disclose((below[1] or {})["effects"])[0]["run"] == str(RUN)
