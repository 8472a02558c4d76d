"""How many calls of a tool are made at once, over all workers: `concurrency` of its definition.

A place is an advisory lock (`agents.tools.kept`). A call costs one round trip for its place and one to give it back. Of
those that wait in a process one asks again and again, and the others stand behind it.
"""

import logging
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final
from uuid import UUID

from agents.tools.kept import Kept, Rows, Turns, array, kept, key_of, patiently
from agents.tools.seam import ToolContext
from db import trip

logger = logging.getLogger(__name__)

#: Seconds between two times that a waiting call asks, at first and at most; less when one ends in the same process.
FIRST_S: Final = 0.02
MOST_S: Final = 0.5

_TAKE: Final = trip.statement(
    "tool_place",
    """
SELECT key FROM unnest(%(keys)s::bigint[]) WITH ORDINALITY AS each (key, place)
WHERE CASE WHEN key = ANY(%(held)s::bigint[]) THEN false ELSE pg_try_advisory_lock(key) END
LIMIT 1
""",
    *("keys", "held"),
)


class NoPlace(Exception):
    """As many calls as may be are being made, and none ended in time."""


class Places:
    """The places of all tools, as this process knows them. Thread-safe."""

    def __init__(self, session: Kept) -> None:
        self._session = session
        self._lock = threading.Lock()  # guards the map and each entry's `users`
        self._turns: dict[UUID, Turns] = {}

    @contextmanager
    def place(self, tool: UUID, name: str, many: int, wait_s: float, context: ToolContext) -> Iterator[None]:
        """Hold one of `many` places for the block. Raises `NoPlace` after `wait_s` seconds, and `NoLongerOurs`."""
        with self._turn(tool) as turns:
            key = self._take(turns, tool, name, many, time.monotonic() + wait_s, context)
            try:
                yield
            finally:
                self._session.give_back(key)
                with turns.changed:
                    turns.changed.notify_all()

    @contextmanager
    def _turn(self, tool: UUID) -> Iterator[Turns]:
        with self._lock:
            turns = self._turns.setdefault(tool, Turns())
            turns.users += 1
        try:
            yield turns
        finally:
            with self._lock:
                turns.users -= 1
                if not turns.users:
                    del self._turns[tool]

    def _take(self, turns: Turns, tool: UUID, name: str, many: int, until: float, context: ToolContext) -> int:
        with turns.changed:
            while turns.taken:
                self._wait(turns, until, MOST_S, context)
            turns.taken = True
        pause_s = FIRST_S
        try:
            while True:
                if time.monotonic() >= self._session.quiet_until:
                    key = patiently(context, name, lambda: self._ask(tool, many))
                    if key is not None:
                        return key
                with turns.changed:
                    self._wait(turns, until, pause_s, context)
                pause_s = min(pause_s * 1.5, MOST_S)
        finally:
            with turns.changed:
                turns.taken = False
                turns.changed.notify_all()

    def _wait(self, turns: Turns, until: float, pause_s: float, context: ToolContext) -> None:
        context.begin()
        left_s = until - time.monotonic()
        if left_s <= 0:
            raise NoPlace
        turns.changed.wait(min(left_s, pause_s * (0.5 + random.random() / 2)))  # noqa: S311 - no secret

    def _ask(self, tool: UUID, many: int) -> int | None:
        keys, first = _keys(tool, many), random.randrange(many)  # noqa: S311 - no secret
        keys = keys[first:] + keys[:first]  # so that workers do not all try the same ones

        def calls(held: frozenset[int]) -> list[trip.Call]:
            return [(_TAKE, [array(keys), array(held.intersection(keys))])]

        def taken(rows: Rows) -> int | None:
            return trip.integer(rows[0][0][0]) if rows[0] else None

        return self._session.ask(calls, taken)[1]


@lru_cache(maxsize=256)
def _keys(tool: UUID, many: int) -> tuple[int, ...]:
    return tuple(key_of("place", tool, number) for number in range(many))


places: Final = Places(kept)
