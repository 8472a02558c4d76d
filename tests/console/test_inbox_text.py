"""What a question is called, and what it says about its answers."""

from datetime import UTC, datetime, timedelta

import pytest

from console import inbox_text

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CALL = {"tool": "refund_payment", "arguments": {"order_id": "88213", "amount": {"value": "1240.00", "currency": "EUR"}}}


def test_a_call_is_called_by_its_tool_and_what_it_would_do() -> None:
    assert inbox_text.title("tool_call", "approval_required", CALL) == "refund_payment"
    assert inbox_text.summary("tool_call", "…", CALL) == "order id 88213, amount 1240.00 EUR"
    said = inbox_text.headline("tool_call", "approval_required", "…", CALL)
    assert said == "Refund payment: order id 88213, amount 1240.00 EUR"


def test_a_question_is_called_by_what_the_agent_asks() -> None:
    asked = inbox_text.headline("question", "model_asked", "Which of the two\naccounts?", {})
    assert asked == "Which of the two accounts?"
    assert inbox_text.title("question", "model_refused", {}) == "Model refused"


def test_a_question_about_nothing_that_is_known_still_has_a_name() -> None:
    assert inbox_text.headline("tool_call", "approval_required", "", {}) == "A decision"


def test_long_values_are_cut() -> None:
    said = inbox_text.summary("tool_call", "", {"tool": "t", "arguments": {"note": "x" * 500, "rows": [1] * 9}})
    assert len(said) < 100
    assert said.endswith("rows 9 entries")


@pytest.mark.parametrize(
    ("minutes", "words", "tone"),
    [(46, "46 min left", ""), (8, "8 min left", "soon"), (-7, "Overdue 7 min", "late"), (150, "2 h left", "")],
)
def test_due_time_says_how_much_is_left(minutes: int, words: str, tone: str) -> None:
    found = inbox_text.due(NOW + timedelta(minutes=minutes), NOW)
    assert (found.words, found.tone) == (words, tone)


def test_each_rule_says_its_expression_and_the_values_it_speaks_of() -> None:
    rule = "policy large-refunds; irreversible effect; the run has read untrusted content"
    expressions = {"policy large-refunds": "args.amount.value > '500' && args.missing == 1"}
    found = inbox_text.reasons(
        "tool_call", "approval_required", rule, "", arguments=CALL["arguments"], expressions=expressions
    )
    assert [reason.title for reason in found] == [
        "Policy large-refunds",
        "Cannot be undone",
        "Untrusted content was read",
    ]
    assert found[0].expression == expressions["policy large-refunds"]
    assert found[0].values == (("amount.value", "1240.00"),)


def test_answers_say_what_they_bring_about() -> None:
    allowed = ["approve", "reject", "edit", "respond"]
    found = inbox_text.buttons("tool_call", allowed, tool="pay", irreversible=True, undone_by="", left=1)
    assert [button.key for button in found] == ["a", "e", "r", "c"]
    assert found[0].effect == "pay is called once, with exactly these arguments. This cannot be undone."
    two = inbox_text.buttons("tool_call", ["approve"], tool="pay", irreversible=False, undone_by="unpay", left=2)
    assert "one of 2 that are missing" in two[0].effect
    assert "unpay can undo it." in two[0].effect


def test_reconciling_asks_whether_it_happened() -> None:
    found = inbox_text.buttons(
        "reconcile", ["approve", "reject", "respond"], tool="pay", irreversible=True, undone_by="", left=1
    )
    assert [button.label for button in found] == ["It happened", "It did not", "Tell the agent"]


def test_difference_marks_what_an_edit_changes() -> None:
    lines = inbox_text.difference({"amount": 1240, "to": "Ada"}, {"amount": 620, "to": "Ada"})
    assert [(each.mark, each.line.strip()) for each in lines if each.mark != " "] == [
        ("-", '"amount": 1240,'),
        ("+", '"amount": 620,'),
    ]
