"""A gateway that delivers: the real store, lanes, sender and a receiver on loopback.

Invented: the wall clock (so that a test can let three days pass) and the punches.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from punchgate import registry, runtime
from punchgate.delivery.sender import Limits, Sender
from punchgate.delivery.state import Tools
from punchgate.delivery.worker import Deliveries
from punchgate.domain.event import Event
from punchgate.domain.ids import EndpointId
from punchgate.store import events, schema
from punchgate.store.database import Connection
from punchgate.store.error import StoreUnavailable
from punchgate.store.fact import Fact, Held, Outcome
from punchgate.store.writer import Writer
from punchgate.usecases import endpoints
from punchgate.usecases.context import Context
from tests import gateway
from tests.gateway import MAIN, Clock, Gateway
from tests.receiver import OK, Behaviour, Request


class Ledger:
    """A receiver's books: what it took, and whether each person's events came in their turn.

    A choice is its own answer to a request before the books are asked; None takes it.
    """

    def __init__(self, choose: Callable[[Request], Behaviour | None] = lambda _: None) -> None:
        self.choose = choose
        self.taken: list[str] = []
        self.bodies: dict[str, bytes] = {}
        #: Events that came before the one before them of their person was taken.
        self.too_early: list[str] = []
        self._last: dict[str, int] = {}

    def __call__(self, request: Request) -> Behaviour:
        event_id = request.headers["webhook-id"]
        _, person, number = event_id.split("_")
        if int(number) > self._last.get(person, -1) + 1:
            self.too_early.append(event_id)
        assert self.bodies.setdefault(event_id, request.body) == request.body
        chosen = self.choose(request)
        if chosen is not None:
            return chosen
        self.taken.append(event_id)
        self._last[person] = max(self._last.get(person, -1), int(number))
        return OK


#: How soon whoever rests notices that the clock was turned.
TICK_S: Final = 0.02
#: For a hang only: no machine is so slow.
DEADLINE_S: Final = 60.0
T = TypeVar("T")

LOOPBACK: Final = {"allow_networks": ("127.0.0.0/8",)}


class Hand:
    """The writer as one process has it, which can be stopped as by SIGSTOP, and die."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.is_dead = False

    async def run(self, work: Callable[[Connection], T]) -> T:
        await self.may_write.wait()
        if self.is_dead:
            raise StoreUnavailable("This process was killed.")
        return await self._writer.run(work)

    async def record(self, items: Sequence[Fact | Held]) -> Sequence[Outcome]:
        return await self._writer.record(items)

    @property
    def waiting(self) -> int:
        return self._writer.waiting

    @property
    def rows(self) -> int:
        return self._writer.rows

    async def close(self) -> None:
        """Leave the writer open: it is everybody's."""


@dataclass
class Process:
    """One process that delivers, as far as it can be told from another in one loop."""

    hand: Hand
    #: How far its monotonic clock is ahead.
    ahead_s: float = 0.0
    task: "asyncio.Task[None] | None" = None

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s

    def freeze(self) -> None:
        """Let it write nothing, renew nothing."""
        self.hand.may_write.clear()

    def thaw(self, after_s: float) -> None:
        """Let it go on, so much later by its own clock."""
        self.ahead_s += after_s
        self.hand.may_write.set()


