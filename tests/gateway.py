"""A whole gateway without its listeners: the real store in a directory, a clock that stands still.

Real: the database, the writer's thread, every use case. Invented: the time. Whoever tests a
listener starts a real one.
"""

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from punchgate import registry
from punchgate.config import Settings
from punchgate.domain.ids import AccountNo, SerialNumber
from punchgate.httpkit.edge import Edge
from punchgate.store import database
from punchgate.store.opening import open_store
from punchgate.usecases import devices, keys, punches, workdays
from punchgate.usecases.context import Context
from punchgate.usecases.directory import Directory, Entry
from punchgate.usecases.log import Log
from punchgate.usecases.presence import Presence
from punchgate.usecases.punches import Receipt
from punchgate.wire import attendance
from punchgate.wire.event import PunchesSeen

MAIN = AccountNo(1)
#: 2026-06-21 12:00:00 UTC, a Sunday noon after most punches of the pages' examples.
NOON = int(datetime(2026, 6, 21, 12, tzinfo=UTC).timestamp() * 1000)


@dataclass
class Clock:
    """A clock that a test turns."""

    ms: int = NOON

    def __call__(self) -> int:
        return self.ms


@dataclass
class Gateway:
    """What a test holds."""

    context: Context
    clock: Clock = field(default_factory=Clock)

    @property
    def edge(self) -> Edge:
        return Edge(self.context, self.clock, time.monotonic)

    async def add_device(
        self,
        serial: str = "SN1",
        *,
        id: str | None = None,  # noqa: A002 (as devices.New says it)
        token: str | None = None,
        **changes: Any,
    ) -> devices.Added:
        """Add a device to the account `main`; the rest as of `devices.Changes`."""
        new = devices.New(serial=serial, id=id, token=token, changes=devices.Changes(**changes))
        return await devices.add(self.context, MAIN, new, actor="test", now=self.clock())

    async def add_key(self, **options: Any) -> str:
        """Make an API key and give its text; options as of `keys.New`."""
        new = keys.New(**{"name": "test", **options})
        return (await keys.add(self.context, MAIN, new, actor="test", now=self.clock())).text

    async def entry(self, serial: str = "SN1") -> Entry:
        """Give a device as the directory knows it."""
        found = await self.context.directory.find(SerialNumber(serial))
        assert found is not None
        return found

    async def punch(self, serial: str, *items: Mapping[str, Any]) -> list[Receipt]:
        """Send punch objects of the HTTP contract through the one door."""
        seen = PunchesSeen([attendance.read_bytes(json.dumps(item).encode()) for item in items])
        entry = await self.entry(serial)
        return await punches.record(self.context, entry, seen, transport="http", now=self.clock())

    async def catch_up(self) -> None:
        """Compute every workday that waits."""
        await workdays.catch_up(self.context, self.clock)


@asynccontextmanager
async def open(  # noqa: A001 (reads as gateway.open)
    directory: Path, url: str | None = None, **settings: Any
) -> AsyncIterator[Gateway]:
    """Open a gateway on a SQLite file in a directory, or on another database."""
    chosen = Settings(data=directory, database=url, **settings)
    clock = Clock()
    where = database.address(chosen.database_url)
    async with open_store(where, is_serving=True, now=clock()) as store:
        context = Context(
            database=store.database,
            writer=store.writer,
            directory=Directory(
                store.database, default_zone=chosen.default_zone, monotonic=time.monotonic
            ),
            presence=Presence(),
            log=Log(store.database),
            readers=registry.READERS,
            vault=chosen.vault(),
            targets=chosen.delivery.rules(),
        )
        yield Gateway(context, clock)
