"""What those who watch share in a process: one reading of the journal, and one word when their rights change."""

import asyncio
from collections.abc import Callable, Collection
from contextlib import nullcontext
from uuid import UUID, uuid4

import pytest

from agents.engine import watch
from api import standing, streams
from tenants.models import Role
from tenants.principal import Principal
from tests.worlds import world

PATIENCE_S = 30
WHO = Principal(uuid4(), uuid4(), Role.OPERATOR)
Place = tuple[UUID, UUID, int]


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[Place]:
    """The readings of a journal that has one event; it is added to."""
    made: list[Place] = []

    def news(*place: *Place) -> streams._News:
        made.append(place)
        return streams._News(None if place[2] else 1, "running")

    monkeypatch.setattr(streams, "_news", news)
    return made


def test_those_who_come_to_the_same_place_soon_after_each_other_share_a_reading(readings: list[Place]) -> None:
    place = (uuid4(), uuid4(), 0)

    async def scene() -> None:
        shared = streams._Readings()
        first = await shared.read(place)
        assert await shared.read(place) is first

    asyncio.run(scene())
    assert readings == [place]


def test_no_tenant_gets_what_was_read_for_another(readings: list[Place]) -> None:
    run = uuid4()
    places = [(uuid4(), run, 0) for _ in range(2)]

    async def scene() -> None:
        shared = streams._Readings()
        for place in places:
            await shared.read(place)

    asyncio.run(scene())
    assert readings == places


def test_what_was_read_is_forgotten(readings: list[Place], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "KEPT_S", 0.01)
    place = (uuid4(), uuid4(), 0)

    async def scene() -> None:
        shared = streams._Readings()
        await shared.read(place)
        await asyncio.sleep(0.1)
        await shared.read(place)

    asyncio.run(scene())
    assert readings == [place] * 2


def test_that_there_was_nothing_is_not_kept(readings: list[Place]) -> None:
    place = (uuid4(), uuid4(), 1)

    async def scene() -> None:
        shared = streams._Readings()
        await shared.read(place)
        await shared.read(place)

    asyncio.run(scene())
    assert readings == [place] * 2


def test_a_reading_that_failed_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> streams._News:
        raise ConnectionError("no database")

    async def scene() -> None:
        shared = streams._Readings()
        for _ in range(2):
            with pytest.raises(ConnectionError):
                await shared.read((uuid4(), uuid4(), 0))
        assert shared._shared == {}

    monkeypatch.setattr(streams, "_news", fails)
    asyncio.run(scene())


def test_a_reading_that_was_cancelled_before_it_began_is_made_again(readings: list[Place]) -> None:
    place = (uuid4(), uuid4(), 0)

    async def scene() -> None:
        shared = streams._Readings()
        watcher = asyncio.ensure_future(shared.read(place))
        while not shared._shared:
            await asyncio.sleep(0)
        shared._shared[place].cancel()
        with pytest.raises(asyncio.CancelledError):
            await watcher
        assert (await shared.read(place)).last == 1

    asyncio.run(scene())
    assert readings == [place]


def news_of(size: int, status: str = "running") -> streams._News:
    """One event that is so many bytes when it is written out."""
    return streams._News(1, status, b"." * size)


def test_no_more_is_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "KEPT_BYTES", 1000)
    monkeypatch.setattr(streams, "KEPT_S", 0.05)
    monkeypatch.setattr(streams, "_news", lambda *place: news_of(place[2]))
    tenant, run = uuid4(), uuid4()

    async def scene() -> None:
        shared = streams._Readings()

        async def kept(*sizes: int) -> list[int]:
            for size in sizes:
                await shared.read((tenant, run, size))
            return [size for _, _, size in shared._shared]

        assert await kept(1001, 600, 500, 400) == [600, 400]
        while shared._shared:
            await asyncio.sleep(0.01)
        assert await kept(1000) == [1000]

    asyncio.run(scene())


def test_all_that_is_held_counts_what_some_see_and_what_others_see(database: None) -> None:
    acme = world()
    acme.define("idle", role="You wait.")
    run = acme.submit("idle", {"name": "Ada"})

    news = streams._news(acme.tenant_id, run.id, 0)

    assert b"Ada" in news.whole
    assert b"run.submitted" in news.redacted
    assert b"Ada" not in news.redacted
    assert news.size == len(news.whole) + len(news.redacted)


@pytest.mark.parametrize("revoked", ["in the reading", "while it is told"])
def test_nothing_is_told_once_it_is_known_that_the_key_is_revoked(
    revoked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stands = [True]
    monkeypatch.setattr(standing, "watching", lambda *_: nullcontext(lambda: stands[0]))

    def news(*_: object) -> streams._News:
        stands[0] = revoked != "in the reading"
        return news_of(9, "completed")

    monkeypatch.setattr(streams, "_news", news)

    async def scene() -> list[bytes]:
        told = []
        async for part in streams.stream(streams.Watched(WHO, uuid4(), True, "cs_key"), after=0):
            told.append(part)
            if part == b"." * 9:
                stands[0] = False
        return told[1:]

    assert asyncio.run(scene()) == ([] if revoked == "in the reading" else [b"." * 9])


Answers = Callable[[Collection[str]], dict[str, Principal]]


def waits(monkeypatch: pytest.MonkeyPatch, answers: Answers, timeout_s: float) -> tuple[bool, float]:
    """Wait for a run in which nothing happens; return whether the key stands afterwards, and the seconds waited."""
    monkeypatch.setattr(standing, "INTERVAL_S", 0.01)
    monkeypatch.setattr(standing, "_standing", answers)
    monkeypatch.setattr(watch, "latest", lambda _: {})

    async def scene() -> tuple[bool, float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with standing.watching("cs_key", WHO) as stands:
            assert stands()
            assert await watch.changed(uuid4(), after=0, timeout_s=timeout_s) is False
            return stands(), loop.time() - began

    return asyncio.run(scene())


def test_who_waits_is_roused_when_a_key_stands_for_nobody_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    stands, waited_s = waits(monkeypatch, lambda keys: {}, PATIENCE_S)
    assert not stands
    assert waited_s < PATIENCE_S


def test_who_waits_is_roused_when_the_database_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(keys: Collection[str]) -> dict[str, Principal]:
        raise ConnectionError("no database")

    stands, waited_s = waits(monkeypatch, fails, PATIENCE_S)
    assert not stands
    assert waited_s < PATIENCE_S


def test_nobody_is_roused_while_keys_stand_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    stands, waited_s = waits(monkeypatch, lambda keys: dict.fromkeys(keys, WHO), 0.3)
    assert stands
    assert waited_s >= 0.3
