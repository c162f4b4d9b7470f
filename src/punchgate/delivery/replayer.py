"""Replays: a second walk over the log for one endpoint, slower, beside what is live.

The same requests as live, with the same ids and bytes, under the same lease, in order per person.
It has connections and a rate of its own, never touches the cursor, and leaves alone what waits with
a parked key: that comes anyway. What fails is tried three times more, then counted and left among
the dead letters. While the endpoint fails nothing is sent, unless there is nothing live to try it
with: then one of these is its probe.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from punchgate.delivery.post import Result
from punchgate.delivery.state import Blame, State, rest
from punchgate.delivery.window import Window
from punchgate.domain.event import Entry, Position
from punchgate.store import cursors, deliveries, replays
from punchgate.store.cursors import ALL, Buried, Settlement
from punchgate.store.database import Connection
from punchgate.store.error import StoreBusy, StoreUnavailable
from punchgate.store.replays import Replay
from punchgate.usecases.replays import chosen

#: Requests of one replay that are on their way at once.
CONNECTIONS: Final = 4
#: Entries that are read and not done, at most: what a restart repeats.
WINDOW: Final = 1_000
LOW: Final = WINDOW // 2
#: The same where one was refused, which stays open for over five minutes: at the default rate the
#: walk need not wait for it.
SPAN: Final = 20_000
#: Parts of the log that are read in a row where nothing of them is wanted.
_PARTS: Final = 20
#: Turns that were missed by no more are caught up: the timers of an event loop are coarse.
LATE_S: Final = 0.05
#: Every so many ticks it looks for a job, and writes how far it has come.
_LOOKS: Final = 2


async def replay(state: State) -> None:
    """Walk the endpoint's jobs, one after the other."""
    find = partial(
        replays.next_running, account=state.lease.account, endpoint_id=state.lease.endpoint_id
    )
    while not state.stopping.is_set():
        job = await state.ask(lambda: state.tools.context.database.read(find))
        if job is not None:
            await _Walk(state, job).run()
        await rest(state.stopping, _LOOKS * state.tools.tick_s)


class _Progress(NamedTuple):
    """How far a walk has come at one moment, and what it has learned since it last wrote."""

    position: Position
    sent: int
    failed: int
    buried: Sequence[Buried]
    revived: Sequence[str]
    is_done: bool


