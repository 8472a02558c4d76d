"""Make API keys and recognise them."""

import hashlib
import secrets
from collections.abc import Iterable

from django.db import connection

from audit import journal
from db.roles import dispatch
from db.scope import tenant_scope
from tenants.actions import members, refused_keys
from tenants.actions.names import check_name
from tenants.errors import BadKey, UnknownScope
from tenants.models import ApiKey, Role, Tenant
from tenants.principal import Principal
from tenants.scopes import SCOPES

MARK = "cs_"
PREFIX_LENGTH = 11


def create(
    *, tenant: Tenant, name: str, scopes: Iterable[str], member_email: str | None = None, acting_as: str
) -> tuple[ApiKey, str]:
    """Make a key; returns it with its text, which is kept nowhere and cannot be shown again.

    member_email: the member it acts as; without one the key gets a service account of the operator's role, which its
    scopes narrow. Raises `BadName`, `UnknownScope`, `UnknownMember`.
    """
    check_name(name)
    wanted = sorted(set(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        raise UnknownScope(f"Unknown scope {', '.join(unknown) or '(none given)'}. Known: {', '.join(SCOPES)}.")
    text = MARK + secrets.token_urlsafe(32)
    with tenant_scope(tenant.id):
        principal = (
            members.by_email(member_email)
            if member_email is not None
            else members.put_service(name=name, role=Role.OPERATOR, acting_as=acting_as)
        )
        key = ApiKey.objects.create(
            name=name, prefix=text[:PREFIX_LENGTH], digest=_digest(text), scopes=wanted, principal=principal
        )
        journal.record(
            "key.created",
            stream=key.id,
            actor=acting_as,
            subject=f"user:{principal.id}",
            facts={"scopes": wanted},
            payload={"name": name, "prefix": key.prefix},
        )
    return key, text


_AUTHENTICATE = """
SELECT k.id, k.tenant_id, k.scopes, k.principal_id, m.role, u.is_service
FROM tenants_apikey k
JOIN tenants_user u ON u.id = k.principal_id
JOIN tenants_membership m ON m.tenant_id = k.tenant_id AND m.user_id = k.principal_id
WHERE k.digest = %s AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now()) AND u.is_active
"""


def authenticate(text: str) -> Principal:
    """Return whom the key acts for; raises `BadKey` without saying what is wrong with it."""
    if not text.startswith(MARK) or not text.isascii():
        raise BadKey
    digest = _digest(text)
    with dispatch(), connection.cursor() as cursor:
        cursor.execute(_AUTHENTICATE, [digest])
        row = cursor.fetchone()
    if row is None:
        refused_keys.record(digest)
        raise BadKey
    key_id, tenant_id, scopes, user_id, role, is_service = row
    return Principal(tenant_id, user_id, Role(role), is_service, frozenset(scopes), key_id)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
