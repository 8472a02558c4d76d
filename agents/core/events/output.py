"""Outputs, accepted or sent back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agents.core.events.event import Event, Json


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputAccepted(Event):
    """The output passed its schema and rules. output: with the guards' masks. guard, detectors: see `RunSubmitted`."""

    action = "output.accepted"
    erasable = frozenset({"output"})
    turn: int
    output: Json
    guard: Sequence[Mapping[str, Json]] = ()
    detectors: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRejected(Event):
    """The answer cannot be used; the model is told why. code: `schema`, `rule`, `guarded`, `not_json`, …

    handed_to: the model that is asked in its place, where it was a smaller one's; nobody is told then.
    """

    action = "output.rejected"
    outcome = "failed"
    erasable = frozenset({"output", "errors"})
    turn: int
    code: str
    errors: Sequence[Mapping[str, str]]
    output: Json = None
    guard: Sequence[Mapping[str, Json]] = ()
    detectors: str | None = None
    handed_to: str | None = None
