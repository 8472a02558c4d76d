"""The core against random models, tools and people: what must hold whatever they do."""

import itertools
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.core.events import DecisionMade, Event, ToolRequested, event_of, facts_and_payload
from agents.core.fold import fold_all
from agents.core.lifecycle import TERMINAL
from agents.core.spec import Limits
from agents.core.state import RunState
from agents.tools.seam import Failed, Finished, Outcome, OutcomeUnknown
from audit.canonical import canonical
from tests.agents.core.simulation import RUN, Simulation, agent, provider_failed, rule, text, tool, uses

TOOLS = (
    tool("read", fallback="spare"),
    tool("spare", offered=False),
    tool("pay", effect="irreversible"),
    tool("strict", input_schema={"type": "object", "required": ["key"]}),
)
NAMES = ["read", "spare", "pay", "strict", "none", "escalate_to_human"]
ARGUMENTS: list[Any] = [{}, {"key": "a"}, {"question": "Which?"}, {"n": 2**60}, {"n": 1.0}, [], "text"]

calls = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(ARGUMENTS)), min_size=0, max_size=3)
answers = st.one_of(
    calls.map(lambda each: uses(*each)),
    st.builds(text, st.sampled_from(["done", '{"n": 1}', '{"n": 9}', "[]"])),
    st.builds(text, st.just("half"), st.sampled_from(["max_tokens", "refusal", "pause_turn"])),
    calls.map(lambda each: uses(*each, stop="model_context_window_exceeded")),
    st.just(provider_failed()),
    st.just(provider_failed("spend_limit", retryable=False)),
)
outcomes = st.sampled_from(
    [Finished({"n": 1}), Finished("same"), Failed("timeout", "late", True), Failed("raised", "no"), OutcomeUnknown("?")]
)
decisions = st.sampled_from(["approve", "reject", "respond"])
SCHEMA = {"type": "object", "required": ["n"]}


def play(said: list[Any], came: list[Outcome], decided: list[str]) -> Simulation:
    spec = agent(
        *TOOLS,
        output_schema=SCHEMA,
        rules=(rule("output.n < 5"),),
        escalate_when="output.n == 1",
        limits=Limits(turns=8, tool_calls=6, validation_retries=1),
    )
    left = iter(came)
    run = Simulation(spec, [*said, *[text('{"n": 0}')] * 40], outcome=lambda *_: next(left, Finished("same")))
    run.begin({"of": 1})
    for decision in decided:
        if run.state.waiting_for == "provider":
            run.resume(seconds=300)
        elif run.state.questions:
            _answer(run, decision)
    return run


def _answer(run: Simulation, decision: str) -> None:
    from agents.core.asking import ALLOWED

    kind = run.state.questions[0].kind
    allowed = ALLOWED[kind]
    run.answer_question(decision if decision in allowed else allowed[0], message="so", reason="so")


@given(st.lists(answers, max_size=8), st.lists(outcomes, max_size=10), st.lists(decisions, max_size=8))
def test_whatever_happens_the_invariants_hold(said: list[Any], came: list[Outcome], decided: list[str]) -> None:
    run = play(said, came, decided)

    ends = [place for place, event in enumerate(run.history) if event.action.removeprefix("run.") in TERMINAL]
    assert ends in ([], [len(run.history) - 1])
    assert run.state.ended or run.state.status == "waiting"
    assert run.state.ended == (run.state.held is None)
    _assert_effects_were_intended_once(run.history)
    _assert_nothing_irreversible_without_approval(run)
    _assert_conversation_is_well_formed(run.state)
    assert fold_all((_stored(event) for event in run.history), RunState(RUN)) == run.state


def _assert_effects_were_intended_once(history: list[Event]) -> None:
    intents = [event.idempotency_key for event in history if isinstance(event, ToolRequested)]
    said = [(event.kind, event.decision) for event in history if isinstance(event, DecisionMade)]
    reruns = said.count(("reconcile", "reject"))
    assert len(intents) - len(set(intents)) <= reruns


def _assert_nothing_irreversible_without_approval(run: Simulation) -> None:
    approvals = sum(
        isinstance(event, DecisionMade) and event.kind == "tool_call" and event.decision == "approve"
        for event in run.history
    )
    paid = sum(name == "pay" for name, _ in run.performed)
    assert paid <= approvals


def _assert_conversation_is_well_formed(state: RunState) -> None:
    messages = state.messages
    assert messages[0]["role"] == "user"
    for message, following in itertools.pairwise(messages):
        if message["role"] != "assistant":
            continue
        wanted = [block["id"] for block in message["content"] if block["type"] == "tool_use"]
        given_back = [block["tool_use_id"] for block in following["content"] if block.get("type") == "tool_result"]
        assert given_back == wanted
        assert all(block["type"] == "tool_result" for block in following["content"][: len(wanted)])


def _stored(event: Event) -> Event:
    """The event after a trip through the journal's form."""
    facts, payload = facts_and_payload(event)
    kept = None if payload is None else json.loads(canonical(payload))
    return event_of(event.action, event.v, json.loads(json.dumps(facts)), kept)
