"""Rate limits: how often an address, a key, a user and a tenant may ask, counted by the `limits` package.

The count is a sliding window (the last window weighted by how much of it still lies inside). It is kept in this
process, or in Redis when REDIS_URL is set, so that all web processes share it; while Redis does not answer, each
process counts for itself rather than refusing or letting everything through.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import Final, TypeVar

from django.conf import settings
from django.http import HttpRequest
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from quotas.errors import RateLimited

T = TypeVar("T")

_logger = logging.getLogger(__name__)

#: Seconds for which a Redis that failed is not asked again.
REDIS_PAUSE_S: Final = 5.0
#: Seconds that Redis may take; a limit must not make a request wait for long.
REDIS_TIMEOUT_S: Final = 0.25
#: Seconds between two sweeps of counts that have run out.
SWEEP_S: Final = 30.0

NAMESPACE: Final = "countersign"

_COUNTED: Final = "countersign.counted"


@dataclass(frozen=True, slots=True)
class Spent:
    """One request counted against one policy of `settings.RATE_LIMITS`, of one address, key, user or tenant."""

    policy: str
    of: str

    @property
    def quota(self) -> int:
        """How many requests the policy allows in a window."""
        return _item(self.policy).amount

    @property
    def window_s(self) -> int:
        """The window's length in seconds."""
        return _item(self.policy).get_expiry()


@dataclass(frozen=True, slots=True)
class Left:
    """What a policy still allows. reset_s: seconds until it allows more than that."""

    requests: int
    reset_s: int


def spend(counted: Iterable[tuple[str, str]]) -> list[Spent]:
    """Count one request against each (policy, of whom); returns those that are on.

    A request that one policy refuses is still counted by the policies before it. Raises `RateLimited`.
    """
    spent = [Spent(policy, of) for policy, of in counted if settings.RATE_LIMITS[policy] is not None]
    for each in spent:
        if not _hit(each):
            raise RateLimited(each.policy, left(each).reset_s)
    return spent


def count(request: HttpRequest, *counted: tuple[str, str]) -> None:
    """Count the request as `spend` does, for `counted` to tell. Raises `RateLimited`."""
    request.META.setdefault(_COUNTED, []).extend(spend(counted))


def counted(request: HttpRequest) -> list[Spent]:
    """Return what the request was counted against so far."""
    found: list[Spent] = request.META.get(_COUNTED, [])
    return found


def exhausted(policy: str, of: str) -> bool:
    """Say whether the next `spend` would be refused; counts nothing."""
    return settings.RATE_LIMITS[policy] is not None and not _counts().ask(
        lambda limiter: limiter.test(_item(policy), of)
    )


@contextmanager
def once(policy: str, of: str) -> Iterator[bool]:
    """Tell the block whether it is the first one within the policy's window; one that raises does not count."""
    item, whom = _item(policy), f"{of} once"
    first = _counts().ask(lambda limiter: limiter.hit(item, whom, cost=item.amount))
    try:
        yield first
    except BaseException:
        if first:
            _counts().ask(lambda limiter: limiter.clear(item, whom))
        raise


def left(spent: Spent) -> Left:
    """Return what is left of what was counted."""
    stats = _counts().ask(lambda limiter: limiter.get_window_stats(_item(spent.policy), spent.of))
    return Left(max(0, stats.remaining), max(1, ceil(stats.reset_time - time.time())))


def forget() -> None:
    """Forget every count of this process; settings that changed count from then on."""
    _made.cache_clear()
    _items.cache_clear()


def _hit(spent: Spent) -> bool:
    return _counts().ask(lambda limiter: limiter.hit(_item(spent.policy), spent.of))


class _Counts:
    """The counts, in Redis if there is one, else (and while it fails) here."""

    def __init__(self, redis_url: str) -> None:
        self._here = SlidingWindowCounterRateLimiter(_Memory())
        self._shared = SlidingWindowCounterRateLimiter(_redis(redis_url)) if redis_url else None
        self._shared_from = 0.0

    def ask(self, question: Callable[[SlidingWindowCounterRateLimiter], T]) -> T:
        """Return the answer of the counts that answer."""
        if self._shared is not None and time.monotonic() >= self._shared_from:
            try:
                return question(self._shared)
            except StorageError as error:
                self._shared_from = time.monotonic() + REDIS_PAUSE_S
                _logger.warning(
                    "Redis does not answer: rate limits are counted by each process meanwhile.", exc_info=error
                )
        return question(self._here)


class _Memory(MemoryStorage):
    """The library's, with a lock, since threads that meet lose counts in it, and without its timer, since starting a
    thread for each request costs more than all else about a limit."""

    def __init__(self) -> None:
        super().__init__()
        self.timer = _NoTimer(0, self._sweep)
        self._lock = threading.Lock()
        self._sweep_at = time.monotonic() + SWEEP_S

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        with self._lock:
            if time.monotonic() >= self._sweep_at:
                self._sweep_at = time.monotonic() + SWEEP_S
                self._sweep()
            return super().acquire_sliding_window_entry(key, limit, expiry, amount)

    def _sweep(self) -> None:
        for key in list(self.expirations):
            self.get(key)  # drops what has run out


class _NoTimer(threading.Timer):
    def is_alive(self) -> bool:
        """Return what keeps the library from starting a timer."""
        return True


def _redis(url: str) -> RedisStorage:
    return RedisStorage(
        url,
        key_prefix=f"{NAMESPACE}:rates",
        wrap_exceptions=True,
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
    )


def _counts() -> _Counts:
    with _making:  # two threads that begin at once must not count apart
        return _made()


_making = threading.Lock()


@cache
def _made() -> _Counts:
    return _Counts(settings.REDIS_URL)


@cache
def _items() -> dict[str, RateLimitItem]:
    return {
        policy: RateLimitItemPerSecond(limit[0], limit[1], namespace=f"{NAMESPACE}-{policy}")
        for policy, limit in settings.RATE_LIMITS.items()
        if limit is not None
    }


def _item(policy: str) -> RateLimitItem:
    return _items()[policy]
