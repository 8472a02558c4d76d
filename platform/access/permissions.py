"""What each role may do, and the checks. The words are those of the API key scopes.

A principal may do a thing when its role allows it *and*, with a key, the key's scopes name it.
"""

from typing import Final

from access.errors import AccessDenied, MissingScope
from tenants.models import Role
from tenants.principal import Principal
from tenants.scopes import SCOPES

_READ: Final = frozenset({"runs:read", "agents:read", "tools:read"})
_DECIDE: Final = frozenset({"escalations:read", "escalations:decide"})

ALLOWED: Final[dict[Role, frozenset[str]]] = {
    Role.VIEWER: _READ,
    Role.REVIEWER: _READ | _DECIDE,
    Role.OPERATOR: _READ
    | _DECIDE
    | {"runs:write", "runs:on_behalf_of", "agents:write", "tools:write", "grants:write", "usage:read", "people:read"},
    # Not on behalf of others: a run holds its principal's grants, which may be more than the developer's own.
    Role.DEVELOPER: _READ
    | {"runs:write", "escalations:read", "usage:read", "webhooks:write", "people:read", "keys:write"},
    # Holds and erasures are asked for by one and confirmed by another (`retention.permissions`).
    Role.COMPLIANCE: _READ
    | {"escalations:read", "usage:read", "audit:read", "audit:export", "audit:hold", "audit:erase", "people:read"},
    Role.OWNER: frozenset(SCOPES),
}

#: Roles that hold every object grant of their tenant.
HOLD_ALL_GRANTS: Final = frozenset({Role.OWNER, Role.OPERATOR})


def can(principal: Principal, permission: str) -> bool:
    """Say whether role and scopes allow `permission`."""
    return permission in ALLOWED[principal.role] and (principal.scopes is None or permission in principal.scopes)


def check(principal: Principal, permission: str) -> None:
    """Raise `MissingScope` or `AccessDenied`, saying what is missing, unless `can`."""
    if principal.staff_access_id is not None and not can(principal, permission):
        raise AccessDenied("Platform staff look, and do nothing else.", permission=permission)
    if principal.scopes is not None and permission not in principal.scopes:
        raise MissingScope(f"This key lacks the scope {permission}.", permission=permission)
    if permission not in ALLOWED[principal.role]:
        raise AccessDenied(f"The role {principal.role} does not allow {permission}.", permission=permission)


def sees_payloads(principal: Principal) -> bool:
    """Say whether inputs, arguments and outputs are shown; a viewer sees that something happened, not what."""
    return principal.role != Role.VIEWER
