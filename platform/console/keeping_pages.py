"""Holds, erasures and changes of terms as their pages show them: who asked, who confirmed, what came of it.

Read in the tenant's scope.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.http import Http404

from access.errors import AccessDenied
from agents.models import Agent
from audit.models import Record
from console import audit_log, wording
from console.members import Member
from console.run_list import name_of
from db.errors import Refusal
from retention import subject_of
from retention.classes import CLASSES
from retention.models import Order
from retention.permissions import NEEDED, check_confirm
from tenants.models import User
from vault.errors import VaultError

PAGE: Final = 50

#: (kind, status) → what is said of it, and how its pill is coloured.
STATUS: Final = {
    ("hold", "asked"): ("waits for a second person", "waiting"),
    ("hold", "confirmed"): ("in force", "running"),
    ("hold", "refused"): ("refused", ""),
    ("hold", "released"): ("released", "completed"),
    ("release", "asked"): ("waits for a second person", "waiting"),
    ("erasure", "asked"): ("waits for a second person", "waiting"),
    ("erasure", "confirmed"): ("under way", "running"),
    ("erasure", "refused"): ("refused", ""),
    ("erasure", "done"): ("done", "completed"),
    ("terms", "asked"): ("waits for a second person", "waiting"),
    ("terms", "confirmed"): ("confirmed", "completed"),
    ("terms", "refused"): ("refused", ""),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """An order, ready to render.

    about: what it is over or changes; `is_mine`: whether the reader asked for it. may_confirm: why_not says why not, or
    nothing where the reader's role has no say in it; may_refuse: no, or taking one's own back.
    """

    id: UUID
    status: str
    words: str
    tone: str
    about: str
    reason: str
    asked_by: str
    asked_at: datetime
    decided_by: str
    decided_at: datetime | None
    ended_at: datetime | None
    runs: int
    payloads: int
    is_mine: bool
    may_confirm: bool
    why_not: str
    may_refuse: bool


@dataclass(frozen=True, slots=True)
class Told:
    """A record that tells of an order. leaf: its place in the log; None while it is not sealed."""

    id: UUID
    at: datetime
    words: str
    who: str
    leaf: int | None


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of orders, the newest first. older: the last one's id when there are more."""

    orders: list[Shown]
    older: UUID | None
    is_later: bool


def listed(kind: str, before: UUID | None, member: Member) -> Listed:
    """Return a page of the orders of a kind. before: the last of the page before."""
    rows = Order.objects.filter(kind=kind).order_by("-id")
    some = list((rows.filter(id__lt=before) if before else rows)[: PAGE + 1])
    rows_shown = shown(some[:PAGE], member, decides=False)
    return Listed(rows_shown, some[PAGE - 1].id if len(some) > PAGE else None, before is not None)


def one(kind: str, order_id: UUID) -> Order:
    """Return an order of that kind; raises `Http404`."""
    found = Order.objects.filter(kind=kind, id=order_id).first()
    if found is None:
        raise Http404
    return found


def shown(orders: Sequence[Order], member: Member, *, decides: bool = True) -> list[Shown]:
    """Return orders as they are shown to that member. decides: whether what they may do about each is shown, too."""
    ids = {each.asked_by_id for each in orders} | {each.decided_by_id for each in orders if each.decided_by_id}
    people = {user.id: name_of(user) for user in User.objects.filter(id__in=ids)}
    agents = dict(Agent.objects.filter(id__in=[each.agent_id for each in orders]).values_list("id", "slug"))
    return [_shown(each, people, agents, member, decides) for each in orders]


def records_of(order: Order) -> list[Told]:
    """Return the latest that the journal tells of an order, in its order, with the places in the log.

    A large erasure leaves a record for each batch; its search has them all.
    """
    found = list(Record.objects.filter(stream=order.id).order_by("-id")[:PAGE])[::-1]
    places = audit_log.places_of(order.tenant_id, [each.id for each in found])
    ids = {each.actor.removeprefix("user:") for each in found if each.actor.startswith("user:")}
    people = {f"user:{user.id}": name_of(user) for user in User.objects.filter(id__in=ids)}
    return [
        Told(
            each.id,
            each.at,
            wording.code(each.action.replace(".", " ")).capitalize(),
            people.get(each.actor, wording.code(each.actor)),
            places.get(each.id),
        )
        for each in found
    ]


def _shown(order: Order, people: dict[UUID, str], agents: dict[UUID, str], member: Member, decides: bool) -> Shown:
    words, tone = STATUS.get((order.kind, order.status), (order.status, ""))
    may = decides and member.can(NEEDED[order.kind]) and not member.principal.is_service
    is_mine, waits = order.asked_by_id == member.user.id, order.status == "asked"
    why_not = _why_not(order, member) if may and waits else ""
    return Shown(
        id=order.id,
        status=order.status,
        words=words,
        tone=tone,
        about=_about(order, agents),
        reason=order.reason,
        asked_by=people.get(order.asked_by_id, "somebody who left"),
        asked_at=order.asked_at,
        decided_by=people.get(order.decided_by_id, "somebody who left") if order.decided_by_id else "",
        decided_at=order.decided_at,
        ended_at=order.ended_at,
        runs=order.runs,
        payloads=order.payloads,
        is_mine=is_mine,
        may_confirm=may and waits and not why_not,
        why_not=why_not,
        may_refuse=may and waits,
    )


def _why_not(order: Order, member: Member) -> str:
    try:
        check_confirm(member.principal, order)
    except (AccessDenied, Refusal) as refusal:
        return str(refusal)
    return ""


def _about(order: Order, agents: dict[UUID, str]) -> str:
    if order.terms is not None:
        return "; ".join(f"{wording.code(kind)}: {term(days)}" for kind, days in order.terms.items() if kind in CLASSES)
    if order.run_id is not None:
        return f"run {order.run_id}"
    if order.agent_id is not None:
        return f"agent {agents.get(order.agent_id, order.agent_id)}"
    if order.since is not None or order.until is not None:
        return _period(order.since, order.until)
    if order.kind in {"hold", "erasure"}:
        return _subject(order)
    return ""


def _subject(order: Order) -> str:
    """Return whom it is about, for the second person; nothing of it once it is over."""
    try:
        known = subject_of.of(order)
    except VaultError:
        return "a subject whose key is lost"
    return f"subject {known}" if known else "a subject that is kept no more"


def _period(since: datetime | None, until: datetime | None) -> str:
    first = f"from {since:%Y-%m-%d}" if since else "from the beginning"
    return f"{first} to {until - timedelta(days=1):%Y-%m-%d}" if until else f"{first} on"


def term(days: int | None) -> str:
    """Return a term in words."""
    return "for ever" if days is None else f"{days} days"
