"""What a run has come to, folded from its journal by those who are not its worker."""

from agents.actions.versions import spec_of_run
from agents.core.events import Event, event_of
from agents.core.fold import fold_all
from agents.core.state import RunState
from agents.errors import HistoryErased
from agents.models import Run
from audit import journal


def events_of(run: Run) -> list[Event]:
    """Return all that happened to the run; raises `HistoryErased` when a part of it was erased."""
    found = journal.read(run.id, limit=1_000_000)
    if any(stored.erased for stored in found):
        raise HistoryErased
    return [event_of(stored.action, stored.v, stored.facts, stored.payload) for stored in found]


def state_of(run: Run) -> RunState:
    """Return where the run stands; `run` comes with its version. Raises `HistoryErased`."""
    return fold_all(events_of(run), RunState(run.id, undoable=spec_of_run(run).undoable))
