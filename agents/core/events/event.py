"""What every event has."""

from dataclasses import dataclass
from typing import Any, ClassVar

Json = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact of a run's history."""

    action: ClassVar[str]
    v: ClassVar[int] = 1
    erasable: ClassVar[frozenset[str]] = frozenset()
    outcome: ClassVar[str] = "ok"
