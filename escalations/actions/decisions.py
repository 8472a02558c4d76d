"""Answer a question. Whoever is first decides; 50 at once make one decision."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db.models.functions import Now

from agents.actions.runs import transaction_time
from agents.core.events import DecisionMade
from agents.core.exact import enclose
from agents.errors import InvalidOutput, RunEnded
from agents.models import Run
from audit import journal
from db.scope import tenant_scope
from escalations.actions import answers, appeals, edits
from escalations.errors import AlreadyDecided, AnswerNotAllowed, DigestDiffers, MessageMissing
from escalations.models import Escalation, Vote
from escalations.permissions import check_decide, seen, standing
from tenants.principal import Principal

Json = Any

DECISIONS: Final = ("approve", "reject", "edit", "respond")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person says.

    decision: one of the question's `allowed`. digest: of the proposal they saw. reason: for a rejection.
    message: for `respond`. output: the result of the call, for `reconcile`; what is given out instead, for `edit` of an
    output. arguments: of the call, for `edit`.
    """

    decision: str
    digest: str
    reason: str | None = None
    message: str | None = None
    output: Json = None
    arguments: Json = None


def decide(escalation_id: UUID, answer: Answer, *, acting_as: Principal) -> Escalation:
    """Record the answer; when it completes the question, hand it to the run and wake it, in the same commit.

    Where the queue lets answers be taken back, that comes later (`answers`). An approval of a question that needs
    several counts as one vote, for as long as who gave it may give it. An edit answers it whatever the votes: the call
    is checked anew with its new arguments, and asked about again where more people than the editor must agree. Raises
    `UnknownEscalation`, `MayNotDecide` and its kinds, `AlreadyDecided`, `DigestDiffers`, `AnswerNotAllowed`,
    `MessageMissing`, `InvalidArguments`, `InvalidOutput`.
    """
    with tenant_scope(acting_as.tenant_id):
        escalation, run = _locked(escalation_id, acting_as)
        check_decide(acting_as, escalation, run)
        check_answer(escalation, answer)
        if answer.decision == "edit":
            edits.check(run, escalation, answer.arguments, answer.output, acting_as=acting_as)
        Vote.objects.create(escalation=escalation, user_id=acting_as.user_id, decision=answer.decision)
        votes = 1 if escalation.required == 1 else len(standing(escalation, run))
        if answer.decision == "approve" and votes < escalation.required:
            facts = {"escalation": str(escalation.id), "decision": "approve", "given": votes}
            said = {"digest": answer.digest, "reason": answer.reason}
            journal.record("decision.voted", stream=escalation.id, actor=acting_as.actor, facts=facts, payload=said)
            return escalation
        return _complete(escalation, run, answer, acting_as)


def check(escalation_id: UUID, *, acting_as: Principal) -> None:
    """Raise what keeps this member from answering the question now, whatever the answer: see `decide`.

    For a face to ask before it looks at the answer; `decide` asks again.
    """
    with tenant_scope(acting_as.tenant_id):
        escalation = seen(escalation_id, acting_as)
        check_decide(acting_as, escalation, Run.objects.select_related("agent").get(id=escalation.run_id))
        _check_open(escalation)


def _locked(escalation_id: UUID, acting_as: Principal) -> tuple[Escalation, Run]:
    """Lock the run, then the question: the order in which the engine takes them."""
    found = seen(escalation_id, acting_as)
    run = Run.objects.select_for_update(of=("self",)).select_related("agent", "version").get(id=found.run_id)
    return Escalation.objects.select_for_update().get(id=escalation_id), run


def _check_open(escalation: Escalation) -> None:
    if escalation.status != "open":
        raise AlreadyDecided(f"This is {escalation.status} already.")
    if escalation.expires_at is not None and transaction_time() >= escalation.expires_at:
        raise AlreadyDecided("This has expired.")


def check_answer(escalation: Escalation, answer: Answer) -> None:
    """Raise what keeps the question from taking this answer, whoever gives it: see `decide`."""
    _check_open(escalation)
    if answer.digest != escalation.digest:
        raise DigestDiffers
    if answer.decision not in escalation.allowed:
        raise AnswerNotAllowed(f"This question takes: {', '.join(escalation.allowed)}.")
    if answer.decision == "respond" and not (answer.message or "").strip():
        raise MessageMissing
    if answer.decision == "edit" and escalation.kind == "output" and answer.output is None:
        wrong = "Give what the run shall give out instead, as output."
        raise InvalidOutput(wrong, errors=[{"pointer": "/output", "detail": wrong}])


def _complete(escalation: Escalation, run: Run, answer: Answer, acting_as: Principal) -> Escalation:
    changed = Escalation.objects.filter(id=escalation.id, status="open").update(
        status="decided", decision=answer.decision, decided_at=Now()
    )
    if not changed:
        raise AlreadyDecided
    if escalation.kind == "appeal":
        appeals.settle(escalation, run, answer.decision, answer.reason, by=acting_as)
        escalation.refresh_from_db()
        return escalation
    made = DecisionMade(
        escalation=str(escalation.id),
        kind=escalation.kind,
        decision=answer.decision,
        by=acting_as.actor,
        digest=answer.digest,
        reason=answer.reason,
        message=answer.message,
        output=None if answer.output is None else enclose(answer.output),
        arguments=enclose(answer.arguments) if answer.decision == "edit" and escalation.kind != "output" else None,
    )
    try:
        answers.carry(run, escalation, made)
    except RunEnded as error:
        raise AlreadyDecided("The run has ended.") from error
    escalation.refresh_from_db()
    return escalation


def given(escalation: Escalation) -> int:
    """Return how many have approved so far and may do so still."""
    return len(standing(escalation, Run.objects.select_related("agent").get(id=escalation.run_id)))
