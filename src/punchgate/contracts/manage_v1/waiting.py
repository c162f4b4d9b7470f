"""Requests that wait for an event: how many there may be, and what ends a wait.

A wait ends with the first event that is wanted, with its time, when the caller goes away, or when
the server is about to stop. Waiting costs memory and a place in the poll of the log, no thread and
no connection to the database; the bounds are there so that nobody takes all of it.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from punchgate.contracts.manage_v1.errors import NO_SEAT, Refused, too_many_waiting
from punchgate.domain.ids import KeyId
from punchgate.httpkit import body
from punchgate.httpkit.edge import Receive

T = TypeVar("T")

#: Of all keys in one process: a few megabytes, and a file descriptor each.
MOST: Final = 1_000
#: A client needs one per filter that it follows.
MOST_OF_A_KEY: Final = 16


class Room:
    """Who waits in this process, by key."""

    def __init__(self, *, most: int = MOST, most_of_a_key: int = MOST_OF_A_KEY) -> None:
        self._most = most
        self._most_of_a_key = most_of_a_key
        self._taken: Counter[KeyId] = Counter()

    @property
    def taken(self) -> int:
        """Say how many wait."""
        return self._taken.total()

    @contextmanager
    def seat(self, key: KeyId) -> Iterator[None]:
        """Hold a place while the block runs.

        Errors:  Refused when this key, or all together, have as many as they may.
        """
        if self._taken[key] >= self._most_of_a_key:
            raise Refused(too_many_waiting(self._most_of_a_key))
        if self.taken >= self._most:
            raise Refused(NO_SEAT)
        self._taken[key] += 1
        try:
            yield
        finally:
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]


async def attended(
    work: Coroutine[Any, Any, T], receive: Receive, stopping: asyncio.Event
) -> T | None:
    """Give what `work` gives, or None when the server is about to stop before it is done.

    Errors:  body.Gone when the caller goes away first; what `work` raises.
    """
    working = asyncio.ensure_future(work)
    watching = (
        asyncio.ensure_future(_leaves(receive)),
        asyncio.ensure_future(stopping.wait()),
    )
    leaving, _ = watching
    try:
        await asyncio.wait([working, *watching], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return await working
        if leaving.done():
            await leaving
            raise body.Gone
        return None
    finally:
        for task in (working, *watching):
            task.cancel()
        await asyncio.wait([working, *watching])


async def _leaves(receive: Receive) -> None:
    """Return when the caller has gone; what he may still send means nothing."""
    while (await receive())["type"] != "http.disconnect":
        continue
