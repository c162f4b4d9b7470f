"""Whose turn it is: one conversation per terminal at a time, and a limit for all of them together.

Between the tasks of this process a lock decides, between processes a lease in the store. A lease is
renewed while it is used; who cannot renew it stops before it runs out. A session that only listens
gives way to whoever has something to say, in whatever process.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from punchgate import telemetry
from punchgate.domain.error import PunchgateError
from punchgate.engines.zk.tools import Tools, finish
from punchgate.usecases import terminal_contact as contact
from punchgate.usecases.terminal_contact import LEASE_MS, Whose
from punchgate.usecases.terminals import TerminalTrouble

_RENEW_S: Final = LEASE_MS / 4_000
#: A holder that could not renew stops here; the lease itself lasts five seconds more.
_TRUST_S: Final = LEASE_MS / 1_000 - 5.0


@dataclass(slots=True)
class Place:
    """One terminal, as the tasks of this process see it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: Set while somebody waits who may not be kept waiting.
    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    #: Tasks that hold it or wait for it, and those of them that are urgent and wait.
    users: int = 0
    urgent: int = 0


class Desk:
    """Gives turns; `owner` is this process in the store."""

    def __init__(self, tools: Tools, *, owner: str, max_sessions: int) -> None:
        self._tools = tools
        self._owner = owner
        self._slots = asyncio.Semaphore(max_sessions)
        # Half of all sessions may listen; the other half is for those who have something to say.
        self._listeners = asyncio.Semaphore(max_sessions // 2)
        self._places: dict[Whose, Place] = {}

    @asynccontextmanager
    async def turn(self, whose: Whose, *, is_urgent: bool) -> AsyncIterator[Place]:
        """Hold a terminal: nobody else talks to it meanwhile.

        Who is urgent waits; who is not is told at once that another process has it.

        Errors:  TerminalTrouble(busy), also when the lease was lost on the way; StoreBusy,
                 StoreUnavailable.
        """
        place = self._places.setdefault(whose, Place())
        place.users += 1
        try:
            async with self._queue(place, is_urgent=is_urgent):
                await self._take(whose, is_urgent=is_urgent)
                try:
                    async with self._kept(whose):
                        yield place
                finally:
                    self._slots.release()
                    await finish(self._give_back(whose))
        finally:
            place.users -= 1
            if not place.users:
                self._places.pop(whose, None)

    @property
    def may_listen(self) -> bool:
        """Say whether one of the sessions that may listen is free; taken at once, it is had."""
        return not self._listeners.locked()

    @asynccontextmanager
    async def listener(self) -> AsyncIterator[None]:
        """Hold one of the sessions that may listen."""
        async with self._listeners:
            yield

    def is_held(self, whose: Whose) -> bool:
        """Say whether a task of this process talks to a terminal, or waits to."""
        return whose in self._places

    def call_away(self, whose: Whose) -> None:
        """Tell who listens to a terminal that another process waits for it."""
        place = self._places.get(whose)
        if place is not None:
            place.wanted.set()

    @asynccontextmanager
    async def _queue(self, place: Place, *, is_urgent: bool) -> AsyncIterator[None]:
        if not is_urgent:
            async with place.lock:
                yield
            return
        place.urgent += 1
        place.wanted.set()
        try:
            await place.lock.acquire()
        finally:
            place.urgent -= 1
            if not place.urgent:
                place.wanted.clear()
        try:
            yield
        finally:
            place.lock.release()

    async def _take(self, whose: Whose, *, is_urgent: bool) -> None:
        """Take a session of the limit and the lease; the session is free while we wait."""
        while True:
            await self._slots.acquire()
            is_taken = False
            try:
                is_taken = await contact.take(
                    self._tools.context, whose, owner=self._owner, is_urgent=is_urgent
                )
            except asyncio.CancelledError:
                # It may have been written: nobody waits for a lease that nobody uses.
                await finish(self._give_back(whose))
                raise
            finally:
                if not is_taken:
                    self._slots.release()
            if is_taken:
                return
            if not is_urgent:
                raise TerminalTrouble("busy", f"Another process talks to {whose[1]}.")
            await self._tools.pause(self._tools.pace.lease_poll_s)

    @asynccontextmanager
    async def _kept(self, whose: Whose) -> AsyncIterator[None]:
        """Keep the lease while something is done; what is done ends when the lease is lost."""
        trust = asyncio.timeout(_TRUST_S)
        try:
            async with trust:
                keeper = asyncio.create_task(self._keep(whose, trust))
                try:
                    yield
                finally:
                    keeper.cancel()
                    # Renewing ends before the lease is given back, and what ended it early is told.
                    await asyncio.wait([keeper])
                    if not keeper.cancelled() and (error := keeper.exception()) is not None:
                        telemetry.failed("terminals", secrets.token_hex(8), error)
        except TimeoutError:
            if trust.expired():
                raise TerminalTrouble("busy", f"The lease of {whose[1]} was lost.") from None
            raise

    async def _keep(self, whose: Whose, trust: asyncio.Timeout) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._tools.pause(_RENEW_S)
            try:
                is_ours = await contact.renew(self._tools.context, whose, owner=self._owner)
            except PunchgateError:
                # The store cannot be asked: the lease is good for as long as it was.
                continue
            if trust.expired():
                return
            trust.reschedule(loop.time() + (_TRUST_S if is_ours else 0.0))

    async def _give_back(self, whose: Whose) -> None:
        try:
            async with asyncio.timeout(_TRUST_S):
                await contact.give_back(self._tools.context, whose, owner=self._owner)
        except (PunchgateError, TimeoutError):
            # It runs out by itself.
            return
