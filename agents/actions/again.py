"""Runs made of others: one that ended is tried again, or what it did is undone."""

import hashlib
from collections.abc import Iterator
from typing import Final, Literal
from uuid import UUID

from access import grants, permissions
from access.errors import MissingGrant
from agents.actions import histories, runs
from agents.actions.runs import Request, Runnable, Submitted, transaction_time
from agents.actions.versions import spec_of_run
from agents.core import continuing
from agents.core.events import WORKER_DIED, ChildStarted, Event, RunCompensating, RunRetried, RunReversing, RunSubmitted
from agents.core.exact import disclose
from agents.core.fold import fold_all
from agents.core.lifecycle import TERMINAL
from agents.core.money import to_usd
from agents.core.state import RunState
from agents.errors import HistoryErased, NothingToCarryOn, PartOfAnother, RunNotEnded
from agents.models import Run
from audit.models import Record
from db.scope import tenant_scope
from tenants.models import User
from tenants.principal import Principal

Start = Literal["step", "start"]

STARTS: Final = ("step", "start")


def retry(run_id: UUID, start: Start, *, acting_as: Principal, idempotency_key: str | None = None) -> Submitted:
    """Start a run that tries an ended one again, for the same member: anew, or from the last step it completed.

    From the start it is of the agent's live version; from a step of the same one, and repeats no call that has its
    result. A part of another run is not tried by itself: it would know neither what
    that one had read nor what it may spend. Raises `UnknownRun`, `RunNotEnded`, `PartOfAnother`, `NothingToCarryOn`,
    `HistoryErased`, and what `runs.submit` raises.
    """
    with tenant_scope(acting_as.tenant_id):
        old = runs.locked(run_id)
        permissions.check(acting_as, "runs:write")
        if not grants.held(acting_as, "run", old.agent):
            raise MissingGrant(f"You may not start runs of {old.agent.slug}.")
        if old.status not in TERMINAL:
            raise RunNotEnded
        if old.parent_id is not None:
            raise PartOfAnother
        if start == "step":
            _check_carries_on(old)
        history = histories.events_of(old)
        if any(isinstance(event, RunReversing) for event in history):
            raise NothingToCarryOn("This run undoes what another one did, and is not made again.")
        submitted = runs.submit(_request(old, history, start, idempotency_key, acting_as), acting_as=acting_as)
        if submitted.created:
            run = runs.locked(submitted.run.id)
            runs.append(run, [_retried(old, history, start)], acting_as.actor)
            Run.objects.filter(id=run.id).update(retry_of_id=old.id)
        return submitted


def reverse(run: Run, *, by: Principal) -> list[Run]:
    """Start runs that undo what an ended one did and what runs below it did, the latest first; part of another's work.

    A call of an agent that has a tool to undo it is undone by that one alone. They act for whom `run` acted for, and
    are of the versions that did it. One does for all, but for what children did whose ends do not tell of it, as those
    of former releases: each of these is undone by one more. Nothing is undone twice: not what a run undoes already, nor
    what the run itself settled before it ended without its output, nor what a tool of a run above undoes as a whole.
    `run`: with agent and version.
    """
    if _is_undone(runs.locked(run.id)) or _is_undone_above(run):
        return []
    history = histories.events_of(run)
    ended = fold_all(history, RunState(run.id, undoable=spec_of_run(run).undoable))
    settled = (call.undoes for call in ended.calls if call.undoes is not None)  # undone, or left so by a person
    undone = {(effect.turn, effect.index) for effect in (*ended.effects, *settled)}
    started = [event for event in history if isinstance(event, ChildStarted) and (event.turn, event.call) not in undone]
    children = Run.objects.select_related("agent", "version").filter(status="completed")
    below = children.in_bulk([UUID(event.run) for event in started])
    made = [_reversal(run, _submitted(history), ended, by)] if ended.effects else []
    for event in reversed(started):
        if (child := below.get(UUID(event.run))) is not None:
            made += reverse(child, by=by)
    return made


def _is_undone(run: Run) -> bool:
    """Say whether another run undoes this one, or has. Whoever makes one holds the row of the run that it undoes."""
    return Run.objects.filter(reverses_id=run.id).exclude(status__in=("failed", "cancelled")).exists()


