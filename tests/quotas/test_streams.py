"""How many streams are open at once: so many and no more, and each that ends makes room, however it ends."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from django.http import StreamingHttpResponse
from pytest_django import Settings

from quotas import streams
from quotas.errors import TooManyStreams
from quotas.streams import Place, Placed
from web import protocol

ANN, BEN = uuid4(), uuid4()
ACME, GLOBEX = uuid4(), uuid4()


@pytest.fixture(autouse=True)
def _few(settings: Settings) -> Iterator[None]:
    settings.STREAMS = {"key": 2, "user": 3, "tenant": 4}
    yield
    gc.collect()


def take(key: str = "a", user: UUID = ANN, tenant: UUID = ACME) -> Place:
    return streams.take(key=key, user_id=user, tenant_id=tenant)


def refused(key: str = "a", user: UUID = ANN, tenant: UUID = ACME) -> str | None:
    """Return the policy that refuses one more stream, or None."""
    try:
        take(key, user, tenant).close()
    except TooManyStreams as error:
        return error.policy
    return None


async def parts() -> AsyncIterator[bytes]:
    yield b"one"
    yield b"two"


def test_each_has_its_own_bound() -> None:
    held = [take("a"), take("a")]
    assert refused("a") == "streams-key"
    held.append(take("b"))
    assert refused("b") == "streams-user"
    held.append(take("c", BEN))
    assert refused("c", BEN) == "streams-tenant"
    assert refused("c", BEN, GLOBEX) is None
    assert len(held) == 4


def test_what_was_refused_counts_nowhere() -> None:
    held = [take("a"), take("a")]
    for _ in range(5):
        assert refused("a") == "streams-key"
    held.append(take("b"))
    held.append(take("c", BEN))
    assert len(held) == 4


def test_one_that_is_closed_makes_room_once() -> None:
    first, second = take(), take()
    for _ in range(3):
        first.close()

    third = take()
    assert refused() == "streams-key"
    for place in (second, third):
        place.close()
    assert refused() is None


def test_one_that_is_forgotten_makes_room() -> None:
    held = [take(), take()]
    assert refused() == "streams-key"
    held.clear()
    gc.collect()
    assert refused() is None


def test_a_response_that_is_closed_before_anything_was_sent_makes_room() -> None:
    responses = [StreamingHttpResponse(Placed(take(), parts())) for _ in range(2)]
    assert refused() == "streams-key"
    responses[0].close()
    assert refused() is None


def test_a_response_sends_its_parts() -> None:
    async def sent() -> list[bytes]:
        return [part async for part in StreamingHttpResponse(Placed(take(), parts()))]

    assert asyncio.run(sent()) == [b"one", b"two"]


def test_a_process_keeps_room_for_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    assert streams.PROCESS + 1024 <= protocol.CONNECTIONS

    monkeypatch.setattr(streams, "PROCESS", 1)
    held = take()
    assert refused("b", BEN, GLOBEX) == "streams-process"
    held.close()


def test_many_at_once_get_no_more_than_there_are(settings: Settings) -> None:
    settings.STREAMS = {"key": 40, "user": 100, "tenant": 100}

    def attempt(_: int) -> Place | None:
        try:
            return take()
        except TooManyStreams:
            return None

    with ThreadPoolExecutor(16) as pool:
        got = [place for place in pool.map(attempt, range(200)) if place]
        assert len(got) == 40
        list(pool.map(Place.close, got))
    assert refused() is None
