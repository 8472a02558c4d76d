"""What Temporal keeps of a run: ids, numbers and codes, in its history for as long as its retention says. Pure.

Nothing of a run's content (input, arguments, results, words of errors) has a field here.
"""

from dataclasses import dataclass
from typing import Final

#: The workflow's name, its signal, and the activities.
WORKFLOW: Final = "run"
WAKE: Final = "wake"
TAKE_UP: Final = "take_up"
STEP: Final = "step"
PACE: Final = "pace"

#: Kinds of standing. The first three: a worker has the run in its hands, and what it does next.
MODEL: Final = "model"
TOOLS: Final = "tools"
HELD: Final = "held"
RELEASED: Final = "released"
LOST: Final = "lost"
PARKED: Final = "parked"
ENDED: Final = "ended"

#: In place of the seq of a step: perform nothing, and say where the run stands, if its next call is still wanted.
LOOK: Final = 0


@dataclass(frozen=True)
class Standing:
    """Where a run stands, as an activity reports it.

    kind: `model`, `tools`, `held` (in the hands of the worker that serves `queue`, under `epoch`, `seq` events known),
    `released` (anybody may take it up now), `lost` (not in the hands of the worker asked), `parked`, `ended`.
    pause_s: of a parked run, seconds by the database's clock until it is due by itself; None for never. calls: whether
    it calls the model first when it goes on, as far as one can see.
    status: of an ended run. pace: the queue whose rate a model call has to keep to first; None for none.
    """

    kind: str
    queue: str | None = None
    epoch: int = 0
    seq: int = 0
    pause_s: float | None = None
    calls: bool = False
    status: str | None = None
    pace: str | None = None


def take_up_queue(base: str, *, calls: bool) -> str:
    """Return the queue on which runs are taken up: those that call the model first, however many, hold up no others.

    base: the task queue of the workflows.
    """
    return f"{base}-calls" if calls else f"{base}-others"


def workflow_id(run_id: object) -> str:
    """Return the id of the one workflow a run can have open; starting it twice is harmless."""
    return f"run-{run_id}"
