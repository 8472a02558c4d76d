"""The seam's verbs for runs that Temporal dispatches: rows first, then a message that may get lost.

What makes a run due is committed before Temporal hears of it, and the row says so until the run is claimed. So whoever
submits or decides never waits for Temporal; when it is away, the workers' sweep tells it later (`rows.due`).
"""

import asyncio
import logging
import threading
import time
from functools import lru_cache, partial
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from temporalio.client import Client
from temporalio.service import RPCError

from agents.engine.seam import Afterwards
from agents.engine.temporal import telling
from agents.engine.temporal.connection import connect
from agents.models import Run
from config.temporal import TemporalSettings
from db.pool import Connection
from db.scope import current_tenant_id

log = logging.getLogger(__name__)

#: Messages under way at once; what would be more is left to the sweep.
MOST: Final = 500

#: Seconds between warnings that Temporal does not answer.
WARN_S: Final = 30.0


class Temporal:
    """See `agents.engine.seam.Engine`."""

    def start(self, run: Run) -> None:
        """Start the run's workflow when this transaction has committed; the row is due until it is claimed."""
        told = telling.Told(run.id, current_tenant_id(), run.priority)
        transaction.on_commit(partial(messenger().send, told))

    def wake(self, run_id: UUID) -> None:
        """Make the run claimable, and wake its workflow when this transaction has committed."""
        Run.objects.filter(id=run_id, status__in=("queued", "waiting")).update(ready_at=Now(), due_at=Now())
        told = telling.Told(run_id, current_tenant_id(), wakes=True)
        transaction.on_commit(partial(messenger().send, told))

    def cancel(self, run_id: UUID) -> None:
        """A parked run is taken up to be ended; one in a worker's hands sees the request at its next commit."""
        self.wake(run_id)

    def made_ready(
        self, connection: Connection, run_id: UUID, tenant_id: UUID, *, priority: int, wakes: bool
    ) -> Afterwards:
        """Start or wake the run's workflow once the transaction has committed; the row is due until it is claimed."""
        return partial(messenger().send, telling.Told(run_id, tenant_id, priority, wakes=wakes))


class Messenger:
    """Tells Temporal from threads that must not wait for it: one loop in a thread of its own."""

    def __init__(self, there: TemporalSettings) -> None:
        self._there = there
        self._loop = asyncio.new_event_loop()
        self._under_way: set[asyncio.Task[None]] = set()  # the loop itself does not keep them
        self._warned_at = -WARN_S
        self._client: Client | None = None
        threading.Thread(target=self._loop.run_forever, name="temporal", daemon=True).start()

    def send(self, told: telling.Told) -> None:
        """Tell Temporal of a run, soon; or not, then the sweep will."""
        self._loop.call_soon_threadsafe(self._begin, told)

    def _begin(self, told: telling.Told) -> None:
        if len(self._under_way) < MOST:
            task = self._loop.create_task(self._tell(told))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _tell(self, told: telling.Told) -> None:
        try:
            if self._client is None:
                self._client = await connect(self._there, lazy=True)
            await telling.tell(self._client, told)
        except (RPCError, RuntimeError) as error:  # the SDK's own for a server that does not answer
            if time.monotonic() - self._warned_at > WARN_S:
                self._warned_at = time.monotonic()
                log.warning("Temporal at %s was not told; the sweep will: %s", self._there.address, error)


def messenger() -> Messenger:
    """Return this process's messenger to the server of the settings."""
    return _messenger(settings.TEMPORAL)


@lru_cache(maxsize=1)
def _messenger(there: TemporalSettings) -> Messenger:
    return Messenger(there)
