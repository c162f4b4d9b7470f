"""The writer on PostgreSQL inside one process: a task that commits, and a pool for everything else.

A server leaves its punches to a process of their own (`writer_process.py`) and has this one for
everything else.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from punchgate import telemetry
from punchgate.store import failure
from punchgate.store.committer_postgres import COMMIT_LIMIT_S, PostgresCommitter
from punchgate.store.database import POSTGRES_ERRORS, Address, postgres_engine
from punchgate.store.error import StoreUnavailable
from punchgate.store.fact import Fact, Held, Outcome
from punchgate.store.writer import Group, Job, admit, answer, gather, take_group

T = TypeVar("T")


class PostgresWriter:
    """One task that commits; see `writer.Writer`."""

    def __init__(self, where: Address) -> None:
        self._engine = postgres_engine(where)
        self._committer = PostgresCommitter(where.url)
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
            failure.note(error)
            raise StoreUnavailable("PostgreSQL cannot be written.") from error

    async def close(self) -> None:
        """Commit what waits, then close."""
        self._is_closing = True
        self._more.set()
        await self._task
        self._committer.close()
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
        results: Sequence[Any] | Exception
        try:
            results = await self._commit(group)
        except Exception as error:  # noqa: BLE001 (whatever it is, its callers must hear of it)
            results = error
        answer(group.jobs, results)

    async def _commit(self, group: Group) -> Sequence[Sequence[Outcome]]:
        started = telemetry.stopwatch()
        try:
            outcomes = await self._committer.commit(group.facts, group.held)
        except StoreUnavailable as error:
            failure.note(error.__cause__)
            raise
        rows = len(group.facts) + len(group.held)
        self._rows += rows
        telemetry.committed(seconds=started(), rows=rows)
        return group.share(outcomes)
