"""The conversations of one port: how many there may be, and how they end together.

It does not know what carries them.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from punchgate.netkit.error import Lost, Silent
from punchgate.netkit.line import Limits, Line
from punchgate.wire.error import ProtocolError

AnyLine = TypeVar("AnyLine", bound=Line[Any, Any])


class Talks:
    """Conversations that are going on, each in a task of its own."""

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.lines_max
        self._limit_per_peer = limits.lines_per_peer
        self._running: set[asyncio.Task[None]] = set()
        #: How many of them are with an address; one that has none is not in it.
        self._with: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._running)

    def has_room(self, peer: str) -> bool:
        """Say whether one more conversation may begin, with this address."""
        return len(self._running) < self._limit and self._with[peer] < self._limit_per_peer

    def begin(self, talk: Callable[[AnyLine], Awaitable[None]], line: AnyLine) -> None:
        """Begin a conversation; its line is closed at its end, whatever happened."""
        task = asyncio.get_running_loop().create_task(_converse(talk, line))
        self._running.add(task)
        self._with[line.peer] += 1
        task.add_done_callback(partial(self._end, line.peer))

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

    def _end(self, peer: str, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._with[peer] -= 1
        if not self._with[peer]:
            del self._with[peer]


async def _converse(talk: Callable[[AnyLine], Awaitable[None]], line: AnyLine) -> None:
    try:
        await talk(line)
    except (Lost, Silent, ProtocolError):
        # The peer's doing: who talks has noted what is worth noting.
        return
    finally:
        await line.close()
