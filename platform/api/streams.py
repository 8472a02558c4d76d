"""A run's events as server-sent events (WHATWG HTML, section 9.2): each once, in order, resumable by its number.

A watcher holds no thread, connection or transaction while it waits: `agents.engine.watch` polls for all of them in one
query, and what is new is read in a short transaction of a pooled thread, and written out, once for all who are at the
same place of the same run. `api.standing` says whether the key may still see it, and rouses them when that changes.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from uuid import UUID
from weakref import WeakKeyDictionary

from asgiref.sync import SyncToAsync, sync_to_async
from django.db import connection, connections

from agents.core.lifecycle import TERMINAL
from agents.engine import watch
from agents.models import Run
from agents.presenters import event_json
from api import standing
from audit import journal
from audit.journal import Stored
from db.scope import tenant_scope
from tenants.principal import Principal

HEARTBEAT_S = 15.0
BATCH = 200

#: Seconds for which events that were read serve those who come to the same place next, as when many join at once. What
#: has happened since they hear of by `watch`, like everybody else.
KEPT_S: Final = watch.INTERVAL_S

#: Bytes of events, as they are written out, that are kept so in a process; what has no room beside them is not kept.
KEPT_BYTES: Final = 4 * 2**20

#: Readings of the journal that may run at once in a process, so that watchers leave connections for everybody else.
READERS = 4

#: A tenant, its run, and the number of the event that was told last.
_Place = tuple[UUID, UUID, int]

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@dataclass(frozen=True, slots=True)
class Watched:
    """What one client watches. principal: who it was when it began; key: the text of the API key it signed in with."""

    principal: Principal
    run_id: UUID
    payloads: bool
    key: str


@dataclass(frozen=True, slots=True)
class _News:
    """What happened behind a place in the journal; status is the run's when `events` ends at its last one."""

    events: tuple[Stored, ...]
    status: str | None
    _written: dict[bool, bytes] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many bytes were written so far."""
        return sum(map(len, self._written.values()))

    def written(self, *, payloads: bool) -> bytes:
        """Return the events as they are sent; written once for all who watch."""
        if payloads not in self._written:
            said = (_message(event_json(stored, payloads=payloads), seq=stored.seq) for stored in self.events)
            self._written[payloads] = b"".join(said)
        return self._written[payloads]


async def stream(watched: Watched, *, after: int) -> AsyncIterator[bytes]:
    """Yield the run's events behind `after`, then `end` with the final status; stop short when the rights change."""
    _let_go_of_thread()
    readings = _readings.setdefault(asyncio.get_running_loop(), _Readings())
    yield b"retry: 2000\n\n"
    with standing.watching(watched.key, watched.principal) as stands:
        while stands():
            news = await readings.read((watched.principal.tenant_id, watched.run_id, after))
            if not stands():  # again: the reading may have taken long, and so may whoever takes what is told
                return
            if news.events:
                after = news.events[-1].seq or after
                yield news.written(payloads=watched.payloads)
            status = news.status
            del news  # it may be large, and the quiet long
            if status in TERMINAL and stands():
                yield _message({"status": status}, event="end")
                return
            if status is None:
                continue
            async for beat in _quiet(watched.run_id, after, stands):
                yield beat


async def _quiet(run_id: UUID, after: int, stands: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Yield heartbeats until something happens or the rights change."""
    told = time.monotonic()
    while stands():
        if await watch.changed(run_id, after=after, timeout_s=max(0.0, told + HEARTBEAT_S - time.monotonic())):
            return
        if time.monotonic() - told >= HEARTBEAT_S:
            told = time.monotonic()
            yield b": waiting\n\n"


def _let_go_of_thread() -> None:
    """End the thread that Django keeps for this request's synchronous parts, the view among them, as they are done.

    asgiref makes another when one is asked for after all.
    """
    context = SyncToAsync.thread_sensitive_context.get(None)
    executor = SyncToAsync.context_to_thread_executor.pop(context, None) if context is not None else None
    if executor is not None:
        executor.submit(connections.close_all)  # what middleware took after the view had given its connection back
        executor.shutdown(wait=False)


def _message(data: dict[str, Any], *, seq: int | None = None, event: str | None = None) -> bytes:
    head = f"id: {seq}\n" if seq is not None else f"event: {event}\n"
    return f"{head}data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


class _Readings:
    """The readings of one event loop, under way or just done, shared by those who want the same."""

    def __init__(self) -> None:
        self._shared: dict[_Place, asyncio.Task[_News]] = {}
        self._readers = asyncio.Semaphore(READERS)
        self._kept = 0  # bytes

    async def read(self, place: _Place) -> _News:
        task = self._shared.get(place)
        if task is None:
            task = self._shared[place] = asyncio.create_task(self._read(place))
            task.add_done_callback(partial(self._keep, place))  # also called for one that was cancelled unbegun
        return await asyncio.shield(task)  # one watcher's going must not end the reading for the others

    async def _read(self, place: _Place) -> _News:
        async with self._readers:
            return await sync_to_async(_news, thread_sensitive=False)(*place)

    def _keep(self, place: _Place, task: asyncio.Task[_News]) -> None:
        news = None if task.cancelled() or task.exception() else task.result()
        if news and news.events and self._kept + news.size <= KEPT_BYTES:
            self._kept += news.size
            task.get_loop().call_later(KEPT_S, self._forget, place, news.size)
        else:  # that there was nothing is no answer to who hears of something
            self._forget(place, 0)

    def _forget(self, place: _Place, size: int) -> None:
        del self._shared[place]
        self._kept -= size


_readings: WeakKeyDictionary[asyncio.AbstractEventLoop, _Readings] = WeakKeyDictionary()


def _news(tenant_id: UUID, run_id: UUID, after: int) -> _News:
    try:
        with tenant_scope(tenant_id):
            events = tuple(journal.read(run_id, after=after, limit=BATCH))
            # Read last: a status newer than the events is noticed by its number, an older one would be believed.
            seq, status = Run.objects.values_list("seq", "status").get(id=run_id)
    finally:
        connection.close()
    last = events[-1].seq if events else after
    news = _News(events, status if (last or 0) >= seq else None)
    news.written(payloads=True)  # here, where it holds up nobody else, and so that its size is known
    return news
