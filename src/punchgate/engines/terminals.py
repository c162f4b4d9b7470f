"""Terminals that we call: the `Caller` of `usecases/terminals.py`, over port 4370.

Puts the parts of `engines/zk` together and answers for who waits for whom: live readings of the
same terminal that wait together are one reading. The codec is `protocols/zk`; everything read goes
through `punches.record`.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from punchgate.domain import localtime
from punchgate.domain.ids import AccountNo, DeviceId
from punchgate.engines.zk import identity, logs, people
from punchgate.engines.zk import visit as visits
from punchgate.engines.zk.deadline import Deadline
from punchgate.engines.zk.desk import Desk
from punchgate.engines.zk.rounds import Rounds
from punchgate.engines.zk.tools import Tap, Tools
from punchgate.engines.zk.visit import Visit
from punchgate.netkit.line import Pause
from punchgate.protocols.zk import dialogue
from punchgate.usecases import terminal_contact as contact
from punchgate.usecases.context import Context
from punchgate.usecases.terminal_contact import Whose
from punchgate.usecases.terminals import (
    Info,
    LogRead,
    TerminalTrouble,
    TerminalUser,
    UserChange,
)

T = TypeVar("T")


@dataclass(slots=True)
class _Reading:
    """A live reading that somebody waits for."""

    task: asyncio.Task[LogRead] | None = None
    waiters: int = 0
    has_begun: bool = False


@dataclass(slots=True)
class _Wait:
    """Whether somebody's turn has come."""

    has_begun: bool = field(default=False)


def build(
    context: Context,
    now: Callable[[], int],
    pause: Pause,
    *,
    max_sessions: int,
    owner: str | None = None,
) -> "Terminals":
    """Make what calls terminals in this process; `owner` is a name that no other process has."""
    return Terminals(
        Tools(context, now, pause), owner=owner or secrets.token_hex(8), max_sessions=max_sessions
    )


