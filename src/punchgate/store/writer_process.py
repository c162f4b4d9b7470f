"""The writer of a server: punches are committed by a process of their own, everything else here.

The event loop that takes requests and the group that is committed would otherwise share one
interpreter, and hand it to and fro at every statement (docs/decisions/0018-a-writing-process.md).
What arrives in one turn of the loop goes over as one parcel; `writer_child.py` commits all that has
arrived as one group, and its answer is what the callers are told.

On SQLite there is one writer of a file at a time, so the two take turns: work waits until every
punch that went over is answered, and punches that arrive meanwhile wait for the work. After each
piece of work the punches go first. On PostgreSQL nobody waits for anybody.

Nobody waits for ever either: a process that has not answered for half a minute is ended and
replaced, and whoever waited is told that nothing is known of his punch.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple, TypeVar, cast

from sqlalchemy import Connection

from punchgate import telemetry
from punchgate.store import failure, parcel, writer_channel
from punchgate.store.database import Address
from punchgate.store.error import StoreUnavailable
from punchgate.store.fact import Fact, Held, Outcome, refused
from punchgate.store.parcel import Answer, Parcel
from punchgate.store.writer import (
    Group,
    Job,
    Writer,
    admit,
    answer,
    gather,
    take_group,
)
from punchgate.store.writer_channel import Channel

T = TypeVar("T")

#: How long a commit may take: beyond it the disk or the database does not answer.
COMMIT_S: Final = 30.0
#: How long until another try, when a process could not be started.
RETRY_S: Final = 1.0
_GONE: Final = "The writing process is not there; another is being started."


class _Sent(NamedTuple):
    """What went over and is not answered yet."""

    group: Group
    #: Facts that could not be sent, by their places; they went as quarantine rows.
    unfit: frozenset[int]
    #: When, by the clock of the loop.
    at: float


class ProcessWriter:
    """A process that commits punches, and a writer for the rest; see `writer.Writer`."""

    def __init__(
        self,
        where: Address,
        beside: Writer,
        *,
        keep: Sequence[int] = (),
        commit_s: float = COMMIT_S,
    ) -> None:
        """Nothing is started before `open`; a process inherits the files of `keep`."""
        self._where = where
        self._beside = beside
        self._keep = keep
        self._commit_s = commit_s
        self._takes_turns = where.dialect == "sqlite"
        self._loop = asyncio.get_running_loop()
        self._channel: Channel | None = None
        self._inbox: deque[Job] = deque()
        self._sent: deque[_Sent] = deque()
        self._work: deque[Job] = deque()
        self._turn: asyncio.Task[None] | None = None
        self._turn_at = 0.0
        #: Runs while something waits, once for all.
        self._watch: asyncio.TimerHandle | None = None
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
        else:
            self._begin_watch()

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
        self._sent.append(_Sent(group, unfit, self._loop.time()))
        self._channel.send(framed)
        self._begin_watch()

    def _told(self, one: Answer) -> None:
        """Hear what became of the oldest parcel."""
        group, unfit, _ = self._sent.popleft()
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
            self._turn_at = self._loop.time()
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

    # What takes too long.

    def _begin_watch(self) -> None:
        if self._watch is None:
            self._watch = self._loop.call_later(self._commit_s, self._look)

    def _look(self) -> None:
        """See to it that nobody waits for longer than a commit may take."""
        self._watch = None
        # What arrived in this turn of the loop goes over at its end, if no work is in the way.
        if not self._sent and not (self._inbox and self._turn is not None):
            return
        since = self._sent[0].at if self._sent else self._turn_at
        left_s = since + self._commit_s - self._loop.time()
        if left_s > 0:
            self._watch = self._loop.call_later(left_s, self._look)
        elif self._sent:
            self._end_stuck()
        else:
            # The work that they wait for is not ours to end.
            jobs = list(self._inbox)
            self._inbox.clear()
            telemetry.say("writer.held_up", "error", count=len(jobs))
            self._settle(jobs, StoreUnavailable("Other work has had the database for too long."))

    def _end_stuck(self) -> None:
        """End a process that does not answer; what it still commits, nobody acknowledges."""
        assert self._channel is not None  # noqa: S101 (its loss empties what was sent)
        telemetry.say("writer.stuck", "error", count=len(self._sent))
        self._channel.kill()

    # The process.

    async def _start(self) -> Channel:
        return await writer_channel.start(self._where, self._keep, told=self._told, lost=self._lost)

    def _lost(self, channel: Channel) -> None:
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
