"""Appeals: another look at what a run decided, by people who had no part in it; upheld, what it did is undone."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from access import grants, permissions
from access.errors import MissingGrant
from agents.actions import again, runs
from agents.actions.lineage import chain, requesters, took_part
from agents.actions.runs import transaction_time
from agents.core.asking import proposal_digest
from agents.models import AgentVersion, Run
from audit import erased, journal
from audit.journal import Entry
from db.models import new_id
from db.scope import tenant_scope
from escalations.due import REMIND_AFTER
from escalations.errors import NoAppeal
from escalations.models import Escalation, Queue, Vote
from escalations.risk import risk_of, urgency
from tenants.principal import Principal

Json = Any

#: How long after its end a run can be appealed against when its agent does not say, in seconds.
WITHIN_S: Final = 30 * 24 * 3600

ALLOWED: Final = ("approve", "reject")


@dataclass(frozen=True, slots=True)
class Appeal:
    """Whether a run can be appealed against, and what came of it.

    why_not: a sentence, when it cannot. until: the last moment. to: the queue that decides. escalation: of an appeal
    that was made; status: `none`, `open`, `upheld`, `rejected`, …; reversal: the run that undoes what this one did.
    """

    why_not: str | None
    until: datetime | None = None
    to: str | None = None
    escalation: UUID | None = None
    status: str = "none"
    reversal: UUID | None = None


def of(run: Run) -> Appeal:
    """Return whether, how and until when the run can be appealed against, in its tenant's scope."""
    document: Json = AgentVersion.objects.only("compiled").get(id=run.version_id).compiled["document"]
    block = document.get("appeal") or {}
    to = block.get("to") or (document.get("review") or {}).get("queue")
    made = Escalation.objects.filter(run_id=run.id, kind="appeal").first()
    until = None
    if run.ended_at is not None and block.get("allowed"):
        until = run.ended_at + timedelta(seconds=block.get("within_s", WITHIN_S))
    if made is not None:
        said = "It was appealed against already."
        return Appeal(said, until, to, made.id, _status(made), made.reversal_id)
    return Appeal(_why_not(run, bool(block.get("allowed")), until), until, to)


def _status(made: Escalation) -> str:
    if made.status != "decided":
        return made.status
    return "upheld" if made.decision == "approve" else "rejected"


def _why_not(run: Run, allowed: bool, until: datetime | None) -> str | None:
    if run.reverses_id is not None:
        return "This run undoes another one; appeal against that one."
    if not allowed:
        return "The agent's runs cannot be appealed against."
    if until is None:
        return "The run has not ended."
    if erased.begun(run.id):
        return "What the run held is erased."
    if run.status == "cancelled":
        return "The run was cancelled, and decided nothing."
    return "The time to appeal is over." if transaction_time() > until else None


def make(run_id: UUID, reason: str, *, acting_as: Principal) -> Escalation:
    """Appeal against what the run decided; it is decided by others than those who had a part in it.

    For who may start runs of the agent, and for whom the run was. Raises `UnknownRun`, `AccessDenied`, `MissingGrant`,
    `NoAppeal`.
    """
    with tenant_scope(acting_as.tenant_id):
        run = runs.locked(run_id)
        check(run, acting_as=acting_as)
        found = of(run)
        if found.why_not is not None:
            raise NoAppeal(found.why_not)
        return _put(run, found, reason, acting_as)


def check(run: Run, *, acting_as: Principal) -> None:
    """Raise `AccessDenied` or `MissingGrant` unless they may appeal against the run; in its tenant's scope."""
    permissions.check(acting_as, "runs:write")
    if acting_as.user_id not in requesters(run) and not grants.held(acting_as, "run", run.agent):
        raise MissingGrant("You may not appeal against runs of this agent.")


def _put(run: Run, found: Appeal, reason: str, acting_as: Principal) -> Escalation:
    ending = journal.payloads_at([(run.id, run.output_seq or 0)]).get((run.id, run.output_seq or 0)) or {}
    proposal = {"output": ending.get("output"), "run": str(run.id), "code": run.error_code}
    runs_before = chain(run)
    voted = Vote.objects.filter(escalation__run_id__in=runs_before).values_list("user_id", flat=True)
    had_a_part = {*voted, *took_part(runs_before)}
    queue = Queue.objects.filter(slug=found.to).first() if found.to else None
    now, due_s = transaction_time(), queue.due_s if queue is not None else None
    risk = risk_of(kind="appeal", reason="appealed", required=1, effect=None, proposal={})
    made = Escalation.objects.create(
        id=new_id(),
        run_id=run.id,
        agent_id=run.agent_id,
        seq=1,
        kind="appeal",
        reason="appealed",
        allowed=list(ALLOWED),
        digest=proposal_digest({**proposal, "reason": reason}),
        requester_id=acting_as.user_id,
        excluded=sorted({*had_a_part, acting_as.user_id}, key=str),
        queue=found.to,
        risk=risk,
        urgency=urgency(risk, int(now.timestamp())),
        requested_at=now,
        due_at=now + timedelta(seconds=due_s) if due_s else None,
        look_at=now + timedelta(seconds=due_s * REMIND_AFTER) if due_s else None,
    )
    facts = {
        "escalation": str(made.id),
        "run": str(run.id),
        "excluded": [f"user:{each}" for each in made.excluded or ()],
    }
    said = {"detail": reason, "proposal": proposal, "digest": made.digest}
    journal.append_at(made.id, 0, [Entry("appeal.made", acting_as.actor, facts, said)])
    return made


def settle(escalation: Escalation, run: Run, decision: str, reason: str | None, *, by: Principal) -> None:
    """Record what came of the appeal, and undo what the run did if it is upheld. Part of `decisions.decide`."""
    with transaction.atomic():
        reversals = again.reverse(run, by=by) if decision == "approve" else []
        reversal = reversals[0] if reversals else None
        action = "appeal.upheld" if decision == "approve" else "appeal.rejected"
        facts: dict[str, Json] = {"escalation": str(escalation.id), "run": str(run.id)}
        if reversal is not None:
            facts["reversal"] = str(reversal.id)
        if len(reversals) > 1:
            facts["reversals"] = [str(each.id) for each in reversals]
        journal.append_at(escalation.id, 1, [Entry(action, by.actor, facts, {"reason": reason})])
        if decision == "approve":
            Run.objects.filter(id=run.id).update(dedupe_key=None)  # who asks for the same is not served this one
        Escalation.objects.filter(id=escalation.id).update(
            reversal_id=reversal.id if reversal is not None else None, effective_at=transaction_time(), look_at=None
        )
