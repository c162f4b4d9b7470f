"""Listening to a terminal: live events as hints, between the readings of its log.

An event is recorded through the same door and is the same punch that the log holds. What cannot be
read for sure is left to the log, which is read then. A listener gives way at once to whoever has
something to say, and it never disables.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from punchgate import telemetry
from punchgate.engines.zk import fetch, identity, logs
from punchgate.engines.zk import visit as visits
from punchgate.engines.zk.desk import Desk, Place
from punchgate.engines.zk.tools import Tools
from punchgate.engines.zk.visit import Visit
from punchgate.netkit.error import Silent
from punchgate.protocols.zk import dialogue, events, users
from punchgate.protocols.zk.commands import LiveEvent
from punchgate.protocols.zk.packets import Packet
from punchgate.usecases import punches
from punchgate.usecases.terminal_contact import Whose
from punchgate.usecases.terminals import TerminalTrouble
from punchgate.wire.event import PunchesSeen, Reading, Unreadable

#: Items of one call of the door.
_BATCH: Final = 1_000
#: A log that was read so recently is not read again only because we begin to listen.
_FRESH_MS: Final = 60_000
#: Events that say too little have the log read, but not more often.
_HINT_S: Final = 60.0
#: These say a person by the text that the log has.
_BY_TEXT: Final = frozenset({32, 36, 37, 52})
_MISSED_MOST: Final = 2


@dataclass(slots=True)
class _Ear:
    """One live session."""

    visit: Visit
    place: Place
    next_read_s: float
    heard_s: float
    hinted_s: float = float("-inf")
    missed: int = 0
    people: dict[int, str] | None = None


async def listen(tools: Tools, desk: Desk, whose: Whose) -> None:
    """Listen until somebody else has something to say, or the session ends.

    Errors:  TerminalTrouble; NotFound; StoreBusy, StoreUnavailable.
    """
    clock = asyncio.get_running_loop().time
    async with desk.listener(), desk.turn(whose, is_urgent=False) as place:
        if place.wanted.is_set():
            return
        try:
            await _listen(tools, place, whose, clock())
        except TimeoutError as error:
            raise TerminalTrouble("timeout", f"{whose[1]} took longer than it may.") from error


async def _listen(tools: Tools, place: Place, whose: Whose, now_s: float) -> None:
    async with visits.visiting(tools, whose, is_recording=True) as visit:
        async with visit.call.in_time():
            await visit.settle(await identity.identify(visit))
            await visit.call.run(dialogue.listen())
        ear = _Ear(visit, place, now_s, now_s)
        read_at = visit.terminal.last_read_at
        if read_at is not None and tools.now() - read_at < _FRESH_MS:
            # What was punched since then is found soon; the log was whole a moment ago.
            ear.next_read_s = now_s + _FRESH_MS / 1_000
        while not place.wanted.is_set() and visit.call.is_sound:
            if not visit.entry.is_active(tools.now()):
                # Suspending calls us away; the end of a subscription only comes.
                return
            await _turn(ear)


async def _turn(ear: _Ear) -> None:
    call, tools = ear.visit.call, ear.visit.tools
    clock = asyncio.get_running_loop().time
    if clock() >= ear.next_read_s:
        # What is dropped from here on may be missing in what is read.
        call.events.dropped = 0
        await logs.read_within(ear.visit)
        ear.heard_s = clock()
        every_s = ear.visit.terminal.settings.backfill_s
        spread = tools.chance.uniform(0.9, 1.1)
        ear.next_read_s = clock() + every_s * spread if every_s else float("inf")
        return
    packet = await call.event(within_s=tools.pace.tick_s)
    if call.events.dropped:
        _hint(ear)
    if packet is not None:
        ear.heard_s, ear.missed = clock(), 0
        await _take(ear, [packet, *_waiting(ear)])
    elif clock() - ear.heard_s >= tools.pace.beat_s:
        await _feel_pulse(ear)


def _waiting(ear: _Ear) -> list[Packet]:
    taken = (ear.visit.call.events.take() for _ in range(_BATCH))
    return [packet for packet in taken if packet is not None]


async def _take(ear: _Ear, packets: list[Packet]) -> None:
    items: list[Reading | Unreadable] = []
    for packet in packets:
        # The code of an event stands in the session field.
        is_attendance = packet.session == LiveEvent.ATTENDANCE
        if is_attendance and len(packet.data) not in _BY_TEXT and ear.people is None:
            async with ear.visit.call.in_time():
                ear.people = users.codes(await fetch.read_users(ear.visit))
        for seen in events.read(packet.session, packet.data, users=ear.people):
            if isinstance(seen, Reading | Unreadable):
                items += _sure(ear, seen, len(packet.data))
    for start in range(0, len(items), _BATCH):
        await _record(ear.visit, items[start : start + _BATCH])


def _sure(ear: _Ear, seen: Reading | Unreadable, size: int) -> list[Reading | Unreadable]:
    """Give what is recorded of an event; the log is read for the rest."""
    if isinstance(seen, Unreadable):
        _hint(ear)
        # An impossible time is in the log too, as its own bytes.
        return [seen] if seen.reason == "unreadable_row" else []
    is_known = ear.people is not None and seen.user_code in ear.people.values()
    if size not in _BY_TEXT and not is_known:
        # By a number of the terminal, or without its leading zeros, it would be another punch.
        _hint(ear)
        return []
    return [seen]


def _hint(ear: _Ear) -> None:
    now_s = asyncio.get_running_loop().time()
    if now_s - ear.hinted_s >= _HINT_S:
        ear.hinted_s = ear.next_read_s = now_s
    else:
        ear.next_read_s = min(ear.next_read_s, ear.hinted_s + _HINT_S)


async def _record(visit: Visit, items: list[Reading | Unreadable]) -> None:
    tools = visit.tools
    watch = telemetry.stopwatch()
    now = tools.now()
    tools.context.presence.heard(*visit.whose, address=visit.call.peer, now=now)
    receipts = await punches.record(
        tools.context, visit.entry, PunchesSeen(items), transport="zk", now=now
    )
    outcomes = [receipt.status for receipt in receipts]
    telemetry.punches("zk", outcomes, account=visit.terminal.account, seconds=watch())


async def _feel_pulse(ear: _Ear) -> None:
    """Ask for the time, so that a terminal that is gone does not look like one that is quiet."""
    visit = ear.visit
    try:
        await visit.call.run(dialogue.read_time())
    except Silent:
        ear.missed += 1
        if ear.missed >= _MISSED_MOST:
            raise
        # One answer may get lost on the way; the session is as good as before.
        visit.call.is_sound = True
        return
    tools = visit.tools
    tools.context.presence.heard(*visit.whose, address=visit.call.peer, now=tools.now())
    ear.heard_s, ear.missed = asyncio.get_running_loop().time(), 0
