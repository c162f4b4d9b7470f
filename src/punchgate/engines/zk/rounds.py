"""What is done without being asked: logs read by schedule, live sessions, the sweep.

The store says which terminals are due, so that any number of processes share them; a lease keeps
two from the same one. A terminal that fails is tried again later and later, and soon after somebody
has set something on it; one whose comm key is wrong not at all until then.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final, NamedTuple

from punchgate import telemetry
from punchgate.domain.error import NotFound, PunchgateError
from punchgate.engines.zk import live, logs
from punchgate.engines.zk import visit as visits
from punchgate.engines.zk.desk import Desk
from punchgate.engines.zk.tools import Pace, Tools
from punchgate.usecases import terminal_contact as contact
from punchgate.usecases.terminal_contact import Whose
from punchgate.usecases.terminals import TerminalTrouble

#: A terminal that failed so often in a row is an operator's business.
_TELL_AT: Final = 3
_SWEEP_S: Final = 60.0
#: Somebody talks to a terminal that is marked, or did and died: its lease runs out by then.
_SWEEP_SOON_S: Final = 5.0
#: Resting terminals of which one tick asks whether they were set: a thousand of them cost little.
_LOOKS: Final = 20


class _Rest(NamedTuple):
    """A terminal that is left alone; `until_s` is on the loop's clock."""

    until_s: float
    #: How often it failed.
    attempt: int
    #: When it was called last: what was set since then was not tried yet. Milliseconds since 1970.
    called_at: int


