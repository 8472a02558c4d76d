"""The event loop of this process on which the SDK runs; kinds of tools are called in threads."""

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

T = TypeVar("T")
_CLOSE_S = 10.0


class Loop:
    """A loop in a thread of its own, made at the first use, and anew after a fork. Any thread may call.

    closing: awaited on the loop before the process ends.
    """

    def __init__(self, closing: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._closing = closing
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        _LOOPS.add(self)

    def run(self, work: Callable[[], Coroutine[Any, Any, T]], timeout_s: float) -> T:
        """Return what the coroutine returns or raise what it raises; TimeoutError, and it is cancelled, after that."""
        future = asyncio.run_coroutine_threadsafe(work(), self._running())
        try:
            return future.result(timeout_s)
        except FutureTimeoutError:
            if future.done():
                raise
            future.cancel()
            raise TimeoutError from None
        except CancelledError:
            raise TimeoutError from None

    def close(self) -> None:
        """End what runs on the loop, and the loop. It is made again when it is needed again."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is None or self._pid != os.getpid():
            return
        try:
            asyncio.run_coroutine_threadsafe(self._closing(), loop).result(_CLOSE_S)
        except (FutureTimeoutError, CancelledError):
            pass  # what it could not end ends with this process
        finally:
            loop.call_soon_threadsafe(loop.stop)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._pid = os.getpid()
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_serve, args=(self._loop,), name="mcp-loop", daemon=True).start()
            return self._loop

    def forget(self) -> None:
        """After a fork: the thread and what ran in it are the parent's."""
        self._lock, self._loop = threading.Lock(), None


_LOOPS: "weakref.WeakSet[Loop]" = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for loop in list(_LOOPS):
        loop.close()


def _forget_all() -> None:
    for loop in list(_LOOPS):
        loop.forget()


os.register_at_fork(after_in_child=_forget_all)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