class _Walk:
    """One job in the middle of things."""

    def __init__(self, state: State, job: Replay) -> None:
        self._state, self._job = state, job
        place, pace = state.lease.position, state.pace
        # After a restore the end cannot be told by its number; the cursor is behind it.
        self._end = job.end if job.end.generation == place.generation else place
        self._rate = min(job.rate, pace.rate or job.rate)
        self._connections = 1 if state.is_strict else CONNECTIONS
        self._window = Window(job.position)
        self._is_read = False
        self._tries: dict[str, int] = {}
        #: Keys that wait for their next try.
        self._waiting = 0
        self._dead: set[str] = set()
        self._sent = self._failed = 0
        self._buried: list[Buried] = []
        self._revived: list[str] = []
        self._next_start_s = 0.0
        self._work, self._ended = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """Send until the end, or until somebody else has ended it."""
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(self._send()) for _ in range(self._connections)]
            running.append(tasks.create_task(self._probe()))
            while True:
                has_room = self._has_room
                if not await self._keep() or self._state.stopping.is_set():
                    break
                if has_room:
                    # Only now, so that no more than a window is ever behind what was written.
                    await self._load()
                await rest(self._ended, _LOOKS * self._state.tools.tick_s)
                self._ended.clear()
            for task in running:
                task.cancel()

    @property
    def _has_room(self) -> bool:
        return not self._is_read and self._window.open < LOW and self._window.span < SPAN

    async def _load(self) -> None:
        for _ in range(_PARTS):
            await self._load_part()
            if self._window.open or self._is_read:
                break
        self._work.set()
        if not self._window.open:
            self._ended.set()

    async def _load_part(self) -> None:
        state, job, window = self._state, self._job, self._window
        log, database = state.tools.context.log, state.tools.context.database
        found = await state.ask(
            lambda: log.read(job.account, window.loaded, limit=WINDOW - LOW, until=self._end)
        )
        among = partial(
            deliveries.dead_among,
            account=job.account,
            endpoint_id=job.endpoint_id,
            event_ids=[entry.id for entry in found.entries],
        )
        dead = await state.ask(lambda: database.read(among))
        self._dead.update(dead)
        picked = chosen(found.entries, job.selection, state.post.endpoint.filter, dead)
        window.load([entry for entry in picked if self._is_free(entry)], found.reached)
        self._is_read = found.is_end

    def _is_free(self, entry: Entry) -> bool:
        """Say whether an event is nobody else's: what waits with a parked key comes anyway.

        What stands before its place is done with: taken, or dead, and comes in no other way.
        """
        if entry.position > self._state.window.position:
            # Live has gone back to here: after a restore, or out of strict order.
            return False
        parked = self._state.notes.parked
        for key in (entry.key, ALL):
            if key in parked and entry.position > parked[key].after:
                return False
        return self._state.post.form.carries(entry.type)

    async def _send(self) -> None:
        state, window = self._state, self._window
        while True:
            while not (window.has_ready and self._may_send()):
                self._work.clear()
                await rest(self._work, state.tools.tick_s)
            await self._send_one(window.take())

    def _may_send(self, *, is_probe: bool = False) -> bool:
        state = self._state
        if state.is_strict and self._waiting:
            # Nothing passes what was refused.
            return False
        may_try = is_probe or state.breaker.is_closed
        return may_try and state.is_trusted and not state.stopping.is_set()

    async def _send_one(self, entry: Entry, *, is_probe: bool = False) -> None:
        state = self._state
        rendered = state.post.compose([entry])
        if rendered is None:
            self._done(entry)
            return
        n = self._tries.get(entry.id, 0) + 1
        result = None
        try:
            await self._take_turn()
            async with state.tools.slots:
                # Its turn may have come too late: the endpoint fails by now, or the lane ends.
                if self._may_send(is_probe=is_probe):
                    result = await state.post.send(rendered, [entry], n=n, replay=self._job.id)
        finally:
            if result is None:
                self._window.put_back([entry.key])
        if result is None:
            return
        if is_probe:
            self._judge_probe(entry, result)
        else:
            self._judge(entry, result)
        state.note([entry], result, n, self._job.id)

    async def _take_turn(self) -> None:
        tools, stopping = self._state.tools, self._state.stopping
        start_s = max(self._next_start_s, tools.monotonic() - LATE_S)
        self._next_start_s = start_s + 1 / self._rate
        while (wait_s := start_s - tools.monotonic()) > 0 and not stopping.is_set():
            await rest(stopping, min(wait_s, tools.tick_s))

    async def _probe(self) -> None:
        """While the endpoint fails and nothing live is there to try it with, try one of these."""
        state, window = self._state, self._window
        while not state.stopping.is_set():
            await rest(state.stopping, state.tools.tick_s)
            health = state.breaker.health
            is_due = health.state == "failing" and (health.retry_at or 0) <= state.tools.now()
            has_live = state.notes.parked or state.window.open
            if is_due and not has_live and window.has_ready:
                await self._send_one(window.take(), is_probe=True)

    def _judge_probe(self, entry: Entry, result: Result) -> None:
        if self._state.probed(entry, result):
            self._take(entry)
            self._state.recovers()
            self._work.set()
        elif self._state.is_strict:
            self._window.put_back([entry.key])
        else:
            # Of another key each time: one that makes the receiver hang must not hold the rest.
            self._again_in(entry, self._state.tools.replay_steps_s[-1])

    def _judge(self, entry: Entry, result: Result) -> None:
        state, outcome = self._state, result.meaning.outcome
        blame: Blame = "key"
        if not (self._job.selection.only_dead and outcome == "refused"):
            # That a dead letter is refused once more says nothing of the endpoint.
            blame = state.weigh(entry.key, result)
        if blame == "endpoint":
            self._window.put_back([entry.key])
        elif blame == "key" or entry.id in result.refused:
            self._set_back(entry, result, state.tools.now())
        else:
            self._take(entry)
        if not state.breaker.is_closed:
            state.fails()

    def _take(self, entry: Entry) -> None:
        """Note that an event has come home."""
        self._tries.pop(entry.id, None)
        self._sent += 1
        if entry.id in self._dead:
            self._dead.remove(entry.id)
            self._revived.append(entry.id)
            self._state.heal(entry.key)
        self._done(entry)

    def _set_back(self, entry: Entry, result: Result, now: int) -> None:
        steps_s = self._state.tools.replay_steps_s
        tries = self._tries[entry.id] = self._tries.get(entry.id, 0) + 1
        if tries <= len(steps_s):
            self._again_in(entry, steps_s[tries - 1])
            return
        reason = result.refused.get(entry.id, result.error) or ""
        self._buried.append(Buried(entry.id, entry.key, reason, result.status, tries, now))
        del self._tries[entry.id]
        self._failed += 1
        self._done(entry)

    def _done(self, entry: Entry) -> None:
        self._window.done(entry.key)
        if not self._window.open or self._has_room:
            self._ended.set()

    def _again_in(self, entry: Entry, seconds: float) -> None:
        """Have an event's key wait; the other keys go on."""
        self._waiting += 1
        asyncio.get_running_loop().call_later(seconds, self._put_back, entry.key)

    def _put_back(self, key: str) -> None:
        self._waiting -= 1
        self._window.put_back([key])
        self._work.set()

    async def _keep(self) -> bool:
        """Write how far it has come; false when it was ended, by its end or by an operator."""
        window = self._window
        # The place and what was learned up to it are of one moment: the writer has its own thread.
        done = self._is_read and not window.open
        now = _Progress(
            window.position, self._sent, self._failed, self._buried, self._revived, done
        )
        self._sent = self._failed = 0
        self._buried, self._revived = [], []
        try:
            goes_on = await self._state.tools.context.writer.run(partial(self._write, now))
        except (StoreBusy, StoreUnavailable):
            self._sent += now.sent
            self._failed += now.failed
            self._buried = [*now.buried, *self._buried]
            self._revived = [*now.revived, *self._revived]
            return True
        return goes_on and not done

    def _write(self, progress: _Progress, tx: Connection) -> bool:
        lease, job, now = self._state.lease, self._job, self._state.tools.now()
        position, sent, failed, buried, revived, is_done = progress
        learned = Settlement(buried=buried, revived=revived)
        if not cursors.settle(tx, lease.account, lease.endpoint_id, lease.epoch, learned, now):
            return False
        goes_on = replays.advance(tx, job.account, job.id, position, sent=sent, failed=failed)
        if is_done:
            replays.end(tx, job.account, job.id, "done", now)
        return goes_on
