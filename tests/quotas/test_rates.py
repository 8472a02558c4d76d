"""How often one may ask: exactly as often as the setting says, wherever it is counted."""

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from pytest_django import Settings

from quotas import rates
from quotas.errors import RateLimited
from quotas.rates import Spent
from tests.quotas.conftest import PLACES, start_redis

HOUR = 3600


@pytest.fixture
def limit(counts: str, settings: Settings) -> Callable[[int], None]:
    """Let keys ask so often an hour."""

    def to(requests: int) -> None:
        settings.RATE_LIMITS = {**settings.RATE_LIMITS, "key": (requests, HOUR)}
        rates.forget()

    return to


def ask(key: str) -> bool:
    try:
        rates.spend([("key", key)])
    except RateLimited:
        return False
    return True


def test_so_many_pass_and_no_more(limit: Callable[[int], None]) -> None:
    limit(5)

    assert [ask("a") for _ in range(8)] == [True] * 5 + [False] * 3
    assert ask("b")


def test_many_at_once_pass_no_more_than_that(limit: Callable[[int], None]) -> None:
    limit(40)

    with ThreadPoolExecutor(16) as pool:
        passed = sum(pool.map(lambda _: ask("a"), range(200)))

    assert passed == 40


def test_a_refusal_says_when_to_come_again(limit: Callable[[int], None]) -> None:
    limit(1)
    ask("a")

    with pytest.raises(RateLimited) as refused:
        rates.spend([("key", "a")])

    assert refused.value.policy == "key"
    assert 1 <= refused.value.retry_after_s <= 2 * HOUR
    assert refused.value.retryable


def test_what_is_left_is_told(limit: Callable[[int], None]) -> None:
    limit(10)
    for _ in range(3):
        [spent] = rates.spend([("key", "a")])

    assert (spent.quota, spent.window_s, rates.left(spent).requests) == (10, HOUR, 7)
    assert 1 <= rates.left(spent).reset_s <= HOUR


def test_a_limit_that_is_off_counts_nothing(counts: str, settings: Settings) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "key": None}
    rates.forget()

    assert rates.spend([("key", "a")]) == []
    assert not rates.exhausted("key", "a")


def test_asking_whether_it_is_used_up_uses_nothing(limit: Callable[[int], None]) -> None:
    limit(1)

    assert [rates.exhausted("key", "a") for _ in range(3)] == [False] * 3
    ask("a")
    assert rates.exhausted("key", "a")


def test_a_policy_counts_apart_from_another(limit: Callable[[int], None]) -> None:
    limit(1)
    ask("a")

    rates.spend([("user", "a")])

    assert not ask("a")


def test_counts_that_ran_out_are_dropped(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = rates._Memory()
    for _ in range(100):
        memory.incr(str(uuid4()), expiry=0)

    monkeypatch.setattr(memory, "_sweep_at", 0.0)
    memory.acquire_sliding_window_entry("last", 1, HOUR)

    assert len(memory.storage) == len(memory.expirations) == len(memory.locks) == 1


def test_processes_share_what_redis_counts(counts: str, limit: Callable[[int], None], settings: Settings) -> None:
    limit(2)
    here, there = rates._Counts(settings.REDIS_URL), rates._Counts(settings.REDIS_URL)
    item = rates._item("key")

    passed = [each.ask(lambda limiter: limiter.hit(item, "shared")) for each in (here, there, here, there)]

    assert passed == ([True, True, False, False] if counts == "redis" else [True] * 4)


@pytest.mark.parametrize("place", [place for place in PLACES if place == "redis"])
def test_while_redis_is_away_each_process_counts_for_itself(
    place: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with tempfile.TemporaryDirectory(prefix="r") as folder:
        server = start_redis(Path(folder))
        settings.REDIS_URL = server.url
        settings.RATE_LIMITS = {**settings.RATE_LIMITS, "key": (3, HOUR)}
        rates.forget()
        assert ask("a")
        server.stop()

        assert [ask("a") for _ in range(5)] == [True] * 3 + [False] * 2
        assert rates.left(Spent("key", "a")).requests == 0
        assert [record.message for record in caplog.records] == [
            "Redis does not answer: rate limits are counted by each process meanwhile."
        ]

        back = start_redis(Path(folder))
        monkeypatch.setattr(rates._counts(), "_shared_from", 0.0)
        assert ask("a")
        back.stop()
    rates.forget()


def test_once_is_once_in_a_window_unless_it_failed(limit: Callable[[int], None]) -> None:
    limit(3)

    def fail() -> None:
        with rates.once("key", "a") as first:
            assert first
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        fail()
    told = []
    for _ in range(3):
        with rates.once("key", "a") as first:
            told.append(first)

    assert told == [True, False, False]
    assert [ask("a") for _ in range(4)] == [True] * 3 + [False]
