"""Runs that ask something else than the payment of `conftest`, and people to answer."""

from typing import Any
from uuid import UUID

from django.utils import timezone

from agents.models import Run
from db.scope import tenant_scope
from escalations import due
from escalations.actions import queues
from escalations.actions.decisions import Answer
from escalations.models import Escalation
from tenants.models import Membership, Role
from tenants.principal import Principal
from tests.escalations.conftest import answers, drive
from tests.worlds import PAY, World

Json = Any


def paying(acme: World, slug: str, **approval: Json) -> Escalation:
    """The open question of a run of an agent of its own whose tool asks as `approval` says."""
    tool = f"pay_{slug}"
    acme.define(slug, role="You pay.", tool_specs={tool: PAY | {"approval": {"when": "true", **approval}}})
    run = acme.submit(slug, {"to": acme.slug})
    use = {"type": "tool_use", "id": "toolu_1", "name": tool, "input": {"amount": 7, "to": f"{acme.slug} {slug}"}}
    drive(run, answers(("tool_use", [use])))
    return question_of(acme, run)


def question_of(acme: World, run: Run) -> Escalation:
    """What a run asks now."""
    with tenant_scope(acme.tenant_id):
        return Escalation.objects.get(run_id=run.id, status="open")


def again(acme: World, question: Escalation) -> Escalation:
    """The question as it is now."""
    with tenant_scope(acme.tenant_id):
        return Escalation.objects.get(id=question.id)


def queue(acme: World, slug: str, *people: str, **more: Json) -> None:
    """Make a queue of these members, by the first part of their addresses."""
    queues.put(slug, {"members": [mail(acme, each) for each in people], **more}, acting_as=acme.alice)


def mail(acme: World, name: str) -> str:
    """A member's address."""
    return f"{name}@{acme.slug}.example"


def approve(question: Escalation) -> Answer:
    """The answer that says yes."""
    return Answer("approve", question.digest)


def demote(acme: World, person: Principal) -> None:
    """Make somebody a viewer."""
    with tenant_scope(acme.tenant_id):
        Membership.objects.filter(user_id=person.user_id).update(role=Role.VIEWER)


def time_comes(acme: World, question: Escalation, *, of: str) -> None:
    """Let a time of the question, such as `due_at`, be now, and the sweep look."""
    now = timezone.now()
    with tenant_scope(acme.tenant_id):
        Escalation.objects.filter(id=question.id).update(**{of: now, "look_at": now})
    with tenant_scope(acme.tenant_id):  # apart: who sees to it locks the run before the question
        due.see_to(question.id)


def story(acme: World, stream: UUID) -> list[str]:
    """What was recorded about a question beside its run, in order."""
    from audit.models import Record

    with tenant_scope(acme.tenant_id):
        return list(Record.objects.filter(stream=stream).order_by("id").values_list("action", flat=True))
