"""Memory for the logs that are read at once: a process has so much, however many terminals it has.

A log takes memory as its bytes arrive, never because they are announced: a terminal may announce
what it likes. Who finds none left does not wait within its session, where people may be kept from
punching meanwhile: it hangs up, waits here until there is enough, and calls again.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from punchgate.protocols.zk.download import TABLE_LIMIT
from punchgate.usecases.terminals import TerminalTrouble

#: Sixty logs of 100,000 rows. One that is handed from who reads it to who records it is there twice
#: for a moment.
TOTAL_BYTES: Final = 4 * TABLE_LIMIT


class NoRoom(TerminalTrouble):
    """Other logs have the memory; `size_bytes` would be enough for this one."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__("busy", "Too many logs are being read at once.")
        self.size_bytes = size_bytes


class Room:
    """The memory of one process; `total_bytes` is at least what one log may take."""

    def __init__(self, total_bytes: int = TOTAL_BYTES) -> None:
        self.free_bytes = total_bytes
        self._freed = asyncio.Event()
        # Whoever needs much is not passed by those who wait for little.
        self._line = asyncio.Lock()

    @asynccontextmanager
    async def share(self, size_bytes: int = 0) -> AsyncIterator["Share"]:
        """Hold memory for one log; waits until so much is free."""
        async with self._line:
            while self.free_bytes < size_bytes:
                self._freed.clear()
                await self._freed.wait()
            share = Share(self)
            share.hold(size_bytes)
        try:
            yield share
        finally:
            self.free_bytes += share.held_bytes
            self._freed.set()


class Share:
    """What one log holds of it."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.held_bytes = 0

    def hold(self, size_bytes: int) -> None:
        """Hold at least so much from here on.

        Errors:  NoRoom.
        """
        more = size_bytes - self.held_bytes
        if more > self._room.free_bytes:
            raise NoRoom(size_bytes)
        if more > 0:
            self._room.free_bytes -= more
            self.held_bytes = size_bytes
