"""A run's events as server-sent events (WHATWG HTML, section 9.2): each once, in order, resumable by its number.

A watcher holds no thread, connection or transaction while it waits: `agents.engine.watch` polls for all of them in one
query, and what is new is read in a short transaction of a pooled thread, and written out, once for all who are at the
same place of the same run. `api.standing` says whether the key may still see it, and rouses them when that changes.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
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

#: Bytes of events, written out with payloads and without, that are kept so in a process; what has no room beside them
#: is not kept.
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
    """What happened behind a place in the journal, as it is sent; status is the run's when it ends at its last event.

    last: the number of its last event; None when nothing happened. whole, redacted: with payloads and without.
    """

    last: int | None
    status: str | None
    whole: bytes = b""
    redacted: bytes = b""

    @property
    def size(self) -> int:
        """How many bytes it holds."""
        return len(self.whole) + (len(self.redacted) if self.redacted is not self.whole else 0)


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
            if news.last is not None:
                after = news.last
                yield news.whole if watched.payloads else news.redacted
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
        if news and news.last is not None and self._kept + news.size <= KEPT_BYTES:
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
            events = tuple(journal.read(run_id, after=after, limit=BATCH, whole=True))
            # Read last: a status newer than the events is noticed by its number, an older one would be believed.
            seq, status = Run.objects.values_list("seq", "status").get(id=run_id)
    finally:
        connection.close()
    if not events:
        return _News(None, status if after >= seq else None)
    last = events[-1].seq or after
    whole = [_event(stored, payloads=True) for stored in events]  # here, where it holds up nobody else
    redacted = [
        _event(each, payloads=False) if each.payload else same for each, same in zip(events, whole, strict=True)
    ]
    all_of_it = b"".join(whole)
    seen = all_of_it if redacted == whole else b"".join(redacted)
    return _News(last, status if last >= seq else None, all_of_it, seen)


def _event(stored: Stored, *, payloads: bool) -> bytes:
    return _message(event_json(stored, payloads=payloads), seq=stored.seq)
