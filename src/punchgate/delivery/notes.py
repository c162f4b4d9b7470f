"""What a lane has learned and not yet written: attempts, parked keys, dead letters. Pure.

Several changes of one key between two settlements come out as its last.
"""

from collections.abc import Iterable

from punchgate.domain.endpoint import Health
from punchgate.domain.event import Position
from punchgate.store.cursors import Buried, Parked, Settlement, Tried


class Notes:
    """What the next settlement will write; `parked` is what holds now, written or not."""

    def __init__(self, position: Position, parked: Iterable[Parked]) -> None:
        self.parked: dict[str, Parked] = {item.key: item for item in parked}
        self._written = position
        self._tried: list[Tried] = []
        self._buried: list[Buried] = []
        self._touched: set[str] = set()
        self._freed: set[str] = set()
        self._health: Health | None = None
        self._told: Health | None = None

    def tried(self, item: Tried) -> None:
        """Note an attempt."""
        self._tried.append(item)

    def buried(self, item: Buried) -> None:
        """Note a dead letter."""
        self._buried.append(item)

    def park(self, item: Parked) -> None:
        """Note that a key waits, or waits differently from now on."""
        self.parked[item.key] = item
        self._touched.add(item.key)
        self._freed.discard(item.key)

    def free(self, key: str) -> None:
        """Note that a key waits no longer."""
        del self.parked[key]
        self._touched.discard(key)
        self._freed.add(key)

    def fares(self, health: Health) -> None:
        """Note how the endpoint fares now."""
        if health != self._told:
            self._health = self._told = health

    @property
    def count(self) -> int:
        """How much there is to write, the place in the log left out."""
        return (
            len(self._tried)
            + len(self._touched)
            + len(self._freed)
            + len(self._buried)
            + (self._health is not None)
        )

    def has_moved(self, position: Position) -> bool:
        """Say whether the place in the log is another one than was written last."""
        return position != self._written

    def take(self, position: Position) -> Settlement:
        """Give everything that is to be written, and begin anew."""
        learned = Settlement(
            position=position if self.has_moved(position) else None,
            tried=self._tried,
            parked=[self.parked[key] for key in self._touched],
            freed=list(self._freed),
            buried=self._buried,
            health=self._health,
        )
        self._written = position
        self._tried, self._buried = [], []
        self._touched, self._freed = set(), set()
        self._health = None
        return learned

    def give_back(self, learned: Settlement) -> None:
        """Take back what could not be written; what was learned since is the later word."""
        self._tried = [*learned.tried, *self._tried]
        self._buried = [*learned.buried, *self._buried]
        for item in learned.parked:
            if item.key in self.parked:
                self._touched.add(item.key)
            else:
                self._freed.add(item.key)
        self._freed |= {key for key in learned.freed if key not in self.parked}
        if self._health is None:
            self._health = learned.health
        if learned.position is not None:
            # Whatever place is written next, it must be written.
            self._written = learned.position._replace(seq=-1)
