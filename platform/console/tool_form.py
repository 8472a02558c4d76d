"""The forms of a tool and of a policy: their fields, what each is for, and an example of each. Literal tables."""

from typing import Final

from agents.core.shapes import EFFECTS, TOOL_TYPES
from console.forms import MORE, Field, Section

_YES: Final = ("true", "false")

TOOL: Final = (
    Section(
        "What it does",
        "",
        (
            Field(
                "description",
                "description",
                "Description",
                "prose",
                "The model reads this: what it returns, in which units, and when not to use it.",
                "Retrieve a customer record by id. The risk score goes from 0 (safe) to 100.",
                rows=3,
                required=True,
            ),
            Field(
                "effect",
                "effect",
                "Effect",
                "choice",
                "read changes nothing; write can be put right; irreversible cannot, and waits for a person.",
                choices=EFFECTS,
            ),
            Field(
                "idempotent",
                "idempotent",
                "May be called again with the same key",
                "yes",
                "Then a call whose outcome nobody saw is made again, and no person is asked.",
                choices=_YES,
            ),
        ),
    ),
    Section(
        "How it is called",
        "Choose the type, and fill in what belongs to it. Secrets are named, never written: secret:NAME.",
        (
            Field("type", "type", "Type", "choice", choices=TOOL_TYPES, required=True),
            Field(
                "http",
                "http",
                "http",
                "json",
                "Arguments named in the URL go there; the rest are the query, or the body.",
                '{"method": "GET", "url": "https://crm.example/customers/{customer_id}", "headers": {"Authorization":'
                ' "Bearer secret:crm_token"}}',
                rows=4,
            ),
            Field("python", "python", "python", "json", "", '{"function": "registered.name"}', rows=2),
            Field("sql", "sql", "sql", "json", "", '{"source": "sales", "max_rows": 500}', rows=2),
            Field("mcp", "mcp", "mcp", "json", "", '{"server": "crm", "tool": "lookup"}', rows=3),
            Field("agent", "agent", "agent", "json", "", '{"name": "credit-check", "mode": "call"}', rows=2),
            Field("timeout_s", "timeout_s", "Time for one attempt, seconds", "number", "", "10"),
        ),
    ),
    Section(
        "What goes in and comes out",
        "Calls that do not fit are refused before they are made, and the model is told why.",
        (
            Field(
                "input_schema",
                "input_schema",
                "Input schema",
                "json",
                "JSON Schema.",
                '{"type": "object", "properties": {"customer_id": {"type": "string"}}, "required": ["customer_id"]}',
                rows=6,
            ),
            Field("output_schema", "output_schema", "Output schema", "json", "JSON Schema.", rows=4),
            Field(
                "examples",
                "examples",
                "Examples",
                "json",
                "A list of {input, output} and {input, error}: show one that fails, too.",
                '[{"input": {"customer_id": "CUST-1"}, "output": {"risk_score": 12}}, {"input": {"customer_id":'
                ' "NOPE"}, "error": "not found"}]',
                rows=5,
            ),
        ),
    ),
    Section(
        "Who approves it",
        "Without a rule of its own, a tool that cannot be undone asks a person each time.",
        (
            Field("when", "approval/when", "A person approves when", "code", "CEL over args, principal, run, taint."),
            Field("required", "approval/required", "People who must approve", "number", "", "1"),
            Field("queue", "approval/queue", "Queue", "choice", "Whose work it is."),
        ),
        folded=True,
    ),
    Section(
        "Further parts",
        "",
        (
            Field(
                MORE,
                "",
                "As JSON",
                "json",
                "What has no field here: retries, cache_ttl_s, fallback, compensate_with, data, taint, breaker.",
                '{"retries": {"attempts": 3}, "data": {"untrusted": false}}',
                rows=4,
            ),
        ),
        folded=True,
    ),
)

POLICY: Final = (
    Section(
        "Which calls",
        "It counts for every call that is planned from now on, whatever version of an agent makes it.",
        (
            Field("tools", "applies_to/tools", "Tools", "names"),
            Field(
                "agents",
                "applies_to/agents",
                "Agents",
                "lines",
                "One name a line; none means all of them.",
                "loan-review",
                rows=2,
            ),
            Field(
                "effects",
                "applies_to/effects",
                "Effects",
                "lines",
                "One a line: read, write, irreversible. None means all of them.",
                "irreversible",
                rows=2,
            ),
            Field(
                "when",
                "when",
                "When",
                "code",
                "CEL over args, principal, run, taint. Money as whole minor units. Empty means always.",
                "args.amount_minor > 50000",
            ),
        ),
    ),
    Section(
        "What then",
        "",
        (
            Field(
                "then", "then", "Then", "choice", "People approve it, or it is not made.", choices=("approve", "deny")
            ),
            Field("required", "required", "People who must approve", "number", "", "1"),
            Field("queue", "queue", "Queue", "choice", "Whose work it is."),
            Field("due_s", "due_s", "Due within, seconds", "number", "", "3600"),
            Field("expires_s", "expires_s", "Denied after, seconds", "number", "", "86400"),
            Field("description", "description", "Why there is this policy", "prose", "", rows=2),
        ),
    ),
)
