"""The connections that are open, and which of them may be used again.

It answers for their ages: one that was idle for a minute is closed, and none carries a request that
could end after it is five minutes old, because a name may lead elsewhere by then. It opens nothing
and sends nothing; how many requests are on their way at once is the worker's decision.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from punchgate.delivery.connection import Connection, Place

#: As many as requests may be on their way in a process; of more that are idle the oldest goes.
IDLE_MAX: Final = 256
#: The longest that a request may still hold on to a connection that is old.
_LAST_REQUEST_S: Final = 15.0


class Limits(NamedTuple):
    """How long and how much; a test shortens them, no setting does."""

    connect_s: float = 5.0
    whole_s: float = 15.0
    body_bytes: int = 16_384
    idle_s: float = 60.0
    #: How old a connection may become. A name may lead elsewhere by then, and is asked again.
    age_s: float = 300.0


class Pool:
    """Connections by the place they lead to. A connection that is in use is in nobody's way."""

    def __init__(self, limits: Limits, monotonic: Callable[[], float]) -> None:
        self._limits = limits
        self._monotonic = monotonic
        self._open: set[Connection] = set()
        # As ordered sets: the last to come is the first to go out again, so that those that a
        # burst needed grow old.
        self._idle: dict[Place, dict[Connection, None]] = {}
        self._by_rest: dict[Connection, None] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._empty = asyncio.Event()

    def __len__(self) -> int:
        """Count those that are idle."""
        return len(self._by_rest)

    def prepare(self, place: Place) -> Callable[[], Connection]:
        """Give what makes a connection of a socket."""
        now = self._monotonic()
        return partial(Connection, place, now, self._limits.body_bytes, self._forget)

    def add(self, connection: Connection) -> None:
        """Count a connection in that was just made; it is in use."""
        if self._is_closed:
            connection.drop()
        elif connection.is_clean:
            self._open.add(connection)

    def take(self, place: Place) -> Connection | None:
        """Give a connection that is fit for a request; None where one has to be made."""
        idle = self._idle.get(place)
        while idle:
            connection, _ = idle.popitem()
            del self._by_rest[connection]
            if self._may_stay(connection) and connection.is_fit():
                return connection
            connection.close()
        return None

    def give(self, connection: Connection) -> None:
        """Take a connection back after an answer; one that is not clean has closed itself."""
        if not connection.is_clean:
            return
        loop = connection.loop
        connection.idle_since = loop.time()
        if self._is_closed or not self._may_stay(connection):
            connection.close()
            return
        self._idle.setdefault(connection.place, {})[connection] = None
        self._by_rest[connection] = None
        if len(self._by_rest) > IDLE_MAX:
            self._end(next(iter(self._by_rest)))
        if self._sweeper is None:
            self._sweeper = loop.call_later(self._limits.idle_s / 4, self._sweep)

    async def close(self) -> None:
        """Close all connections, those in use too, and wait until they are gone."""
        self._is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self._open):
            connection.drop()
        while self._open:
            self._empty.clear()
            await self._empty.wait()

    def _may_stay(self, connection: Connection) -> bool:
        rested_s = connection.loop.time() - connection.idle_since
        age_s = self._monotonic() - connection.opened_at
        return rested_s < self._limits.idle_s and age_s < self._limits.age_s - _LAST_REQUEST_S

    def _sweep(self) -> None:
        """Close what was idle too long; comes back as long as anything is idle."""
        self._sweeper = None
        for connection in list(self._by_rest):
            if not self._may_stay(connection):
                self._end(connection)
        self._idle = {place: idle for place, idle in self._idle.items() if idle}
        if self._idle:
            loop = asyncio.get_running_loop()
            self._sweeper = loop.call_later(self._limits.idle_s / 4, self._sweep)

    def _end(self, connection: Connection) -> None:
        self._set_aside(connection)
        connection.close()

    def _set_aside(self, connection: Connection) -> None:
        if connection in self._by_rest:
            del self._by_rest[connection]
            del self._idle[connection.place][connection]

    def _forget(self, connection: Connection) -> None:
        self._set_aside(connection)
        self._open.discard(connection)
        if not self._open:
            self._empty.set()
