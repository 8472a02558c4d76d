"""Keys, webhooks and delegations, as their pages show them; read in the scope."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, QuerySet
from django.http import Http404
from django.utils import timezone

from access import permissions
from console.members import Member
from console.run_list import name_of
from db.errors import Refusal
from tenants.actions import api_keys
from tenants.models import ApiKey
from tenants.scopes import SCOPES
from webhooks.models import Delivery, Endpoint

PAGE: Final = 100

#: What is chosen for a new key until something else is: enough to start runs and read what came of them.
FIRST_SCOPES: Final = ("runs:read", "runs:write")

#: What each scope lets a key do, in a few words.
SCOPE_WORDS: Final = {
    "runs:read": "see runs",
    "runs:write": "start and end runs",
    "runs:on_behalf_of": "start runs for other members",
    "agents:read": "see agents",
    "agents:write": "change agents and budgets",
    "tools:read": "see tools",
    "tools:write": "change tools and policies",
    "grants:write": "grant things to members",
    "escalations:read": "see questions to people",
    "escalations:decide": "answer them, in its member’s name",  # noqa: RUF001
    "usage:read": "see what runs cost",
    "audit:read": "read the journal",
    "audit:export": "export the journal",
    "audit:hold": "hold what would be erased",
    "audit:erase": "ask for an erasure, and confirm one",
    "webhooks:write": "keep webhooks",
    "people:read": "see members",
    "keys:write": "make keys",
    "admin": "everything an owner sets",
}

#: When a new key ends, by what the form calls it; none never ends by itself.
ENDS: Final = {"30": "in 30 days", "90": "in 90 days", "365": "in a year", "": "never"}


class UnknownEnd(Refusal):
    """Choose when the key ends: in 30, 90 or 365 days, or never."""

    code = "unknown_end"


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is listed. status: active, expired or revoked. may_rotate: whether the reader may replace it."""

    id: UUID
    name: str
    prefix: str
    scopes: list[str]
    acts_as: str
    status: str
    created_at: datetime
    ends_at: datetime | None
    last_used_at: datetime | None
    may_rotate: bool


def keys(member: Member, before: UUID | None = None) -> tuple[list[Key], UUID | None]:
    """Return a page of the keys the member may see, the newest, and the last one's id when there are more.

    On the page those that work come first. before: the last of the page before.
    """
    rows = _keys(member).order_by("-id")
    some = list((rows.filter(id__lt=before) if before else rows)[: PAGE + 1])
    shown = [_key(row, member) for row in some[:PAGE]]
    return sorted(shown, key=lambda key: key.status != "active"), some[PAGE - 1].id if len(some) > PAGE else None


def key(key_id: UUID, member: Member) -> ApiKey:
    """Return a key the member may see; raises `Http404`."""
    found = _keys(member).filter(id=key_id).first()
    if found is None:
        raise Http404
    return found


def scopes(member: Member) -> list[tuple[str, str]]:
    """Return (scope, what it is for) of those the member could hand out: those they have."""
    return [(scope, SCOPE_WORDS[scope]) for scope in SCOPES if permissions.can(member.principal, scope)]


def end_of(choice: str) -> datetime | None:
    """Return when a key ends by the form's choice; None for never. Raises `UnknownEnd` for what is none of `ENDS`."""
    if choice not in ENDS:
        raise UnknownEnd
    return timezone.now() + timedelta(days=int(choice)) if choice else None


def may_rotate(found: ApiKey, member: Member) -> bool:
    """Say whether the member may replace the key: their own, or a service's; and has each of its scopes."""
    own = found.principal_id == member.user.id or found.principal.is_service
    return own and all(permissions.can(member.principal, scope) for scope in found.scopes)


def _keys(member: Member) -> "QuerySet[ApiKey]":
    rows = ApiKey.objects.select_related("principal")
    return rows if member.can("admin") else rows.filter(principal_id=member.user.id)


def _key(row: ApiKey, member: Member) -> Key:
    ends = api_keys.ends_at(row)
    status = "revoked" if row.revoked_at else "expired" if ends and ends <= timezone.now() else "active"
    return Key(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        scopes=list(row.scopes),
        acts_as=name_of(row.principal),
        status=status,
        created_at=row.created_at,
        ends_at=ends,
        last_used_at=row.last_used_at,
        may_rotate=status == "active" and row.successor_id is None and may_rotate(row, member),
    )


def webhooks() -> list[tuple[Endpoint, int, int]]:
    """Return (webhook, deliveries that wait, deliveries that failed), by name."""
    rows = list(Endpoint.objects.order_by("name"))
    counted: dict[tuple[Any, str], int] = {}
    states = Delivery.objects.filter(endpoint__in=rows, status__in=("pending", "failed"))
    for endpoint, status, count in states.values_list("endpoint_id", "status").annotate(Count("id")):
        counted[endpoint, status] = count
    return [(row, counted.get((row.id, "pending"), 0), counted.get((row.id, "failed"), 0)) for row in rows]


def webhook(webhook_id: UUID) -> Endpoint:
    """Return a webhook; raises `Http404`."""
    found = Endpoint.objects.filter(id=webhook_id).first()
    if found is None:
        raise Http404
    return found


def deliveries(endpoint: Endpoint, status: str, before: UUID | None) -> tuple[list[Delivery], UUID | None]:
    """Return one page, newest first, and its last one's id when there are more. before: the last of the page before."""
    rows = Delivery.objects.filter(endpoint=endpoint).order_by("-created_at", "-id")
    if status:
        rows = rows.filter(status=status)
    last = Delivery.objects.filter(endpoint=endpoint, id=before).first() if before else None
    if last is not None:
        rows = rows.filter(created_at__lte=last.created_at).exclude(created_at=last.created_at, id__gte=last.id)
    some = list(rows[: PAGE + 1])
    return some[:PAGE], some[PAGE - 1].id if len(some) > PAGE else None


def moment_of(text: str) -> datetime | None:
    """Return the time that a form's field for date and time holds, taken as UTC; None for none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
