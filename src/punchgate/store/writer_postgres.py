"""The writer on PostgreSQL: one task with a connection of its own, and a pool for everything else.

`synchronous_commit=on`: a commit returns when its bytes are flushed. Any number of processes may
write; unique keys and the locks of `record_postgres.py` keep them apart.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import asyncpg
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from punchgate import telemetry
from punchgate.store import error as errors
from punchgate.store import record_postgres as record
from punchgate.store.database import POSTGRES_ERRORS, Address, postgres_engine
from punchgate.store.error import StoreUnavailable, StoreUnsafe
from punchgate.store.fact import Fact, Held, Outcome, refused
from punchgate.store.roster import Roster
from punchgate.store.writer import COMMIT_LIMIT_S, Group, Job, admit, gather, take_group

T = TypeVar("T")

#: What says that a row is at fault and not the database.
ROW_ERRORS: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    UnicodeEncodeError,
)
#: Settings under which a commit returns after the flush.
FLUSHED: Final = frozenset({"on", "remote_apply", "remote_write"})


class PostgresWriter:
    """One task that commits; see `writer.Writer`."""

    def __init__(self, where: Address) -> None:
        self._url = where.url
        self._engine = postgres_engine(where)
        self._roster = Roster()
        self._db: asyncpg.Connection[Any] | None = None
        self._jobs: deque[Job] = deque()
        self._running = 0
        self._rows = 0
        self._more = asyncio.Event()
        self._is_closing = False
        self._task = asyncio.create_task(self._work(), name="punchgate-writer")

    @property
    def rows(self) -> int:
        """How many items have been committed; see `Writer`."""
        return self._rows

    @property
    def waiting(self) -> int:
        """How many requests wait; those of the running group among them."""
        return len(self._jobs) + self._running

    async def record(self, items: Sequence[Fact | Held]) -> Sequence[Outcome]:
        """Hand items to the next group; see `Writer`."""
        admit(self.waiting)
        done: asyncio.Future[Sequence[Outcome]] = asyncio.get_running_loop().create_future()
        self._jobs.append(Job(done, items))
        self._more.set()
        return await done

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run work on a connection of the pool; see `Writer`."""
        try:
            async with asyncio.timeout(COMMIT_LIMIT_S), self._engine.begin() as connection:
                return await connection.run_sync(work)
        except IntegrityError:
            raise
        except POSTGRES_ERRORS as error:
            errors.note(error)
            raise StoreUnavailable("PostgreSQL cannot be written.") from error

    async def close(self) -> None:
        """Commit what waits, then close."""
        self._is_closing = True
        self._more.set()
        await self._task
        await self._disconnect()
        await self._engine.dispose()

    async def _work(self) -> None:
        while True:
            if not self._jobs:
                if self._is_closing:
                    return
                self._more.clear()
                await self._more.wait()
                continue
            jobs = take_group(self._jobs)
            self._running = len(jobs)
            await self._answer(gather(jobs))
            self._running = 0

    async def _answer(self, group: Group) -> None:
        """Commit a group and answer its callers, whatever happens."""
        try:
            shares = await self._commit(group)
        except Exception as error:  # noqa: BLE001 (whatever it is, its callers must hear of it)
            for job in group.jobs:
                if not job.done.done():
                    job.done.set_exception(error)
            return
        for job, share in zip(group.jobs, shares, strict=True):
            if not job.done.done():
                job.done.set_result(share)

    async def _commit(self, group: Group) -> Sequence[Sequence[Outcome]]:
        started = telemetry.stopwatch()
        try:
            async with asyncio.timeout(COMMIT_LIMIT_S):
                db = await self._connect()
                try:
                    async with db.transaction():
                        outcomes = await self._write(db, group.facts)
                        await record.hold(db, group.held)
                except ROW_ERRORS:
                    self._roster.forget()
                    async with db.transaction():
                        outcomes = await self._write_halved(db, group.facts)
                        await record.hold(db, group.held)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            errors.note(error)
            await self._disconnect()
            raise StoreUnavailable("PostgreSQL cannot be written.") from error
        rows = len(group.facts) + len(group.held)
        self._rows += rows
        telemetry.committed(seconds=started(), rows=rows)
        return group.share(outcomes)

    async def _write(self, db: "asyncpg.Connection[Any]", facts: Sequence[Fact]) -> list[Outcome]:
        if not facts:
            return []
        return await record.record(db, facts, self._roster, secrets.randbits(62))

    async def _write_halved(
        self, db: "asyncpg.Connection[Any]", facts: Sequence[Fact]
    ) -> list[Outcome]:
        try:
            async with db.transaction():
                return await self._write(db, facts)
        except ROW_ERRORS:
            self._roster.forget()
            if len(facts) == 1:
                await record.hold(db, [refused(facts[0])])
                return ["refused"]
            middle = len(facts) // 2
            left = await self._write_halved(db, facts[:middle])
            return left + await self._write_halved(db, facts[middle:])

    async def _connect(self) -> "asyncpg.Connection[Any]":
        if self._db is None or self._db.is_closed():
            db = await asyncpg.connect(
                self._url, server_settings={"synchronous_commit": "on"}, timeout=5
            )
            setting = await db.fetchval("SHOW synchronous_commit")
            fsync = await db.fetchval("SHOW fsync")
            if setting not in FLUSHED or fsync != "on":
                await db.close()
                raise StoreUnsafe(
                    "PostgreSQL would not flush at each commit"
                    f" (synchronous_commit {setting}, fsync {fsync})."
                )
            self._db = db
        return self._db

    async def _disconnect(self) -> None:
        """Throw the connection away; what it had not committed is gone, as it must be."""
        self._roster.forget()
        db, self._db = self._db, None
        if db is not None:
            db.terminate()
