"""What is at stake in a question, and where that puts it in the inbox."""

from typing import Any

import pytest

from escalations.risk import POINT_S, risk_of, urgency

Json = Any


def risk(kind: str = "tool_call", effect: str | None = "write", **more: Json) -> int:
    given: dict[str, Json] = {"reason": "approval_required", "required": 1, "proposal": {}, **more}
    return risk_of(kind=kind, effect=effect, **given)


def paying(**arguments: Json) -> Json:
    return {"tool": "pay", "arguments": arguments}


def test_what_cannot_be_undone_weighs_more_than_what_can() -> None:
    assert risk(effect="irreversible") > risk(effect="write") > risk(effect=None)


def test_larger_amounts_weigh_more_in_whatever_unit() -> None:
    amounts = [paying(amount=10), paying(amount_minor=500_000), paying(amount_usd="250000.00")]
    risks = [risk(proposal=each) for each in amounts]
    assert risks == sorted(set(risks))


@pytest.mark.parametrize(
    "odd", [{}, {"arguments": None}, paying(amount="a lot"), paying(amount=True), paying(total=[1e308, -1e308, "nan"])]
)
def test_no_proposal_is_too_odd(odd: Json) -> None:
    assert 0 <= risk(proposal=odd) <= 100


def test_it_is_never_more_than_all() -> None:
    worst = {"reason": "tainted", "required": 3, "proposal": paying(amount=10**15)}
    assert risk("reconcile", "irreversible", **worst) == 100


def test_more_at_stake_comes_first_and_waiting_makes_up_for_it() -> None:
    asked = 1_800_000_000
    assert urgency(80, asked) > urgency(30, asked)
    assert urgency(30, asked - 50 * POINT_S - 1) > urgency(80, asked)
