"""Delivering to one endpoint for as long as its lease lasts.

    load    reads on in the log while there is room, leaves out what nobody wants, and what belongs
            to a parked key
    send    `concurrency` of them: take a key's next event, send it, see what it means
    retry   takes parked keys that are due and sends their backlog in order
    probe   while the endpoint fails: one event every now and then, of another key each time
    settle  writes what was learned: attempts, parked keys and the cursor in one transaction

One event of a key is on its way at a time. What goes wrong with a key parks the key; what goes
wrong with the endpoint stops all sending to it, and to nobody else. A crash repeats at most what
was loaded and not yet settled, under the same ids.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

from punchgate import telemetry
from punchgate.delivery import live, parking, replayer, retries
from punchgate.delivery.post import Post
from punchgate.delivery.state import TRUST_S, State, Tools, rest
from punchgate.domain.endpoint import Health
from punchgate.store import cursors
from punchgate.store.cursors import Parked, Settlement
from punchgate.store.database import Connection
from punchgate.store.error import StoreBusy, StoreUnavailable
from punchgate.store.leases import Lease

#: How long what was learned may wait to be written.
SETTLE_S: Final = 0.05
#: How often the cursor moves over entries that nobody wanted.
SKIP_S: Final = 5.0
#: How long requests that are on their way may take to end when the lane is stopped.
STOP_S: Final = 5.0
_WAIT_S: Final = 1.0


class LeaseLost(Exception):
    """Somebody else delivers to this endpoint now, or nobody may."""


class Lane:
    """One endpoint's deliveries; `run` until it is stopped or cancelled, or the lease is lost."""

    def __init__(self, tools: Tools, lease: Lease, post: Post, parked: Sequence[Parked]) -> None:
        self.state = State(tools, lease, post, parked)
        self._told = post.endpoint.health.state
        self._is_ending = False

    async def run(self) -> None:
        """Deliver until stopped.

        Errors:  LeaseLost; whatever nobody expected, as a group.
        """
        state, is_lost = self.state, False
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(live.load(state)),
                    tasks.create_task(retries.retry(state)),
                    tasks.create_task(retries.probe(state)),
                    tasks.create_task(replayer.replay(state)),
                    *(tasks.create_task(live.send(state)) for _ in range(state.pace.concurrency)),
                ]
                tasks.create_task(self._settle())
                await state.stopping.wait()
                await self._drain()
                for task in running:
                    task.cancel()
                # What is being written is not cancelled: nobody would know whether it was.
                self._is_ending = True
                for wake in (state.dirt, state.much):
                    wake.set()
        except* LeaseLost:
            is_lost = True
        if is_lost:
            raise LeaseLost
        state.fold()
        await self._write()

    def stop(self) -> None:
        """Have `run` come to its end: nothing new is started."""
        self.state.stopping.set()

    def renewed(self, asked_s: float) -> None:
        """Note that the lease was taken or renewed, by a write that began at `asked_s`."""
        self.state.trusted_until_s = asked_s + TRUST_S
        self.state.work.set()

    @property
    def lag_s(self) -> float:
        """How long the oldest event that is not done has waited, parked ones included."""
        state, schedule_s = self.state, self.state.pace.schedule_s
        since = [
            item.after.at
            for item in state.notes.parked.values()
            if not parking.is_spent(item, schedule_s)
        ]
        if state.window.oldest is not None:
            since.append(state.window.oldest.received_at)
        return max(0.0, (state.tools.now() - min(since)) / 1000) if since else 0.0

    async def _settle(self) -> None:
        state = self.state
        while not self._is_ending:
            if not state.notes.count:
                state.dirt.clear()
                # The cursor need not follow at once over what nobody wanted.
                await rest(state.dirt, SKIP_S)
            if state.notes.count:
                await rest(state.much, SETTLE_S)
                state.much.clear()
            await self._write()

    async def _write(self) -> None:
        """Write what was learned; errors: LeaseLost."""
        state = self.state
        position = state.window.position
        if not state.notes.count and not state.notes.has_moved(position):
            return
        learned = state.notes.take(position)._replace(version=state.post.endpoint.version)
        now = state.tools.now()
        try:
            is_mine = await state.tools.context.writer.run(
                partial(_keep, state.lease, learned, now)
            )
        except (StoreBusy, StoreUnavailable) as error:
            state.notes.give_back(learned)
            telemetry.say("delivery.unsettled", "warning", slug=error.slug)
            await rest(state.stopping, _WAIT_S)
            return
        if not is_mine:
            raise LeaseLost
        if learned.health is not None and learned.health.state != self._told:
            self._told = learned.health.state
            _announce(state.lease, learned.health)

    async def _drain(self) -> None:
        """Wait for what is on its way, for a while."""
        state = self.state
        deadline_s = state.tools.monotonic() + STOP_S
        while state.in_flight and state.tools.monotonic() < deadline_s:
            state.work.clear()
            await rest(state.work, 0.1)


def _keep(lease: Lease, learned: Settlement, now: int, tx: Connection) -> bool:
    return cursors.settle(tx, lease.account, lease.endpoint_id, lease.epoch, learned, now)


def _announce(lease: Lease, health: Health) -> None:
    level: telemetry.Level = "info" if health.state == "active" else "warning"
    telemetry.TRANSITIONS.add(health.state)
    telemetry.say("endpoint.changed", level, endpoint=lease.endpoint_id, state=health.state)
