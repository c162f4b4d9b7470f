"""The part of the log that is on its way to one endpoint: what is next, what is done. Pure.

Entries come in at one end in the order of the log and are done in any order; `position` follows
behind the oldest that is not. The oldest that may go is handed out first; of a key one at a time,
or several together in one batch. What a batch was refused for is not known, so its entries go again
alone. What a parked key covers, and what the filter leaves out, is done as it comes in.

    position          oldest open entry                         loaded
       |                     |                                    |
    ---+---------------------+----+----+----+----+----+----+------+--->  log
         delivered, parked     open  done open open done  open
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import islice

from punchgate.domain.event import Entry, Position


@dataclass(slots=True)
class _Slot:
    entry: Entry
    is_open: bool = True
    #: Whether it is handed out in no batch any more.
    is_alone: bool = False


class Window:
    """What is between an endpoint's cursor and the last entry that was read for it."""

    def __init__(self, position: Position) -> None:
        #: Everything up to here is done with.
        self.position = position
        #: Everything up to here has been read.
        self.loaded = position
        self._slots: deque[_Slot] = deque()
        self._queues: dict[str, deque[_Slot]] = {}
        #: Keys of which nothing is on its way, by the place of their first entry.
        self._ready: list[tuple[Position, str]] = []
        self.open = 0

    def load(self, wanted: Iterable[Entry], reached: Position) -> None:
        """Take in what was read on from `loaded`, without what nobody wants."""
        for entry in wanted:
            slot = _Slot(entry)
            self._slots.append(slot)
            queue = self._queues.get(entry.key)
            if queue is None:
                self._queues[entry.key] = deque((slot,))
                heappush(self._ready, (entry.position, entry.key))
            else:
                queue.append(slot)
            self.open += 1
        self.loaded = reached
        self._follow()

    @property
    def has_ready(self) -> bool:
        """Say whether there is a key of which nothing is on its way."""
        return bool(self._ready)

    @property
    def goes_alone(self) -> bool:
        """Say whether the oldest entry that may go is one that goes in no batch."""
        return self.is_alone(self._ready[0][1])

    def take(self) -> Entry:
        """Hand out the oldest entry that may go; its key then waits."""
        return self.head(heappop(self._ready)[1])

    def take_batch(self, most: int, group: Callable[[Entry], str] | None) -> list[Entry]:
        """Hand out entries of several keys, those of a key in order, all of one group.

        What is to go alone is in none of them: whoever asks takes it (`goes_alone`).
        """
        batch: list[Entry] = []
        passed: list[tuple[Position, str]] = []
        wanted: str | None = None
        while self._ready and len(batch) < most:
            ready = heappop(self._ready)
            before = len(batch)
            for slot in self._queues[ready[1]]:
                if slot.is_alone or len(batch) == most:
                    break
                if group is not None:
                    one = group(slot.entry)
                    wanted = one if wanted is None else wanted
                    if one != wanted:
                        break
                batch.append(slot.entry)
            if len(batch) == before:
                passed.append(ready)
        for ready in passed:
            heappush(self._ready, ready)
        return batch

    def put_back(self, keys: Iterable[str]) -> None:
        """Have keys sent again from where they were."""
        for key in keys:
            if key in self._queues:
                heappush(self._ready, (self.head(key).position, key))

    def part(self, counts: Mapping[str, int]) -> None:
        """Have the first entries of keys, which were handed out together, go again each alone."""
        for key, count in counts.items():
            for slot in islice(self._queues[key], count):
                slot.is_alone = True
        self.put_back(counts)

    def is_alone(self, key: str) -> bool:
        """Say whether a key's first entry that is not done goes alone."""
        return self._queues[key][0].is_alone

    def done(self, key: str, count: int = 1) -> None:
        """Have a key's first entries, which were handed out, be done; its next may go."""
        queue = self._queues[key]
        for _ in range(count):
            queue.popleft().is_open = False
        self.open -= count
        if queue:
            heappush(self._ready, (queue[0].entry.position, key))
        else:
            del self._queues[key]
        self._follow()

    def rest(self, key: str) -> list[Entry]:
        """Give everything of a key that is not done."""
        return [slot.entry for slot in self._queues[key]]

    def drop(self, key: str) -> Position:
        """Have all of a key be done (it is parked now) and give the place before its first."""
        queue = self._queues.pop(key)
        for slot in queue:
            slot.is_open = False
        self.open -= len(queue)
        first = queue[0].entry.position
        if (first, key) in self._ready:  # after `fold` none is, and it is quick
            self._ready.remove((first, key))
            heapify(self._ready)
        self._follow()
        return first._replace(seq=first.seq - 1)

    def fold(self) -> list[tuple[str, Position]]:
        """Have every key be done of which nothing is on its way: each with the place before it."""
        idle, self._ready = self._ready, []
        return [(key, self.drop(key)) for _, key in idle]

    def head(self, key: str) -> Entry:
        """Give a key's first entry that is not done."""
        return self._queues[key][0].entry

    @property
    def span(self) -> int:
        """How many entries there are from the first that is not done on, done or not."""
        return len(self._slots)

    @property
    def oldest(self) -> Entry | None:
        """The first entry that is not done."""
        return self._slots[0].entry if self._slots else None

    def _follow(self) -> None:
        slots = self._slots
        while slots and not slots[0].is_open:
            self.position = slots.popleft().entry.position
        if not slots:
            self.position = self.loaded
