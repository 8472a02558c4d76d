"""Documents for tests of the actions."""

from typing import Any

Json = Any

FETCH: Json = {
    "description": "Fetch a customer.",
    "type": "http",
    "http": {"method": "GET", "url": "https://crm.example/customers/{id}"},
    "input_schema": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
}
LOAN: Json = {
    "role": "Loan reviewer.",
    "model": {"id": "claude-opus-4-7"},
    "tools": ["fetch", "escalate_to_human"],
    "output_schema": {"type": "object", "properties": {"reason": {"type": "string"}, "decision": {"type": "string"}}},
}
