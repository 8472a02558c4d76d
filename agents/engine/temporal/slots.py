"""Room in a process's hands, as Temporal's workers ask for it: no run is polled for that could not be taken up."""

import asyncio
from collections.abc import Callable
from typing import Final

from temporalio.worker import (
    CustomSlotSupplier,
    SlotMarkUsedContext,
    SlotPermit,
    SlotReleaseContext,
    SlotReserveContext,
)

#: Seconds between looks whether there is room again.
LOOK_S: Final = 0.1


class Room(CustomSlotSupplier):
    """Slots for taking runs up: `most` at once, and only while `is_room` says so."""

    def __init__(self, most: int, is_room: Callable[[int], bool]) -> None:
        self._most = most
        self._is_room = is_room
        self._reserved = 0

    async def reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit:
        """Wait for a slot."""
        while (permit := self.try_reserve_slot(ctx)) is None:
            await asyncio.sleep(LOOK_S)
        return permit

    def try_reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit | None:
        """Return a slot if there is one now."""
        if self._reserved >= self._most or not self._is_room(self._reserved):
            return None
        self._reserved += 1
        return SlotPermit()

    def mark_slot_used(self, ctx: SlotMarkUsedContext) -> None:
        """Nothing changes: it was counted when it was reserved."""

    def release_slot(self, ctx: SlotReleaseContext) -> None:
        """Count it as free."""
        self._reserved -= 1
