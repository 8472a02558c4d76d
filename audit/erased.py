"""Why payloads of the tenant in scope are gone: on a request that two persons stand behind, or at a term's end."""

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from django.db import connection

from db.scope import current_tenant_id

#: What is said of one that neither an order nor a term accounts for: whoever deleted it went past the platform.
UNKNOWN: Final = "erased"
TERM: Final = "erased: its term of retention ended"

#: A run's payloads by its streams, a request before a term; the others by the time up to which their class has ended.
#: Classes are those of `retention_expire_records`, which erases by them.
_WHY: Final = """
SELECT r.id, coalesce(
    (SELECT CASE e.why WHEN 'request' THEN 'erased: on request ' || e.reference ELSE %(term)s END
     FROM audit_erased e WHERE e.tenant_id = %(tenant)s AND e.stream = r.stream ORDER BY e.why LIMIT 1),
    (SELECT %(term)s FROM audit_expired x
     WHERE x.tenant_id = %(tenant)s AND r.seq IS NULL AND r.at < x.before AND x.kind = CASE
         WHEN split_part(r.action, '.', 1) IN ('decision', 'appeal') THEN 'none'
         WHEN split_part(r.action, '.', 1) IN (
             'access', 'account', 'identity', 'login', 'password', 'recovery_codes', 'second_factor', 'session')
         THEN 'sign_in' ELSE 'configuration' END), %(unknown)s)
FROM audit_record r WHERE r.tenant_id = %(tenant)s AND r.id = ANY(%(records)s)
"""

_BEGUN: Final = "SELECT EXISTS (SELECT FROM audit_erased WHERE tenant_id = %s AND stream = %s)"


def begun(stream: UUID) -> bool:
    """Say whether what a stream of the tenant in scope held is erased, on request or by a term, in part or in whole."""
    with connection.cursor() as cursor:
        cursor.execute(_BEGUN, [current_tenant_id(), stream])
        (found,) = cursor.fetchone()
    return bool(found)


def why(records: Iterable[UUID]) -> dict[UUID, str]:
    """Return why each of these records has no payload any more; in one query."""
    wanted = list(records)
    if not wanted:
        return {}
    parameters: dict[str, Any] = {"tenant": current_tenant_id(), "records": wanted, "term": TERM, "unknown": UNKNOWN}
    with connection.cursor() as cursor:
        cursor.execute(_WHY, parameters)
        return dict(cursor.fetchall())
