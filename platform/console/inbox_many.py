"""Many questions at once: what an answer to all of them would do, counted before it is given, and what it did."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from access.errors import AccessDenied
from agents.errors import AgentError
from console import inbox_text
from console.inbox_list import Line, lines_of
from console.members import Member
from console.run_list import uuid_of
from db.errors import Refusal
from db.scope import tenant_scope
from escalations import risk
from escalations.actions import bulk, decisions, life
from escalations.errors import AlreadyClaimed, DigestDiffers, EscalationError
from escalations.models import Escalation
from escalations.permissions import visible

#: verb → (what its button says, what came of it)
VERBS: Final = {"approve": ("Approve", "approved"), "reject": ("Reject", "rejected"), "claim": ("Claim", "claimed")}

CHANGED: Final = "What it proposes has changed since you chose it; look at it again."


@dataclass(frozen=True, slots=True)
class Chosen:
    """A question that was chosen.

    token: its id and the digest it had; why_not: why it would stay as it is; needs_reason: whether the answer does.
    """

    line: Line
    token: str
    why_not: str
    needs_reason: bool


def parsed(tokens: Sequence[str]) -> list[bulk.Item]:
    """Return the questions a form names, each once and at most `bulk.MOST`; what is no such name is left out."""
    found: dict[UUID, bulk.Item] = {}
    for token in tokens:
        text, _, digest = token.partition(":")
        if (escalation_id := uuid_of(text)) is not None:
            found.setdefault(escalation_id, bulk.Item(escalation_id, digest[:64]))
    return list(found.values())[: bulk.MOST]


def chosen(items: Sequence[bulk.Item], verb: str, member: Member) -> list[Chosen]:
    """Return what was chosen, in the order of the inbox, each with why it would be left; in the tenant's scope."""
    digests = {item.id: item.digest for item in items}
    rows = list(visible(member.principal).filter(id__in=digests).order_by("-urgency", "-id"))
    return [
        Chosen(
            line, f"{row.id}:{digests[row.id]}", _why_not(row, digests[row.id], verb, member), _needs_reason(row, verb)
        )
        for row, line in zip(rows, lines_of(rows), strict=True)
    ]


def answered(
    items: Sequence[bulk.Item], verb: str, reason: str, member: Member
) -> Iterator[tuple[bulk.Item, Refusal | None]]:
    """Give each the answer in a transaction of its own; yield it with why it was refused, or None."""
    act = _act(verb, reason, member)
    for item in items:
        try:
            act(item)
        except (AccessDenied, AgentError, EscalationError) as refusal:
            yield item, refusal
        else:
            yield item, None


def _act(verb: str, reason: str, member: Member) -> Callable[[bulk.Item], object]:
    if verb == "claim":
        return lambda item: _claim(item, member)
    return lambda item: bulk.decide(item, verb, reason=reason or None, acting_as=member.principal)


def _claim(item: bulk.Item, member: Member) -> None:
    with tenant_scope(member.tenant.id):
        life.claim(item.id, acting_as=member.principal)


def _needs_reason(row: Escalation, verb: str) -> bool:
    """Say so as the page of the question itself asks for one."""
    return verb == "reject" or (verb == "approve" and inbox_text.needs_reason(row.kind, risk.word(row.risk)))


def _why_not(row: Escalation, digest: str, verb: str, member: Member) -> str:
    """Return why the answer would be refused as things stand; empty when it would not."""
    try:
        if verb != "claim":
            bulk.check(bulk.Item(row.id, digest), verb, acting_as=member.principal)
            return ""
        decisions.check(row.id, acting_as=member.principal)
        if row.claimed_by_id not in (None, member.user.id):
            raise AlreadyClaimed
    except DigestDiffers:
        return CHANGED
    except (AccessDenied, AgentError, EscalationError) as refusal:
        return str(refusal)
    return ""
