"""Wait for a run's next event: one poll in a process for everybody who watches.

Live pages and streams ask `changed`. However many there are, the process asks the database once in `INTERVAL_S`, in the
dispatch role and by the runs' ids, while anybody waits at all. No transaction, connection or thread is held meanwhile.
Whoever else has news for those who wait calls `rouse`, so that none of them needs a timer to look by.
"""

import asyncio
from collections.abc import Iterable
from typing import Final
from uuid import UUID
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async
from django.db import connection

from db.roles import dispatch

INTERVAL_S: Final = 0.25

_LATEST: Final = "SELECT id, seq FROM agents_run WHERE id = ANY(%s)"


def latest(run_ids: Iterable[UUID]) -> dict[UUID, int]:
    """Return the number of each run's last event; a run that does not exist is left out."""
    try:
        with dispatch(), connection.cursor() as cursor:
            cursor.execute(_LATEST, [list(run_ids)])
            return dict(cursor.fetchall())
    finally:
        connection.close()


async def changed(run_id: UUID, *, after: int, timeout_s: float) -> bool:
    """Wait until the run's journal goes beyond `after`; return False after `timeout_s`, or at `rouse`.

    Raises what the database raised when it could not be asked: the watcher ends, and its client comes again.
    """
    loop = asyncio.get_running_loop()
    watch = _watches.get(loop) or _watches.setdefault(loop, _Watch())
    return await watch.wait(run_id, after, timeout_s)


def rouse() -> None:
    """Let everybody in this event loop who waits go on, with False, to look for what no journal tells."""
    if watch := _watches.get(asyncio.get_running_loop()):
        watch.rouse()


class _Watch:
    """Those who wait in one event loop, and the task that polls for them while there are any."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[bool], tuple[UUID, int]] = {}
        self._polling: asyncio.Task[None] | None = None

    async def wait(self, run_id: UUID, after: int, timeout_s: float) -> bool:
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[future] = run_id, after
        if self._polling is None:
            self._polling = asyncio.create_task(self._poll())
        try:
            return await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            return False
        finally:
            self._waiting.pop(future, None)

    def rouse(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(False)

    async def _poll(self) -> None:
        try:
            while self._waiting:
                seen = await sync_to_async(latest, thread_sensitive=False)({run for run, _ in self._waiting.values()})
                for future, (run_id, after) in list(self._waiting.items()):
                    if seen.get(run_id, 0) > after and not future.done():
                        future.set_result(True)
                await asyncio.sleep(INTERVAL_S)
        except Exception as error:
            for future in self._waiting:
                if not future.done():
                    future.set_exception(error)
        finally:
            self._polling = None


_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, _Watch] = WeakKeyDictionary()
