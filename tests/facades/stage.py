"""A facade on a free port before a real store, and the two ways in which tests call it.

Real: the store, the verbs that fill it, sockets on loopback, our own client's dialogues. Invented:
the clock, and the pauses, which are noted and take no time. What the dialogues cannot do, because
they are well-behaved, a `Caller` does frame by frame.
"""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import select

from punchgate.facades import zk
from punchgate.netkit import stream
from punchgate.netkit.line import Line, Pause
from punchgate.protocols.zk import dialogue, download, layouts, packets, users
from punchgate.protocols.zk.client import Ask, Client, Conversation
from punchgate.protocols.zk.packets import Packet, TcpCodec
from punchgate.protocols.zk.tables import Table
from punchgate.reports.terminal_view import Room, Scope, Taken, TerminalView
from punchgate.store import problems, schema
from punchgate.usecases import facade_notices, punches
from punchgate.wire.event import PunchesSeen, Reading
from tests.gateway import MAIN, Gateway
from tests.simulators.virtual import PATIENCE_S, Caller

T = TypeVar("T")

LOOPBACK: Final = "127.0.0.1"
GAP_S: Final = 0.005


@dataclass
class Turned:
    """A clock of seconds that a test turns."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


class Watched(TerminalView):
    """A view that counts how often it was looked at."""

    looks = 0

    async def read(self, room: Room) -> Taken:
        self.looks += 1
        return await super().read(room)


@dataclass
class Before:
    """A facade that listens, and what it did."""

    gateway: Gateway
    view: Watched
    port: int
    pauses: list[float]
    snapshots: list[zk.Snapshot]
    monotonic: Turned = field(default_factory=Turned)
    sessions: int = 0

    async def problems(self) -> dict[str, str]:
        """Give the open problems once the findings of every session are written."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.snapshots) < self.sessions:
                await Turn()
        found = await self.gateway.context.database.read(
            lambda tx: problems.list_problems(tx, MAIN, only_open=True, limit=100)
        )
        assert all(one.subject.startswith("facade:") for one in found)
        return {one.kind: one.detail for one in found}

    @asynccontextmanager
    async def call(self) -> AsyncIterator[Caller]:
        """Call it; the session is not begun."""
        line: Line[Packet, Packet] = await stream.dial(
            (LOOPBACK, self.port), TcpCodec(limit=packets.TABLE_FRAME_LIMIT), pause=no_pause
        )
        try:
            yield Caller(line)
        finally:
            await line.close()

    @asynccontextmanager
    async def session(self, key: int = 0) -> AsyncIterator["Session"]:
        """Begin a session with our own client."""
        async with self.call() as caller:
            session = Session(caller.line)
            self.sessions += 1
            await session.have(dialogue.connect(key))
            yield session


@dataclass
class Session:
    """A conversation of our own client."""

    line: Line[Packet, Packet]
    client: Client = field(default_factory=Client)
    events: list[Packet] = field(default_factory=list)

    async def have(self, conversation: Conversation[T]) -> T:
        """Have a conversation, and give its result; events that come meanwhile are kept."""
        step = next(conversation)
        while True:
            if isinstance(step, Ask):
                await self.line.say(self.client.request(step))
            packet = await self.next()
            heard = self.client.hear(packet)
            if heard == "event":
                self.events.append(packet)
            if heard != "answer":
                continue
            try:
                step = conversation.send(packet)
            except StopIteration as done:
                result: T = done.value
                return result

    async def next(self) -> Packet:
        packet = await self.line.hear(within_s=PATIENCE_S)
        assert packet is not None
        return packet

    async def event(self) -> Packet:
        """Give the next event."""
        while not self.events:
            packet = await self.next()
            assert self.client.hear(packet) == "event"
            self.events.append(packet)
        return self.events.pop(0)

    async def people(self) -> list[users.User]:
        found = await self.have(download.read(Table.USERS))
        assert found.is_complete
        return list(users.read_all(found.rows))

    async def rows(self) -> list[bytes]:
        found = await self.have(download.read(Table.ATTENDANCE))
        assert found.is_complete
        return list(layouts.LAYOUT_40.raws(found.rows)) if found.rows else []


