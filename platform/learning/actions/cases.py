"""Keep a person's correction as a case of the agent, and let it go."""

from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet

from access import grants
from access.acting import acting
from access.errors import MissingGrant
from agents.actions.runs import locked, transaction_time
from agents.core.exact import enclose
from agents.models import Agent, Run
from audit import erased, journal
from audit.journal import Entry
from audit.models import Record
from escalations.actions import answers
from escalations.models import Escalation
from escalations.permissions import seen
from learning.errors import NothingToLearn, NotOfThisAgent, RunErased, UnknownCase
from learning.models import Case
from tenants.principal import Principal

Json = Any

#: Who drops a case whose answer was taken back.
ACTOR: Final = answers.ACTOR

_ANSWERS: Final = ("decision.made", "decision.answered")


def keep(
    escalation_id: UUID, *, tag: str = "edge", note: str | None = None, of: str | None = None, acting_as: Principal
) -> Case:
    """Keep what a reviewer taught by an edit, a rejection or an upheld appeal, for who sees and may decide such things.

    tag: of `learning.models.case.TAGS`. of: the agent's slug, where it was named. One that is kept already is returned.
    Raises `UnknownEscalation`, `AccessDenied`, `NothingToLearn`, `NotOfThisAgent`, `RunErased`.
    """
    with acting(acting_as, "escalations:decide"):
        run, escalation = _locked(seen(escalation_id, acting_as))
        if of is not None and run.agent.slug != of:
            raise NotOfThisAgent
        present = kept().filter(escalation_id=escalation.id).first()
        if present is not None:
            return present
        expected = _taught(escalation, run)
        source = "appeal" if escalation.kind == "appeal" else str(escalation.decision)
        return _put(run, source, tag, note, expected, acting_as, escalation_id=escalation.id)


def keep_run(
    run_id: UUID, output: Json, *, tag: str = "edge", note: str | None = None, of: str, acting_as: Principal
) -> Case:
    """Keep a run's input with the output that would have been right, for who may edit the agent.

    Raises `AccessDenied`, `MissingGrant`, `NotOfThisAgent`, `RunErased`.
    """
    with acting(acting_as, "agents:read"):
        if not Run.objects.filter(id=run_id, agent__slug=of).exists():
            raise NotOfThisAgent
        run = _whole(run_id)
        _check_edits(run.agent, acting_as)
        return _put(run, "run", tag, note, {"what": "output", "output": enclose(output)}, acting_as)


def remove(case_id: UUID, *, acting_as: Principal) -> None:
    """Let a case go: who kept it, and who may edit the agent. Raises `AccessDenied`, `MissingGrant`, `UnknownCase`."""
    with acting(acting_as, "agents:read"):
        case = kept().select_related("agent").select_for_update(of=("self",)).filter(id=case_id).first()
        if case is None:
            raise UnknownCase
        if case.kept_by_id != acting_as.user_id:
            _check_edits(case.agent, acting_as)
        _drop(case, acting_as.actor, "removed")


def drop_of(escalation_id: UUID) -> None:
    """Let go what was kept from an answer that was taken back or lapsed; part of that transaction."""
    case = kept().select_for_update().filter(escalation_id=escalation_id).first()
    if case is not None:
        _drop(case, ACTOR, "undone")


def kept() -> "QuerySet[Case]":
    """Return the cases of the tenant in scope that nobody let go."""
    return Case.objects.filter(removed_at=None)


def _locked(escalation: Escalation) -> tuple[Run, Escalation]:
    """Lock the run, then the question, as whoever answers it or takes that back does.

    So one of two who keep it at once makes the case, and none is left of an answer that is taken back meanwhile. Raises
    `RunErased`.
    """
    run = _whole(escalation.run_id)
    return run, Escalation.objects.select_for_update().get(id=escalation.id)


def _whole(run_id: UUID) -> Run:
    """Return the run, its row locked: it is not erased in the meantime, and an erasure finds the case after it.

    Raises `RunErased`.
    """
    run = locked(run_id)
    if erased.begun(run.id):
        raise RunErased
    return run


def _check_edits(agent: Agent, acting_as: Principal) -> None:
    if acting_as.is_service or not grants.held(acting_as, "edit", agent):
        raise MissingGrant("You may not edit this agent.")


def _put(
    run: Run,
    source: str,
    tag: str,
    note: str | None,
    expected: dict[str, Json],
    acting_as: Principal,
    *,
    escalation_id: UUID | None = None,
) -> Case:
    case = Case.objects.create(
        agent=run.agent,
        version_id=run.version_id,
        run_id=run.id,
        escalation_id=escalation_id,
        source=source,
        tag=tag,
        kept_by_id=acting_as.user_id,
        created_at=transaction_time(),
    )
    submitted = journal.payloads_at([(run.id, 1)]).get((run.id, 1)) or {}
    held = {"input": submitted.get("input"), "expected": expected, "note": note}
    facts = {"run": str(run.id), "agent": str(run.agent_id), "tag": tag, "source": source}
    if escalation_id is not None:
        facts["escalation"] = str(escalation_id)
    journal.append_at(case.id, 0, [Entry("case.kept", acting_as.actor, facts, held)])
    return case


def _drop(case: Case, actor: str, code: str) -> None:
    facts = {"run": str(case.run_id), "agent": str(case.agent_id), "code": code}
    journal.append_at(case.id, 1, [Entry("case.removed", actor, facts, None)])
    case.removed_at = transaction_time()
    case.save(update_fields=["removed_at"])


def _taught(escalation: Escalation, run: Run) -> dict[str, Json]:
    """Return what is expected: an output or a call, or that it is not this one. Raises `NothingToLearn`."""
    decision = escalation.decision if escalation.status == "decided" else None
    asked = (journal.payloads_at([escalation.place]).get(escalation.place) or {}).get("proposal") or {}
    if escalation.kind == "appeal" and decision == "approve":
        said = journal.payloads_at([(escalation.id, 2)]).get((escalation.id, 2)) or {}
        return {"what": "not_output", "output": asked.get("output"), "reason": said.get("reason")}
    if escalation.kind not in {"tool_call", "output"} or decision not in {"edit", "reject"}:
        raise NothingToLearn
    said = _answer(escalation)
    if escalation.kind == "output" and decision == "edit":
        return {"what": "output", "output": said.get("output"), "reason": said.get("reason")}
    if escalation.kind == "output":
        return {"what": "not_output", "output": asked.get("output"), "reason": said.get("reason")}
    arguments = said.get("arguments") if decision == "edit" else asked.get("arguments")
    what = "call" if decision == "edit" else "not_call"
    return {"what": what, "tool": asked.get("tool"), "arguments": arguments, "reason": said.get("reason")}


def _answer(escalation: Escalation) -> dict[str, Json]:
    """Return the payload of the newest answer to the question; empty when it was erased."""
    made = Record.objects.filter(stream=escalation.run_id, action__in=_ANSWERS).order_by("-seq")
    for record in made.iterator(chunk_size=50):
        if record.facts.get("escalation") == str(escalation.id) and record.seq is not None:
            place = (escalation.run_id, record.seq)
            found: dict[str, Json] = journal.payloads_at([place]).get(place) or {}
            return found
    return {}
