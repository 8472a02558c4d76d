"""What a run holds of budgets, and what it spent."""

from collections.abc import Sequence
from dataclasses import dataclass

from agents.core.events.event import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetReserved(Event):
    """The run holds this much of its tenant's month. window: the month's first day.

    windows: the ids of all the budgets' windows that hold it, where more than the tenant's month counts. within: the
    run that set it aside of its own, and holds it everywhere but in `windows`: those of the child's own agent.
    """

    action = "budget.reserved"
    usd_nano: int
    tokens: int
    window: str
    windows: Sequence[str] = ()
    within: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetExtended(Event):
    """A person let this much more be spent in one window of a budget. window: its id; escalation: who said so there."""

    action = "budget.extended"
    usd_nano: int
    tokens: int
    window: str
    escalation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSettled(Event):
    """What the run really spent; its reservation is given back."""

    action = "budget.settled"
    usd_nano: int
    tokens: int
    window: str
