"""The writer of a server: punches are committed by a process of their own, everything else here.

The event loop that takes requests and the group that is committed would otherwise share one
interpreter, and hand it to and fro at every statement (docs/decisions/0018-a-writing-process.md).
What arrives in one turn of the loop goes over as one parcel; `writer_child.py` commits all that has
arrived as one group, and its answer is what the callers are told.

On SQLite there is one writer of a file at a time, so the two take turns: work waits until every
punch that went over is answered, and punches that arrive meanwhile wait for the work. After each
piece of work the punches go first. On PostgreSQL nobody waits for anybody.
"""

import asyncio
import os
import socket
import sys
from asyncio.subprocess import Process
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple, TypeVar, cast

from sqlalchemy import Connection

from punchgate import telemetry
from punchgate.store import failure, parcel
from punchgate.store.committer_sqlite import CHECKPOINT_PAGES
from punchgate.store.database import Address
from punchgate.store.error import StoreUnavailable, StoreUnsafe
from punchgate.store.fact import Fact, Held, Outcome, refused
from punchgate.store.parcel import Answer, Orders, Parcel
from punchgate.store.writer import (
    GROUP_ROWS,
    Group,
    Job,
    Writer,
    admit,
    answer,
    gather,
    take_group,
)

T = TypeVar("T")

#: How long the process may take to open the database, and to end.
START_S: Final = 30.0
STOP_S: Final = 35.0
#: How long until another try, when a process could not be started.
RETRY_S: Final = 1.0
_PROGRAM: Final = (sys.executable, "-P", "-m", "punchgate.store.writer_child")
_GONE: Final = "The writing process is not there; another is being started."


class _Sent(NamedTuple):
    """What went over and is not answered yet."""

    group: Group
    #: Facts that could not be sent, by their places; they went as quarantine rows.
    unfit: frozenset[int]


class _Channel(asyncio.Protocol):
    """The socket to one writing process."""

    def __init__(
        self,
        process: Process,
        *,
        told: Callable[[Answer], None],
        lost: Callable[["_Channel"], None],
    ) -> None:
        self.process = process
        self.transport: asyncio.Transport | None = None
        #: Its first answer: the database is open, or why it is not.
        self.opened: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._told = told
        self._lost = lost
        self._frames = parcel.Frames()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        for message in self._frames.feed(data):
            one = parcel.ANSWERS.decode(message)
            if self.opened.done():
                self._told(one)
            else:
                self.opened.set_result(one)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if not self.opened.done():
            self.opened.set_exception(StoreUnavailable(_GONE))
        self._lost(self)

    def send(self, framed: bytes) -> None:
        """Send a frame; whatever happens to it is heard of as an answer, or as a loss."""
        assert self.transport is not None  # noqa: S101 (it is made before anybody has the channel)
        self.transport.write(framed)

    async def end(self) -> None:
        """Let the process finish what it has, and wait until it is gone."""
        if self.transport is not None:
            self.transport.close()
        try:
            async with asyncio.timeout(STOP_S):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


