"""A session with one terminal, treated as it is set: connected, and left as it was found.

Invariant I9: that we disable a terminal is in the store before the terminal hears it, and it is
enabled again in every outcome: over the same session, or over a fresh one. What cannot be enabled
now stays marked, and every later visit and the sweep try again.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from punchgate import telemetry
from punchgate.domain import localtime
from punchgate.domain.error import PunchgateError
from punchgate.domain.terminal import Known, Terminal
from punchgate.engines.zk import call as calls
from punchgate.engines.zk import trouble
from punchgate.engines.zk.call import Call
from punchgate.engines.zk.deadline import Deadline
from punchgate.engines.zk.tools import Tap, Tools, finish
from punchgate.protocols.zk import dialogue
from punchgate.protocols.zk.dialogue import Refused
from punchgate.usecases import terminal_contact as contact
from punchgate.usecases.directory import Entry
from punchgate.usecases.terminal_contact import Whose
from punchgate.usecases.terminals import TerminalTrouble

#: The terminal enables itself after this long, should we be gone; not all do.
_DISABLE_S: Final = 60
_LEFT: Final = (
    "It was disabled for a reading and did not answer afterwards, so people may be unable to punch."
    " It is enabled as soon as it answers."
)


@dataclass(slots=True)
class Visit:
    """One session under way. Not frozen: what is known of the terminal grows."""

    tools: Tools
    terminal: Terminal
    entry: Entry
    call: Call
    known: Known
    #: Whether it may be disabled now, as far as the store knows.
    is_marked: bool

    @property
    def whose(self) -> Whose:
        """Give the terminal's key."""
        return self.terminal.account, self.terminal.device_id

    def wall_time(self) -> datetime:
        """Give the present time of the terminal's zone, to the second."""
        return localtime.wall_at(self.tools.now() // 1000, self.entry.zone)[0]

    async def enable(self) -> None:
        """Let people punch again, and write that they can."""
        await self.call.run(dialogue.enable())
        self.is_marked = False
        await contact.seen_enabled(self.tools.context, self.whose, now=self.tools.now())

    async def settle(self, found: Mapping[str, str | None]) -> None:
        """Raise what is wrong with this terminal, clear what is not."""
        now = self.tools.now()
        await contact.settle(self.tools.context, self.whose, found, now=now)


@asynccontextmanager
async def visiting(
    tools: Tools,
    whose: Whose,
    deadline: Deadline | None = None,
    *,
    tap: Tap | None = None,
    is_recording: bool = False,
) -> AsyncIterator[Visit]:
    """Be connected to a terminal; the caller has its turn at the desk.

    Errors:  TerminalTrouble, `inactive` where punches are to be recorded that are not taken now;
             NotFound.
    """
    terminal, entry = await contact.load(tools.context, *whose)
    if is_recording and not entry.is_active(tools.now()):
        raise TerminalTrouble("inactive", f"{whose[1]} is suspended, or its subscription is over.")
    try:
        call = await calls.dial(terminal, tools, tap=tap)
        call.deadline = deadline
        visit = Visit(
            tools, terminal, entry, call, terminal.known, terminal.disabled_at is not None
        )
        try:
            await call.run(dialogue.connect(terminal.comm_key))
            tools.context.presence.heard(*whose, address=call.peer, now=tools.now())
            if visit.is_marked:
                telemetry.say("terminal.found_disabled", "warning", account=terminal.account)
                # One that refuses stays marked, and its log is read all the same.
                with suppress(Refused):
                    await visit.enable()
            yield visit
        except BaseException:
            await finish(call.abandon(is_disabled=visit.is_marked))
            raise
        await finish(call.leave())
    except trouble.ENDINGS as error:
        raise trouble.of(error, terminal.host, terminal.port) from error


@asynccontextmanager
async def disabled(visit: Visit) -> AsyncIterator[None]:
    """Keep people from punching meanwhile."""
    visit.is_marked = True
    try:
        # Cancelled here, it may be written: then what follows takes it back.
        await contact.about_to_disable(visit.tools.context, visit.whose, now=visit.tools.now())
        await visit.call.run(dialogue.disable(_DISABLE_S))
        yield
    finally:
        await finish(_enable_again(visit))


async def _enable_again(visit: Visit) -> None:
    """Enable a terminal that we disabled, within a bounded time, over whatever session there is."""
    if visit.call.is_sound:
        try:
            await visit.enable()
        except (*trouble.ENDINGS, PunchgateError):
            # The session is lost with it; a fresh one is tried.
            visit.call.is_sound = False
        else:
            return
    await visit.call.abandon(is_disabled=True)
    try:
        async with asyncio.timeout(visit.tools.pace.enable_s):
            await _enable_afresh(visit)
    except (*trouble.ENDINGS, PunchgateError, TimeoutError) as error:
        # Marked as it is, the sweep enables it as soon as it answers.
        telemetry.say("terminal.left_disabled", "error", reason=type(error).__name__)
        await _tell_left(visit)


async def _enable_afresh(visit: Visit) -> None:
    call = await calls.dial(visit.terminal, visit.tools)
    try:
        await call.run(dialogue.connect(visit.terminal.comm_key))
        await call.run(dialogue.enable())
    finally:
        await call.leave()
    visit.is_marked = False
    await contact.seen_enabled(visit.tools.context, visit.whose, now=visit.tools.now())


async def _tell_left(visit: Visit) -> None:
    try:
        await visit.settle({"terminal_disabled": _LEFT})
    except PunchgateError as error:
        telemetry.say("terminal.left_disabled", "error", slug=error.slug)
