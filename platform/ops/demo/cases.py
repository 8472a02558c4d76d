"""The runs of `demo --once`, each with how a person answers and what must come of it, literally."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Json = Any
Seen = tuple[str, Mapping[str, Json]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the reviewer says to a run's question of that kind: a decision, with a reason or a message."""

    kind: str
    decision: str
    reason: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One run.

    answers: what is said to its questions, all of them, in the order in which they come. output: members the output
    must have; contains: texts that members of it must contain.
    events: type and members of `data` of events that must occur in this order, whatever lies between.
    effects: what the run must have in the ledger: (effect, members of the request), each done exactly once.
    """

    name: str
    tenant: str
    agent: str
    input: Mapping[str, Json]
    output: Mapping[str, Json]
    contains: Mapping[str, str] = field(default_factory=dict)
    answers: tuple[Answer, ...] = ()
    events: tuple[Seen, ...] = ()
    effects: tuple[Seen, ...] = ()


def _loan(number: int, customer: str, amount_minor: int = 1_500_000) -> dict[str, Json]:
    return {"application_id": f"APP-{number}", "customer_id": customer, "amount_minor": amount_minor}


def _refund(number: int, order: str, request: str) -> dict[str, Json]:
    return {"ticket_id": f"TICKET-{number}", "order_id": order, "request": request}


CASES: Final = (
    Case(
        name="loan approved",
        tenant="acme",
        agent="loan-review",
        input=_loan(1, "CUST-1001"),
        output={"decision": "approve", "reason_code": "LOW_RISK"},
        events=(
            ("tool.requested", {"tool": "fetch_customer_record", "turn": 1}),
            ("tool.requested", {"tool": "check_fraud", "turn": 1}),
            ("tool.finished", {}),
            ("tool.finished", {}),
            ("model.requested", {"turn": 2}),
        ),
    ),
    Case(
        name="loan rejected",
        tenant="acme",
        agent="loan-review",
        input=_loan(2, "CUST-1002"),
        output={"decision": "reject", "reason_code": "HIGH_RISK"},
    ),
    Case(
        name="loan escalated, confirmed by a person",
        tenant="acme",
        agent="loan-review",
        input=_loan(3, "CUST-1003"),
        output={"decision": "escalate", "reason_code": "MEDIUM_RISK"},
        answers=(Answer("output", "approve"),),
        events=(
            ("decision.requested", {"kind": "output"}),
            ("decision.made", {"decision": "approve"}),
            ("run.completed", {}),
        ),
    ),
    Case(
        name="loan escalated, guided by a person",
        tenant="acme",
        agent="loan-review",
        input=_loan(4, "CUST-1006"),
        output={"decision": "approve", "reason_code": "PERSON_DECIDED"},
        answers=(Answer("output", "respond", message="Approve: the employer confirmed the income by telephone."),),
        events=(
            ("decision.requested", {"kind": "output"}),
            ("decision.made", {"decision": "respond"}),
            ("output.accepted", {}),
            ("run.completed", {}),
        ),
    ),
    Case(
        name="loan with the fraud check down",
        tenant="acme",
        agent="loan-review",
        input=_loan(5, "CUST-1004"),
        output={"decision": "approve", "reason_code": "LOW_RISK"},
        events=(
            ("tool.failed", {"tool": "check_fraud"}),
            ("tool.requested", {"tool": "check_fraud_backup"}),
            ("tool.finished", {"tool": "check_fraud_backup"}),
        ),
    ),
    Case(
        name="loan whose first answer misses a field",
        tenant="acme",
        agent="loan-review",
        input=_loan(6, "CUST-1005"),
        output={"decision": "approve", "reason_code": "LOW_RISK", "confidence": 0.95},
        events=(("output.rejected", {}), ("model.answered", {}), ("output.accepted", {})),
    ),
    Case(
        name="loan without a risk score",
        tenant="acme",
        agent="loan-review",
        input=_loan(7, "CUST-1008"),
        output={"decision": "reject", "reason_code": "PERSON_DECIDED"},
        answers=(Answer("question", "respond", message="The credit bureau says 93."),),
        events=(("decision.requested", {"kind": "question"}), ("decision.made", {"decision": "respond"})),
    ),
    Case(
        name="refund approved",
        tenant="acme",
        agent="refund-desk",
        input=_refund(1, "ORD-2001", "The lamp arrived broken."),
        output={"outcome": "refunded", "amount_minor": 4_990, "currency": "EUR"},
        answers=(Answer("tool_call", "approve"),),
        events=(
            ("decision.requested", {"kind": "tool_call"}),
            ("decision.made", {"decision": "approve"}),
            ("tool.requested", {"tool": "refund_payment"}),
            ("tool.finished", {"tool": "refund_payment"}),
            ("tool.finished", {"tool": "add_note"}),
        ),
        effects=(
            ("refund", {"order_id": "ORD-2001", "payment_id": "pay_7001", "amount_minor": 4_990}),
            ("note", {"ticket_id": "TICKET-1"}),
        ),
    ),
    Case(
        name="refund rejected",
        tenant="acme",
        agent="refund-desk",
        input=_refund(2, "ORD-2002", "My laptop never arrived."),
        output={"outcome": "declined", "reason_code": "PERSON_REJECTED", "refund_id": None, "amount_minor": 0},
        answers=(Answer("tool_call", "reject", reason="The carrier has the customer's signature."),),
        events=(
            ("decision.requested", {"kind": "tool_call"}),
            ("decision.made", {"decision": "reject"}),
            ("tool.finished", {"tool": "add_note"}),
        ),
        effects=(("note", {"ticket_id": "TICKET-2"}),),
    ),
    Case(
        name="refund of one of two payments",
        tenant="acme",
        agent="refund-desk",
        input=_refund(3, "ORD-2003", "I was charged twice."),
        output={"outcome": "refunded", "amount_minor": 7_900},
        answers=(Answer("question", "respond", message="The second one."), Answer("tool_call", "approve")),
        events=(
            ("decision.requested", {"kind": "question"}),
            ("decision.made", {"decision": "respond"}),
            ("decision.requested", {"kind": "tool_call"}),
            ("decision.made", {"decision": "approve"}),
            ("tool.finished", {"tool": "refund_payment"}),
        ),
        effects=(
            ("refund", {"order_id": "ORD-2003", "payment_id": "pay_7004", "amount_minor": 7_900}),
            ("note", {"ticket_id": "TICKET-3"}),
        ),
    ),
    Case(
        name="refund of a final sale",
        tenant="acme",
        agent="refund-desk",
        input=_refund(4, "ORD-2004", "I have changed my mind."),
        output={"outcome": "declined", "reason_code": "FINAL_SALE", "refund_id": None},
    ),
    Case(
        name="analysis whose first query fails",
        tenant="acme",
        agent="data-analyst",
        input={"question": "How did revenue develop from month to month in 2025?"},
        output={"statistics": {"count": 12, "total": 182_858.4, "mean": 15_238.2, "median": 14_943.0}},
        contains={"answer": "2025-12", "report_html": "<svg"},
        events=(
            ("tool.failed", {"tool": "query_sales"}),
            ("tool.finished", {"tool": "query_sales"}),
            ("tool.finished", {"tool": "describe_figures"}),
            ("tool.finished", {"tool": "render_report"}),
        ),
    ),
    Case(
        name="loan by a committee of agents",
        tenant="acme",
        agent="credit-committee",
        input=_loan(8, "CUST-1001"),
        output={"decision": "approve"},
        contains={"reason": "The income is 5400000"},
        events=(
            ("tool.requested", {"tool": "ask_risk_officer", "turn": 1}),
            ("child.started", {"call": 0}),
            ("tool.requested", {"tool": "ask_income_officer", "turn": 1}),
            ("child.started", {"call": 1}),
            ("child.finished", {"status": "completed"}),
            ("child.finished", {"status": "completed"}),
            ("model.requested", {"turn": 2}),
        ),
    ),
    Case(
        name="the other tenant's customer of the same id",
        tenant="globex",
        agent="loan-review",
        input=_loan(1, "CUST-1001"),
        output={"decision": "reject", "reason_code": "HIGH_RISK"},
    ),
    Case(
        name="the other tenant's refund",
        tenant="globex",
        agent="refund-desk",
        input=_refund(1, "ORD-2001", "They do not fit."),
        output={"outcome": "refunded", "amount_minor": 11_900},
        answers=(Answer("tool_call", "approve"),),
        effects=(
            ("refund", {"order_id": "ORD-2001", "payment_id": "pay_8001", "amount_minor": 11_900}),
            ("note", {"ticket_id": "TICKET-1"}),
        ),
    ),
)

_STARTERS: Final = (
    "loan approved",
    "loan with the fraud check down",
    "loan by a committee of agents",
    "analysis whose first query fails",
    "refund approved",
)

#: What `make demo` starts for a newcomer; the last one waits for a person.
STARTERS: Final = tuple(case for name in _STARTERS for case in CASES if case.name == name)
