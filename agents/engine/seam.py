"""The seam between what happens to runs and what drives them.

Whoever makes a run due calls this inside the transaction that makes it so; the run's engine does the rest. A run keeps
the engine it was started on, so that after a change of `ENGINE` new ones start there and old ones drain. A lost, late
or tenth wake-up is harmless.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from agents.models import Run
from db.pool import Connection

#: What is left to do once a transaction is committed, if anything.
Afterwards = Callable[[], Any] | None

DEFAULT: Final = "django_q"


class Engine(Protocol):
    """What an engine can be told. Runs are named within the tenant in scope."""

    def start(self, run: Run) -> None:
        """The run was queued by this transaction, ready to be claimed."""

    def wake(self, run_id: UUID) -> None:
        """The run can go on now."""

    def cancel(self, run_id: UUID) -> None:
        """Somebody asked to end the run; whoever drives it should look."""

    def made_ready(
        self, connection: Connection, run_id: UUID, tenant_id: UUID, *, priority: int, wakes: bool
    ) -> Afterwards:
        """A worker's transaction on `connection` made the run claimable. wakes: whether it may have been waiting."""


_ENGINES: Final = {
    "django_q": "agents.engine.django_q.DjangoQ",
    "temporal": "agents.engine.temporal.engine.Temporal",
}


def name_for_new_runs() -> str | None:
    """Return what `Run.engine` is of runs that start now: None for the default engine."""
    return None if settings.ENGINE == DEFAULT else settings.ENGINE


def engine_of(run: Run) -> Engine:
    """Return the engine that the run was started on."""
    return _named(run.engine)


def made_ready(
    connection: Connection, engine: str | None, run_id: UUID, tenant_id: UUID, *, priority: int = 0, wakes: bool = False
) -> Afterwards:
    """Tell a run's engine that a worker's transaction made it claimable; returns what to do once that is committed.

    engine: as of its row.
    """
    return _named(engine).made_ready(connection, run_id, tenant_id, priority=priority, wakes=wakes)


def _named(engine: str | None) -> Engine:
    made: Engine = import_string(_ENGINES[engine or DEFAULT])()
    return made
