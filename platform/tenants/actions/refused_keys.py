"""One record for each use of a key that exists but no longer opens anything.

A key nobody ever made is only logged: a stranger must not be able to make the journal grow.
"""

import logging

from django.conf import settings
from django.db import connection

from audit import journal
from db.roles import dispatch
from db.scope import tenant_scope

_logger = logging.getLogger(__name__)

_KNOWN = """
SELECT k.id, k.tenant_id, k.principal_id,
       CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked'
            WHEN k.expires_at <= now() THEN 'expired'
            WHEN %(days)s > 0 AND k.created_at <= now() - make_interval(days => %(days)s) THEN 'expired'
            ELSE 'inactive' END
FROM tenants_apikey k WHERE k.digest = %(digest)s
"""


def record(digest: bytes) -> None:
    """Record in its tenant's journal that the key was refused, and why: `revoked`, `expired`, or `inactive` when the
    one it acts for is not an active member any more. digest: SHA-256 of its text. Works outside any scope.
    """
    with dispatch(), connection.cursor() as cursor:
        cursor.execute(_KNOWN, {"digest": digest, "days": settings.API_KEY_MAX_DAYS})
        row = cursor.fetchone()
    if row is None:
        _logger.info("An unknown API key was refused.")
        return
    key_id, tenant_id, principal_id, reason = row
    with tenant_scope(tenant_id):
        journal.record(
            "key.refused",
            stream=key_id,
            actor=f"key:{key_id}",
            subject=f"user:{principal_id}",
            facts={"reason": reason},
            outcome="denied",
        )
