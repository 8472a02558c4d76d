"""What a step is made of before it is written: facts, what they lead to, and what they do to the tenant's month."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from random import random
from uuid import UUID

from agents.core import calls
from agents.core.decide import CallModel, Command, Finished, Park, Perform, Record, decide
from agents.core.events import (
    BudgetReserved,
    BudgetSettled,
    DecisionExpired,
    DecisionRequested,
    Event,
    ModelRequested,
    RunCompensating,
    RunWaiting,
)
from agents.core.fold import fold, fold_all
from agents.core.spec import AgentSpec
from agents.core.state import Held, RunState
from agents.core.triage import model_of
from quotas import reservations
from quotas.reservations import Change


@dataclass(slots=True)
class Draft:
    """What the next commit will hold."""

    state: RunState
    spec: AgentSpec
    events: list[Event] = field(default_factory=list)

    def add(self, *events: Event) -> None:
        """Fold more facts in."""
        for event in events:
            self.state = fold(self.state, event)
            self.events.append(event)

    def copy(self) -> "Draft":
        """Return another one to go on with."""
        return Draft(self.state, self.spec, [*self.events])

    def think(self, now: datetime) -> Command:
        """Decide, folding in consequences, until something outside is needed."""
        while True:
            command = decide(self.state, self.spec, now=now, jitter=random())  # noqa: S311 - spreads back-offs
            if not isinstance(command, Record):
                return command
            self.add(*command.events)

    def is_plain(self, command: Command) -> bool:
        """Whether the step is one statement: nobody has to be asked, and nothing that was asked has to be withdrawn."""
        if not isinstance(command, CallModel | Perform | Finished):
            return False
        if self.state.ended and (self.state.asked or self.state.parent is not None):
            return False  # somebody was asked, or waits for its end
        more = DecisionRequested | DecisionExpired | RunCompensating
        return not any(isinstance(event, more) for event in self.events)

    def intend(self, command: Command, now: datetime) -> None:
        """Fold in the intent of a model call, or that the run waits; what else is intended has been planned."""
        if isinstance(command, CallModel):
            model = model_of(self.state, self.spec)
            self.add(ModelRequested(turn=command.turn, model=model, max_tokens=command.max_tokens))
        elif isinstance(command, Park):
            until = command.until.isoformat() if command.until else None
            waits = RunWaiting(waiting_for=command.waiting_for, reason=command.reason, until=until, at=now.isoformat())
            self.add(waits)

    def settlements(self, before: RunState) -> list[Change]:
        """Return what this does to budgets when it settles; `before`: the state that it began from."""
        return settlements(self.events, before)


def settlements(events: Sequence[Event], before: RunState) -> list[Change]:
    """Return what `events` do to budgets when one of them settles; `before`: the state they began from.

    One change at most, but of a child that a person let spend more than was set aside for it: what goes beyond is its
    own to settle everywhere, and what does not is its parent's, but in the windows of the child's agent.
    """
    for place, event in enumerate(events):
        if isinstance(event, BudgetSettled):
            state = fold_all(events[:place], before)
            if state.within is None:
                return [] if state.held is None else [_settling(state.held, event.usd_nano, event.tokens)]
            return _settling_within(state.within, state.held, event)
    return []


def _settling_within(within: Held, held: Held | None, settled: BudgetSettled) -> list[Change]:
    usd_nano, tokens = min(settled.usd_nano, within.usd_nano), min(settled.tokens, within.tokens)
    changes = []
    if held is not None:
        changes.append(_settling(held, settled.usd_nano - usd_nano, settled.tokens - tokens))
    if within.windows:
        changes.append(_settling(within, usd_nano, tokens))
    return changes


def _settling(held: Held, usd_nano: int, tokens: int) -> Change:
    return in_windows_of(held, held.usd_nano, held.tokens).settled(usd_nano=usd_nano, tokens=tokens)


def in_windows_of(held: Held, usd_nano: int, tokens: int) -> Change:
    """Return the change that reserves so much in the windows in which the run holds something already."""
    windows = [UUID(each) for each in held.windows]
    return reservations.reservation(usd_nano, tokens, on=date.fromisoformat(held.window), windows=windows)


def reserved(change: Change, *, within: str | None = None) -> BudgetReserved:
    """Return the fact of a reservation. within: the run that set it aside."""
    return BudgetReserved(
        usd_nano=change.hold_usd,
        tokens=change.hold_tokens,
        window=change.window_on.isoformat(),
        windows=tuple(str(each) for each in change.windows),
        within=within,
    )


def is_same(stored: Event, happened: Event) -> bool:
    """Say whether a stored event is the one that was to be written: of one call or turn there is only one."""
    of = ("turn", "call", "tool")
    return stored.action == happened.action and all(
        getattr(stored, name, None) == getattr(happened, name, None) for name in of
    )


def standing_order(state: RunState) -> Command:
    """Return what the last commit of this state was the intent of; nothing of it has been done yet.

    Without one, a `Perform` of no calls.
    """
    if state.ended:
        return Finished()
    if state.status == "waiting":
        return Park(state.waiting_for or "decision", "")
    if state.calling_model:
        return CallModel(state.turn, state.cut_to)
    return Perform(tuple(calls.requested(state)))