class Terminals:
    """Everything that one process says to terminals."""

    def __init__(self, tools: Tools, *, owner: str, max_sessions: int) -> None:
        self._tools = tools
        self._owner = owner
        self._desk = Desk(tools, owner=owner, max_sessions=max_sessions)
        self._rounds = Rounds(tools, self._desk, owner=owner)
        #: Readings that have not begun: who comes now shares them.
        self._waiting: dict[Whose, _Reading] = {}
        self._readings: set[asyncio.Task[LogRead]] = set()

    # -- what is done without being asked ---------------------------------------------------------

    async def begin(self) -> None:
        """Give back what was held under this name by a process that died."""
        await contact.leave(self._tools.context, owner=self._owner)

    async def run(self) -> None:
        """Read logs by schedule and listen between the readings, until cancelled."""
        await self._rounds.run()

    async def sweep(self) -> float:
        """Enable what we left disabled, and give the seconds until it is to be called again."""
        return await self._rounds.sweep()

    async def close(self) -> None:
        """End what is under way, in good order, and give everything back."""
        for task in self._readings:
            task.cancel()
        if self._readings:
            await asyncio.wait(self._readings)
        await contact.leave(self._tools.context, owner=self._owner)

    # -- what is asked ----------------------------------------------------------------------------

    async def read_log(
        self, account: AccountNo, device_id: DeviceId, *, is_live: bool, deadline_s: float | None
    ) -> LogRead:
        """Read and record the whole log; see `Caller`."""
        whose = (account, device_id)
        reading = self._waiting.get(whose) if is_live else None
        if reading is None:
            reading = self._begin(whose, is_live=is_live)
        task = reading.task
        assert task is not None  # noqa: S101 (set where it is made)
        reading.waiters += 1
        try:
            async with asyncio.timeout(deadline_s):
                await asyncio.wait([task])
        except TimeoutError:
            raise _late(device_id, has_begun=reading.has_begun) from None
        finally:
            reading.waiters -= 1
            if not reading.waiters and not task.done():
                # Nobody waits any more: it ends at its next step, and leaves things as they were.
                self._forget(whose, reading)
                task.cancel()
        if task.cancelled():
            raise TerminalTrouble("busy", "The gateway is stopping.")
        return task.result()

    async def capture(self, account: AccountNo, device_id: DeviceId, tap: Tap) -> LogRead:
        """Read the log as `read_log`, and show every packet to `tap`."""
        whose = (account, device_id)
        with self._telling(whose) as wait:
            async with self._turn(whose, is_live=False) as deadline:
                wait.has_begun = True
                return await logs.read_log(self._tools, whose, deadline, is_live=False, tap=tap)

    async def read_users(self, account: AccountNo, device_id: DeviceId) -> list[TerminalUser]:
        """Read who is on it, in its order."""
        return await self._ask((account, device_id), people.read)

    async def add_user(
        self, account: AccountNo, device_id: DeviceId, user_code: str, change: UserChange
    ) -> TerminalUser:
        """Put somebody new on it; AlreadyExists, Invalid."""
        return await self._ask(
            (account, device_id),
            lambda visit: people.add(visit, user_code, change),
            is_write=True,
        )

    async def set_user(
        self, account: AccountNo, device_id: DeviceId, user_code: str, change: UserChange
    ) -> TerminalUser:
        """Change somebody on it; NotFound, Invalid."""
        return await self._ask(
            (account, device_id),
            lambda visit: people.set_user(visit, user_code, change),
            is_write=True,
        )

    async def remove_user(self, account: AccountNo, device_id: DeviceId, user_code: str) -> None:
        """Take somebody off it; NotFound."""
        await self._ask(
            (account, device_id), lambda visit: people.remove(visit, user_code), is_write=True
        )

    async def enrol_finger(
        self, account: AccountNo, device_id: DeviceId, user_code: str, finger: int
    ) -> None:
        """Have it ask for a finger; NotFound. It stays enabled: somebody stands there."""
        await self._ask(
            (account, device_id), lambda visit: people.enrol_finger(visit, user_code, finger)
        )

    async def read_info(self, account: AccountNo, device_id: DeviceId) -> Info:
        """Ask what it is."""
        return await self._ask((account, device_id), _info)

    async def read_time(self, account: AccountNo, device_id: DeviceId) -> datetime | None:
        """Read its clock; None where that cannot be read."""
        return await self._ask((account, device_id), _time)

    async def set_time(self, account: AccountNo, device_id: DeviceId) -> None:
        """Set its clock to the present time of its zone."""
        await self._ask((account, device_id), _set_time)

    # -- how --------------------------------------------------------------------------------------

    async def _ask(
        self, whose: Whose, work: Callable[[Visit], Awaitable[T]], *, is_write: bool = False
    ) -> T:
        """Have one conversation."""
        with self._telling(whose) as wait:
            async with self._turn(whose, is_live=True) as deadline:
                wait.has_begun = True
                async with visits.visiting(self._tools, whose, deadline) as visit:
                    wanted = visit.terminal.settings.disable_for
                    if is_write and wanted in {"writes", "all"}:
                        async with visits.disabled(visit):
                            return await work(visit)
                    return await work(visit)

    @asynccontextmanager
    async def _turn(self, whose: Whose, *, is_live: bool) -> AsyncIterator[Deadline | None]:
        """Hold a terminal; where somebody waits for an answer, waiting for it counts.

        Errors:  TimeoutError; NotFound for a device that is none.
        """
        await contact.load(self._tools.context, *whose)
        if not is_live:
            async with self._desk.turn(whose, is_urgent=True):
                yield None
            return
        pace = self._tools.pace
        limit = Deadline(pace.total_s, bytes_per_s=pace.bytes_per_s, most_s=pace.live_most_s)
        async with limit as deadline, self._desk.turn(whose, is_urgent=True):
            yield deadline

    def _begin(self, whose: Whose, *, is_live: bool) -> _Reading:
        reading = _Reading()
        task = asyncio.create_task(self._read(whose, reading, is_live=is_live))
        reading.task = task
        self._readings.add(task)
        task.add_done_callback(self._over)
        if is_live:
            self._waiting[whose] = reading
        return reading

    async def _read(self, whose: Whose, reading: _Reading, *, is_live: bool) -> LogRead:
        try:
            async with self._turn(whose, is_live=is_live) as deadline:
                # From here on the log may be older than the wish of who comes now.
                reading.has_begun = True
                self._forget(whose, reading)
                return await logs.read_log(self._tools, whose, deadline, is_live=is_live)
        except TimeoutError:
            late = _late(whose[1], has_begun=reading.has_begun)
            await contact.ended(self._tools.context, whose, str(late))
            raise late from None
        except TerminalTrouble as error:
            await contact.ended(self._tools.context, whose, str(error))
            raise
        finally:
            self._forget(whose, reading)

    def _forget(self, whose: Whose, reading: _Reading) -> None:
        if self._waiting.get(whose) is reading:
            del self._waiting[whose]

    def _over(self, task: asyncio.Task[LogRead]) -> None:
        self._readings.discard(task)
        if not task.cancelled():
            # Whoever waits gets it; where nobody does any more, nobody misses it.
            task.exception()

    @contextmanager
    def _telling(self, whose: Whose) -> Iterator[_Wait]:
        """Name the ending of a conversation that took too long."""
        wait = _Wait()
        try:
            yield wait
        except TimeoutError:
            raise _late(whose[1], has_begun=wait.has_begun) from None


def _late(device_id: DeviceId, *, has_begun: bool) -> TerminalTrouble:
    if has_begun:
        return TerminalTrouble("timeout", f"{device_id} took longer than it may.")
    return TerminalTrouble("busy", f"Another conversation holds {device_id}.")


async def _info(visit: Visit) -> Info:
    await visit.settle(await identity.identify(visit))
    sizes = await visit.call.run(dialogue.read_free_sizes())
    known = visit.known
    return Info(
        serial=known.serial or "",
        name=known.name or "",
        platform=known.platform or "",
        firmware=known.firmware or "",
        users=sizes.users or known.users,
        time=await _time(visit),
    )


async def _time(visit: Visit) -> datetime | None:
    said = await visit.call.run(dialogue.read_time())
    return said.wall_time()


async def _set_time(visit: Visit) -> None:
    tools = visit.tools
    ahead_ms = -tools.now() % 1_000
    if ahead_ms:
        # At the start of a second: the terminal's clock has no smaller part.
        await tools.pause(ahead_ms / 1_000)
    wall_time, _ = localtime.wall_at(round(tools.now() / 1_000), visit.entry.zone)
    await visit.call.run(dialogue.write_time(wall_time))
    problems = await identity.read_clock(visit)
    await contact.know(tools.context, visit.whose, visit.known)
    await visit.settle(problems)
