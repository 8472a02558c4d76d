"""What a run was allowed, and who had a say in it: the page of those who answer for it. Read in the tenant's scope."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from agents.actions.versions import spec_of_run
from agents.models import Run
from audit.models import Record
from console import wording
from console.run_list import name_of
from escalations.models import Escalation
from tenants.models import User


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as the run's version pins it."""

    name: str
    version: int
    effect: str
    digest: str


@dataclass(frozen=True, slots=True)
class Act:
    """Something that somebody other than the engine did to the run, or that it asked of people."""

    seq: int
    at: datetime
    words: str
    who: str
    digest: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Ready to render. digest: of the agent's version, its tools included."""

    model: str
    digest: str
    principal: str
    requested_by: str
    tools: list[Tool]
    acts: list[Act]


_TOLD = {
    "run.submitted": "Submitted",
    "run.cancel_requested": "Asked to stop",
    "decision.requested": "A person was asked",
    "run.guided": "Guided",
    "run.retried": "Tried again",
    "decision.undone": "Answer taken back",
    "decision.expired": "Nobody decided in time",
    "output.accepted": "Output accepted",
    "run.completed": "Completed",
    "run.failed": "Failed",
    "run.cancelled": "Cancelled",
}


def record_of(run: Run) -> RunRecord:
    """Return it."""
    spec = spec_of_run(run)
    return RunRecord(
        model=spec.model,
        digest=run.version.digest,
        principal=name_of(run.principal),
        requested_by=name_of(run.requested_by),
        tools=[Tool(each.name, each.version, each.effect, each.digest) for each in spec.tools.values()],
        acts=list(_acts(run)),
    )


def _acts(run: Run) -> Iterator[Act]:
    found = list(
        Record.objects.filter(stream=run.id, action__in=[*_TOLD, "decision.made", "decision.answered"]).order_by("seq")
    )
    people = _people(found)
    digests = dict(Escalation.objects.filter(run_id=run.id).values_list("id", "digest"))
    by_id = {str(identifier): digest for identifier, digest in digests.items()}
    for each in found:
        actor = str(each.facts.get("by") or each.actor)
        verb = "Answered" if each.action == "decision.answered" else "Decided"
        words = _TOLD.get(each.action) or f"{verb}: {wording.code(str(each.facts.get('decision')))}"
        digest = by_id.get(str(each.facts.get("escalation")), "")
        yield Act(each.seq or 0, each.at, words, people.get(actor, wording.code(actor)), digest)


def _people(found: list[Record]) -> dict[str, str]:
    named = {str(each.facts.get("by") or each.actor) for each in found}
    ids = {each.removeprefix("user:") for each in named if each.startswith("user:")}
    return {f"user:{user.id}": name_of(user) for user in User.objects.filter(id__in=ids)}
