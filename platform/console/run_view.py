"""The contexts of a run's page and of its parts, whole or one at a time."""

from typing import Any
from uuid import uuid4

from agents.core.lifecycle import TERMINAL
from agents.models import Run
from audit import journal
from audit.journal import Stored
from console import run_acts, run_page, run_tree, wording
from console.conversation import conversation, lines
from console.members import Member
from console.run_page import Span
from console.step_detail import detail_of
from console.steps import Step, steps
from console.timeline import rows

Context = dict[str, Any]


def run_context(member: Member, run: Run, span: Span, *, step: int | None) -> Context:
    """Return everything the page shows. step: the one that is opened; the latest when None."""
    events = run_page.read(run, span)
    found = run_page.steps_in(events, span)
    return {
        **head_context(member, run),
        **_rows(member, run, span, events, found),
        **_detail(member, run, found, events, step),
        "live": span.latest and not _over(run),
        "tree": run_tree.tree_of(run),
    }


def head_context(member: Member, run: Run) -> Context:
    """Return what stands above the timeline and changes while the run goes on."""
    submitted = next(iter(journal.read(run.id, limit=1)), None)
    return {
        "member": member,
        "tenant": member.tenant,
        "run": run_page.head_of(run, submitted),
        "again_key": uuid4().hex,
        "acts": run_acts.acts(run, member),
        "asks": run_page.asks_of(run, member),
        "results": run_page.ends_of(run, submitted, payloads=member.sees_payloads),
    }


def rows_context(member: Member, run: Run, span: Span) -> Context:
    """Return a part of the timeline."""
    events = run_page.read(run, span)
    return _rows(member, run, span, events, run_page.steps_in(events, span))


def changes_context(member: Member, run: Run, after: int) -> tuple[Context, int]:
    """Return the rows and events that changed behind event `after`, and the number of the last event they show."""
    span = Span(max(after, 0), min(after + run_page.SPAN, run.seq), latest=True)
    events = [event for event in run_page.read(run, span) if (event.seq or 0) <= span.upto]
    changed = [step for step in steps(events) if step.last_seq > after or _ended_behind(step, after)]
    new = [event for event in events if (event.seq or 0) > after]
    context = _rows(member, run, span, events, changed) | _events(member, run, span, new)
    return context | head_context(member, run) | {"tree": run_tree.tree_of(run)}, span.upto


def detail_context(member: Member, run: Run, span: Span, seq: int) -> Context:
    """Return one step in full; `detail` is None when there is no such step."""
    events = run_page.read(run, span)
    return _detail(member, run, run_page.steps_in(events, span), events, seq)


def events_context(member: Member, run: Run, span: Span) -> Context:
    """Return a part of the raw events, oldest first."""
    events = journal.read(run.id, after=span.after, limit=span.upto - span.after)
    return _events(member, run, span, events)


def conversation_context(member: Member, run: Run, span: Span) -> Context:
    """Return a part of what was said, oldest first."""
    events = journal.read(run.id, after=span.after, limit=span.upto - span.after)
    said = conversation(events, run_page.people_in(events), payloads=member.sees_payloads)
    return {"tenant": member.tenant, "run_id": run.id, "span": span, "lines": lines(said)}


def _over(run: Run) -> bool:
    return run.status in TERMINAL


def _ended_behind(step: Step, after: int) -> bool:
    return step.closed is not None and (step.closed.seq or 0) > after


def _rows(member: Member, run: Run, span: Span, events: list[Stored], found: list[Step]) -> Context:
    axis, people = run_page.axis_of(run, events), run_page.people_in(events)
    return {
        "tenant": member.tenant,
        "run_id": run.id,
        "span": span,
        "axis": axis,
        "rows": rows(found, axis, people, payloads=member.sees_payloads),
    }


def _detail(member: Member, run: Run, found: list[Step], events: list[Stored], seq: int | None) -> Context:
    chosen = next((step for step in found if seq in {event.seq for event in step.events}), None)
    shown = chosen or (found[-1] if found and seq is None else None)
    people = run_page.people_in(events)
    return {
        "tenant": member.tenant,
        "run_id": run.id,
        "chosen": chosen.seq if chosen else None,
        "detail": detail_of(shown, people, payloads=member.sees_payloads) if shown else None,
    }


def _events(member: Member, run: Run, span: Span, events: list[Stored]) -> Context:
    people = run_page.people_in(events)
    lines = [(event, wording.clock(event.at), people.get(event.actor, event.actor)) for event in events]
    return {"tenant": member.tenant, "run_id": run.id, "span": span, "events": lines}
