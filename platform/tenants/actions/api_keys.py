"""Make API keys, replace and revoke them, and recognise them. Whether one may is for the caller to check."""

import hashlib
import json
import secrets
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import DateTimeField, ExpressionWrapper, Q, Value
from django.db.models.functions import Least, Now
from django.utils import timezone

from audit import journal
from db import trip
from db.roles import ENTER_DISPATCH, dispatch
from db.scope import tenant_scope
from tenants.actions import members, refused_keys
from tenants.actions.names import check_name
from tenants.errors import BadExpiry, BadKey, BadOverlap, KeyEnded, UnknownKey, UnknownScope
from tenants.models import ApiKey, Role, Tenant, User
from tenants.principal import Principal
from tenants.scopes import SCOPES

MARK = "cs_"
PREFIX_LENGTH = 11

#: How long a key and its successor may both work.
MAX_OVERLAP: Final = timedelta(days=30)


def create(
    *,
    tenant: Tenant,
    name: str,
    scopes: Iterable[str],
    member_email: str | None = None,
    expires_at: datetime | None = None,
    made_with: UUID | None = None,
    acting_as: str,
) -> tuple[ApiKey, str]:
    """Make a key; returns it with its text, which is kept nowhere and cannot be shown again.

    member_email: the member it acts as; without one the key gets a service account of the operator's role, which its
    scopes narrow. expires_at: aware, in the future; None for none but the installation's (`API_KEY_MAX_DAYS`) and the
    maker's. made_with: id of the key that this is asked with, beyond whose end the new one does not live.
    Raises `BadName`, `UnknownScope`, `UnknownMember`, `BadExpiry`.
    """
    check_name(name)
    wanted = sorted(set(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        raise UnknownScope(f"Unknown scope {', '.join(unknown) or '(none given)'}. Known: {', '.join(SCOPES)}.")
    with tenant_scope(tenant.id):
        until = _end(expires_at, made_with=made_with)
        principal = (
            members.by_email(member_email)
            if member_email is not None
            else members.put_service(name=name, role=Role.OPERATOR, acting_as=acting_as)
        )
        members.hold(principal)
        key, text = _make(name, wanted, principal, until)
        journal.record(
            "key.created",
            stream=key.id,
            actor=acting_as,
            subject=f"user:{principal.id}",
            facts={"scopes": wanted} | ({} if until is None else {"expires_at": until.isoformat()}),
            payload={"name": name, "prefix": key.prefix},
        )
    return key, text


def _make(name: str, scopes: list[str], principal: User, expires_at: datetime | None) -> tuple[ApiKey, str]:
    text = MARK + secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        name=name,
        prefix=text[:PREFIX_LENGTH],
        digest=_digest(text),
        scopes=scopes,
        principal=principal,
        expires_at=expires_at,
    )
    return key, text


def _end(
    wanted: datetime | None, *, otherwise: datetime | None = None, made_with: UUID | None = None
) -> datetime | None:
    """Return when the key ends: at `wanted`, which must be possible, or as late as `otherwise` and what bounds it."""
    now, days = timezone.now(), settings.API_KEY_MAX_DAYS
    longest = now + timedelta(days=days) if days else None
    makers = ends_at(ApiKey.objects.get(id=made_with)) if made_with is not None else None
    if wanted is None:
        return min((end for end in (otherwise, longest, makers) if end is not None), default=None)
    if wanted <= now:
        raise BadExpiry("A key's end lies in the future.")
    if longest is not None and wanted > longest:
        raise BadExpiry(f"On this installation a key ends after {days} days at most.")
    if makers is not None and wanted > makers:
        raise BadExpiry(f"A key ends no later than the one that makes it, at {makers:%Y-%m-%d %H:%M} UTC.")
    return wanted


def ends_at(key: ApiKey) -> datetime | None:
    """Return when the key stops working unless it is revoked: at its own end, or the installation's for all keys."""
    days = settings.API_KEY_MAX_DAYS
    longest = key.created_at + timedelta(days=days) if days else None
    return min((end for end in (key.expires_at, longest) if end is not None), default=None)


def rotate(
    key: ApiKey,
    *,
    overlap: timedelta,
    expires_at: datetime | None = None,
    made_with: UUID | None = None,
    acting_as: str,
) -> tuple[ApiKey, str]:
    """Make a successor that acts as the same member with the same scopes; returns it with its text, shown once.

    overlap: how long the old key goes on, unless it ends before; nothing ends it now. expires_at: the successor's end;
    by default it lives as long as the old key was made to. made_with: as of `create`. Raises `BadOverlap`, `BadExpiry`,
    `KeyEnded`, `UnknownKey`.
    """
    if not timedelta() <= overlap <= MAX_OVERLAP:
        raise BadOverlap
    with tenant_scope(key.tenant_id):
        old = _locked(key)
        now, ends = timezone.now(), ends_at(old)
        if old.revoked_at or old.successor_id or (ends is not None and ends <= now):
            raise KeyEnded
        members.hold(old.principal)
        as_long = None if old.expires_at is None else now + (old.expires_at - old.created_at)
        until = _end(expires_at, otherwise=as_long, made_with=made_with)
        successor, text = _make(old.name, old.scopes, old.principal, until)
        over = ExpressionWrapper(Now() + Value(overlap), output_field=DateTimeField())
        ApiKey.objects.filter(id=old.id).update(successor=successor, expires_at=Least("expires_at", over))
        journal.record(
            "key.rotated",
            stream=old.id,
            actor=acting_as,
            subject=f"user:{old.principal_id}",
            facts={"successor": f"key:{successor.id}", "overlap_s": int(overlap.total_seconds()), "scopes": old.scopes},
            payload={"name": old.name, "prefix": successor.prefix},
        )
    return successor, text


def revoke(key: ApiKey, *, acting_as: str) -> ApiKey:
    """End the key for good; one that was revoked before is returned without a record. Raises `UnknownKey`."""
    with tenant_scope(key.tenant_id):
        present = _locked(key)
        if present.revoked_at is None:
            present.revoked_at = timezone.now()
            present.save(update_fields=["revoked_at"])
            journal.record("key.revoked", stream=present.id, actor=acting_as, subject=f"user:{present.principal_id}")
        return present


def _locked(key: ApiKey) -> ApiKey:
    present = ApiKey.objects.select_for_update(of=("self",)).select_related("principal").filter(id=key.id).first()
    if present is None:
        raise UnknownKey
    return present


def named(text: str) -> ApiKey:
    """Return the key of the tenant in scope with that id or prefix; raises `UnknownKey` for none, and for several."""
    by = Q(prefix=text)
    with suppress(ValueError):
        by = Q(id=UUID(text))
    found = list(ApiKey.objects.filter(by)[:2])
    if len(found) != 1:
        raise UnknownKey(f"There is no key {text!r}, or more than one; name it by its id.")
    return found[0]


#: How old the time of last use may be before it is written again: no key's row is written more than once a minute.
_STALE = "(k.last_used_at IS NULL OR k.last_used_at < now() - interval '1 minute')"

#: Whom keys act for, one row each: its digest in hexadecimal, and the rest as JSON. Asked at each request.
_AUTHENTICATE = trip.statement(
    "authenticate",
    f"""
SELECT encode(k.digest, 'hex'), json_build_object('key_id', k.id, 'tenant_id', k.tenant_id, 'scopes', k.scopes,
    'user_id', k.principal_id, 'role', m.role, 'is_service', u.is_service, 'is_stale', {_STALE})
FROM tenants_apikey k
JOIN tenants_user u ON u.id = k.principal_id
JOIN tenants_membership m ON m.tenant_id = k.tenant_id AND m.user_id = k.principal_id
WHERE k.digest = ANY(%(digests)s::bytea[]) AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
  AND (%(days)s::integer = 0 OR k.created_at > now() - make_interval(days => %(days)s::integer))
  AND u.is_active AND m.is_active
""",  # noqa: S608 - constants only
    *("digests", "days"),
)

#: Whoever finds the row locked leaves it to the one who holds it. READ COMMITTED: a row just written is not stale.
_USED = f"""
UPDATE tenants_apikey SET last_used_at = now()
WHERE id = (SELECT k.id FROM tenants_apikey k WHERE k.id = %s AND {_STALE} FOR UPDATE SKIP LOCKED)
"""  # noqa: S608 - constants only


def authenticate(text: str) -> Principal:
    """Return whom the key acts for; raises `BadKey` without saying what is wrong with it.

    One round trip, which writes nothing; once a minute another one, for the time of last use.
    """
    if not text.startswith(MARK) or not text.isascii():
        raise BadKey
    digest = _digest(text)
    key = _standing([digest]).get(digest)
    if key is None:
        refused_keys.record(digest)
        raise BadKey
    if key["is_stale"]:
        with dispatch(), connection.cursor() as cursor:
            cursor.execute(_USED, [key["key_id"]])
    return _principal(key)


def standing(texts: Collection[str]) -> dict[str, Principal]:
    """Return whom each of these keys acts for now; one that opens nothing is missing. It counts as no use of them."""
    by_digest = {_digest(text): text for text in texts}
    return {by_digest[digest]: _principal(key) for digest, key in _standing(by_digest).items()}


def _standing(digests: Iterable[bytes]) -> dict[bytes, dict[str, Any]]:
    asked = "{" + ",".join(f"\\\\x{digest.hex()}" for digest in digests) + "}"
    _, rows = trip.make_alone(ENTER_DISPATCH, (_AUTHENTICATE, [asked, str(settings.API_KEY_MAX_DAYS)]))
    return {bytes.fromhex(str(digest, "ascii")): json.loads(key) for digest, key in rows if digest and key}


def _principal(key: Mapping[str, Any]) -> Principal:
    tenant_id, user_id, key_id = (UUID(key[name]) for name in ("tenant_id", "user_id", "key_id"))
    return Principal(tenant_id, user_id, Role(key["role"]), key["is_service"], frozenset(key["scopes"]), key_id)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
