"""The compiled prompt, as a person reads it: `prompts/*.md` hold it whole."""

from pathlib import Path
from typing import Any

from agents.core.document import agent_document, tool_document
from agents.core.prompt import compile_system, escalation_tool, model_tool
from agents.core.schema import schema_problems

Json = Any

PROMPTS = Path(__file__).parent / "prompts"

FETCH = tool_document(
    "fetch_customer",
    {
        "description": "Fetch a customer's record.\nThe score runs from 0 (safe) to 100.",
        "type": "http",
        "http": {"url": "https://crm.example/{id}", "headers": {"Authorization": "secret:crm_token"}},
        "input_schema": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
        "output_schema": {"type": "object", "properties": {"score": {"type": "integer"}}},
        "examples": [{"input": {"id": "C-1"}, "output": {"score": 12}}, {"input": {"id": "C-0"}, "error": "not found"}],
        "effect": "read",
    },
)
PAY = tool_document(
    "pay_out",
    {
        "description": "Pay the loan out.",
        "type": "python",
        "python": {"function": "pay"},
        "input_schema": {"type": "object", "properties": {"amount": {"type": "integer"}}, "required": ["amount"]},
        "effect": "irreversible",
    },
)
LOAN: Json = {
    "role": "Loan review agent; decides applications against the credit policy.",
    "constraints": ["Use only the tools listed.", "Give a reason code for every decision."],
    "workflow": ["Fetch the customer.", "Decide."],
    "escalation": ["Above 80 reject, below 20 approve, between escalate."],
    "model": {"id": "claude-opus-4-7"},
    "tools": ["fetch_customer", "pay_out", "escalate_to_human"],
    "output_schema": {"type": "object", "properties": {"decision": {"enum": ["approve", "reject"]}}},
    "rules": [{"id": "sure", "assert": "output.confidence >= 0.3", "message": "Low confidence must escalate."}],
    "escalate_when": "output.decision == 'escalate'",
}


def test_the_whole_prompt_reads_well() -> None:
    assert compile_system(agent_document(LOAN), [FETCH, PAY]) == (PROMPTS / "loan.md").read_text(encoding="utf-8")


def test_the_smallest_prompt_reads_well() -> None:
    smallest = {"role": "Answer questions.", "model": {"id": "claude-haiku-5-5"}}

    assert compile_system(agent_document(smallest), []) == (PROMPTS / "smallest.md").read_text(encoding="utf-8")


def test_the_parts_stand_in_the_documented_order() -> None:
    text = compile_system(agent_document(LOAN), [FETCH, PAY])

    assert [line for line in text.splitlines() if line.startswith("# ")] == [
        "# Role",
        "# Constraints",
        "# Tools",
        "# Workflow",
        "# Decisions and escalation",
        "# Output",
        "# What you are given",
    ]


def test_the_number_of_tools_is_exact() -> None:
    def opening(tools: list[Json], names: list[str]) -> str:
        return compile_system({**LOAN, "tools": names}, tools)

    assert "You have no tools." in opening([], [])
    assert "exactly one tool." in opening([FETCH], ["fetch_customer"])
    assert "exactly two tools." in opening([FETCH], ["fetch_customer", "escalate_to_human"])
    many = [{**FETCH, "name": f"tool_{number}"} for number in range(13)]
    assert "exactly 13 tools." in opening(many, [tool["name"] for tool in many])


def test_it_is_the_same_every_time() -> None:
    assert len({compile_system(agent_document(LOAN), [FETCH, PAY]) for _ in range(20)}) == 1


def test_a_tool_tells_the_model_what_its_schema_cannot() -> None:
    told = model_tool(FETCH)

    assert told.keys() == {"name", "description", "input_schema"}
    assert told["name"] == "fetch_customer"
    assert told["input_schema"] == FETCH["input_schema"]
    assert 'Returns: {"type": "object"' in told["description"]
    assert 'Example: {"id": "C-1"} → {"score": 12}' in told["description"]
    assert 'Example of an error: {"id": "C-0"} → not found' in told["description"]


def test_how_a_tool_is_called_is_never_told() -> None:
    told = str(model_tool(FETCH)) + compile_system(agent_document(LOAN), [FETCH, PAY])

    assert "crm.example" not in told
    assert "crm_token" not in told


def test_irreversible_calls_are_said_to_wait_for_a_person() -> None:
    waived = {**PAY, "approval": {"when": "false", "required": 1}}
    conditional = {**PAY, "approval": {"when": "args.amount > 100", "required": 1}}

    assert "A person approves each call before it is made." in model_tool(PAY)["description"]
    assert "A person may have to approve the call" in model_tool(conditional)["description"]
    assert "person" not in model_tool(waived)["description"]


def test_asking_a_person_takes_a_question() -> None:
    told = escalation_tool()

    assert told["name"] == "escalate_to_human"
    assert told["input_schema"]["required"] == ["question"]
    assert schema_problems(told["input_schema"]) == []
