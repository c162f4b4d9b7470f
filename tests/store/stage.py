"""What the suites of the store share: an open store on either database, facts made by hand, faults.

Real: both databases, the writer, and every fault, which is planted in the database itself as a
trigger. Invented: the facts and the time.
"""

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, TypeVar

import asyncpg
from sqlalchemy import Connection, select, text

from punchgate.domain import punch, quarantine
from punchgate.domain.codes import Direction
from punchgate.domain.ids import AccountNo, DeviceId, SerialNumber, UserCode
from punchgate.domain.punch import Punch
from punchgate.store import database, locks, schema
from punchgate.store.fact import Fact, Held
from punchgate.store.opening import Store, open_store
from punchgate.store.writer_process import ProcessWriter

T = TypeVar("T")

NOW: Final = 1_781_956_800_000
MAIN: Final = AccountNo(1)
DEVICE_JSON: Final = '{"id":"sn1","serial":"SN1","name":null,"site":null}'
_DIRECTIONS: Final[tuple[Direction, ...]] = ("check-in", "check-out")


@dataclass
class Stage:
    """An open store and the ways around it that a test needs."""

    url: str
    store: Store

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite")

    @property
    def writing_pid(self) -> int:
        """The process that commits punches."""
        writer = self.store.writer
        return (writer.pid or 0) if isinstance(writer, ProcessWriter) else os.getpid()

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self.store.database.read(work)

    async def rows(self, table: Any) -> list[Any]:
        """Give every row of a table, in the order of its key."""
        wanted = select(table).order_by(*table.primary_key.columns)
        return list(await self.read(lambda tx: tx.execute(wanted).all()))

    async def sizes(self, *tables: Any) -> list[int]:
        """Say how many rows tables have."""
        return [len(await self.rows(table)) for table in tables]

    async def sql(self, *statements: str) -> None:
        """Run statements in one transaction of the writer."""

        def work(tx: Connection) -> None:
            for statement in statements:
                tx.execute(text(statement))

        await self.store.writer.run(work)

    async def plant(self, moment: str, *, when: str, is_row_at_fault: bool) -> None:
        """Make the database fail at a moment (`BEFORE INSERT ON event`).

        A row at fault is one that breaks a rule; what is no row's fault is a full disk on
        PostgreSQL, on SQLite a table that is not there.
        """
        if self.is_sqlite:
            act = "SELECT RAISE(ABORT, 'planted')" if is_row_at_fault else "DELETE FROM missing"
            await self.sql(f"CREATE TRIGGER planted {moment} WHEN {when} BEGIN {act}; END")
            return
        code = "23514" if is_row_at_fault else "53100"
        await self.sql(
            "CREATE OR REPLACE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS $$"
            f" BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '{code}'; END $$",
            f"CREATE TRIGGER planted {moment} FOR EACH ROW WHEN ({when})"
            " EXECUTE FUNCTION planted()",
        )

    async def unplant(self, table: str) -> None:
        """Take the fault away."""
        of = "" if self.is_sqlite else f" ON {table}"
        await self.sql(f"DROP TRIGGER planted{of}")

    async def together(self, first: Fact, calls: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        """Have calls wait for the writer together while it is busy with one before them."""
        async with self._busy(first):
            waiting = self.store.writer.waiting
            tasks = [asyncio.ensure_future(call) for call in calls]
            await until(lambda: self.store.writer.waiting == waiting + len(tasks))
        return list(await asyncio.gather(*tasks))

    @asynccontextmanager
    async def _busy(self, first: Fact) -> AsyncIterator[None]:
        if self.is_sqlite:
            may_go_on, is_there = threading.Event(), threading.Event()

            def hold_up(_: Connection) -> None:
                is_there.set()
                may_go_on.wait(30)

            task = asyncio.ensure_future(self.store.writer.run(hold_up))
            await until(is_there.is_set)
            try:
                yield
            finally:
                may_go_on.set()
            await task
            return
        other = await asyncpg.connect(self.url)
        try:
            key = locks.lock_key(first.punch.account, f"person:{first.punch.user_code}")
            async with other.transaction():
                await other.execute("SELECT pg_advisory_xact_lock($1)", key)
                recorded = asyncio.ensure_future(self.store.writer.record([first]))
                waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                while not await other.fetchval(waits):
                    pass
                yield
            await recorded
        finally:
            await other.close()


@asynccontextmanager
async def open_stage(url: str, *, writes_apart: bool = False) -> AsyncIterator[Stage]:
    """Open the store at an address as a server does, but with a process for punches if asked."""
    where = database.address(url)
    async with open_store(where, is_serving=True, now=NOW, writes_apart=writes_apart) as store:
        yield Stage(url, store)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for a condition, for a minute at most."""
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110 (another thread answers; it sets no event of a loop)
            await asyncio.sleep(0.001)  # noqa: TID251 (looks again until the deadline)


def fact(
    code: str = "1001",
    wall_time: str = "2026-06-20 09:00:00",
    *,
    account: AccountNo = MAIN,
    serial: str = "SN1",
    direction: int = 0,
    dates: tuple[str, ...] | None = None,
) -> Fact:
    """Make the fact of a punch in UTC."""
    at = datetime.fromisoformat(wall_time)
    seconds = round((at - datetime(1970, 1, 1)).total_seconds())  # noqa: DTZ001 (a wall time)
    name = "main" if account == MAIN else f"account-{account}"
    known = Punch(
        account=account,
        punch_id=punch.derive_id(name, serial, code, at, wall_time, direction),
        device_id=DeviceId(serial.lower()),
        serial=SerialNumber(serial),
        user_code=UserCode(code),
        wall_time=wall_time,
        time_text=wall_time,
        zone="UTC",
        zone_source="device",
        utc_offset_s=0,
        at=seconds,
        received_at=seconds * 1000 + 5,
        direction_code=direction,
        direction=_DIRECTIONS[direction],
        verify_code=1,
        verify="face",
        code_table="http",
        transport="http",
        latitude=52.5,
        longitude=13.25,
        accuracy_m=None,
        temperature_c=36.6,
        mask=False,
        work_code=None,
        flags="",
        raw=json.dumps({"user_id": code, "att_time": wall_time, "att_state": direction}).encode(),
    )
    return Fact(known, DEVICE_JSON, dates or (wall_time[:10],))


def held(raw: bytes = b"?", *, serial: str = "SN1") -> Held:
    """Make an item for quarantine."""
    return Held(
        MAIN,
        quarantine.derive_id(serial, raw),
        DeviceId(serial.lower()),
        SerialNumber(serial),
        "http",
        NOW,
        "not_json",
        raw,
        "http/1",
    )


def caused() -> tuple[Any, ...]:
    """Name the tables that a punch writes to."""
    return schema.punch, schema.event, schema.person, schema.workday_stale


def days(first: str, count: int) -> Iterator[str]:
    """Give consecutive dates."""
    start = date.fromisoformat(first).toordinal()
    return (date.fromordinal(start + step).isoformat() for step in range(count))


@contextmanager
def file_limit(size: int, pid: int) -> Iterator[None]:
    """Let no file of a process grow beyond a size: what a full disk does to a commit."""
    import resource  # noqa: PLC0415 (only one test limits a process)

    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
