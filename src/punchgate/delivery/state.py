"""What the tasks of one lane share: the window, the notes, the endpoint's health, and signals.

One event loop and no lock: whatever stands between two awaits happens at once.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

import msgspec

from punchgate import telemetry
from punchgate.delivery import parking, schedule
from punchgate.delivery.backlog import Backlog
from punchgate.delivery.breaker import Breaker
from punchgate.delivery.form import Rendered, Unrendered
from punchgate.delivery.notes import Notes
from punchgate.delivery.post import Post, Result
from punchgate.delivery.window import Window
from punchgate.domain.event import Entry, Position
from punchgate.store.cursors import ALL, Buried, Parked, Tried
from punchgate.store.error import StoreUnavailable
from punchgate.store.events import Window as Part
from punchgate.store.leases import Lease
from punchgate.usecases.context import Context

#: A holder stops this long after its last renewal; the lease itself lasts five seconds more.
TRUST_S: Final = 25.0
T = TypeVar("T")

#: How much of what was learned is written together at most.
SETTLE_AT: Final = 500

#: Who has to wait for what failed.
Blame = Literal["nobody", "key", "endpoint"]


@dataclass(frozen=True, slots=True)
class Tools:
    """What every lane of a process shares."""

    context: Context
    #: Requests on their way in the whole process.
    slots: asyncio.Semaphore
    now: Callable[[], int]
    monotonic: Callable[[], float]
    #: How long anything rests at most before it looks at the clock and at the store again.
    tick_s: float = 0.5
    #: After how many seconds an event that failed in a replay is tried again.
    replay_steps_s: tuple[float, ...] = (5, 30, 300)


class State:
    """One endpoint's deliveries in the middle of things."""

    def __init__(self, tools: Tools, lease: Lease, post: Post, parked: Sequence[Parked]) -> None:
        self.tools, self.lease, self.post = tools, lease, post
        self.pace = post.endpoint.pace
        #: One at a time, and nothing behind what failed: then everything is of one key.
        self.is_strict = self.pace.concurrency == 1 and self.pace.on_dead == "hold"
        self.notes = Notes(lease.position, parked)
        self.window = Window(self._begin(lease.position))
        self.breaker = Breaker(post.endpoint.health, self.pace)
        #: Up to where entries of a parked key were seen: its backlog ends there.
        self.covered = {item.key: lease.position for item in parked}
        #: What is still known of what waits there.
        self.backlog = Backlog()
        #: Parked keys that are being sent.
        self.busy: set[str] = set()
        self.in_flight = 0
        #: Until when the lease may be sent by; the worker says (`Lane.renewed`).
        self.trusted_until_s = float("-inf")
        self._next_start_s = 0.0
        #: Every key that waits has been probed in vain: one more part of the log is to be loaded.
        self.wants_more = False
        self.stopping = asyncio.Event()
        #: Something may be sent · there is room to load · a key may be due · something is to be
        #: written · a lot is · the endpoint fails.
        self.work, self.room, self.due = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.dirt, self.much, self.trouble = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def _begin(self, position: Position) -> Position:
        """Give the place to begin at: where all waited in order and need no longer, far back."""
        if self.is_strict:
            # Spent keys wait for nothing here: what is behind them is sent, and they are free.
            for item in list(self.notes.parked.values()):
                if parking.is_spent(item, self.pace.schedule_s):
                    self.notes.park(item._replace(due_at=self.tools.now()))
            return position
        waiting = self.notes.parked.get(ALL)
        if waiting is None:
            return position
        self.notes.free(ALL)
        return min(position, waiting.after)

    async def read(
        self,
        after: Position,
        *,
        limit: int,
        until: Position | None = None,
        keys: Collection[str] | None = None,
    ) -> Part:
        """Read on in the log, of some keys alone where they are given."""
        log, account = self.tools.context.log, self.lease.account
        is_one = self.is_strict and (keys is None or ALL in keys)
        found = await self.ask(
            lambda: log.read(
                account, after, limit=limit, until=until, keys=None if is_one else keys
            )
        )
        if not is_one:
            return found
        return found._replace(entries=[entry._replace(key=ALL) for entry in found.entries])

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """Ask the store, and again for as long as it cannot answer: nothing known is let go."""
        while True:
            try:
                return await question()
            except StoreUnavailable as error:
                telemetry.say("delivery.waits", "warning", slug=error.slug)
                # A lane that is stopped is cancelled out of this.
                await rest(asyncio.Event(), self.tools.tick_s)

    @property
    def is_trusted(self) -> bool:
        """Say whether the lease is fresh enough to send by."""
        return self.tools.monotonic() < self.trusted_until_s

    @property
    def may_start(self) -> bool:
        """Say whether one more request may go out now."""
        return (
            self.in_flight < self.breaker.limit
            and self.breaker.is_closed
            and not self.stopping.is_set()
            and self.is_trusted
        )

    @property
    def is_folded(self) -> bool:
        """Say whether keys wait only because the endpoint failed: they come before anything new."""
        return any(item.reason == "endpoint" for item in self.notes.parked.values())

    def is_wanted(self, entry: Entry) -> bool:
        """Say whether the endpoint wants an event, and its format has a form for it."""
        wanted = self.post.endpoint.filter
        if not self.post.form.carries(entry.type):
            return False
        data = msgspec.json.decode(entry.body) if wanted.needs_data else {}
        return wanted.passes(entry.type, data)

    async def send(
        self,
        rendered: Rendered | Unrendered,
        entries: Sequence[Entry],
        n: int,
        *,
        is_probe: bool = False,
    ) -> Result | None:
        """Send one request, within the endpoint's rate and the process's share.

        None when its turn came too late: the endpoint fails by now, or the lane ends.
        """
        self.in_flight += 1
        try:
            if self.pace.rate is not None:
                await self._take_turn(self.pace.rate)
            async with self.tools.slots:
                if self.stopping.is_set() or not self.is_trusted:
                    return None
                if not (is_probe or self.breaker.is_closed):
                    return None
                return await self.post.send(rendered, entries, n=n)
        finally:
            self.in_flight -= 1

    async def _take_turn(self, rate: float) -> None:
        clock_s = self.tools.monotonic()
        start_s = max(self._next_start_s, clock_s)
        self._next_start_s = start_s + 1 / rate
        if start_s > clock_s:
            await rest(self.stopping, start_s - clock_s)

    def note(
        self, entries: Sequence[Entry], result: Result, n: int, replay: str | None = None
    ) -> None:
        """Keep an attempt for the delivery log, and count it."""
        at = self.tools.now()
        for entry in entries:
            refused = result.refused.get(entry.id)
            outcome = "refused" if refused is not None else result.meaning.outcome
            telemetry.ATTEMPTS.add(outcome)
            self.notes.tried(
                Tried(
                    entry.id,
                    n,
                    at,
                    outcome,
                    result.status,
                    result.ms,
                    refused or result.error,
                    result.answer,
                    replay,
                )
            )
        telemetry.DELIVERY_SECONDS.add(amount=result.ms / 1000)
        self.dirt.set()
        if self.notes.count >= SETTLE_AT:
            self.much.set()

    def refuse(self, parked: Parked, head: Entry, result: Result, error: str | None) -> Parked:
        """Note that a parked key's head was refused; give the key as it waits now."""
        now, schedule_s = self.tools.now(), self.pace.schedule_s
        after = parking.failed(
            parked,
            schedule_s=schedule_s,
            on_dead=self.pace.on_dead,
            status=result.status,
            error=error,
            share=share(),
            now=now,
        )
        item = after.parked
        if after.is_dead:
            attempts = 1 if parking.is_spent(parked, schedule_s) else parked.attempt + 1
            self.notes.buried(Buried(head.id, head.key, error or "", result.status, attempts, now))
            telemetry.DEAD.add()
            item = item._replace(after=head.position)
        self.notes.park(item)
        self.due.set()
        return item

    def weigh(self, key: str, result: Result) -> Blame:
        """Tell the breaker what came of a request, and say who is to blame where it failed.

        Whoever asks puts the events back, or the key aside, and then calls `fails` where the
        endpoint does.
        """
        now, clock_s = self.tools.now(), self.tools.monotonic()
        outcome, reason = result.meaning.outcome, result.error or ""
        if outcome == "accepted":
            self.breaker.accepted(clock_s)
            return "nobody"
        if outcome == "unsent":
            return "key"
        if outcome == "refused":
            self.breaker.refused(key, now, reason)
            return "key"
        if outcome == "slow":
            # Who could not be reached is away, however lately he took something.
            sent_s = math.inf if result.meaning.is_away else clock_s - result.ms / 1000
            return "key" if self.breaker.slow(key, now, sent_s, reason) else "endpoint"
        if outcome == "backoff":
            wait_s = result.meaning.wait_s or schedule.PATIENCE_S
            self.breaker.asked_for_patience(now, schedule.patience_ms(wait_s, share()), reason)
        else:
            self.breaker.gone(now, reason)
        return "endpoint"

    def probed(self, entry: Entry, result: Result) -> bool:
        """Tell the breaker what came of a probe.

        True where it was taken; whoever asks notes that and then calls `recovers`.
        """
        now, outcome, wait_s = self.tools.now(), result.meaning.outcome, result.meaning.wait_s
        if outcome == "accepted" and entry.id not in result.refused:
            self.breaker.probed(now, self.tools.monotonic())
            return True
        if outcome == "gone":
            self.breaker.gone(now, result.error or "")
        else:
            wait_ms = None if wait_s is None else schedule.patience_ms(wait_s, share())
            self.breaker.probe_failed(now, result.error or "", wait_ms)
        self.fails()
        return False

    def fails(self) -> None:
        """Stop sending: what is loaded waits with its keys, so that the cursor can go past it."""
        self.notes.fares(self.breaker.health)
        self.fold()
        self.trouble.set()
        self.dirt.set()

    def recovers(self) -> None:
        """Begin to send again."""
        self.notes.fares(self.breaker.health)
        for wake in (self.dirt, self.work, self.due, self.room):
            wake.set()

    def fold(self) -> None:
        """Park every key of the window of which nothing is on its way; that counts as nothing."""
        now = self.tools.now()
        for key, before in self.window.fold():
            self.notes.park(parking.first(key, before, now))
            self.covered[key] = self.window.loaded
            self.dirt.set()

    def heal(self, key: str) -> None:
        """Free a spent key of which a replay has brought something home: it is known again."""
        item = self.notes.parked.get(key)
        if item is None or key in self.busy or not parking.is_spent(item, self.pace.schedule_s):
            return
        self.free(item._replace(attempt=0, due_at=self.tools.now()))

    def free(self, item: Parked) -> None:
        """Let a key whose backlog is sent go, or have the rest of it taken up."""
        if item.after < self.covered[item.key]:
            self.notes.park(item._replace(due_at=self.tools.now()))
        elif parking.is_spent(item, self.pace.schedule_s) and not self.is_strict:
            self.notes.park(parking.idle(item, item.after, self.tools.now()))
        else:
            self.notes.free(item.key)
            self.backlog.forget(item.key)
            del self.covered[item.key]
            if not self.is_folded:
                self.room.set()
        self.dirt.set()


def share() -> float:
    """Draw a number from 0 to 1, so that not everyone comes back at the same moment."""
    return random.random()  # noqa: S311 (jitter)


async def rest(wake: asyncio.Event, seconds: float) -> None:
    """Wait for a signal, for so long at most."""
    if wake.is_set():
        return
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        return
