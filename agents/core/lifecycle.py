"""The states of a run and the events that move it between them: one literal table, drawn in the docs from here."""

from typing import Final, Literal

Status = Literal["queued", "running", "waiting", "completed", "failed", "cancelled"]

TERMINAL: Final = frozenset({"completed", "failed", "cancelled"})

#: (status, event) → status. An event not named here leaves the status as it is; in a terminal state nothing happens.
TRANSITIONS: Final[dict[tuple[str, str], Status]] = {
    ("queued", "run.started"): "running",
    ("running", "run.waiting"): "waiting",
    ("running", "run.resumed"): "running",
    ("running", "run.compensating"): "running",
    ("running", "run.completed"): "completed",
    ("running", "run.failed"): "failed",
    ("running", "run.cancelled"): "cancelled",
    ("waiting", "run.resumed"): "running",
}


class ImpossibleTransition(Exception):
    """The journal tells of a step that a run in this state cannot take."""


#: Events that only make sense where the table names them.
_MOVING: Final = frozenset(action for _, action in TRANSITIONS)


def after(status: Status, action: str) -> Status:
    """Return the status that `action` leads to; raises `ImpossibleTransition`."""
    if (status, action) in TRANSITIONS:
        return TRANSITIONS[status, action]
    if action in _MOVING or status in TERMINAL:
        raise ImpossibleTransition(f"{action} while {status}")
    return status
