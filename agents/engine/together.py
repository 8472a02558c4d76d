"""Group commit: what several threads want to write at the same time is written as one transaction.

Nobody waits for company. The first to come writes alone and at once; those who come meanwhile wait, and the first of
them then writes for all. So a lone run is as quick as ever, and the busier the process, the more it does per commit.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Final, Generic, TypeVar

Key = TypeVar("Key")
Work = TypeVar("Work")
Result = TypeVar("Result")

#: How much one transaction takes: it bounds the size of a statement, and what one bad member holds up.
MOST: Final = 32


class _Lead:
    """You are the first in the line now: write for all who are in it."""


class _Written(Generic[Result]):
    """Somebody else has written yours, too."""

    __slots__ = ("result",)

    def __init__(self, result: Result) -> None:
        self.result = result


class _Place(Generic[Work, Result]):
    """A thread's place in a line. told: what it waits for; an error is that of whoever wrote for it."""

    __slots__ = ("told", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        self.told: SimpleQueue[_Lead | _Written[Result] | Exception] = SimpleQueue()


class Together(Generic[Key, Work, Result]):
    """Writes what comes under one key together, one transaction at a time; different keys have nothing to do with it.

    write: writes all that it is given in one transaction, and returns a result for each, in their order. It must not
    wait for what may take long, for everybody under the key waits with it. What it raises is raised to every one of
    them, and `RuntimeError` when it returns another number of results.
    """

    def __init__(self, write: Callable[[Key, Sequence[Work]], Sequence[Result]]) -> None:
        self._write = write
        self.start_afresh()

    def start_afresh(self) -> None:
        """Forget whoever writes, in a process just forked: none of its threads does."""
        self._lock = threading.Lock()
        self._lines: dict[Key, deque[_Place[Work, Result]]] = {}  # of the keys that somebody writes under now

    def write(self, key: Key, work: Work) -> Result:
        """Write it, alone or with others; returns when that is committed. Raises what the writing raises."""
        place: _Place[Work, Result] = _Place(work)
        with self._lock:
            line = self._lines.get(key)
            if line is None:
                self._lines[key] = deque()
            else:
                line.append(place)
        told = place.told.get() if line is not None else None
        if isinstance(told, _Written):
            return told.result
        if isinstance(told, Exception):
            raise type(told)(*told.args) from told  # an object of this thread's own, for its traceback
        return self._lead(key, place)

    def _lead(self, key: Key, place: _Place[Work, Result]) -> Result:
        members = [place]
        try:
            with self._lock:
                line = self._lines[key]
                while line and len(members) < MOST:
                    members.append(line.popleft())
            results = self._write(key, [member.work for member in members])
            if len(results) != len(members):
                raise RuntimeError(f"{len(members)} were written together, and {len(results)} results came of it")
        except BaseException as error:
            for other in members[1:]:
                other.told.put(error if isinstance(error, Exception) else RuntimeError(f"its writer ended: {error!r}"))
            raise
        finally:
            self._pass_on(key)
        for other, result in zip(members[1:], results[1:], strict=True):
            other.told.put(_Written(result))
        return results[0]

    def _pass_on(self, key: Key) -> None:
        with self._lock:
            line = self._lines[key]
            if line:
                line.popleft().told.put(_Lead())
            else:
                del self._lines[key]
