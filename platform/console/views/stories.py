"""The story of one decision, to be read and printed: what was asked, by whom, what came of it, and its proof."""

from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_GET

from audit import journal, search
from console import run_page, wording
from console.members import MemberRequest, check, member_page
from console.pages import show
from console.run_record import record_of
from console.step_detail import detail_of
from console.step_text import DECIDED
from console.steps import Step, steps
from escalations.actions import appeals
from escalations.stories import PAGE, story_of

Json = Any

PLACE: Final = "console:audit"


@require_GET
@member_page("runs:read")
def story(request: MemberRequest, run: UUID) -> HttpResponse:
    """Show one run's story, from its submission to its effect. Leaves a record."""
    found, member = run_page.run_of(run), request.member
    check(member, "audit:read")
    text = request.GET.get("after", "")
    after = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    told = story_of(found, after=after, limit=PAGE, payloads=member.sees_payloads)
    events = journal.read(found.id, after=after, limit=PAGE)
    search.leave_record(actor=member.principal.actor, facts={"story": str(found.id), "first": after == 0})
    people = run_page.people_in(events)
    places = {each["seq"]: each for each in told["events"]}
    context = {
        "run": found,
        "words": wording.status(found.status, found.waiting_for),
        "record": record_of(found),
        "told": told,
        "decisions": [_decision(each) for each in told["decisions"]],
        "appeal": appeals.of(found),
        "after": after,
        "steps": [
            (
                detail_of(step, people, payloads=member.sees_payloads),
                step.start,
                [places[seq] for seq in _seqs(step) if seq in places],
            )
            for step in steps(events)
        ],
        "cost": wording.usd(found.cost_nano),
    }
    return show(request, "console/audit/story.html", context, place=PLACE)


def _seqs(step: Step) -> list[int]:
    return [event.seq or 0 for event in step.events]


def _decision(told: dict[str, Json]) -> dict[str, Json]:
    """Return a question with its answers in words."""
    answers = [
        (DECIDED.get(each["decision"], each["decision"]), each["by"], parse_datetime(each["at"]))
        for each in told["answers"]
    ]
    return told | {
        "words": wording.ASKED.get(told["kind"], "A decision"),
        "answers": answers,
        "asked_at": parse_datetime(told["requested_at"]),
    }