def _is_undone_above(run: Run) -> bool:
    """Say whether the call that the run is a part of is undone by a run above, or was, or left so by a person.

    A step that begins to holds the rows of the runs below that call, as whoever undoes one of them does. Where a
    payload of a run above is gone, it counts as undone if that one undid, or undoes, anything at all.
    """
    while run.parent_id is not None:
        child, run = run, Run.objects.select_related("version").get(id=run.parent_id)
        undoing = [run, *Run.objects.select_related("version").filter(reverses_id=run.id)]
        try:
            started = _started(histories.events_of(run), child)
            if started in {place for each in undoing for place in _undoes(histories.state_of(each))}:
                return True
        except HistoryErased:
            if any(_has_begun_to_undo(each) for each in undoing):
                return True
    return False


def _has_begun_to_undo(run: Run) -> bool:
    return Record.objects.filter(stream=run.id, action__in=(RunCompensating.action, RunReversing.action)).exists()


def _undoes(state: RunState) -> Iterator[tuple[int, int]]:
    """Yield turn and place of each call that it undoes, or has undone: its own, or of the run that it reverses."""
    effects = [call.undoes for call in state.calls if call.undoes is not None]
    for effect in (*effects, *(state.effects if state.reverses is not None else ())):
        yield effect.turn, effect.index


def _started(history: list[Event], child: Run) -> tuple[int, int] | None:
    """Return the turn and the place of the call that started the child; None of one that undoes something."""
    found = (event for event in history if isinstance(event, ChildStarted) and event.run == str(child.id))
    return next(((event.turn, event.call) for event in found if event.reverses is None), None)


def _reversal(run: Run, submitted: RunSubmitted, ended: RunState, by: Principal) -> Run:
    version = Runnable(run.version_id, run.version.number, run.agent_id, transaction_time())
    event = RunSubmitted(
        agent=str(run.agent_id),
        version=run.version.number,
        principal=f"user:{run.principal_id}",
        requested_by=by.actor,
        input=submitted.input,
    )
    made = runs.queue(Request(run.agent.slug, None), version, event, by, None)
    if made is None:
        raise AssertionError("A run without an idempotency key is always made.")
    runs.append(runs.locked(made.id), [continuing.reversal(ended)], by.actor)
    Run.objects.filter(id=made.id).update(reverses_id=run.id)
    return made


def _check_carries_on(old: Run) -> None:
    if old.status == "completed":
        raise NothingToCarryOn("The run has its output; there is no step to carry on from.")
    if old.error_code == WORKER_DIED:
        raise NothingToCarryOn("What it was at killed its workers; try it again from the start.")


def _request(old: Run, history: list[Event], start: Start, key: str | None, acting_as: Principal) -> Request:
    submitted = _submitted(history)
    of_another = old.principal_id != acting_as.user_id
    return Request(
        agent=old.agent.slug,
        input=disclose(submitted.input),
        version=old.version.number if start == "step" else None,
        on_behalf_of=User.objects.get(id=old.principal_id).email if of_another else None,
        budget_usd=to_usd(submitted.usd_nano) if submitted.usd_nano is not None else None,
        budget_tokens=submitted.tokens,
        metadata=old.metadata,
        priority=old.priority,
        callback_url=old.callback_url,
        idempotency_key=key,
        digest=hashlib.sha256(f"retry {old.id} {start}".encode()).hexdigest() if key else None,
    )


def _retried(old: Run, history: list[Event], start: Start) -> RunRetried:
    if start == "start":
        return RunRetried(of=str(old.id), start=start)
    if any(isinstance(event, RunCompensating) for event in history):
        raise NothingToCarryOn("What the run had done was undone when it ended; try it again from the start.")
    ended = fold_all(history, RunState(old.id, undoable=spec_of_run(old).undoable))
    if ended.ending is not None or not ended.answers:
        raise NothingToCarryOn("The run had not completed a step; try it again from the start.")
    return continuing.carried_on(ended, f"It had ended with the code {old.error_code or old.status}.")


def _submitted(history: list[Event]) -> RunSubmitted:
    first = history[0]
    if not isinstance(first, RunSubmitted):
        raise AssertionError("A run begins with its submission.")
    return first
