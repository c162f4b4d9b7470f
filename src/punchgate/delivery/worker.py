"""Who delivers to which endpoint in this process: leases, one lane per endpoint, orderly ends.

A process asks for its share of the endpoints that are to be delivered to, renews what it holds
every ten seconds, and gives back what it should not hold any more: an endpoint that was paused,
removed or changed (the next lease sees its new settings), and more than its share.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from punchgate import telemetry
from punchgate.delivery.form import Format
from punchgate.delivery.lane import Lane, LeaseLost
from punchgate.delivery.post import Post
from punchgate.delivery.sender import CookieJar, Sender
from punchgate.delivery.state import Tools, rest
from punchgate.domain.endpoint import Endpoint
from punchgate.domain.ids import AccountNo, EndpointId
from punchgate.store import accounts, cursors, endpoints, events, installation, leases, problems
from punchgate.store.cursors import Parked
from punchgate.store.database import Connection
from punchgate.store.endpoints import SecretsClosed
from punchgate.store.error import StoreBusy, StoreUnavailable
from punchgate.store.leases import Held, Lease

RENEW_S: Final = 10.0
#: What is open while an endpoint's secrets do not open.
SECRETS_CLOSED: Final = "secrets_closed"
#: How often to ask for endpoints that nobody delivers to, if nothing else says that there are any.
TAKE_S: Final = 2.0

Whose = tuple[AccountNo, EndpointId]


@dataclass(frozen=True, slots=True)
class _Running:
    lease: Lease
    endpoint: Endpoint
    lane: Lane
    task: asyncio.Task[None]


class Deliveries:
    """The lanes of one process; `run` until cancelled."""

    def __init__(
        self, tools: Tools, sender: Sender, formats: Mapping[str, Format], *, owner: str
    ) -> None:
        self._tools, self._sender, self._formats = tools, sender, formats
        self._owner = owner
        self._running: dict[Whose, _Running] = {}
        self._jars: dict[tuple[Whose, str], CookieJar] = {}
        #: Endpoints whose secrets this process cannot open, as of this revision.
        self._closed: set[Whose] = set()
        self._revision = -1
        self._renewed_s = self._taken_s = float("-inf")
        self._never = asyncio.Event()

    async def run(self) -> None:
        """Keep lanes running; in the end stop them and give everything back."""
        try:
            while True:
                try:
                    await self._tick()
                except (StoreBusy, StoreUnavailable) as error:
                    # Lanes go on for as long as they may trust their leases.
                    telemetry.say("delivery.waits", "warning", slug=error.slug)
                self._measure()
                await rest(self._never, self._tools.tick_s)
        finally:
            await self._end(list(self._running.values()))
            self._running.clear()
            await self._tools.context.writer.run(partial(leases.leave, owner=self._owner))

    async def _tick(self) -> None:
        clock_s = self._tools.monotonic()
        await self._reap()
        if clock_s - self._renewed_s >= RENEW_S:
            await self._renew()
        revision = await self._tools.context.database.read(installation.revision)
        if revision != self._revision:
            await self._look_again()
        elif clock_s - self._taken_s < TAKE_S:
            return
        self._revision, self._taken_s = revision, clock_s
        await self._take()

    async def _renew(self) -> None:
        mine = {(*whose, running.lease.epoch) for whose, running in self._running.items()}

        def renew(tx: Connection) -> tuple[set[Held], int]:
            held = leases.renew(tx, self._owner)
            for lease in held - mine:
                # It has no lane: its end could not be written, or its endpoint not be read.
                leases.give_back(tx, *lease)
            alive, live = leases.attend(tx, self._owner), leases.count_live(tx)
            return held, -(-live // alive)

        asked_s = self._tools.monotonic()
        held, most = await self._tools.context.writer.run(renew)
        self._renewed_s = asked_s
        await self._let_go(held)
        for running in self._running.values():
            running.lane.renewed(asked_s)
        await self._end(list(self._running.values())[most:])

    async def _let_go(self, held: set[Held]) -> None:
        """Break off what somebody else holds by now; nothing of it can be written any more."""
        for whose, running in list(self._running.items()):
            if (*whose, running.lease.epoch) not in held:
                await self._break_off(running)

    async def _break_off(self, running: _Running) -> None:
        running.task.cancel()
        await asyncio.wait([running.task])
        self._running.pop((running.lease.account, running.lease.endpoint_id), None)
        _say_why(running)

    async def _look_again(self) -> None:
        """Stop what was paused, removed or changed, and what was read before an erasure."""
        self._closed.clear()
        stale = [
            running
            for whose, running in self._running.items()
            if _differs(running.endpoint, await self._find(whose))
        ]
        await self._end(stale)

    async def _take(self) -> None:
        room = await self._room()
        if room <= 0:
            return
        asked_s = self._tools.monotonic()
        taken = await self._tools.context.writer.run(
            partial(leases.take, owner=self._owner, most=room, without=self._closed)
        )
        for lease in taken:
            before = self._running.get((lease.account, lease.endpoint_id))
            if before is not None:
                await self._break_off(before)
            await self._start(lease, asked_s)

    async def _room(self) -> int:
        """Say how many more endpoints to take: the share of this process, read anew."""

        def share(tx: Connection) -> int:
            alive, live = leases.count_processes(tx), leases.count_live(tx)
            return -(-live // max(alive, 1))

        return await self._tools.context.database.read(share) - len(self._running)

    async def _start(self, lease: Lease, asked_s: float) -> None:
        whose = (lease.account, lease.endpoint_id)
        endpoint = await self._find(whose)
        if endpoint is None:
            await self._give_back(lease)
            return
        name, lease, parked, was_closed = await self._tools.context.database.read(
            partial(_rest_of, lease=lease)
        )
        if was_closed:
            await self._tools.context.writer.run(
                partial(_clear_closed, whose=whose, now=self._tools.now())
            )
        jar = self._jars.setdefault((whose, endpoint.address), CookieJar())
        post = Post(
            endpoint,
            name,
            self._formats[endpoint.format],
            self._sender,
            jar if endpoint.format.startswith("cams") else None,
            self._tools.now,
        )
        lane = Lane(self._tools, lease, post, parked)
        lane.renewed(asked_s)
        task = asyncio.create_task(lane.run(), name=f"lane {lease.endpoint_id}")
        self._running[whose] = _Running(lease, endpoint, lane, task)

    async def _find(self, whose: Whose) -> Endpoint | None:
        """Find an endpoint that can be delivered to; one whose secrets do not open cannot be."""
        context = self._tools.context
        account, endpoint_id = whose
        find = partial(
            endpoints.find, account=account, endpoint_id=endpoint_id, vault=context.vault
        )
        try:
            found = await context.database.read(find)
        except SecretsClosed as error:
            telemetry.say("delivery.closed", "error", endpoint=endpoint_id, slug=error.slug)
            self._closed.add(whose)
            raise_ = partial(_raise_closed, whose=whose, why=str(error), now=self._tools.now())
            await context.writer.run(raise_)
            return None
        if found is not None and found.format not in self._formats:
            # Written by a newer version: whoever knows it will deliver.
            telemetry.say("delivery.closed", "error", endpoint=endpoint_id, reason="format")
            self._closed.add(whose)
            return None
        return found

    async def _reap(self) -> None:
        """Take away lanes that have ended by themselves, and those whose endpoint is given up."""
        done = [
            running
            for running in self._running.values()
            if running.task.done() or running.lane.state.breaker.health.state == "disabled"
        ]
        await self._end(done)

    async def _end(self, lanes: list[_Running]) -> None:
        """Stop lanes and give their leases back."""
        for running in lanes:
            running.lane.stop()
        for running in lanes:
            await asyncio.wait([running.task])
            self._running.pop((running.lease.account, running.lease.endpoint_id), None)
            _say_why(running)
        # Where that cannot be written, no lane is left behind that nobody waits for.
        for running in lanes:
            await self._give_back(running.lease)

    async def _give_back(self, lease: Lease) -> None:
        give = partial(
            leases.give_back,
            account=lease.account,
            endpoint_id=lease.endpoint_id,
            epoch=lease.epoch,
        )
        await self._tools.context.writer.run(give)

    def _measure(self) -> None:
        lanes = [running.lane for running in self._running.values()]
        telemetry.LAG.set(max((lane.lag_s for lane in lanes), default=0.0))
        telemetry.PARKED.set(sum(len(lane.state.notes.parked) for lane in lanes))


def _differs(before: Endpoint, after: Endpoint | None) -> bool:
    if after is None or after.version != before.version:
        return True
    return after.health.state in {"paused", "disabled"}


def _raise_closed(tx: Connection, whose: Whose, why: str, now: int) -> None:
    account, endpoint_id = whose
    subject = f"endpoint:{endpoint_id}"
    problems.raise_(tx, account, SECRETS_CLOSED, subject=subject, detail=why, now=now)


def _clear_closed(tx: Connection, whose: Whose, now: int) -> None:
    account, endpoint_id = whose
    problems.clear(tx, account, SECRETS_CLOSED, subject=f"endpoint:{endpoint_id}", now=now)


def _rest_of(tx: Connection, lease: Lease) -> tuple[str, Lease, list[Parked], bool]:
    """Give an account's name, and a lease and its parked keys with their places of today.

    The last says whether the endpoint is on the list of problems for secrets that did not open.
    """
    whose = (lease.account, lease.endpoint_id)
    account = accounts.find_no(tx, lease.account)
    parked = [
        item._replace(after=events.resolve(tx, lease.account, item.after))
        for item in cursors.list_parked(tx, *whose)
    ]
    position = events.resolve(tx, lease.account, lease.position)
    name = "" if account is None else account.name
    subject = f"endpoint:{lease.endpoint_id}"
    was_closed = problems.is_open(tx, lease.account, SECRETS_CLOSED, subject=subject)
    return name, lease._replace(position=position), parked, was_closed


def _say_why(running: _Running) -> None:
    error = LeaseLost() if running.task.cancelled() else running.task.exception()
    if isinstance(error, LeaseLost):
        telemetry.say("delivery.lost", "warning", endpoint=running.lease.endpoint_id)
    elif error is not None:
        telemetry.failed("delivery", running.lease.endpoint_id, error)
