"""What waits of parked keys, as far as it is still in memory. Pure.

A key that fails has mostly one or two events behind its head, and they were in the window a moment
ago: reading them from the log again would mean looking through everything that came since. A key
that is not here, after a restart or because there was no room, is read from the log. After an
erasure nothing is here: whoever delivers begins anew.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from punchgate.domain.event import Entry, Position

#: Entries of all keys together, at most.
MOST: Final = 10_000


class Backlog:
    """The entries of some parked keys, each key's complete and in order."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._entries: dict[str, deque[Entry]] = {}
        self._count = 0

    def keep(self, key: str, entries: Iterable[Entry]) -> None:
        """Keep what waits of a key that was parked just now, if there is room."""
        self.forget(key)
        kept = deque(entries)
        if self._count + len(kept) <= self._most:
            self._entries[key] = kept
            self._count += len(kept)

    def add(self, entry: Entry) -> None:
        """Add what came for a parked key; a key that is not kept stays so."""
        kept = self._entries.get(entry.key)
        if kept is None:
            return
        if self._count >= self._most:
            self.forget(entry.key)
            return
        kept.append(entry)
        self._count += 1

    def behind(self, key: str, after: Position, most: int) -> Sequence[Entry] | None:
        """Give a key's first entries behind a place; None where they must be read."""
        kept = self._entries.get(key)
        if kept is None:
            return None
        while kept and kept[0].position <= after:
            kept.popleft()
            self._count -= 1
        return [entry for entry, _ in zip(kept, range(most), strict=False)]

    def forget(self, key: str) -> None:
        """Forget a key: it is free, or will be read."""
        kept = self._entries.pop(key, None)
        if kept is not None:
            self._count -= len(kept)