class ProcessWriter:
    """A process that commits punches, and a writer for the rest; see `writer.Writer`."""

    def __init__(self, where: Address, beside: Writer, *, keep: Sequence[int] = ()) -> None:
        """Nothing is started before `open`; a process inherits the files of `keep`."""
        self._where = where
        self._beside = beside
        self._keep = keep
        self._takes_turns = where.dialect == "sqlite"
        self._loop = asyncio.get_running_loop()
        self._channel: _Channel | None = None
        self._inbox: deque[Job] = deque()
        self._sent: deque[_Sent] = deque()
        self._work: deque[Job] = deque()
        self._turn: asyncio.Task[None] | None = None
        #: Processes that are being started, and waited for.
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting = 0
        self._items = 0
        self._rows = 0
        self._is_closing = False
        self._is_done = asyncio.Event()

    @property
    def rows(self) -> int:
        """How many items have been committed; see `Writer`."""
        return self._rows

    @property
    def waiting(self) -> int:
        """How many requests wait; those of the running group among them."""
        return self._waiting

    @property
    def pid(self) -> int | None:
        """The process that commits now; None while there is none."""
        return None if self._channel is None else self._channel.process.pid

    async def open(self) -> None:
        """Start the process.

        Errors:  StoreUnsafe if a commit would not be flushed; StoreUnavailable if it does not come
                 up.
        """
        self._channel = await self._start()

    async def record(self, items: Sequence[Fact | Held]) -> Sequence[Outcome]:
        """Hand items to the next parcel; see `Writer`."""
        admit(self._waiting, self._items)
        if self._channel is None:
            raise StoreUnavailable(_GONE)
        done: asyncio.Future[Sequence[Outcome]] = self._loop.create_future()
        self._waiting += 1
        self._items += len(items)
        # One parcel a turn of the loop, not one a job: a wake-up costs as much as a punch.
        if not self._inbox:
            self._loop.call_soon(self._pass_on)
        self._inbox.append(Job(done, items))
        return await done

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run work beside the process, in turn with it where both write one file; see `Writer`."""
        if not self._takes_turns:
            return await self._beside.run(work)
        admit(self._waiting)
        done: asyncio.Future[T] = self._loop.create_future()
        self._waiting += 1
        self._work.append(Job(done, work=work))
        self._next_turn()
        return await done

    async def close(self) -> None:
        """Commit what waits, then close."""
        self._is_closing = True
        if self._waiting:
            await self._is_done.wait()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._channel is not None:
            await self._channel.end()
        await self._beside.close()

    # Punches.

    def _pass_on(self) -> None:
        if self._turn is None and not self._work:
            self._send()

    def _send(self) -> None:
        """Send what has arrived; there is a process, or there is nothing to send."""
        while self._inbox:
            self._send_one(gather(take_group(self._inbox)))

    def _send_one(self, group: Group) -> None:
        assert self._channel is not None  # noqa: S101 (its loss empties the inbox)
        try:
            framed, unfit = _pack(group)
        except Exception as error:  # noqa: BLE001 (whatever it is, its callers must hear of it)
            self._settle(group.jobs, error)
            return
        self._sent.append(_Sent(group, unfit))
        self._channel.send(framed)

    def _told(self, one: Answer) -> None:
        """Hear what became of the oldest parcel."""
        group, unfit = self._sent.popleft()
        if one.commit is not None:
            if one.failure is not None:
                failure.say(one.failure)
            elif one.fault is None:
                self._rows += one.commit.rows
                telemetry.committed(seconds=one.commit.seconds, rows=one.commit.rows)
        self._settle(group.jobs, _results(group, unfit, one))
        if not self._sent:
            self._next_turn()

    def _settle(self, jobs: Sequence[Job], results: Sequence[Any] | Exception) -> None:
        self._waiting -= len(jobs)
        self._items -= sum([len(job.items) for job in jobs])
        answer(jobs, results)
        if self._is_closing and not self._waiting:
            self._is_done.set()

    # Work, in turn with the punches.

    def _next_turn(self) -> None:
        if self._work and not self._sent and self._turn is None:
            self._turn = self._loop.create_task(self._take_turn(self._work.popleft()))

    async def _take_turn(self, job: Job) -> None:
        # Whoever asked may have gone; the transaction runs to its end all the same.
        results: Sequence[Any] | Exception
        try:
            results = [await self._beside.run(cast("Callable[[Connection], Any]", job.work))]
        except Exception as error:  # noqa: BLE001 (it is its caller's)
            results = error
        self._turn = None
        self._settle([job], results)
        self._send()
        self._next_turn()

    # The process.

    async def _start(self) -> _Channel:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *_PROGRAM,
                stdin=theirs.fileno(),
                pass_fds=tuple(self._keep),
                # Our modules are found where we found them, whatever lies in the working directory.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        _, channel = await self._loop.create_connection(
            lambda: _Channel(process, told=self._told, lost=self._lost), sock=ours
        )
        channel.send(parcel.frame(_orders(self._where)))
        try:
            async with asyncio.timeout(START_S):
                opened = await channel.opened
        except TimeoutError:
            await channel.end()
            raise StoreUnavailable("The writing process did not come up.") from None
        except BaseException:
            await channel.end()
            raise
        if opened.fault is not None:
            await channel.end()
            raise StoreUnsafe(opened.fault)
        if opened.failure is not None:
            await channel.end()
            failure.say(opened.failure)
            raise StoreUnavailable("The writing process cannot open the database.")
        return channel

    def _lost(self, channel: _Channel) -> None:
        """Tell everyone who waited for a process that it is gone; then have another."""
        if channel is not self._channel:
            return
        self._channel = None
        jobs = [job for sent in self._sent for job in sent.group.jobs] + list(self._inbox)
        self._sent.clear()
        self._inbox.clear()
        if jobs or not self._is_closing:
            telemetry.say("writer.lost", "error", count=len(jobs))
        self._settle(jobs, StoreUnavailable(_GONE))
        self._next_turn()
        self._keep_task(channel.end())
        self._start_again()

    def _start_again(self) -> None:
        if not self._is_closing:
            self._keep_task(self._replace())

    def _keep_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _replace(self) -> None:
        try:
            self._channel = await self._start()
        except Exception as error:  # noqa: BLE001 (whatever it is, nobody else would try again)
            telemetry.say("writer.not_started", "error", error=f"{type(error).__name__}: {error}")
            self._loop.call_later(RETRY_S, self._start_again)
        else:
            telemetry.say("writer.started")


def _orders(where: Address) -> Orders:
    place = str(where.path) if where.dialect == "sqlite" else where.url
    return Orders(where.dialect, place, CHECKPOINT_PAGES, GROUP_ROWS)


def _pack(group: Group) -> tuple[bytes, frozenset[int]]:
    """Frame a group; a fact with a text that is no UTF-8 goes as a row of quarantine."""
    try:
        return parcel.frame(Parcel(group.facts, group.held)), frozenset()
    except UnicodeEncodeError:
        unfit = frozenset(place for place, fact in enumerate(group.facts) if not _fits(fact))
        facts = [fact for place, fact in enumerate(group.facts) if place not in unfit]
        held = [*group.held, *(refused(group.facts[place]) for place in sorted(unfit))]
        return parcel.frame(Parcel(facts, held)), unfit


def _fits(fact: Fact) -> bool:
    try:
        parcel.ENCODER.encode(fact)
    except UnicodeEncodeError:
        return False
    return True


def _results(group: Group, unfit: frozenset[int], one: Answer) -> Sequence[Any] | Exception:
    """Give each job its share of an answer."""
    if one.failure is not None:
        return StoreUnavailable("The database cannot be written.")
    if one.fault is not None:
        return RuntimeError(one.fault)
    if not unfit:
        return group.share(one.outcomes)
    rest = iter(one.outcomes)
    places = range(len(group.facts))
    return group.share(["refused" if place in unfit else next(rest) for place in places])