@dataclass
class Stage:
    """What a test of deliveries holds."""

    gate: Gateway
    sender: Sender
    running: dict[str, Process] = field(default_factory=dict)
    #: When what failed in a replay is tried again: at once, in their order.
    replay_steps_s: tuple[float, ...] = (0.0, 0.0, 0.0)

    @property
    def context(self) -> Context:
        return self.gate.context

    @property
    def clock(self) -> Clock:
        return self.gate.clock

    def waits(self, whole_s: float = Limits().whole_s) -> None:
        """Have an answer take so long at most from now on.

        Short is for whoever hangs. A receiver that is well must not be taken for slow because this
        process, its own, stood still for a moment: what it took would come once more.
        """
        self.sender._limits = Limits(whole_s=whole_s)

    @property
    def is_postgres(self) -> bool:
        return self.context.database.address.dialect == "postgresql"

    async def add_endpoint(self, url: str, **settings: Any) -> EndpointId:
        """Add an endpoint to the account `main`; the rest as of `endpoints.New`."""
        new = endpoints.New(address=url, changes=endpoints.Changes(**settings))
        added = await endpoints.add(self.context, MAIN, new, actor="test", now=self.clock())
        return added.endpoint.id

    async def tell(self, *told: Event) -> None:
        """Append to the log."""
        await self.context.writer.run(lambda tx: events.append(tx, MAIN, told))

    async def tell_many(self, people: int, each: int) -> list[Event]:
        """Append `each` events of so many people, in turn, and give them."""
        told = [
            event(f"{person:04d}", number) for number in range(each) for person in range(people)
        ]
        for start in range(0, len(told), 1_000):
            await self.tell(*told[start : start + 1_000])
        return told

    def deliver(self, owner: str = "one") -> Process:
        """Begin to deliver, as a process of that name."""
        process = Process(Hand(self.context.writer))
        tools = Tools(
            replace(self.context, writer=process.hand),
            asyncio.Semaphore(256),
            self.clock,
            process.monotonic,
            tick_s=TICK_S,
            replay_steps_s=self.replay_steps_s,
        )
        deliveries = Deliveries(tools, self.sender, registry.FORMATS, owner=owner)
        process.task = asyncio.create_task(deliveries.run(), name=f"process {owner}")
        self.running[owner] = process
        return process

    async def stop(self, owner: str = "one") -> None:
        """Stop that process in order."""
        task = self.running.pop(owner).task
        assert task is not None
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def kill(self, owner: str = "one") -> None:
        """End that process as a crash does: nothing is finished, written or given back.

        The lease is let go at once, which takes a crash half a minute.
        """
        process = self.running.pop(owner)
        process.hand.is_dead = True
        process.hand.may_write.set()
        assert process.task is not None
        for task in asyncio.all_tasks():
            if task.get_name().startswith("lane "):
                task.cancel()
        process.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, StoreUnavailable):
            await process.task
        await self.expire(owner)

    async def expire(self, owner: str) -> None:
        """Have a process's leases be over, as they are half a minute after it fell silent."""
        over = schema.cursor.update().where(schema.cursor.c.lease_owner == owner)
        await self.write(over.values(lease_until=0))
        gone = schema.process.delete().where(schema.process.c.owner == owner)
        await self.write(gone)

    async def write(self, statement: Any) -> None:
        """Run a statement in a transaction of its own."""
        await self.context.writer.run(lambda tx: tx.execute(statement))

    async def cursor(self) -> Any:
        """Give the row of the only cursor."""
        (row,) = await self.rows(schema.cursor)
        return row

    async def outcomes(self) -> list[str]:
        """Give what came of every attempt, in their order."""
        return [row.outcome for row in await self.rows(schema.attempt)]

    async def state(self) -> str:
        """Give the state of the only endpoint."""
        (row,) = await self.rows(schema.endpoint)
        return str(row.state)

    async def is_drained(self) -> bool:
        """Say whether nothing is left to be sent: no parked key, and every cursor at the end."""

        def look(tx: Connection) -> bool:
            # Of one moment: a settlement in between parks a key and moves the cursor.
            end = events.end_of(tx, MAIN)
            is_parked = tx.execute(schema.parked.select()).first() is not None
            cursors = tx.execute(schema.cursor.select()).all()
            return not is_parked and all((row.tx, row.seq) >= end[1:3] for row in cursors)

        return await self.context.database.read(look)

    async def rows(self, table: Any) -> list[Any]:
        """Give every row of a table, in the order of its key."""
        wanted = table.select().order_by(*table.primary_key.columns)
        return list(await self.context.database.read(lambda tx: tx.execute(wanted).all()))

    async def until(
        self, condition: Any, what: str = "what was expected", *, passing_ms: int = 0
    ) -> None:
        """Wait for a condition (a function, or a coroutine function) to hold.

        With `passing_ms` the clock is turned on by as much before each look.
        """
        try:
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    found = condition()
                    if await found if asyncio.iscoroutine(found) else found:
                        return
                    self.clock.ms += passing_ms
                    await self.context.log.poll()
                    # Give everybody else a turn.
                    await asyncio.to_thread(time.monotonic)
        except TimeoutError:
            raise AssertionError(f"waited in vain for {what}") from None


def event(person: str, number: int, kind: Any = "punch.recorded", at: int = gateway.NOON) -> Event:
    """Make an event of a person; its id names both."""
    body = f'{{"punch_id":"P{person}{number:06d}","person":{{"code":"{person}"}},"n":{number}}}'
    return Event(f"evt_{person}_{number:06d}", f"person:{person}", kind, at, at, body)


def by_key(ids: Iterable[str]) -> dict[str, list[str]]:
    """Sort event ids by the person that they name, in the order in which they came."""
    found: dict[str, list[str]] = {}
    for each in ids:
        found.setdefault(each.split("_")[1], []).append(each)
    return found


def is_in_order(ids: Sequence[str]) -> bool:
    """Say whether each person's events came first in order, repeats left out."""
    return all(
        list(dict.fromkeys(of_one)) == sorted(set(of_one)) for of_one in by_key(ids).values()
    )


@asynccontextmanager
async def open_stage(
    directory: Path, url: str | None = None, **delivery: Any
) -> AsyncIterator[Stage]:
    """Open a gateway that may deliver to loopback; its log is followed as `app.py` does it."""
    settings = {**LOOPBACK, **delivery}
    async with (
        gateway.open(directory, url, delivery=settings) as gate,
        Sender(gate.context.targets, time.monotonic) as sender,
    ):
        stage = Stage(gate, sender)
        follow = asyncio.ensure_future(runtime.every(0.02, gate.context.log.poll)())
        try:
            yield stage
        finally:
            for owner in list(stage.running):
                await stage.stop(owner)
            follow.cancel()
            # Its read is over before the store is closed under it.
            await asyncio.wait([follow])


def ids(requests: Iterable[Request]) -> list[str]:
    """Give the event ids that requests carried, in their order."""
    return [request.headers["webhook-id"] for request in requests]
