"""How long a conversation may take: a fixed time, and more as it announces more."""

import asyncio
from types import TracebackType
from typing import Self


class Deadline:
    """A time for everything inside of it; TimeoutError when it is over.

    Units:   seconds, on the loop's monotonic clock. `most_s` bounds what announcements add.
    """

    def __init__(self, total_s: float, *, bytes_per_s: float, most_s: float | None = None) -> None:
        self._began_s = asyncio.get_running_loop().time()
        self._total_s = total_s
        self._most_s = most_s
        self._bytes_per_s = bytes_per_s
        self._announced_bytes = 0
        self._allowed_s = 0.0
        self._timeout = asyncio.timeout_at(self._at())

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._timeout.__aexit__(kind, error, trace)

    def announce(self, size_bytes: int) -> None:
        """Give the time in which so many more bytes come."""
        if size_bytes:
            self._announced_bytes += size_bytes
            self._put()

    def allow(self, seconds: float) -> None:
        """Give at least so much on top of the fixed time."""
        self._allowed_s = max(self._allowed_s, seconds)
        self._put()

    def _put(self) -> None:
        if not self._timeout.expired():
            self._timeout.reschedule(self._at())

    def _at(self) -> float:
        more_s = max(self._announced_bytes / self._bytes_per_s, self._allowed_s)
        length_s = self._total_s + more_s
        if self._most_s is not None:
            length_s = min(length_s, self._most_s)
        return self._began_s + length_s
