"""Cases and feedback as the API shows them."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import Avg, Count, Q

from agents.models import AgentVersion
from agents.presenters import proposal_json, shown_value
from audit import journal
from escalations.presenters import emails_of
from learning.actions.feedback import THUMBS
from learning.models import Case, Feedback

Json = Any

_THUMBS = {number: word for word, number in THUMBS.items()}


def cases_json(cases: Iterable[Case], *, payloads: bool) -> list[dict[str, Json]]:
    """Return cases, reading what they hold at once; null where it was erased or may not be shown."""
    listed = list(cases)
    held = journal.payloads_at((each.id, 1) for each in listed) if payloads else {}
    named = emails_of(each.kept_by_id for each in listed)
    numbers = _numbers(each.version_id for each in listed)
    return [
        {
            "id": str(each.id),
            "run": str(each.run_id),
            "escalation": str(each.escalation_id) if each.escalation_id else None,
            "version": numbers[each.version_id],
            "source": each.source,
            "tag": each.tag,
            **_held(held.get((each.id, 1))),
            "kept_by": named.get(each.kept_by_id),
            "created_at": each.created_at.isoformat(),
        }
        for each in listed
    ]


def _held(payload: Json) -> dict[str, Json]:
    if payload is None:
        return {"input": None, "expected": None, "note": None}
    expected = {name: value for name, value in proposal_json(payload["expected"]).items() if value is not None}
    return {"input": shown_value(payload["input"]), "expected": expected, "note": payload["note"]}


def feedback_json(given: Iterable[Feedback], *, payloads: bool) -> list[dict[str, Json]]:
    """Return feedback on runs, reading the comments at once; null where erased or not to be shown."""
    listed = list(given)
    said = journal.payloads_at((each.id, each.seq) for each in listed) if payloads else {}
    named = emails_of(each.user_id for each in listed) if payloads else {}
    return [
        {
            "score": each.score,
            "thumb": _THUMBS.get(each.thumb) if each.thumb is not None else None,
            "comment": (said.get((each.id, each.seq)) or {}).get("comment"),
            "by": named.get(each.user_id),
            "by_link": each.user_id is None,
            "at": each.created_at.isoformat(),
        }
        for each in listed
    ]


def by_version_json(agent_id: UUID, most: int | None = None) -> list[dict[str, Json]]:
    """Return what was said of each of the agent's versions, the newest first. most: of so many versions alone."""
    rows = Feedback.objects.filter(agent_id=agent_id).values("version_id").order_by()
    counted = rows.annotate(
        count=Count("id"),
        average=Avg("score"),
        scored=Count("score"),
        up=Count("id", filter=Q(thumb=1)),
        down=Count("id", filter=Q(thumb=-1)),
    )
    counted = counted.order_by("-version_id")[:most]  # ids are in the order in which versions were made
    numbers = _numbers(each["version_id"] for each in counted)
    told = [
        {
            "version": numbers[each["version_id"]],
            "count": each["count"],
            "scored": each["scored"],
            "average_score": None if each["average"] is None else round(float(each["average"]), 2),
            "up": each["up"],
            "down": each["down"],
        }
        for each in counted
    ]
    return sorted(told, key=lambda each: -int(each["version"]))


def _numbers(version_ids: Iterable[UUID]) -> dict[UUID, int]:
    return dict(AgentVersion.objects.filter(id__in=set(version_ids)).values_list("id", "number"))
