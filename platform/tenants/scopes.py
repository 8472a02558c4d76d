"""The scopes an API key can hold."""

from typing import Final

SCOPES: Final = (
    "runs:read",
    "runs:write",
    "runs:on_behalf_of",
    "agents:read",
    "agents:write",
    "tools:read",
    "tools:write",
    "grants:write",
    "escalations:read",
    "escalations:decide",
    "usage:read",
    "audit:read",
    "audit:export",
    "webhooks:write",
    "admin",
)
