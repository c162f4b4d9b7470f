"""From the bytes of a log to recorded punches, slice by slice; then the watermark.

Rows become readings some at a time and go through the one door before the next are looked at, so
that a log of half a million costs its bytes and one slice. What begins exactly as the last whole
reading did was recorded then, and only what came since goes through again.
"""

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from punchgate import telemetry
from punchgate.domain.terminal import Watermark
from punchgate.engines.zk import trouble
from punchgate.engines.zk.fetch import Fetched
from punchgate.engines.zk.identity import Problems
from punchgate.engines.zk.tools import Tools
from punchgate.engines.zk.visit import Visit
from punchgate.protocols.zk import choice, layouts, records
from punchgate.protocols.zk.records import Item, Reader
from punchgate.usecases import punches
from punchgate.usecases import terminal_contact as contact
from punchgate.usecases.terminal_contact import Found
from punchgate.usecases.terminals import LogRead, TerminalTrouble
from punchgate.wire.event import PunchesSeen, Reading, Unreadable

_TAIL_ROWS: Final = 64
#: Hashing a megabyte takes a few milliseconds.
_HASH_BYTES: Final = 1024 * 1024


@dataclass(slots=True)
class _Tally:
    """What became of the rows so far."""

    recorded: int = 0
    quarantined: int = 0
    oldest: str | None = None
    newest: str | None = None

    def count(self, items: list[Item], receipts: list[punches.Receipt]) -> None:
        """Count a slice."""
        for item, receipt in zip(items, receipts, strict=True):
            if receipt.status == "quarantined":
                self.quarantined += 1
                continue
            self.recorded += receipt.status == "recorded"
            if isinstance(item, Reading) and item.wall_time is not None:
                said = str(item.wall_time)
                self.oldest = said if self.oldest is None else min(self.oldest, said)
                self.newest = said if self.newest is None else max(self.newest, said)


@dataclass(slots=True)
class _Log:
    """A fetched log with its layout: where rows begin, how many there are."""

    rows: bytes
    layout: str
    width: int
    skip: int

    @property
    def count(self) -> int:
        return (len(self.rows) - self.skip) // self.width

    @property
    def is_cut(self) -> bool:
        """Say whether bytes are left that are no row: the next reading has them again."""
        rest = len(self.rows) - self.until(self.count)
        # With the nine bytes in front of each row the last one has none behind it.
        return rest != 0 and (self.width, rest) != (49, 40)

    def until(self, count: int) -> int:
        """Give where the first so many rows end."""
        return self.skip + count * self.width


async def record(visit: Visit, fetched: Fetched, problems: Problems) -> LogRead:
    """Record a log and write down how far it was read.

    Errors:  TerminalTrouble for a log that broke off, after its rows were recorded, and for one
             that is short and that nobody can read; StoreBusy, StoreUnavailable.
    """
    if fetched.choice is None and fetched.rows:
        return await _keep_unknown(visit, fetched, problems)
    found = {**problems, "layout_unknown": None, "log_incomplete": None}
    if not fetched.is_complete:
        found["log_incomplete"] = (
            "The terminal announced more of its log, or less, than it sent. What it sent is "
            "recorded; the log is read as a whole every time."
        )
    log = _log(fetched)
    mark = visit.terminal.watermark
    if fetched.is_complete and mark is not None:
        is_shorter = log.count < mark.count
        found["log_cleared"] = (
            f"The log has {log.count} rows and had {mark.count}: it was cleared, or began anew."
            if is_shorter
            else None
        )
    known_rows = await _begun(visit.tools, log, mark)
    tally = _Tally()
    if known_rows and mark is not None:
        tally = _Tally(0, mark.quarantined, mark.oldest, mark.newest)
    reader = Reader(
        fetched.choice.layout if fetched.choice else "40",
        users=fetched.users,
        order16=visit.terminal.settings.order16,
    )
    rest = log.rows[log.until(known_rows) :] if known_rows else log.rows
    pieces = reader.slices(rest, skip=0 if known_rows else log.skip) if rest else iter(())
    await _record(visit, pieces, tally)
    if fetched.ending is not None:
        # What came is recorded; whoever asked for the log is not shown a part of it.
        terminal = visit.terminal
        raise trouble.of(fetched.ending, terminal.host, terminal.port) from fetched.ending
    found["order_swapped"] = _swapped(visit, log, fetched)
    watermark = None
    if fetched.is_complete:
        watermark = await _watermark(visit.tools, log, tally)
    await _note(visit, fetched, log, watermark, found)
    oldest = None if tally.oldest is None else datetime.fromisoformat(tally.oldest)
    return LogRead(log.count, oldest, tally.quarantined, tally.recorded)


async def _record(visit: Visit, pieces: Iterator[records.Slice], tally: _Tally) -> None:
    """Bring slices through the one door, each after the last one's commit."""
    is_more = True
    while is_more:
        async with visit.tools.recording:
            is_more = await _record_one(visit, pieces, tally)


