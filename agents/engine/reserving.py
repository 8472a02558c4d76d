"""What a run reserves where more than its tenant's month counts, where there is no room, or where people made some."""

from typing import Final
from uuid import UUID

from agents.core import limits
from agents.core.decide import Reserve
from agents.core.events import BudgetExtended, Event
from agents.core.fold import fold_all
from agents.core.state import Extension, RunState
from agents.engine.draft import in_windows_of, reserved
from agents.engine.leases import Claimed
from agents.engine.store import Step
from quotas import reservations
from quotas.reservations import Change, Payer

#: Agents of whose latest run that reserved here more than the tenant's month counted: a guess for the next one.
_counted_more: Final[set[UUID]] = set()


def counting_windows(step: Step, run: Claimed) -> tuple[UUID, ...]:
    """Return the ids of the windows that count for what the run reserves now; none when its tenant's month alone does.

    The day is the database's (see `Claimed.now`).
    """
    windows = reservations.counting_windows(step.connection, _payer(run), on=run.now().date())
    (_counted_more.add if windows else _counted_more.discard)(run.agent_id)
    return windows


def counts_more(run: Claimed) -> bool:
    """Say whether more than the tenant's month counted the last time, by what this process remembers."""
    return run.agent_id in _counted_more


def _payer(run: Claimed) -> Payer:
    return Payer(run.tenant_id, run.agent_id, run.principal_id, run.above)


def reserve(step: Step, run: Claimed, state: RunState, wanted: Reserve) -> list[Event]:
    """Add what a person let be spent more, then reserve; returns the facts, a question when a window has no room.

    A run that holds something reserves more in the same windows, whatever day it is by now. A child takes first what
    its parent holds for it, which is reserved in the windows of its own agent alone. Nothing may come of it when
    somebody made room just now: then try again.
    """
    within = str(state.parent) if state.parent is not None and state.within is None else None
    change = _change(step, run, state, wanted)
    happened = [] if state.extension is None else [_extend(step, run, state.extension, change)]
    if within is not None and not change.windows:  # all of it is held by the parent
        return [*happened, reserved(change, within=within)]
    if reservations.reserve(step.connection, change, tenant_id=run.tenant_id):
        return [*happened, reserved(change, within=within)]
    full = reservations.first_full(step.connection, change, tenant_id=run.tenant_id)
    if full is None:
        return happened
    asked = limits.budget_exhausted(
        fold_all(happened, state),
        run.spec,
        budget=full.budget,
        rule=full.kind,
        window=str(full.window_id),
        usd_nano=wanted.usd_nano if full.usd else 0,
        tokens=wanted.tokens if full.tokens else 0,
    )
    return [*happened, asked]


def _change(step: Step, run: Claimed, state: RunState, wanted: Reserve) -> Change:
    if state.held is not None:
        return in_windows_of(state.held, wanted.usd_nano, wanted.tokens)
    if state.parent is not None and state.within is None:
        own = reservations.agent_windows(step.connection, _payer(run), on=run.now().date())
        return reservations.reservation(wanted.usd_nano, wanted.tokens, on=run.now().date(), windows=own)
    windows = counting_windows(step, run)
    return reservations.reservation(wanted.usd_nano, wanted.tokens, on=run.now().date(), windows=windows)


def _extend(step: Step, run: Claimed, extension: Extension, change: Change) -> Event:
    """Let more be spent in the window that a person extended; nothing, when its budget has gone meanwhile."""
    usd_nano, tokens = extension.usd_nano, extension.tokens
    if not reservations.extend(
        *(step.connection, UUID(extension.window), change),
        usd_nano=usd_nano,
        tokens=tokens,
        tenant_id=run.tenant_id,
    ):
        usd_nano = tokens = 0
    return BudgetExtended(usd_nano=usd_nano, tokens=tokens, window=extension.window, escalation=extension.escalation)
