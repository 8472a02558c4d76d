"""Define queues, look them up."""

from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError

from access.acting import acting
from agents.actions.checking import refuse
from agents.core.document import queue_problems
from agents.core.schema import Problem
from audit import journal
from escalations.models import Queue, QueueMember, QueueTeam
from escalations.risk import GREAT
from tenants.actions import members, teams
from tenants.errors import UnknownMember, UnknownTeam
from tenants.models import Team, User
from tenants.models.tenant import SLUG
from tenants.principal import Principal

Json = Any

#: What a queue says beside who works it, and what holds where it does not say it.
_PLAIN: Final[dict[str, Json]] = {"due_s": None, "escalate_to": None, "undo_s": None, "must_open_from": GREAT}


def put(slug: str, spec: Mapping[str, Json], *, acting_as: Principal | str) -> Queue:
    """Define the queue `slug`: `{members: [e-mail], teams: [slug], due_s, escalate_to, undo_s, must_open_from}`.

    All of it is optional. A queue that is so already is returned without a record. Raises `InvalidDocument`, and what
    `acting` raises for `agents:write`.
    """
    with acting(acting_as, "agents:write") as actor:
        refuse([*_slug_problems(slug), *queue_problems(spec)], f"The queue {slug} is not valid.")
        people, groups = _people(spec), _teams(spec)
        _, created = Queue.objects.get_or_create(slug=slug)
        queue = Queue.objects.select_for_update().get(slug=slug)
        wanted = (*(_whole(spec.get(name, default)) for name, default in _PLAIN.items()), people, groups)
        if not created and _state(queue) == wanted:
            return queue
        *_, people_before, groups_before = _state(queue)
        queue.due_s, queue.escalate_to, queue.own_undo_s, queue.must_open_from = wanted[:4]
        queue.undo_s = queue.own_undo_s or 0
        queue.save()
        queue.members.exclude(user__in=people).delete()
        queue.teams.exclude(team__in=groups).delete()
        QueueMember.objects.bulk_create(QueueMember(queue=queue, user=user) for user in people - people_before)
        QueueTeam.objects.bulk_create(QueueTeam(queue=queue, team=team) for team in groups - groups_before)
        journal.record(
            "queue.added" if created else "queue.changed",
            stream=queue.id,
            actor=actor,
            facts={
                "due_s": queue.due_s,
                "undo_s": queue.own_undo_s,
                "must_open_from": queue.must_open_from,
                "members": sorted(f"user:{user.id}" for user in people),
                "teams": sorted(f"team:{team.id}" for team in groups),
            },
            payload={"slug": slug, "escalate_to": queue.escalate_to},
        )
        return queue


def check_next(spec: Mapping[str, Json]) -> None:
    """Raise `InvalidDocument` if `escalate_to` names no queue, as one of several files may; in its scope."""
    after = spec.get("escalate_to")
    if isinstance(after, str) and not Queue.objects.filter(slug=after).exists():
        known = ", ".join(Queue.objects.order_by("slug").values_list("slug", flat=True)[:20])
        said = f"There is no queue {after}. Known: {known or 'none'}."
        refuse([Problem("/escalate_to", said, "document")], "The queue is not valid.")


def spec_of(queue: Queue) -> dict[str, Json]:
    """Return the queue as a document's `spec`; what is not set is left out."""
    *_, people, groups = _state(queue)
    spec: dict[str, Json] = {
        "members": sorted(user.email for user in people),
        "teams": sorted(team.slug for team in groups),
    }
    return spec | {name: value for name, value in _plain(queue).items() if value != _PLAIN[name]}


def _state(queue: Queue) -> tuple[Any, ...]:
    """Return what stands in `_PLAIN`, then the people and the teams."""
    people = {place.user for place in queue.members.select_related("user")}
    groups = {place.team for place in queue.teams.select_related("team")}
    return *_plain(queue).values(), people, groups


def _plain(queue: Queue) -> dict[str, Json]:
    of = {name: getattr(queue, name) for name in _PLAIN}
    return of | {"undo_s": queue.said_undo_s}


def _whole(value: Json) -> Json:
    """Return a whole number as one: to JSON Schema, 60.0 is an integer."""
    return int(value) if isinstance(value, float) else value


def _people(spec: Mapping[str, Json]) -> set[User]:
    found, wrong = set(), []
    for index, email in enumerate(spec.get("members", ())):
        try:
            user = members.by_email(email)
            members.hold(user)
            found.add(user)
        except UnknownMember as error:
            wrong.append(Problem(f"/members/{index}", str(error), "document"))
    refuse(wrong, "The queue is not valid.")
    return found


def _teams(spec: Mapping[str, Json]) -> set[Team]:
    found, wrong = set(), []
    for index, slug in enumerate(spec.get("teams", ())):
        try:
            team = teams.by_slug(slug)
            teams.hold(team)
            found.add(team)
        except UnknownTeam as error:
            wrong.append(Problem(f"/teams/{index}", str(error), "document"))
    refuse(wrong, "The queue is not valid.")
    return found


def _slug_problems(slug: str) -> list[Problem]:
    try:
        SLUG(slug)
    except ValidationError as error:
        return [Problem("", f"{slug!r} is not a slug. {error.messages[0]}", "document")]
    return []
