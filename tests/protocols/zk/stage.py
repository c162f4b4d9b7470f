"""A terminal and a client in one process, with every packet going through real frames.

Real: both roles of the codec. Simulated: the terminal's memory, which is a few plain values.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from punchgate.protocols.zk import layouts, moment, users
from punchgate.protocols.zk.client import Ask, Client, Conversation, frame_limit
from punchgate.protocols.zk.layouts import LayoutName, Row
from punchgate.protocols.zk.manner import Manner
from punchgate.protocols.zk.memory import Change, SaveUser
from punchgate.protocols.zk.moment import Said
from punchgate.protocols.zk.packets import Packet, TcpCodec
from punchgate.protocols.zk.tables import FreeSizes, Table
from punchgate.protocols.zk.terminal import Terminal

Result = TypeVar("Result")

NOW = datetime.fromisoformat("2026-06-21T09:30:00")
DAY = 86_400


@dataclass
class Memory:
    """What a terminal knows, in a test."""

    tables: dict[Table, bytes] = field(default_factory=dict)
    counters: FreeSizes = field(default_factory=FreeSizes)
    options: dict[str, str] = field(default_factory=lambda: {"~SerialNumber": "ACME0001"})
    templates: dict[tuple[int, int], bytes] = field(default_factory=dict)
    settings: dict[tuple[int, bytes], bytes] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    clock: Said = field(default_factory=lambda: moment.of(NOW))
    firmware: str = "Ver 6.60 Apr 26 2016"
    pin_width: int = 9
    activity: int = 0
    is_door_open: bool = False
    obeys: bool = True

    def now(self) -> Said:
        return self.clock

    def rows(self, table: Table) -> bytes:
        return self.tables.get(table, b"")

    def free_sizes(self) -> FreeSizes:
        return self.counters

    def option(self, name: str) -> str | None:
        return self.options.get(name)

    def template(self, uid: int, finger: int) -> bytes | None:
        return self.templates.get((uid, finger))

    def setting(self, command: int, selector: bytes) -> bytes | None:
        return self.settings.get((command, selector))

    def apply(self, change: Change) -> bool:
        self.changes.append(change)
        if self.obeys and isinstance(change, SaveUser):
            self.tables[Table.USERS] = self.rows(Table.USERS) + change.row
        return self.obeys


#: What may happen to an answer on its way: any packets instead of it.
Mishap = Callable[[Packet], Sequence[Packet]]


class Line:
    """Both ends of a connection; `said` holds what the client sent, in order."""

    def __init__(self, terminal: Terminal, *, mishap: Mishap = lambda packet: (packet,)) -> None:
        self.terminal = terminal
        self.client = Client()
        self.said: list[Packet] = []
        self.events: list[Packet] = []
        self._mishap = mishap
        self._up, self._down = TcpCodec(), TcpCodec()
        self._waiting: Iterator[Packet] = iter(())

    def run(self, conversation: Conversation[Result]) -> Result:
        """Hold a conversation to its end; an answer that never comes is a TimeoutError."""
        try:
            step = next(conversation)
            while True:
                if isinstance(step, Ask):
                    self._ask(self.client.request(step))
                self._down.allow(frame_limit(step))
                step = conversation.send(self._answer())
        except StopIteration as done:
            result: Result = done.value
            return result

    def _ask(self, packet: Packet) -> None:
        self._up.feed(self._up.send(packet))
        (heard,) = self._up.events()
        self.said.append(heard)
        self._waiting = (
            late for answer in self.terminal.hear(heard) for late in self._mishap(answer)
        )

    def _answer(self) -> Packet:
        for packet in self._waiting:
            self._down.feed(self._down.send(packet))
            for heard in self._down.events():
                match self.client.hear(heard):
                    case "answer":
                        return heard
                    case "event":
                        self.events.append(heard)
        raise TimeoutError


def line(memory: Memory, *, key: int = 0, manner: Manner | None = None, session: int = 7) -> Line:
    """Give a connection to a terminal that can be written to."""
    return Line(Terminal(memory, memory.apply, session=session, key=key, manner=manner))


def table(
    layout: LayoutName, count: int, *, start: str = "2026-03-02T08:00:00", step_s: int = 977
) -> bytes:
    """Give rows of a plausible log: numbered people, times that go on."""
    first = moment.pack(datetime.fromisoformat(start))
    rows = []
    for index in range(count):
        # Within the first 28 days of a month every packed number is a day that exists.
        at = first + index * step_s % (20 * DAY)
        uid = index % 40 + 1
        rows.append(layouts.get(layout).encode(Row(uid, str(uid), at, 1, index % 2)))
    return b"".join(rows)


def people(count: int, *, width: int = 72) -> bytes:
    """Give the rows of numbered people."""
    rows = [users.new(uid, str(1000 + uid), width=width) for uid in range(1, count + 1)]
    named = [users.changed(row, users.UserChange(name=f"N{at}")) for at, row in enumerate(rows)]
    return b"".join(named)
