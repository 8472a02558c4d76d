"""The kill switch of an agent: no new runs of it, those under way ended; and letting it go on.

Stopping holds the agent's row, and so does who starts a run (`new_runs.HOLD_AGENT`, `START_CHILD`): every run is
either there to be ended when the stop is committed, or refused.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, get_args
from uuid import UUID

from django.db import OperationalError
from django.db.models import QuerySet
from django.utils import timezone

from access import grants, permissions
from access.acting import acting
from access.errors import AccessDenied, MissingGrant
from agents.actions import agents, runs
from agents.core.events import RunCancelRequested
from agents.core.lifecycle import TERMINAL, Status
from agents.errors import AgentNotStopped, AlreadyStopped, RunEnded, StopReasonMissing
from agents.models import Agent, Run
from audit import journal
from audit.models import Record
from db.scope import tenant_scope
from tenants.principal import Principal

log = logging.getLogger(__name__)

#: The longest reason, in characters.
LONGEST_REASON: Final = 1000

#: For how long runs are asked to end in one go, in seconds; asked again, it goes on.
LONGEST_S: Final = 10.0

#: SQLSTATEs of waiting for longer than the server lets one: for a lock, for a statement as a whole.
_TOO_LONG: Final = frozenset({"55P03", "57014"})

STOPPED: Final = "agent.stopped"

#: Runs whose journals are looked into with one query.
_AT_ONCE: Final = 500

#: Named, and not by what they are not: so the few are found by the index on the status, however long the history is.
_OPEN: Final = tuple(sorted(set(get_args(Status)) - TERMINAL))


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of ending an agent's runs. asked: were asked to end by this call; left: are still to be asked."""

    asked: int
    left: int


def stop(agent: Agent, *, reason: str, anew: bool = False, acting_as: Principal) -> Agent:
    """Let no new run of the agent begin; those under way go on until `end_runs`. Stopped already, it stays so.

    reason: 1 to `LONGEST_REASON` characters, for the audit; erasable. anew: raise `AlreadyStopped` where it is, for who
    is to know that their reason is not kept. For whoever may edit the agent. Raises `StopReasonMissing`, and what
    `agents.may_edit` raises.
    """
    with acting(acting_as) as actor:
        agents.may_edit(agent.slug, acting_as)
        reason = reason.strip()
        if not reason or len(reason) > LONGEST_REASON:
            raise StopReasonMissing
        agent = agents.locked(id=agent.id)
        if anew and agent.stopped_at is not None:
            raise AlreadyStopped
        if agent.stopped_at is None:
            agent.stopped_at = timezone.now()
            agent.save(update_fields=["stopped_at", "updated_at"])
            facts = {"open": under_way(agent).count()}
            journal.record(
                STOPPED, stream=agent.id, actor=actor, facts=facts, payload={"slug": agent.slug, "reason": reason}
            )
        return agent


def let_go_on(agent: Agent, *, acting_as: Principal) -> Agent:
    """Let new runs of a stopped agent begin again; one that is not stopped stays so. Raises as `agents.may_edit`."""
    with acting(acting_as) as actor:
        agents.may_edit(agent.slug, acting_as)
        agent = agents.locked(id=agent.id)
        if agent.stopped_at is not None:
            agent.stopped_at = None
            agent.save(update_fields=["stopped_at", "updated_at"])
            journal.record("agent.resumed", stream=agent.id, actor=actor, payload={"slug": agent.slug})
        return agent


def end_runs(agent: Agent, *, acting_as: Principal, clock: Callable[[], float] = time.monotonic) -> Ended:
    """Ask every run of the stopped agent that is under way to end, each in a transaction of its own.

    What undoes another run's work goes on, and who was asked before is not asked again. Outside any transaction, so
    that each is asked at once; one that cannot be, as its row is held for too long, is left. Raises `AgentNotStopped`,
    and what `runs.cancel` raises where a right is missing, before any is asked.
    """
    began, asked, held = clock(), 0, 0
    with tenant_scope(acting_as.tenant_id):
        check_ends(agent, acting_as)
        if agents.locked(id=agent.id).stopped_at is None:
            raise AgentNotStopped
        waiting = _unasked(list(under_way(agent).order_by("id").values_list("id", flat=True)))
    for place, run in enumerate(waiting):
        if clock() - began > LONGEST_S:
            return Ended(asked, held + len(waiting) - place)
        try:
            asked += _asked(run, acting_as)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) not in _TOO_LONG:
                raise
            log.warning("a run could not be asked to end", extra={"run": str(run)}, exc_info=True)
            held += 1
    return Ended(asked, held)


def check_ends(agent: Agent, acting_as: Principal) -> None:
    """Raise `AccessDenied`, `MissingGrant` unless they may end runs of the agent; in its tenant's scope."""
    permissions.check(acting_as, "runs:write")
    if not grants.held(acting_as, "run", agent):
        raise MissingGrant("You may not end runs of this agent.")


def may_end(agent: Agent, acting_as: Principal) -> bool:
    """Say whether `check_ends` would let them."""
    try:
        check_ends(agent, acting_as)
    except AccessDenied:
        return False
    return True


def under_way(agent: Agent) -> "QuerySet[Run]":
    """Return the agent's runs that have not ended, but for those that undo what others did."""
    return Run.objects.filter(agent=agent, reverses_id=None, status__in=_OPEN)


def last_stop(agent: Agent) -> Record | None:
    """Return the record of the agent's latest stop: who, when, and (its payload) why."""
    return Record.objects.filter(stream=agent.id, action=STOPPED).order_by("-id").first()


def _unasked(listed: Sequence[UUID]) -> list[UUID]:
    """Return those that nobody asked to end yet, in order. So many at a time that each is looked up by the index."""
    unasked: list[UUID] = []
    for place in range(0, len(listed), _AT_ONCE):
        these = listed[place : place + _AT_ONCE]
        asked = Record.objects.filter(stream__in=these, action=RunCancelRequested.action).values_list(
            "stream", flat=True
        )
        unasked += sorted(set(these).difference(asked))
    return unasked


def _asked(run: UUID, acting_as: Principal) -> bool:
    """Ask the run to end; says whether nobody had before, and it goes on."""
    try:
        with tenant_scope(acting_as.tenant_id):
            before = runs.locked(run).seq
            return runs.cancel(run, acting_as=acting_as).seq > before
    except RunEnded:
        return False  # by itself, since it was listed
