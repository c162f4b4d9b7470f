"""What the suites of terminals share: a gateway, virtual terminals on loopback, and who calls them.

Real: the store, the engine, every socket. Invented: what the terminals hold, and the gateway's
clock. Terminals stand in no hurry: their pauses take no time.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final

from sqlalchemy import select

from punchgate.domain.ids import DeviceId
from punchgate.domain.terminal import Settings, Terminal
from punchgate.engines.terminals import Terminals
from punchgate.engines.zk.tools import Pace, Tools
from punchgate.simulators.zk import VirtualTerminal
from punchgate.store import schema, terminals
from punchgate.usecases import devices, problems
from punchgate.usecases.quarantine import list_items
from punchgate.usecases.terminals import LogRead
from tests import gateway
from tests.gateway import MAIN, Gateway
from tests.simulators.virtual import Playing

ID: Final = DeviceId("vt")
SERIAL: Final = "VT43700001"
#: As patient as a test can be whose terminals fall silent on purpose: nobody who does answer takes
#: so long, on a busy machine either.
SHORT_S: Final = 2.0
#: A deadline that passes on purpose, for who has its turn by then.
LET_IN_S: Final = 8.0
#: What must come is waited for this long.
LONG_S: Final = 60.0
PACE: Final = Pace(
    total_s=LONG_S,
    farewell_s=0.2,
    enable_s=LONG_S,
    lease_poll_s=0.01,
    round_s=0.02,
    tick_s=0.01,
    beat_s=0.05,
    first_retry_s=0.02,
    last_retry_s=0.05,
)


@dataclass(frozen=True, slots=True)
class Stage:
    """A gateway that calls, and whom it calls."""

    gateway: Gateway
    terminals: Terminals

    async def read(self, *, is_live: bool = True, device_id: str = ID) -> LogRead:
        """Have the log read, however long that takes."""
        return await self.terminals.read_log(
            MAIN, DeviceId(device_id), is_live=is_live, deadline_s=None
        )

    async def settled(self) -> None:
        """Wait until everything that was cancelled has come to its end."""
        running = list(self.terminals._readings)
        if running:
            await asyncio.wait(running)

    async def known(self, device_id: str = ID) -> Terminal:
        """Give what the store knows of a terminal."""
        found = await self.gateway.context.database.read(
            lambda tx: terminals.find(
                tx, MAIN, DeviceId(device_id), vault=self.gateway.context.vault
            )
        )
        assert found is not None
        return found

    async def change(self, device_id: str = ID, **values: Any) -> None:
        """Write something over a terminal's row."""
        after = replace(await self.known(device_id), **values)
        vault = self.gateway.context.vault
        await self.gateway.context.writer.run(
            lambda tx: terminals.change(tx, MAIN, after, vault=vault)
        )

    async def stored(self) -> list[Any]:
        """Give every stored punch."""
        wanted = select(schema.punch).order_by(schema.punch.c.punch_id)
        return list(await self.gateway.context.database.read(lambda tx: tx.execute(wanted).all()))

    async def held(self) -> list[str]:
        """Give the reasons of what is in quarantine."""
        return sorted(
            item.reason for item in await list_items(self.gateway.context, MAIN, limit=10_000)
        )

    async def problems(self) -> set[str]:
        """Give the kinds of what an operator should look at."""
        return {each.kind for each in await problems.list_problems(self.gateway.context, MAIN)}


def tools(of: Gateway, pace: Pace = PACE) -> Tools:
    """Give what a process of ours works with."""
    pause = asyncio.sleep  # noqa: TID251 (handed in, as app.py does)
    return Tools(of.context, of.clock, pause, pace, Random(1))  # noqa: S311 (jitter)


@asynccontextmanager
async def open(  # noqa: A001 (reads as stage.open)
    directory: Path,
    *playings: Playing,
    url: str | None = None,
    max_sessions: int = 50,
    pace: Pace = PACE,
    **options: Any,
) -> AsyncIterator[Stage]:
    """Open a gateway that has registered every terminal that plays."""
    async with gateway.open(directory, url) as opened:
        ports = [port for playing in playings for port in playing.ports]
        for number, port in enumerate(ports):
            await register(opened, port, number=number, **options)
        caller = Terminals(tools(opened, pace), owner="first", max_sessions=max_sessions)
        try:
            yield Stage(opened, caller)
        finally:
            await caller.close()


def caller(of: Gateway, owner: str) -> Terminals:
    """Give what another process of ours would call with."""
    return Terminals(tools(of), owner=owner, max_sessions=50)


@asynccontextmanager
async def calling(
    directory: Path, port: int, *, key: int = 0, again: bool = False
) -> AsyncIterator[Stage]:
    """Open a gateway that calls one terminal at a port, whoever plays it."""
    directory.mkdir(exist_ok=True)
    async with gateway.open(directory) as opened:
        if not again:
            await register(opened, port, key=key)
        one = caller(opened, "first")
        try:
            yield Stage(opened, one)
        finally:
            await one.close()


@asynccontextmanager
async def reopened(directory: Path) -> AsyncIterator[Stage]:
    """Open a gateway again: what was registered is there, whoever held it is not."""
    async with gateway.open(directory) as opened:
        caller = Terminals(tools(opened), owner="next", max_sessions=50)
        try:
            yield Stage(opened, caller)
        finally:
            await caller.close()


async def register(
    of: Gateway,
    port: int,
    *,
    number: int = 0,
    timeout_s: float = 5.0,
    key: int = 0,
    udp: bool = False,
    host: str = "127.0.0.1",
    serial: str | None = None,
    **settings: Any,
) -> None:
    """Register a terminal; its patience may be shorter than an operator may set it."""
    device_id = named(number)
    new = devices.New(
        serial=serial or (f"{SERIAL}-{number + 1}" if number else SERIAL),
        id=device_id,
        changes=devices.Changes(engine="zk", zone="UTC"),
    )
    chosen = Settings(**{"realtime": False, **settings})
    terminal = Terminal(
        MAIN, device_id, host, port, udp, key, timeout_s, chosen, created_at=of.clock()
    )

    def work(tx: Any) -> None:
        devices.add_within(tx, MAIN, new, actor="test", now=of.clock())
        terminals.add(tx, MAIN, terminal, vault=of.context.vault)

    await of.context.writer.run(work)


def rows(playing: Playing, number: int = 0) -> set[tuple[str, str, int]]:
    """Give what the log of a terminal says: code, wall time, direction; impossible ones as well."""
    memory = playing.terminals[number].memory
    view = memory.log.view()
    said = [memory._row(view[index]) for index in range(len(view))]
    from punchgate.protocols.zk import moment  # noqa: PLC0415 (for this alone)

    return {(row.user_id, str(moment.said(row.packed)), row.state) for row in said}


def facts(stored: Sequence[Any]) -> set[tuple[str, str, int]]:
    """Give the same of stored punches."""
    return {(each.user_code, each.wall_time, each.direction_code) for each in stored}


def is_left_in_peace(terminal: VirtualTerminal) -> bool:
    """Say whether people can punch and nobody is connected."""
    return terminal.memory.is_enabled and not terminal.open_sessions


async def until(terminal: VirtualTerminal) -> None:
    """Wait until nobody is connected any more."""
    async with asyncio.timeout(LONG_S):
        while terminal.open_sessions:  # noqa: ASYNC110 (the terminal sets no event)
            await asyncio.sleep(0.001)  # noqa: TID251 (looks again until the deadline)


def named(number: int) -> DeviceId:
    """Give our name of the terminal that plays at this place."""
    return ID if number == 0 else DeviceId(f"vt{number + 1}")
