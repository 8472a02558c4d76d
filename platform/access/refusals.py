"""One record for each request of a known principal that was refused, in the journal of the principal's tenant.

How many there may be is for `quotas.refusals` to say, by which the faces come here.
"""

from typing import Any

from audit import journal
from db.scope import tenant_scope
from tenants.principal import Principal

Json = Any


def record(principal: Principal, refusal: Exception, *, route: str, method: str, code: str) -> None:
    """Record that `principal` was not let through: a transaction of its own, after the refused one was rolled back.

    refusal: the error that said so; its `action` and `facts`, if it has them, are the record's. route: the address's
    name, such as `api:run-cancel`. code: the problem's code.
    Whoever fails to write it must not answer as if it were written.
    """
    facts: dict[str, Json] = {"route": route, "method": method, "code": code}
    permission = getattr(refusal, "permission", None)
    if permission is not None:
        facts["permission"] = permission
    _write(getattr(refusal, "action", None) or "access.refused", principal, facts | getattr(refusal, "facts", {}))


def throttled(principal: Principal) -> None:
    """Record that so much was refused to `principal` that more is not recorded one by one: a transaction of its own."""
    _write("access.throttled", principal, {})


def _write(action: str, principal: Principal, facts: dict[str, Json]) -> None:
    with tenant_scope(principal.tenant_id):
        journal.record(
            action,
            stream=principal.user_id,
            actor=principal.actor,
            subject=f"key:{principal.key_id}" if principal.key_id is not None else None,
            facts=facts,
            outcome="denied",
        )
