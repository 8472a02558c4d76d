"""Start runs, end them, and hand them a person's answer."""

import json
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection

from access import grants, permissions
from access.errors import MissingGrant
from agents.actions.duplicates import key_of, twin_of
from agents.actions.lineage import above
from agents.core.events import DecisionMade, Event, RunCancelRequested, RunSubmitted
from agents.core.exact import disclose, enclose
from agents.core.lifecycle import TERMINAL
from agents.core.money import from_usd
from agents.core.schema import problems
from agents.core.screening import Verdict, recorded, screened, words
from agents.core.spec import AgentSpec
from agents.core.subjects import MOST, subjects
from agents.engine import about, new_runs
from agents.engine.seam import engine_of, name_for_new_runs
from agents.engine.signals import asked_again
from agents.engine.specs import spec_of
from agents.engine.store import entry
from agents.errors import (
    AgentStopped,
    IdempotencyMismatch,
    InputRefused,
    InvalidInput,
    NotPublished,
    RunEnded,
    TooManySubjects,
    UnknownAgent,
    UnknownRun,
    UnknownVersion,
)
from agents.models import AgentVersion, Run
from audit import journal
from audit.models import Record
from db import trip
from db.models import new_id
from db.scope import current_tenant_id, tenant_scope
from tenants.actions import members
from tenants.principal import Principal

Json = Any


@dataclass(frozen=True, slots=True)
class Submitted:
    """A run that was asked for. created: False when the idempotency key names one from before.

    agent: its agent's slug. version: the number of its version. deduplicated: whether it was started by an identical
    request within the agent's window.
    """

    run: Run
    agent: str
    version: int
    created: bool
    deduplicated: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for.

    agent: slug. input: JSON, checked against the version's input schema. version: None for the live one.
    on_behalf_of: e-mail address of the member to act for. budget_usd, budget_tokens: caps below the agent's own.
    deadline: aware. callback_url: who is told of the run's end.
    idempotency_key, digest: the client's key and the SHA-256 (hex) of what it asked with it.
    deduplicate: whether an identical request within the agent's window may stand for this one.
    """

    agent: str
    input: Json
    version: int | None = None
    on_behalf_of: str | None = None
    budget_usd: str | None = None
    budget_tokens: int | None = None
    deadline: datetime | None = None
    metadata: dict[str, str] | None = None
    callback_url: str | None = None
    priority: int = 0
    idempotency_key: str | None = None
    digest: str | None = None
    deduplicate: bool = False


@dataclass(frozen=True, slots=True)
class Runnable:
    """The version that a run was asked of. now: the database's time at the start of this transaction."""

    id: UUID
    number: int
    agent_id: UUID
    now: datetime

    @property
    def spec(self) -> AgentSpec:
        """What it is told and allowed."""
        return spec_of(self.id, lambda: AgentVersion.objects.get(id=self.id).compiled)


def submit(request: Request, *, acting_as: Principal, parent: UUID | None = None) -> Submitted:
    """Queue a run and wake the engine, in one commit.

    parent: the run that it is part of: whoever that one acts for, and all up the line, must be allowed what this one
    does, from its start on. Raises `AccessDenied`, `UnknownAgent`, `AgentStopped`, `UnknownVersion`, `NotPublished`,
    `InvalidInput`, `InputRefused`, `TooManySubjects`, `UnknownMember`, `IdempotencyMismatch`, `UnknownRun`,
    `RunEnded`; then nothing was made.
    """
    permissions.check(acting_as, "runs:write")
    with tenant_scope(acting_as.tenant_id):
        before = _submitted_before(request, acting_as)
        if before:
            return before
        line = _open_line(parent) if parent is not None else []
        version = _runnable(request, {acting_as.user_id, *(run.principal_id for run in line)})
        principal_id = _principal_id(request, acting_as)
        _check_bounds(request, version.now)
        event = _event(request, version, principal_id, acting_as, parent)
        _check_subjects(version, event)
        window_s = version.spec.limits.dedupe_s if request.deduplicate else 0
        key = _dedupe_key(request, version, event) if window_s else None
        twin = twin_of(key, window_s) if key is not None and request.idempotency_key is None else None
        if twin is not None:
            if twin.callback_url is not None and twin.status in TERMINAL:
                asked_again.send(sender=Run, run=twin)  # its end was told before this one asked to be told of it
            return Submitted(twin, twin.agent.slug, twin.version.number, created=False, deduplicated=True)
        run = queue(request, version, event, acting_as, parent, key)
        raced = _submitted_before(request, acting_as) if run is None else None
        if raced is not None:
            return raced
        if run is None:
            raise IntegrityError("a run of the same idempotency key stands in the way and cannot be found")
        return Submitted(run, request.agent, version.number, created=True)