@asynccontextmanager
async def before(
    opened: Gateway,
    scope: str = "account",
    *,
    key: int = 0,
    allow: Sequence[str] = ("127.0.0.0/8",),
    most: int = 100_000,
    zone: str = "UTC",
    idle_s: float = zk.IDLE_S,
    stranger_s: float = zk.STRANGER_S,
    pause: Pause | None = None,
) -> AsyncIterator[Before]:
    """Let a facade listen before a gateway."""
    pauses: list[float] = []
    snapshots: list[zk.Snapshot] = []
    monotonic = Turned()

    async def noted(seconds: float) -> None:
        pauses.append(seconds)

    async def note(snapshot: zk.Snapshot) -> None:
        await notices.note(findings(snapshot))
        snapshots.append(snapshot)

    shown = Scope.read(scope, MAIN)
    notices = facade_notices.Notices(opened.context, MAIN, str(shown), opened.clock)
    view = Watched(opened.context.database, opened.context.log, shown, most=most)
    facade = zk.Facade(
        view,
        zk.Face(scope=shown, most_rows=most, zone=zone, now=opened.clock, host=LOOPBACK),
        zk.Settings(
            key=key,
            allow=tuple(ipaddress.ip_network(text) for text in allow),
            frame_gap_s=GAP_S,
            idle_s=idle_s,
            stranger_s=stranger_s,
        ),
        zk.Surroundings(pause=pause or noted, monotonic=monotonic, note=note),
    )
    async with following(opened), zk.listening((LOOPBACK, 0), facade) as listener:
        yield Before(opened, view, listener.port, pauses, snapshots, monotonic)


def findings(snapshot: zk.Snapshot) -> facade_notices.Findings:
    taken, omitted = snapshot.taken, snapshot.rows.omitted
    return facade_notices.Findings(
        unfit=omitted.unfit,
        long=omitted.long,
        times=omitted.times,
        cut_at=taken.cut_at,
        devices=None if taken.devices is None else frozenset(taken.devices),
    )


async def fill(opened: Gateway, count: int, *, serial: str = "SN1") -> None:
    """Let so many punches be recorded, a minute apart."""
    entry = await opened.entry(serial)
    readings = [
        Reading(
            b"{}",
            "7",
            wall_time(minute),
            None,
            "wall",
            str(wall_time(minute)),
            0,
            0,
        )
        for minute in range(count)
    ]
    for start in range(0, count, 1_000):
        seen = PunchesSeen(readings[start : start + 1_000])
        await punches.record(opened.context, entry, seen, transport="http", now=opened.clock())


def item(second: int, code: str = "7") -> dict[str, Any]:
    return {"user_id": code, "att_time": f"2026-06-20 10:00:{second:02}"}


@asynccontextmanager
async def following(opened: Gateway) -> AsyncIterator[None]:
    """Look for news in the log again and again, as a worker of the gateway does."""

    async def follow() -> None:
        while True:
            await opened.context.log.poll()
            await Turn()

    task = asyncio.ensure_future(follow())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def contents(opened: Gateway) -> dict[str, list[Any]]:
    """Give every row of every table that a write through the facade could want to touch."""
    kept = (schema.punch, schema.person, schema.device, schema.event, schema.quarantine)
    return {
        table.name: [
            tuple(row)
            for row in await opened.context.database.read(
                lambda tx, table=table: tx.execute(  # type: ignore[misc]  # the loop's own table
                    select(table).order_by(*table.primary_key.columns)
                ).all()
            )
        ]
        for table in kept
    }


def wall_time(minute: int) -> datetime:
    """Give a wall time so many minutes into June 2026's first days."""
    return datetime(2026, 6, 1) + timedelta(minutes=minute)  # noqa: DTZ001 (a wall time)


class Turn:
    """One turn of the loop."""

    def __await__(self) -> Generator[None, None, None]:
        yield


async def no_pause(_: float) -> None:
    return