async def _record_one(visit: Visit, pieces: Iterator[records.Slice], tally: _Tally) -> bool:
    """Record the next slice and say whether there was one."""
    watch = telemetry.stopwatch()
    async with visit.tools.decoding:
        piece = next(pieces, None)
        if piece is None:
            return False
        items = list(piece.items)
        work = asyncio.ensure_future(_through_the_door(visit, items))
        try:
            # The facts are made in this turn of the loop; whoever decodes next has another.
            await visit.tools.pause(0)
        except BaseException:
            work.cancel()
            raise
    receipts = await work
    tally.count(items, receipts)
    outcomes = [receipt.status for receipt in receipts]
    telemetry.punches("zk", outcomes, account=visit.terminal.account, seconds=watch())
    return True


async def _through_the_door(visit: Visit, items: list[Item]) -> list[punches.Receipt]:
    tools = visit.tools
    return await punches.record(
        tools.context, visit.entry, PunchesSeen(items), transport="zk", now=tools.now()
    )


def _log(fetched: Fetched) -> _Log:
    if fetched.choice is None:
        return _Log(b"", "", 1, 0)
    layout, skip = fetched.choice
    width = layouts.LAYOUTS[layout].width
    rows = fetched.rows
    if not fetched.is_complete:
        # The rest of a row that was cut by the way is still on the terminal.
        rows = rows[: skip + (len(rows) - skip) // width * width]
    return _Log(rows, layout, width, skip)


async def _begun(tools: Tools, log: _Log, mark: Watermark | None) -> int:
    """Give how many of the rows were recorded by the last whole reading: all of them, or none."""
    if mark is None or not 0 < mark.count <= log.count or _tail(log, mark.count) != mark.tail:
        return 0
    return mark.count if await _whole(tools, log, mark.count) == mark.whole else 0


async def _whole(tools: Tools, log: _Log, count: int) -> str:
    """Hash the first so many rows, and what they are read as."""
    digest = hashlib.sha256(log.layout.encode())
    end = log.until(count)
    for at in range(0, end, _HASH_BYTES):
        digest.update(log.rows[at : min(at + _HASH_BYTES, end)])
        await tools.pause(0)
    return digest.hexdigest()


def _tail(log: _Log, count: int) -> str:
    """Hash the last 64 of the first so many rows."""
    first = max(count - _TAIL_ROWS, 0)
    return hashlib.sha256(log.rows[log.until(first) : log.until(count)]).hexdigest()


async def _watermark(tools: Tools, log: _Log, tally: _Tally) -> Watermark:
    return Watermark(
        count=log.count,
        size=len(log.rows),
        tail=_tail(log, log.count),
        newest=tally.newest,
        oldest=tally.oldest,
        whole=await _whole(tools, log, log.count),
        quarantined=tally.quarantined - log.is_cut,
    )


def _swapped(visit: Visit, log: _Log, fetched: Fetched) -> str | None:
    if log.layout != "16" or visit.terminal.settings.order16 != "method_state":
        return None
    choice_skip = 0 if fetched.choice is None else fetched.choice.skip
    if not records.looks_swapped(log.rows[choice_skip : choice_skip + 1_000 * log.width]):
        return None
    return (
        "Direction and method may be swapped in what this terminal says. If its directions are "
        "wrong, set `--order16 state_method` on the device."
    )


async def _note(
    visit: Visit, fetched: Fetched, log: _Log, watermark: Watermark | None, found: Problems
) -> None:
    known = visit.known
    if log.count >= choice.ENOUGH_ROWS:
        known = replace(known, layout=log.layout)
    if fetched.is_complete:
        known = replace(known, records=max(fetched.count, log.count))
    visit.known = known
    now = visit.tools.now()
    note = Found(known, watermark, _due_at(visit, now), found)
    await contact.read_well(visit.tools.context, visit.whose, note, now=now)


def _due_at(visit: Visit, now: int) -> int | None:
    """Give when the schedule reads it next: spread, so that terminals do not march in step."""
    every_s = visit.terminal.settings.backfill_s
    if not every_s:
        return None
    return now + round(every_s * 1_000 * visit.tools.chance.uniform(0.9, 1.1))


async def _keep_unknown(visit: Visit, fetched: Fetched, problems: Problems) -> LogRead:
    """Keep a table that fits no layout as one entry, and tell an operator."""
    if not fetched.is_complete:
        raise TerminalTrouble("protocol", "A part of the log is missing, and the rest is no rows.")
    detail = "Its rows fit no layout that we know."
    item = Unreadable(fetched.rows, "layout_unknown", detail)
    await _record(visit, iter([records.Slice(0, [item])]), _Tally())
    now = visit.tools.now()
    told = {
        **problems,
        "layout_unknown": f"{detail} {len(fetched.rows)} bytes are kept in quarantine.",
    }
    note = Found(visit.known, None, _due_at(visit, now), told)
    await contact.read_well(visit.tools.context, visit.whose, note, now=now)
    return LogRead(0, None, 1, 0)
