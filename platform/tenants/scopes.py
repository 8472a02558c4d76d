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
    "audit:hold",
    "audit:erase",
    "webhooks:write",
    "people:read",
    "keys:write",
    "admin",
)

#: What platform staff may do in a tenant that was opened for them: look, and take nothing away.
LOOKING: Final = frozenset(
    {"runs:read", "agents:read", "tools:read", "escalations:read", "usage:read", "audit:read", "people:read"}
)
