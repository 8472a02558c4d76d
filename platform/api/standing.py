"""Whether those who watch may still: one question in a process for all their keys, asked again and again.

A stream lasts as long as its run, and rights do not: a key is revoked or expires, a member leaves, is deactivated or
gets another role. Each stream looks here before it tells anything, and ends when its key stands for less or more than
it did; the client comes again with the rights it has then. Streams that wait are roused when an answer differs from the
one before. No transaction, connection or thread is held meanwhile.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Final
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async
from django.db import connection

from agents.engine import watch
from tenants.actions import api_keys
from tenants.principal import Principal

#: How often the question is asked, in seconds.
INTERVAL_S: Final = 0.5


@contextmanager
def watching(key: str, principal: Principal) -> Iterator[Callable[[], bool]]:
    """Let the block ask whether the key (its text) still stands for `principal`, as it did when it was last looked at.

    A database that does not answer counts as no.
    """
    loop = asyncio.get_running_loop()
    keys = _keys.get(loop) or _keys.setdefault(loop, _Keys())
    with keys.known(key, principal):
        yield lambda: keys.standing.get(key) == principal


class _Keys:
    """The keys watched with in one event loop, and the task that asks for them while there are any.

    standing: whom each stands for, or None: as it was asked last, at first as it signed in.
    """

    def __init__(self) -> None:
        self.standing: dict[str, Principal | None] = {}
        self._watching: Counter[str] = Counter()
        self._asking: asyncio.Task[None] | None = None

    @contextmanager
    def known(self, key: str, principal: Principal) -> Iterator[None]:
        self._watching[key] += 1
        self.standing.setdefault(key, principal)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        try:
            yield
        finally:
            self._watching[key] -= 1
            if not self._watching[key]:
                del self._watching[key]
                del self.standing[key]

    async def _ask(self) -> None:
        try:
            while self._watching:
                await asyncio.sleep(INTERVAL_S)
                asked = frozenset(self._watching)
                found = await sync_to_async(_standing, thread_sensitive=False)(asked)
                self._learn({key: found.get(key) for key in asked})
        except Exception:
            self._learn(dict.fromkeys(self._watching))
            raise
        finally:
            self._asking = None

    def _learn(self, answers: dict[str, Principal | None]) -> None:
        differing = {key: now for key, now in answers.items() if key in self.standing and self.standing[key] != now}
        if differing:
            self.standing.update(differing)
            watch.rouse()


def _standing(keys: Collection[str]) -> dict[str, Principal]:
    try:
        return api_keys.standing(keys)
    finally:
        connection.close()


_keys: WeakKeyDictionary[asyncio.AbstractEventLoop, _Keys] = WeakKeyDictionary()
