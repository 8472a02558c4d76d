"""Waiting for a run's next event."""

import asyncio
from uuid import UUID, uuid4

import pytest

from agents.engine import watch
from tests.console import journals
from tests.worlds import VERDICT, World, world


@pytest.fixture
def run(database: None) -> tuple[World, UUID]:
    made = world()
    made.define("watched", role="Watched", output_schema=VERDICT)
    return made, made.submit("watched", {}).id


def test_what_has_happened_already_is_told_at_once(run: tuple[World, UUID]) -> None:
    assert asyncio.run(watch.changed(run[1], after=0, timeout_s=30)) is True


def test_nothing_new_is_told_when_the_time_is_up(run: tuple[World, UUID]) -> None:
    assert asyncio.run(watch.changed(run[1], after=1, timeout_s=0.01)) is False


def test_run_that_does_not_exist_has_no_news(database: None) -> None:
    assert asyncio.run(watch.changed(uuid4(), after=0, timeout_s=0.5)) is False


def test_everybody_who_watches_is_told_of_a_new_event(run: tuple[World, UUID]) -> None:
    made, run_id = run

    async def scene() -> list[bool]:
        watchers = [asyncio.create_task(watch.changed(run_id, after=1, timeout_s=30)) for _ in range(50)]
        await asyncio.sleep(0)
        await asyncio.to_thread(journals.begin, made, run_id)
        return await asyncio.gather(*watchers)

    assert asyncio.run(scene()) == [True] * 50


def test_all_who_watch_share_one_question_to_the_database(
    run: tuple[World, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[set[UUID]] = []
    latest = watch.latest

    def counted(run_ids: set[UUID]) -> dict[UUID, int]:
        asked.append(run_ids)
        return latest(run_ids)

    monkeypatch.setattr(watch, "latest", counted)

    async def scene() -> None:
        await asyncio.gather(*(watch.changed(run[1], after=0, timeout_s=30) for _ in range(50)))

    asyncio.run(scene())
    assert asked == [{run[1]}]


def test_failure_to_ask_ends_the_watching(run: tuple[World, UUID], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> dict[UUID, int]:
        raise ConnectionError("no database")

    monkeypatch.setattr(watch, "latest", fails)
    with pytest.raises(ConnectionError, match="no database"):
        asyncio.run(watch.changed(run[1], after=0, timeout_s=30))


def test_everybody_who_waits_is_roused_though_nothing_happened(run: tuple[World, UUID]) -> None:
    async def scene() -> list[bool]:
        watchers = [asyncio.create_task(watch.changed(run[1], after=1, timeout_s=30)) for _ in range(50)]
        await asyncio.sleep(0)
        watch.rouse()
        return await asyncio.gather(*watchers)

    assert asyncio.run(scene()) == [False] * 50
