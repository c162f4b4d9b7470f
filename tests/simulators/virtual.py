"""Virtual terminals of port 4370 for tests, and a caller that says exactly what it is told.

Real: sockets on loopback. The terminal's clock is a test's, and its pauses are noted and take no
time. The caller shares the codec with the terminal: what the codec says is proven with third-party
clients in `test_zk_clients.py`.
"""

from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from punchgate.netkit import datagram, stream
from punchgate.netkit.line import Line
from punchgate.protocols.zk import commkey, packets, tables
from punchgate.protocols.zk.commands import Command, Reply
from punchgate.protocols.zk.layouts import LayoutName
from punchgate.protocols.zk.packets import DatagramCodec, Packet, TcpCodec
from punchgate.protocols.zk.tables import Table
from punchgate.simulators import zk_faults, zk_fleet
from punchgate.simulators.zk import Nature, VirtualTerminal
from punchgate.simulators.zk_fleet import Fleet
from punchgate.simulators.zk_memory import Contents

NOON: Final = datetime(2026, 6, 21, 12, 0, 0)  # noqa: DTZ001 (a wall time has no zone)
#: How long a caller waits for what must come, and for what must not.
PATIENCE_S: Final = 60.0
SHORT_S: Final = 0.03
_LOOPBACK: Final = "127.0.0.1"


class Gone(Exception):
    """The terminal has closed the connection in good order."""


@dataclass
class Clock:
    """A clock that a test moves."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Caller:
    """One session with a terminal; requests are numbered from 0."""

    line: Line[Packet, Packet]
    session: int = 0
    number: int = 0
    #: What came unasked.
    events: list[Packet] = field(default_factory=list)
    #: Everything that came, in order.
    heard: list[Packet] = field(default_factory=list)

    async def ask(
        self, command: int, data: bytes = b"", *, within_s: float = PATIENCE_S
    ) -> list[Packet]:
        """Ask, and give the packets of the answer.

        Errors:  Gone, Lost, Silent, ProtocolError.
        """
        number = self.number
        self.number += 1
        await self.line.say(Packet(command, self.session, number, data))
        answer: list[Packet] = []
        while not answer or _goes_on(answer):
            packet = await self.next(within_s=within_s)
            if packet.command == Command.REG_EVENT:
                self.events.append(packet)
            elif packet.reply == number:
                answer.append(packet)
        return answer

    async def next(self, *, within_s: float = PATIENCE_S) -> Packet:
        packet = await self.line.hear(within_s=within_s)
        if packet is None:
            raise Gone
        self.heard.append(packet)
        return packet

    async def event(self) -> Packet:
        """Give the next event, also one that came earlier."""
        while not self.events:
            packet = await self.next()
            if packet.command == Command.REG_EVENT:
                self.events.append(packet)
        return self.events.pop(0)

    async def connect(self, *, key: int | None = None) -> int:
        """Begin the session; give the last answer's number."""
        hello = (await self.ask(Command.CONNECT))[0]
        self.session = hello.session
        if hello.command != Reply.ACK_UNAUTH or key is None:
            return hello.command
        return (await self.ask(Command.AUTH, commkey.scramble(key, self.session)))[0].command

    async def announced(self, table: Table) -> int:
        """Buffer a table, and give the size that was announced."""
        answer = (await self.ask(Command.PREPARE_BUFFER, tables.request(table)))[0]
        assert answer.command == Reply.ACK_OK
        size: int = tables.BUFFER_ANSWER.unpack(answer.data)[1]
        return size

    async def part(self, offset: int, length: int) -> list[Packet]:
        return await self.ask(Command.READ_BUFFER, tables.CHUNK_REQUEST.pack(offset, length))

    async def table(self, table: Table, *, chunk: int = tables.CHUNK_TCP) -> bytes:
        """Read a whole table, head included."""
        answer = (await self.ask(Command.PREPARE_BUFFER, tables.request(table)))[0]
        if answer.command == Command.DATA:
            return answer.data
        size: int = tables.BUFFER_ANSWER.unpack(answer.data)[1]
        read = b""
        while len(read) < size:
            part = data_of(await self.part(len(read), min(chunk, size - len(read))))
            if not part:
                break
            read += part
        await self.ask(Command.FREE_DATA)
        return read


@dataclass(frozen=True)
class Playing:
    """Terminals that listen."""

    terminals: Sequence[VirtualTerminal]
    ports: Sequence[int]
    clock: Clock
    pauses: list[float]

    @property
    def terminal(self) -> VirtualTerminal:
        return self.terminals[0]

    @property
    def port(self) -> int:
        return self.ports[0]

    @asynccontextmanager
    async def call(self, *, udp: bool = False, number: int = 0) -> AsyncIterator[Caller]:
        """Call a terminal; the session is not begun."""
        address = (_LOOPBACK, self.ports[number])
        if udp:
            line: Line[Packet, Packet] = await datagram.dial(
                address, DatagramCodec(), pause=_no_pause
            )
        else:
            codec = TcpCodec(limit=packets.TABLE_FRAME_LIMIT)
            line = await stream.dial(address, codec, pause=_no_pause)
        try:
            yield Caller(line)
        finally:
            await line.close()


@asynccontextmanager
async def playing(
    *faults: str,
    users: int = 5,
    records: int = 50,
    layout: LayoutName = "40",
    key: int = 0,
    count: int = 1,
    seed: int = 1,
    serial: str = "VT43700001",
    skew_s: int = 0,
) -> AsyncIterator[Playing]:
    """Let terminals listen on free ports of loopback."""
    clock = Clock()
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await _Turn()

    read = zk_faults.read(faults)
    fleet = Fleet(
        contents=Contents(
            users=users,
            records=records,
            layout=layout,
            last=NOON.date() - timedelta(days=2),
            seed=seed,
            serial=serial,
            faults=read,
        ),
        nature=Nature(faults=read, pause=pause, seed=seed, comm_key=key),
        clock=clock,
        skew=timedelta(seconds=skew_s),
        count=count,
    )
    terminals = fleet.terminals()
    async with zk_fleet.listening(terminals, (_LOOPBACK, 0), fleet.limits()) as ports:
        yield Playing(terminals, ports, clock, pauses)


def data_of(answer: Sequence[Packet]) -> bytes:
    """Give the table data of an answer."""
    return b"".join(packet.data for packet in answer if packet.command == Command.DATA)


def rows_of(table: bytes, width: int) -> list[bytes]:
    """Give the whole rows of a table that was read with its head."""
    rows = table[tables.TABLE_HEAD.size :]
    return [rows[at : at + width] for at in range(0, len(rows) - width + 1, width)]


def _goes_on(answer: Sequence[Packet]) -> bool:
    # PREPARE_DATA, then DATA, until something else ends it; one DATA alone is a whole answer.
    is_prepared = answer[0].command == Command.PREPARE_DATA
    return is_prepared and answer[-1].command in {Command.PREPARE_DATA, Command.DATA}


class _Turn:
    """One turn of the loop: whoever waits for a socket gets what has arrived."""

    def __await__(self) -> Generator[None, None, None]:
        yield


async def _no_pause(_: float) -> None:
    return