def _submitted_before(request: Request, acting_as: Principal) -> Submitted | None:
    if request.idempotency_key is None:
        return None
    runs = Run.objects.filter(requested_by_id=acting_as.user_id, idempotency_key=request.idempotency_key)
    run = runs.select_related("agent", "version").defer("version__compiled").first()
    if run is None:
        return None
    if run.request_digest != request.digest:
        raise IdempotencyMismatch
    return Submitted(run, run.agent.slug, run.version.number, created=False)


def _dedupe_key(request: Request, version: Runnable, event: RunSubmitted) -> str:
    """Return the keyed hash of all that the run would be and who asks for it, its priority apart."""
    asked = [event.principal, event.requested_by, event.parent, request.input, event.usd_nano, event.tokens]
    return key_of([str(version.id), *asked, event.deadline, request.callback_url, request.metadata])


def _check_bounds(request: Request, now: datetime) -> None:
    if request.budget_usd is not None and from_usd(request.budget_usd) == 0:
        error = {"pointer": "/budget/usd", "detail": "More than nothing."}
        raise InvalidInput("A run cannot be made on nothing.", errors=[error])
    if request.deadline is not None and request.deadline <= now:
        error = {"pointer": "/deadline", "detail": "This time has passed already."}
        raise InvalidInput("The deadline has passed.", errors=[error])


def _open_line(run_id: UUID) -> list[Run]:
    """Return the run and those it is part of, nearest first; raises `UnknownRun`, `RunEnded`."""
    run = Run.objects.filter(id=run_id).first()
    if run is None:
        raise UnknownRun
    check_open(run)
    return [run, *above(run)]


def _runnable(request: Request, user_ids: Set[UUID]) -> Runnable:
    number = None if request.version is None else str(request.version)
    users = f"{{{','.join(map(str, user_ids))}}}"
    tenant = str(current_tenant_id())
    hold = (new_runs.HOLD_AGENT, [tenant, request.agent])
    _, rows = trip.make_here(hold, (new_runs.RUNNABLE, [tenant, request.agent, number, users]))
    if not rows:
        raise UnknownAgent(f"There is no agent {request.agent!r}.")
    agent_id, version_id, found, holders, now, is_stopped = rows[0]
    if trip.integer(holders) < len(user_ids):
        raise MissingGrant(f"You may not start runs of {request.agent}.")
    if trip.integer(is_stopped):
        raise AgentStopped
    if version_id is None:
        if request.version is None:
            raise NotPublished
        raise UnknownVersion(f"{request.agent} has no version {request.version}.")
    return Runnable(trip.uuid(version_id), trip.integer(found), trip.uuid(agent_id), trip.moment(now))


def _event(
    request: Request,
    version: Runnable,
    principal_id: UUID,
    acting_as: Principal,
    parent: UUID | None,
) -> RunSubmitted:
    spec = version.spec
    wrong = problems(spec.input, request.input) if spec.input is not None else []
    if wrong:
        errors = [{"pointer": f"/input{problem.pointer}", "detail": problem.message} for problem in wrong]
        raise InvalidInput(errors=errors)
    verdict = screened(request.input, spec.input_screen) if spec.input_screen is not None else None
    if verdict is not None:
        _check_screened(verdict, version)
    queued_s = spec.limits.queued_s
    return RunSubmitted(
        agent=str(version.agent_id),
        version=version.number,
        principal=f"user:{principal_id}",
        requested_by=acting_as.actor,
        input=enclose(request.input),
        usd_nano=None if request.budget_usd is None else from_usd(request.budget_usd),
        tokens=request.budget_tokens,
        deadline=request.deadline.isoformat() if request.deadline else None,
        parent=None if parent is None else str(parent),
        start_by=(version.now + timedelta(seconds=queued_s)).isoformat() if queued_s else None,
        idempotency_key=request.idempotency_key,
        **({} if verdict is None else recorded(verdict)),
    )


def _check_screened(verdict: Verdict, version: Runnable) -> None:
    """Raise `InputRefused` if the agent's guards refuse what was found."""
    found = [(hit.place, f"This holds {words(hit)}; send it without.") for hit in verdict.told("refuse")]
    if refused := [*verdict.wrong, *found]:
        errors = [{"pointer": f"/input{place}", "detail": why} for place, why in refused]
        facts = {"agent": str(version.agent_id), "version": version.number, **recorded(verdict)}
        raise InputRefused(errors=errors, facts=facts | {"guard": list(verdict.counts)})


