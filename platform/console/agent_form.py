"""The form of an agent: its fields, what each is for, and an example of each. A literal table."""

from typing import Final

from agents.core.shapes import EFFORTS
from console.forms import MORE, Field, Section

SECTIONS: Final = (
    Section(
        "What it is",
        "The system prompt is compiled from these parts, in this order; beside it you see how.",
        (
            Field(
                "role",
                "role",
                "Role",
                "prose",
                "One or two sentences: who the agent is and what it decides.",
                "Loan review agent; decides applications against the credit policy.",
                rows=2,
                required=True,
            ),
            Field(
                "constraints",
                "constraints",
                "Constraints",
                "lines",
                "One a line: what it must always or never do. Rules below check what words cannot.",
                "Use only the tools listed.\nGive a reason code for every decision.",
                rows=4,
            ),
            Field(
                "workflow",
                "workflow",
                "Workflow",
                "lines",
                "One step a line, in their order. Say what to do when a step fails.",
                "Fetch the customer.\nCheck fraud.\nDecide.",
                rows=4,
            ),
            Field(
                "escalation",
                "escalation",
                "When to ask a person",
                "lines",
                "One a line. Offer the tool escalate_to_human, so that it can.",
                "Escalate when the risk score is between 20 and 80.",
                rows=3,
            ),
        ),
    ),
    Section(
        "Tools",
        "What it may call. A published version pins each tool as it is defined then; whoever the run acts for needs a"
        " grant on it at the moment of the call.",
        (Field("tools", "tools", "Tools", "names", ""),),
    ),
    Section(
        "Model",
        "",
        (
            Field("model", "model/id", "Model", "text", "Larger ones decide better and cost more.", required=True),
            Field("effort", "model/effort", "Effort", "choice", "How much it thinks first.", choices=EFFORTS),
            Field("max_tokens", "model/max_tokens", "Longest answer, tokens", "number", "", "8192"),
        ),
    ),
    Section(
        "Output",
        "What comes out is checked by the schema, then by the rules. What fails goes back to the model, a few times;"
        " then a person gets it.",
        (
            Field(
                "output_schema",
                "output_schema",
                "Output schema",
                "json",
                "JSON Schema. Without one the output is free text.",
                '{"type": "object", "properties": {"decision": {"enum": ["approve", "reject"]}}, "required":'
                ' ["decision"]}',
                rows=8,
            ),
            Field(
                "rules",
                "rules",
                "Rules",
                "json",
                "A list of {id, assert, message, on_fail}. assert is CEL over input, output and tools; on_fail is"
                " retry, escalate or reject.",
                '[{"id": "low-confidence", "assert": "output.confidence >= 0.3", "message": "Too unsure.", "on_fail":'
                ' "escalate"}]',
                rows=5,
            ),
            Field(
                "escalate_when",
                "escalate_when",
                "A person confirms the output when",
                "code",
                "CEL over input and output.",
                "output.decision == 'escalate'",
            ),
        ),
    ),
    Section(
        "Input",
        "What a client has to send. Runs with another input are refused before they cost anything.",
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
        ),
        folded=True,
    ),
    Section(
        "People",
        "Who is asked, how many must agree, by when.",
        (
            Field("review_queue", "review/queue", "Queue", "choice", "Whose work its questions are."),
            Field("review_required", "review/required", "People who must approve an output", "number", "", "1"),
            Field("review_due", "review/due_s", "Due within, seconds", "number", "", "14400"),
        ),
        folded=True,
    ),
    Section(
        "Limits of one run",
        "Reaching one parks the run and asks a person; nothing it did is lost.",
        (
            Field("usd", "limits/usd", "Money, USD", "text", "", "0.50"),
            Field("tokens", "limits/tokens", "Tokens", "number", "", "200000"),
            Field("turns", "limits/turns", "Answers of the model", "number", "", "20"),
            Field("tool_calls", "limits/tool_calls", "Calls of tools", "number", "", "40"),
            Field("retries", "limits/validation_retries", "Outputs sent back", "number", "", "3"),
            Field("seconds", "limits/seconds", "Seconds, less the time it waits for people", "number", "", "3600"),
        ),
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
                "What has no field here: triage, subject, appeal. It stays as you leave it.",
                '{"subject": ["/customer_id"], "appeal": {"allowed": true, "within_s": 2592000}}',
                rows=4,
            ),
        ),
        folded=True,
    ),
)
