"""The writer on SQLite: one thread with the one writing connection, which alone checkpoints.

WAL with `synchronous=FULL`: a commit returns when its bytes are flushed. The event loop hands jobs
over through a queue and hears of a whole group at once, so that a group costs one wake-up each way.
"""

import asyncio
import queue
import secrets
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from punchgate import telemetry
from punchgate.store import error as errors
from punchgate.store import record
from punchgate.store.database import Address, sqlite_engine
from punchgate.store.error import StoreUnavailable, StoreUnsafe
from punchgate.store.fact import Fact, Held, Outcome, refused
from punchgate.store.roster import Roster
from punchgate.store.writer import Group, Job, admit, gather, take_group

T = TypeVar("T")

#: What says that a row is at fault and not the database.
ROW_ERRORS: Final = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    UnicodeEncodeError,
)
#: Pages of the WAL before it is folded into the file, 16 MB: hot pages are then written once for
#: many commits instead of once for a few.
CHECKPOINT_PAGES: Final = 4_000


class SqliteWriter:
    """One thread that commits; see `writer.Writer`."""

    def __init__(self, where: Address, *, is_serving: bool) -> None:
        """Open the file for writing.

        A command that runs beside a server never checkpoints: two connections that do can meet
        SQLite's WAL-reset race (docs/decisions/0006-two-databases.md).

        Errors: StoreUnsafe if the file would not be flushed at each commit.
        """
        self._engine = sqlite_engine(where.path, is_read_only=False)
        self._pages = CHECKPOINT_PAGES if is_serving else 0
        self._roster = Roster()
        self._connection: Connection | None = None
        self._inbox: list[Job] = []
        self._jobs: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._is_ending = False
        self._waiting = 0
        self._rows = 0
        self._loop = asyncio.get_running_loop()
        self._connect()
        self._thread = threading.Thread(target=self._work, name="punchgate-writer", daemon=True)
        self._thread.start()

    @property
    def rows(self) -> int:
        """How many items have been committed; see `Writer`."""
        return self._rows

    @property
    def waiting(self) -> int:
        """How many requests wait; those of the running group among them."""
        return self._waiting

    async def record(self, items: Sequence[Fact | Held]) -> Sequence[Outcome]:
        """Hand items to the next group; see `Writer`."""
        done: asyncio.Future[Sequence[Outcome]] = self._loop.create_future()
        self._hand_in(Job(done, items))
        return await done

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Hand work to the writer's thread; see `Writer`."""
        done: asyncio.Future[T] = self._loop.create_future()
        self._hand_in(Job(done, work=work))
        return await done

    async def close(self) -> None:
        """Commit what waits, then close."""
        self._pass_on()
        self._jobs.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
        self._engine.dispose()

    def _hand_in(self, job: Job) -> None:
        admit(self._waiting)
        self._waiting += 1
        # The thread is woken once a turn of the loop, not once a job: a wake-up costs as much as a
        # punch, and a thread that wakes in mid-turn only fights for the interpreter.
        if not self._inbox:
            self._loop.call_soon(self._pass_on)
        self._inbox.append(job)

    def _pass_on(self) -> None:
        jobs, self._inbox = self._inbox, []
        self._jobs.put(jobs)

    def _settle(self, jobs: Sequence[Job], results: Sequence[Any] | Exception) -> None:
        """Answer the callers of a group, on the event loop, after its commit."""
        self._waiting -= len(jobs)
        if isinstance(results, Exception):
            if isinstance(results, StoreUnavailable):
                errors.note(results.__cause__)
            for job in jobs:
                if not job.done.done():
                    job.done.set_exception(results)
            return
        for job, result in zip(jobs, results, strict=True):
            if not job.done.done():
                job.done.set_result(result)

    # Everything below runs on the writer's thread.

    def _work(self) -> None:
        waiting: deque[Job] = deque()
        while self._take(waiting):
            if waiting[0].work is not None:
                job = waiting.popleft()
                self._answer([job], self._transact, job.work)
            else:
                jobs = take_group(waiting)
                self._answer(jobs, self._commit, gather(jobs))
        self._disconnect()

    def _take(self, waiting: deque[Job]) -> bool:
        """Move what has arrived to what waits; stands still only if nothing does. False ends it."""
        try:
            while not self._is_ending:
                arrived = self._jobs.get(block=not waiting)
                if arrived is None:
                    self._is_ending = True
                else:
                    waiting.extend(arrived)
        except queue.Empty:
            pass
        return bool(waiting)

    def _answer(
        self, jobs: Sequence[Job], act: Callable[[Any], Sequence[Any]], argument: object
    ) -> None:
        results: Sequence[Any] | Exception
        try:
            results = act(argument)
        except Exception as error:  # noqa: BLE001 (whatever it is, its callers must hear of it)
            results = error
        self._loop.call_soon_threadsafe(self._settle, jobs, results)

    def _transact(self, work: Callable[[Connection], Any]) -> Sequence[Any]:
        try:
            connection = self._connect()
            with connection.begin():
                return [work(connection)]
        except (DBAPIError, sqlite3.Error) as error:
            if isinstance(error, DBAPIError) and isinstance(error.orig, ROW_ERRORS):
                raise
            self._disconnect()
            raise StoreUnavailable("The database file cannot be written.") from error

    def _commit(self, group: Group) -> Sequence[Sequence[Outcome]]:
        started = telemetry.stopwatch()
        try:
            db = self._driver()
            db.execute("BEGIN IMMEDIATE")
            try:
                outcomes = self._write(db, group.facts)
            except ROW_ERRORS:
                db.execute("ROLLBACK")
                self._roster.forget()
                db.execute("BEGIN IMMEDIATE")
                outcomes = self._write_halved(db, group.facts)
            if group.held:
                record.hold(db, group.held)
            db.execute("COMMIT")
        except (sqlite3.Error, DBAPIError) as error:
            self._disconnect()
            raise StoreUnavailable("The database file cannot be written.") from error
        except Exception:
            # Whatever it is, the next group must not find a transaction open.
            self._disconnect()
            raise
        rows = len(group.facts) + len(group.held)
        self._rows += rows
        telemetry.committed(seconds=started(), rows=rows)
        return group.share(outcomes)

    def _write(self, db: sqlite3.Connection, facts: Sequence[Fact]) -> list[Outcome]:
        return record.record(db, facts, self._roster, secrets.randbits(62)) if facts else []

    def _write_halved(self, db: sqlite3.Connection, facts: Sequence[Fact]) -> list[Outcome]:
        db.execute("SAVEPOINT part")
        try:
            outcomes = self._write(db, facts)
        except ROW_ERRORS:
            db.execute("ROLLBACK TO part")
            self._roster.forget()
            if len(facts) == 1:
                record.hold(db, [refused(facts[0])])
                outcomes = ["refused"]
            else:
                middle = len(facts) // 2
                outcomes = self._write_halved(db, facts[:middle])
                outcomes += self._write_halved(db, facts[middle:])
        db.execute("RELEASE part")
        return outcomes

    def _connect(self) -> Connection:
        if self._connection is None:
            connection = self._engine.connect()
            db = _driver_of(connection)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            # What was erased is overwritten with zeros and not only forgotten; the default of this
            # setting is the build's.
            db.execute("PRAGMA secure_delete=ON")
            db.execute(f"PRAGMA wal_autocheckpoint={self._pages}")
            mode = db.execute("PRAGMA journal_mode").fetchone()[0]
            flush = db.execute("PRAGMA synchronous").fetchone()[0]
            if mode != "wal" or flush != 2:
                raise StoreUnsafe(
                    f"SQLite would not flush at each commit (journal {mode}, synchronous {flush})."
                )
            self._connection = connection
        return self._connection

    def _driver(self) -> sqlite3.Connection:
        return _driver_of(self._connect())

    def _disconnect(self) -> None:
        """Throw the connection away; what it had not committed is gone, as it must be."""
        self._roster.forget()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def _driver_of(connection: Connection) -> sqlite3.Connection:
    db = connection.connection.driver_connection
    if not isinstance(db, sqlite3.Connection):
        raise StoreUnsafe("This is not a SQLite connection.")
    return db