class Rounds:
    """The schedule of one process."""

    def __init__(self, tools: Tools, desk: Desk, *, owner: str) -> None:
        self._tools = tools
        self._desk = desk
        self._owner = owner
        self._busy: set[Whose] = set()
        #: Those first that were not looked at for longest.
        self._resting: dict[Whose, _Rest] = {}

    async def run(self) -> None:
        """Read and listen until cancelled; what is under way ends as it promised."""
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    await self._tick(group)
                except PunchgateError as error:
                    telemetry.say("terminals.wait", "warning", slug=error.slug)
                await self._tools.pause(self._tools.pace.round_s)

    async def sweep(self) -> float:
        """Enable what is still marked as disabled, and give the seconds until the next look."""
        try:
            found = await contact.list_disabled(self._tools.context)
        except PunchgateError as error:
            telemetry.say("terminals.wait", "warning", slug=error.slug)
            return _SWEEP_SOON_S
        is_held = False
        async with asyncio.TaskGroup() as group:
            for account, device_id, is_held_now in found:
                is_held = is_held or is_held_now
                if not is_held_now:
                    group.create_task(self._enable((account, device_id)))
        return _SWEEP_SOON_S if is_held else _SWEEP_S

    async def _tick(self, group: asyncio.TaskGroup) -> None:
        context, now = self._tools.context, self._tools.now()
        for whose in await contact.list_wanted(context, owner=self._owner):
            self._desk.call_away(whose)
        await self._wake()
        for whose in await contact.list_due(context, now=now):
            self._start(group, whose, self._read)
        if self._desk.may_listen:
            for whose in await contact.list_listenable(context, now=now):
                self._start(group, whose, self._listen)

    async def _wake(self) -> None:
        """End the rest of terminals on which something was set, and of those that were removed."""
        now_s = asyncio.get_running_loop().time()
        resting = [each for each in self._resting.items() if each[1].until_s > now_s]
        for whose, rest in resting[:_LOOKS]:
            is_over = await self._was_set(whose, rest.called_at)
            now_rest = self._resting.pop(whose, None)
            if now_rest is not None and not is_over:
                self._resting[whose] = now_rest

    async def _was_set(self, whose: Whose, since: int) -> bool:
        try:
            terminal, _ = await contact.load(self._tools.context, *whose)
        except NotFound:
            return True
        except PunchgateError:
            # What is wrong with it is told when it is called.
            return False
        return (terminal.updated_at or 0) >= since

    def _start(
        self,
        group: asyncio.TaskGroup,
        whose: Whose,
        work: Callable[[Whose], Awaitable[None]],
    ) -> None:
        rest = self._resting.get(whose)
        is_resting = rest is not None and rest.until_s > asyncio.get_running_loop().time()
        if is_resting or whose in self._busy or self._desk.is_held(whose):
            return
        self._busy.add(whose)
        group.create_task(self._carefully(whose, work))

    async def _carefully(self, whose: Whose, work: Callable[[Whose], Awaitable[None]]) -> None:
        """Do something that may fail in whatever way, without ending what is done with others."""
        called_at = self._tools.now()
        try:
            await work(whose)
        except PunchgateError as error:
            telemetry.say("terminal.waits", "warning", account=whose[0], slug=error.slug)
            self._rest(whose, called_at)
        except Exception as error:  # noqa: BLE001 (one terminal must not end all conversations)
            telemetry.failed("terminals", secrets.token_hex(8), error)
            self._rest(whose, called_at)
        finally:
            self._busy.discard(whose)

    async def _read(self, whose: Whose) -> None:
        called_at = self._tools.now()
        try:
            async with self._desk.turn(whose, is_urgent=False):
                await logs.read_log(self._tools, whose, is_live=False)
        except TerminalTrouble as error:
            if error.cause == "inactive":
                # For the hours in which its last day is over in its zone and not everywhere.
                self._rest(whose, called_at)
            elif error.cause != "busy":
                await self._failed(whose, error, called_at)
        except TimeoutError:
            late = TerminalTrouble("timeout", f"{whose[1]} took longer than it may.")
            await self._failed(whose, late, called_at)
        except NotFound:
            # It was removed since it was listed.
            return
        else:
            self._resting.pop(whose, None)

    async def _failed(self, whose: Whose, error: TerminalTrouble, called_at: int) -> None:
        """Write when a terminal is tried again; never, where only an operator can help."""
        context, now = self._tools.context, self._tools.now()
        try:
            terminal, _ = await contact.load(context, *whose)
        except NotFound:
            return
        if (terminal.updated_at or 0) > called_at:
            # Somebody has set it meanwhile: it is called as it is set now.
            return
        is_wrong_key = error.cause == "wrong_key"
        attempt = terminal.failures + 1
        wait_s = retry_s(attempt, self._tools.pace, self._tools.chance)
        problem = "terminal_failing" if attempt >= _TELL_AT else None
        await contact.failed(
            context,
            whose,
            str(error),
            due_at=None if is_wrong_key else now + round(wait_s * 1_000),
            now=now,
            problem="terminal_wrong_key" if is_wrong_key else problem,
        )
        telemetry.say("terminal.failed", "warning", account=whose[0], reason=error.cause)

    async def _listen(self, whose: Whose) -> None:
        if not self._desk.may_listen:
            # Whoever queued for an ear would be busy, and its log not read until it had one.
            return
        called_at = self._tools.now()
        try:
            await live.listen(self._tools, self._desk, whose)
        except TerminalTrouble as error:
            if error.cause != "wrong_key":
                raise
            # Who listened may be the first to learn that the key was changed on the terminal.
            await self._failed(whose, error, called_at)
            return
        # It gave way: whoever wanted it has a moment before we are back.
        wait_s = retry_s(1, self._tools.pace, self._tools.chance)
        until_s = asyncio.get_running_loop().time() + wait_s
        self._resting[whose] = _Rest(until_s, 0, called_at)

    async def _enable(self, whose: Whose) -> None:
        try:
            async with (
                self._desk.turn(whose, is_urgent=False),
                asyncio.timeout(self._tools.pace.enable_s),
                visits.visiting(self._tools, whose),
            ):
                # Every visit enables what it finds marked.
                return
        except (PunchgateError, TimeoutError) as error:
            telemetry.say("terminal.left_disabled", "error", reason=type(error).__name__)

    def _rest(self, whose: Whose, called_at: int) -> None:
        before = self._resting.get(whose)
        attempt = 1 if before is None else before.attempt + 1
        wait_s = retry_s(attempt, self._tools.pace, self._tools.chance)
        until_s = asyncio.get_running_loop().time() + wait_s
        self._resting[whose] = _Rest(until_s, attempt, called_at)


def retry_s(attempt: int, pace: Pace, chance: Random) -> float:
    """Give the seconds until the next try: doubled each time up to a bound, a quarter to and fro.

    `attempt` is the number of tries that failed, from 1.
    """
    doubled = pace.first_retry_s * 2.0 ** min(attempt - 1, 30)
    return min(doubled, pace.last_retry_s) * chance.uniform(0.75, 1.25)
