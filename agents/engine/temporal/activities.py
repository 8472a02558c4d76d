"""The activities: what a worker does for Temporal. Their failures tell Temporal a code, and the words go to our log."""

import contextvars
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from uuid import UUID

from django.db import connection
from temporalio import activity
from temporalio.exceptions import ApplicationError

from agents.engine.temporal.hands import Hands, NoPlace
from agents.engine.temporal.messages import PACE, STEP, TAKE_UP, Standing

log = logging.getLogger(__name__)


class Activities:
    """What the workflow asks of this process's hands."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    # A thread is never interrupted: it may be between an effect and its commit.

    @activity.defn(name=TAKE_UP, no_thread_cancel_exception=True)
    def take_up(self, run_id: str, lost: int) -> Standing:
        """See `Hands.take_up`."""
        with _told(run_id):
            return self._hands.take_up(UUID(run_id), lost=lost)

    @activity.defn(name=STEP, no_thread_cancel_exception=True)
    def step(self, run_id: str, epoch: int, seq: int) -> Standing:
        """See `Hands.step`."""
        with _told(run_id):
            sign = partial(contextvars.copy_context().run, activity.heartbeat)
            return self._hands.step(UUID(run_id), epoch, seq, sign=sign)


@activity.defn(name=PACE)
async def pace() -> None:
    """Do nothing, at the rate of the queue it is on."""


@contextmanager
def _told(run_id: str) -> Iterator[None]:
    """Keep what errors say out of Temporal's history: words of tools, of the model, of the database."""
    try:
        yield
    except NoPlace:
        raise ApplicationError("no_place", next_retry_delay=timedelta(seconds=1)) from None
    except Exception:
        log.exception("an activity failed", extra={"run": run_id})
        raise ApplicationError("failed") from None
    finally:
        connection.close()
