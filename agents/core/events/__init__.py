"""What can happen to a run, as frozen values, and their form in the journal.

Each class is one event type of the contract. Its `erasable` fields (arguments, outputs, messages, digests) go to the
record's payload, all others to its facts: opaque ids, codes and numbers only. A class's `v` is the version of its
shape; a changed shape gets a new version and an entry in `UPCASTERS`, so that every journal folds for ever.
"""

from agents.core.events.budget import BudgetExtended, BudgetReserved, BudgetSettled
from agents.core.events.child import ChildFinished, ChildStarted
from agents.core.events.decision import (
    DecisionAnswered,
    DecisionExpired,
    DecisionMade,
    DecisionRequested,
    DecisionUndone,
)
from agents.core.events.event import Event, Json
from agents.core.events.model import ModelAnswered, ModelFailed, ModelRequested
from agents.core.events.output import OutputAccepted, OutputRejected
from agents.core.events.run import (
    PRINCIPAL_GONE,
    WORKER_DIED,
    RunCancelled,
    RunCancelRequested,
    RunCompensating,
    RunCompleted,
    RunFailed,
    RunGuided,
    RunResumed,
    RunRetried,
    RunReversing,
    RunStarted,
    RunSubmitted,
    RunWaiting,
)
from agents.core.events.stored import BY_ACTION, UPCASTERS, UnknownEvent, event_of, facts_and_payload, own_facts
from agents.core.events.tool import ToolCompensated, ToolDenied, ToolFailed, ToolFinished, ToolRequested, ToolUnknown

__all__ = [
    "BY_ACTION",
    "PRINCIPAL_GONE",
    "UPCASTERS",
    "WORKER_DIED",
    "BudgetExtended",
    "BudgetReserved",
    "BudgetSettled",
    "ChildFinished",
    "ChildStarted",
    "DecisionAnswered",
    "DecisionExpired",
    "DecisionMade",
    "DecisionRequested",
    "DecisionUndone",
    "Event",
    "Json",
    "ModelAnswered",
    "ModelFailed",
    "ModelRequested",
    "OutputAccepted",
    "OutputRejected",
    "RunCancelRequested",
    "RunCancelled",
    "RunCompensating",
    "RunCompleted",
    "RunFailed",
    "RunGuided",
    "RunResumed",
    "RunRetried",
    "RunReversing",
    "RunStarted",
    "RunSubmitted",
    "RunWaiting",
    "ToolCompensated",
    "ToolDenied",
    "ToolFailed",
    "ToolFinished",
    "ToolRequested",
    "ToolUnknown",
    "UnknownEvent",
    "event_of",
    "facts_and_payload",
    "own_facts",
]
