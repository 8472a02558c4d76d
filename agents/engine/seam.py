"""The seam between what happens to runs and what drives them.

Whoever makes a run due calls this inside the transaction that makes it so; the installation's engine does the rest.
A lost, late or tenth wake-up is harmless.
"""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string


class Engine(Protocol):
    """What an engine can be told. Runs are named within the tenant in scope."""

    def start(self, run_id: UUID) -> None:
        """The run was queued by this transaction, ready to be claimed."""

    def wake(self, run_id: UUID) -> None:
        """The run can go on now."""

    def wake_at(self, run_id: UUID, at: datetime) -> None:
        """The run can go on from that time."""

    def cancel(self, run_id: UUID) -> None:
        """Somebody asked to end the run; whoever drives it should look."""


_ENGINES = {"django_q": "agents.engine.django_q.DjangoQ"}


def engine() -> Engine:
    """Return the installation's engine."""
    made: Engine = import_string(_ENGINES[settings.ENGINE])()
    return made