def _check_subjects(version: Runnable, event: RunSubmitted) -> None:
    """Raise `TooManySubjects` when not all whom the run is about would be found by it."""
    found = subjects(version.spec.subject, disclose(event.input), most=MOST + 1)
    if len(found) > MOST:
        raise TooManySubjects(
            f"A run is about at most {MOST} subjects, and this one's input has more: submit it in parts."
        )


def _principal_id(request: Request, acting_as: Principal) -> UUID:
    if request.on_behalf_of is None:
        return acting_as.user_id
    permissions.check(acting_as, "runs:on_behalf_of")
    return members.by_email(request.on_behalf_of).id


def queue(
    request: Request,
    version: Runnable,
    event: RunSubmitted,
    by: Principal,
    parent: UUID | None,
    dedupe_key: str | None = None,
) -> Run | None:
    """Insert the run and its first record, and wake the engine; None when there is one of the same idempotency key."""
    run = Run(
        id=new_id(),
        agent_id=version.agent_id,
        version_id=version.id,
        principal_id=UUID(event.principal.removeprefix("user:")),
        requested_by_id=by.user_id,
        parent_id=parent,
        seq=1,
        priority=request.priority,
        ready_at=version.now,
        created_at=version.now,
        deadline=request.deadline,
        idempotency_key=request.idempotency_key,
        request_digest=request.digest,
        metadata=request.metadata or {},
        engine=name_for_new_runs(),
        dedupe_key=dedupe_key,
    )
    row = json.dumps({name: getattr(run, name) for name in new_runs.QUEUED}, default=str)
    entries = journal.entries_parameter([entry(event, by.actor)])
    persons = about.rows(subjects(version.spec.subject, disclose(event.input)))
    (made,) = trip.make_here((new_runs.QUEUE, [row, persons, entries]))
    if not made:
        return None
    if request.callback_url is not None:
        Run.objects.filter(id=run.id).update(callback_url=request.callback_url)
    engine_of(run).start(run)
    return run


def transaction_time() -> datetime:
    """Return the database's time at the start of this transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        row: tuple[datetime] = cursor.fetchone()
    return row[0]


def cancel(run_id: UUID, *, acting_as: Principal) -> Run:
    """Ask for the run's end; the engine ends it after the step it is in. Asked again, nothing more happens.

    Raises `UnknownRun`, `AccessDenied`, `RunEnded`, in this order.
    """
    permissions.check(acting_as, "runs:write")
    with tenant_scope(acting_as.tenant_id):
        run = locked(run_id)
        if not grants.held(acting_as, "run", run.agent):
            raise MissingGrant("You may not end runs of this agent.")
        check_open(run)
        if not Record.objects.filter(stream=run.id, action=RunCancelRequested.action).exists():
            run.dedupe_key = None  # who asks for the same now wants another one
            append(run, [RunCancelRequested(by=acting_as.actor)], acting_as.actor)
            engine_of(run).cancel(run.id)
    return run


def record_decision(run_id: UUID, made: DecisionMade, *, was_set_aside: bool = False) -> None:
    """Append a person's answer to the run and wake it; part of the caller's transaction and scope.

    was_set_aside: whether it answers what is to become of a run that no worker got any further. Raises `RunEnded`
    when the run ended meanwhile.
    """
    run = locked(run_id)
    check_open(run)
    if was_set_aside and made.decision != "reject":
        run.tries = 0  # it is tried again
    append(run, [made], made.by)
    engine_of(run).wake(run.id)


def locked(run_id: UUID) -> Run:
    """Return the run, its row locked, with agent and version; raises `UnknownRun`."""
    run = Run.objects.select_for_update(of=("self",)).select_related("agent", "version").filter(id=run_id).first()
    if run is None:
        raise UnknownRun
    return run


def check_open(run: Run) -> None:
    """Raise `RunEnded` when the run is over."""
    if run.status in TERMINAL:
        raise RunEnded


def append(run: Run, events: Sequence[Event], actor: str) -> None:
    """Append behind the run's last event; the row's lock, held until commit, orders the numbers."""
    journal.append_at(run.id, run.seq, [entry(event, actor) for event in events])
    run.seq += len(events)
    run.save(update_fields=["seq", "tries", "dedupe_key"])
