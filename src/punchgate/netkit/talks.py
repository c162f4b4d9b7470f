"""The conversations of one port: how many there may be, and how they end together.

It does not know what carries them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from punchgate.netkit.error import Lost, Silent
from punchgate.netkit.line import Line
from punchgate.wire.error import ProtocolError

AnyLine = TypeVar("AnyLine", bound=Line[Any, Any])


class Talks:
    """Conversations that are going on, each in a task of its own."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._running)

    @property
    def has_room(self) -> bool:
        """Say whether one more conversation may begin."""
        return len(self._running) < self._limit

    def begin(self, talk: Callable[[AnyLine], Awaitable[None]], line: AnyLine) -> None:
        """Begin a conversation; its line is closed at its end, whatever happened."""
        task = asyncio.get_running_loop().create_task(_converse(talk, line))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def ended(self) -> None:
        """Wait until no conversation is going on."""
        while self._running:
            await asyncio.wait(self._running)

    async def close(self, *, within_s: float) -> None:
        """Begin no more, cancel those that are going on, and wait until they have ended."""
        self._limit = 0
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=within_s)


async def _converse(talk: Callable[[AnyLine], Awaitable[None]], line: AnyLine) -> None:
    try:
        await talk(line)
    except (Lost, Silent, ProtocolError):
        # The peer's doing: who talks has noted what is worth noting.
        return
    finally:
        await line.close()
