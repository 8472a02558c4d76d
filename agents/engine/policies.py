"""The policies of tenants, as a worker knows them: read once, and proven current by the step that plans by them.

A step that records a tool's intent names the version that it was planned by and writes nothing when the tenant's is
another (`statements`). So a worker that knows an old version, or none, finds out before any effect.
"""

import json
from typing import Any, Final, cast
from uuid import UUID

from agents.core.policies import NONE, Policies, policy
from db.pool import Connection

_MOST: Final = 1000
_known: dict[UUID, Policies] = {}

_READ: Final = """
SELECT coalesce((SELECT version FROM agents_policyset WHERE tenant_id = %(tenant)s), 0),
    (SELECT json_agg(json_build_array(name, document::json) ORDER BY name)::text FROM agents_policy
     WHERE tenant_id = %(tenant)s)
"""


def known(tenant_id: UUID) -> Policies:
    """Return the tenant's policies as this process knows them: of a tenant it knows nothing of, none."""
    return _known.get(tenant_id, NONE)


def read(connection: Connection, tenant_id: UUID) -> Policies:
    """Return the tenant's policies at this moment, and know them from now on."""
    version, text = cast(tuple[int, str | None], connection.execute(_READ, {"tenant": tenant_id}).fetchone())
    before = known(tenant_id)
    if before.version == version:
        return before
    listed: list[tuple[str, dict[str, Any]]] = json.loads(text or "[]")
    found = Policies(version, tuple(policy(name, document) for name, document in listed))
    _known.pop(tenant_id, None)
    _known[tenant_id] = found
    while len(_known) > _MOST:
        _known.pop(next(iter(_known)), None)
    return found
