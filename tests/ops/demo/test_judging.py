"""The demo's judgement says what is not as expected, and nothing else."""

from typing import Any

import pytest

from ops.demo.cases import CASES, Answer, Case
from ops.demo.judging import faults

Json = Any
CASE = Case(
    name="a refund",
    tenant="acme",
    agent="refund-desk",
    input={},
    output={"outcome": "refunded"},
    contains={"reason": "back"},
    events=(("tool.failed", {"tool": "a"}), ("tool.finished", {"tool": "b"})),
    answers=(Answer("tool_call", "approve"),),
    effects=(("refund", {"order_id": "ORD-1"}),),
)
RUN = {"status": "completed", "output": {"outcome": "refunded", "reason": "paid back"}, "error": None}
EVENTS = [
    {"seq": 1, "type": "tool.failed", "data": {"tool": "a"}},
    {"seq": 2, "type": "decision.made", "data": {"kind": "tool_call", "decision": "approve"}},
    {"seq": 3, "type": "tool.finished", "data": {"tool": "b", "call": 0}},
]
ENTRY = {"effect": "refund", "tenant": "acme", "request": {"order_id": "ORD-1", "amount": 5}, "seen": 1}


def test_a_run_that_came_out_as_expected_has_no_fault() -> None:
    assert faults(CASE, RUN, EVENTS, [ENTRY]) == []


@pytest.mark.parametrize(
    ("run", "events", "ledger", "said"),
    [
        ({**RUN, "status": "failed", "error": {"code": "x"}}, EVENTS, [ENTRY], "failed instead of completed"),
        ({**RUN, "output": {"outcome": "declined", "reason": "back"}}, EVENTS, [ENTRY], "the output"),
        ({**RUN, "output": {"outcome": "refunded"}}, EVENTS, [ENTRY], "reason does not contain 'back'"),
        (RUN, [*EVENTS[:2], {**EVENTS[2], "seq": 4}], [ENTRY], "not numbered"),
        (RUN, [*EVENTS[:2], {**EVENTS[2], "data": {"tool": "c"}}], [ENTRY], "no tool.finished"),
        (RUN, [{**EVENTS[2], "seq": 1}, EVENTS[1], {**EVENTS[0], "seq": 3}], [ENTRY], "no tool.finished"),
        (RUN, [EVENTS[0], {**EVENTS[1], "type": "x"}, EVENTS[2]], [ENTRY], "people decided [] instead of"),
        (RUN, EVENTS, [], "0 effects of it instead of 1"),
        (RUN, EVENTS, [ENTRY, ENTRY], "2 effects of it instead of 1"),
        (RUN, EVENTS, [{**ENTRY, "tenant": "globex"}], "instead of refund"),
        (RUN, EVENTS, [{**ENTRY, "seen": 2}], "asked for 2 times"),
    ],
)
def test_what_differs_is_said(run: Json, events: Json, ledger: Json, said: str) -> None:
    found = faults(CASE, run, events, ledger)

    assert len(found) == 1
    assert found[0].startswith("a refund: ")
    assert said in found[0]


def test_the_demo_has_a_fallback_a_validation_retry_and_decided_escalations() -> None:
    expected = [event for case in CASES for event in case.events]
    decisions = {answer.decision for case in CASES for answer in case.answers}

    assert ("tool.finished", {"tool": "check_fraud_backup"}) in expected
    assert ("output.rejected", {}) in expected
    assert decisions == {"approve", "reject", "respond"}
    assert {case.tenant for case in CASES} == {"acme", "globex"}
    assert {case.agent for case in CASES} == {"loan-review", "refund-desk", "data-analyst", "credit-committee"}
