"""The writer on SQLite inside one process: a thread that commits, and work of its own beside it.

The event loop hands jobs over through a queue and hears of a whole group at once, so that a group
costs one wake-up each way. A server leaves its punches to a process of their own
(`writer_process.py`) and has this one for everything else.
"""

import asyncio
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from punchgate import telemetry
from punchgate.store import failure, sqlite_file
from punchgate.store.committer_sqlite import CHECKPOINT_PAGES, ROW_ERRORS, SqliteCommitter
from punchgate.store.database import Address, sqlite_engine
from punchgate.store.error import StoreUnavailable, StoreUnsafe
from punchgate.store.fact import Fact, Held, Outcome
from punchgate.store.writer import Group, Job, admit, answer, gather, take_group

T = TypeVar("T")


class SqliteWriter:
    """One thread that commits; see `writer.Writer`."""

    def __init__(self, where: Address, *, is_serving: bool) -> None:
        """Open the file for writing.

        A command that runs beside a server never checkpoints: two connections that do can meet
        SQLite's WAL-reset race (docs/decisions/0006-two-databases.md). Those of one server take
        turns.

        Errors: StoreUnsafe if the file would not be flushed at each commit.
        """
        self._engine = sqlite_engine(where.path, is_read_only=False)
        self._pages = CHECKPOINT_PAGES if is_serving else 0
        self._committer = SqliteCommitter(where.path, checkpoint_pages=self._pages)
        self._connection: Connection | None = None
        self._inbox: list[Job] = []
        self._jobs: queue.SimpleQueue[list[Job] | None] = queue.SimpleQueue()
        self._is_ending = False
        self._waiting = 0
        self._rows = 0
        self._loop = asyncio.get_running_loop()
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
        if isinstance(results, StoreUnavailable):
            failure.note(results.__cause__)
        answer(jobs, results)

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
        self._committer.close()
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
        outcomes = self._committer.commit(group.facts, group.held)
        rows = len(group.facts) + len(group.held)
        self._rows += rows
        telemetry.committed(seconds=started(), rows=rows)
        return group.share(outcomes)

    def _connect(self) -> Connection:
        if self._connection is None:
            connection = self._engine.connect()
            db = connection.connection.driver_connection
            if not isinstance(db, sqlite3.Connection):
                raise StoreUnsafe("This is not a SQLite connection.")
            sqlite_file.make_durable(db, checkpoint_pages=self._pages)
            self._connection = connection
        return self._connection

    def _disconnect(self) -> None:
        """Throw the connection away; what it had not committed is gone, as it must be."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()
