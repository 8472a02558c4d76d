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
        if not isinstance(command, CallModel | Perform | Finished) or (self.state.ended and self.state.asked):
            return False
        more = DecisionRequested | DecisionExpired | RunCompensating
        return not any(isinstance(event, more) for event in self.events)

    def intend(self, command: Command, now: datetime) -> None:
        """Fold in the intent of a model call, or that the run waits; what else is intended has been planned."""
        if isinstance(command, CallModel):
            self.add(ModelRequested(turn=command.turn, model=self.spec.model, max_tokens=command.max_tokens))
        elif isinstance(command, Park):
            until = command.until.isoformat() if command.until else None
            waits = RunWaiting(waiting_for=command.waiting_for, reason=command.reason, until=until, at=now.isoformat())
            self.add(waits)

    def settlement(self, before: RunState) -> Change | None:
        """Return what this does to the tenant's month when it settles; `before`: the state that it began from."""
        return settlement(self.events, before)


def settlement(events: Sequence[Event], before: RunState) -> Change | None:
    """Return what `events` do to the tenant's month when one of them settles; `before`: the state they began from."""
    for place, event in enumerate(events):
        if isinstance(event, BudgetSettled):
            held = fold_all(events[:place], before).held
            return _settling(held, event) if held is not None else None
    return None


def _settling(held: Held, settled: BudgetSettled) -> Change:
    return in_windows_of(held, held.usd_nano, held.tokens).settled(usd_nano=settled.usd_nano, tokens=settled.tokens)


def in_windows_of(held: Held, usd_nano: int, tokens: int) -> Change:
    """Return the change that reserves so much in the windows in which the run holds something already."""
    windows = [UUID(each) for each in held.windows]
    return reservations.reservation(usd_nano, tokens, on=date.fromisoformat(held.window), windows=windows)


def reserved(change: Change) -> BudgetReserved:
    """Return the fact of a reservation."""
    return BudgetReserved(
        usd_nano=change.hold_usd,
        tokens=change.hold_tokens,
        window=change.window_on.isoformat(),
        windows=tuple(str(each) for each in change.windows),
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
