"""How many streams may be open at once: of a key or a session, of a person, of a tenant, of the process.

A stream lasts as long as its run, so counting how often one is begun bounds nothing. The counts are those of one web
process, as are the connections it can hold.
"""

import threading
import weakref
from collections import Counter, deque
from collections.abc import AsyncIterator
from typing import Final, Generic, TypeVar
from uuid import UUID

from django.conf import settings

from quotas.errors import TooManyStreams

T = TypeVar("T")
Whom = tuple[tuple[str, str], ...]

#: Streams of one process; well below `web.protocol.CONNECTIONS`, so that watchers leave room for requests.
PROCESS: Final = 3072

_open: Counter[tuple[str, str]] = Counter()
_lock = threading.Lock()

#: Whose streams have ended since the counts were looked at last. A place can be dropped at any moment, by the collector
#: too, in a thread that holds the lock; appending takes none.
_ended: deque[Whom] = deque()


class Place:
    """Room for one stream. It is given back when it is closed, or else when nothing refers to it any more."""

    def __init__(self, whom: Whom) -> None:
        self._end = weakref.finalize(self, _ended.append, whom)

    def close(self) -> None:
        """Give it back; once is enough."""
        self._end()


class Placed(Generic[T]):
    """What a stream sends, for a response, which closes it however it ends: then its place is given back."""

    def __init__(self, place: Place, parts: AsyncIterator[T]) -> None:
        self._place = place
        self._parts = parts

    def __aiter__(self) -> AsyncIterator[T]:
        return self._parts

    def close(self) -> None:
        """Give the place back."""
        self._place.close()


def take(*, key: str, user_id: UUID, tenant_id: UUID) -> Place:
    """Take a place for a stream; raises `TooManyStreams`. key: what names the API key or the session."""
    whom = (("key", key), ("user", str(user_id)), ("tenant", str(tenant_id)), ("process", ""))
    with _lock:
        _settle()
        for each in whom:
            if _open[each] >= _limit(each[0]):
                raise TooManyStreams(f"streams-{each[0]}")
        _open.update(whom)
    return Place(whom)


def _limit(kind: str) -> int:
    return PROCESS if kind == "process" else settings.STREAMS[kind]


def _settle() -> None:
    while _ended:
        for each in _ended.popleft():
            _open[each] -= 1
            if not _open[each]:
                del _open[each]
