"""Room for runs: none is polled for that could not be taken up."""

import asyncio
from typing import Any, cast

from agents.engine.temporal.slots import Room

ASKED = cast(Any, None)


def test_there_are_as_many_slots_as_there_may_be_at_once() -> None:
    room = Room(2, lambda reserved: True)
    assert room.try_reserve_slot(ASKED) is not None
    assert room.try_reserve_slot(ASKED) is not None
    assert room.try_reserve_slot(ASKED) is None

    room.release_slot(ASKED)

    assert room.try_reserve_slot(ASKED) is not None


def test_a_slot_is_waited_for_until_there_is_room() -> None:
    has_room = False
    room = Room(2, lambda reserved: has_room)

    async def wait() -> None:
        nonlocal has_room
        slot = asyncio.ensure_future(room.reserve_slot(ASKED))
        await asyncio.sleep(0.01)
        assert not slot.done()
        has_room = True
        await asyncio.wait_for(slot, 30)

    asyncio.run(wait())
