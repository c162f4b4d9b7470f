"""Terminals as their callers ask for them: the register, one's state, and what their logs hold.

Reads only. A log is what is recorded of it; reading the terminal itself is a `Caller`'s.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Final, NamedTuple

from punchgate.domain.codes import DEFAULT_DIRECTIONS, PULL_VERIFY, UNSPECIFIED_CODE
from punchgate.domain.device import Engine
from punchgate.domain.ids import AccountNo, DeviceId, UserCode
from punchgate.store import punches, register
from punchgate.store.database import Database
from punchgate.store.punches import Line, Span
from punchgate.store.register import Registered, State

__all__ = ["Entry", "Query", "Registered", "State", "find", "list_registered", "log", "state"]

#: Devices of one list.
MOST: Final = 10_000
#: Punches that are read and handed on at a time: a few milliseconds' work.
SLICE: Final = 2_000
_DAY: Final = timedelta(days=1)
#: What a terminal would have said for how a person was recognised, and for which way.
_METHODS: Final = {name: code for code, name in PULL_VERIFY.items()}
_DIRECTIONS: Final = {name: code for code, name in DEFAULT_DIRECTIONS.items()}


class Entry(NamedTuple):
    """One punch as a terminal's log has it."""

    device_id: DeviceId
    user_code: str
    #: `YYYY-MM-DD HH:MM:SS`.
    wall_time: str
    verify_code: int
    direction_code: int


@dataclass(frozen=True, slots=True)
class Query:
    """Which punches of a log are wanted; None is no filter."""

    user_code: UserCode | None = None
    #: The first characters of the wall time, at least its year.
    beginning: str | None = None
    #: The newest so many.
    limit: int | None = None


async def list_registered(
    database: Database,
    account: AccountNo,
    *,
    only: Collection[DeviceId] | None = None,
    engine: Engine | None = None,
    limit: int = MOST,
) -> list[Registered]:
    """List devices in the order in which they were registered; `only` and `engine` narrow it."""
    return await database.read(
        lambda tx: register.list_registered(tx, account, only=only, engine=engine, limit=limit)
    )


async def find(database: Database, account: AccountNo, device_id: DeviceId) -> Registered | None:
    """Give one device, or None where this account has none of that id."""
    return await database.read(lambda tx: register.find(tx, account, device_id))


async def state(database: Database, account: AccountNo, device_id: DeviceId) -> State | None:
    """Give what was last heard of a device, or None where there is none."""
    return await database.read(lambda tx: register.find_state(tx, account, device_id))


async def log(
    database: Database,
    account: AccountNo,
    since: Mapping[DeviceId, datetime | None],
    query: Query,
) -> AsyncIterator[list[Entry]]:
    """Give what is recorded of some devices, newest first, in slices.

    Shapes:  `since` names the devices, each with the wall time from which its punches are wanted;
             None is from the first on. Equal wall times are ordered by device, user code and
             direction.
    """
    span = _span(since, query)
    if span is None:
        return
    left = query.limit
    held: list[Entry] = []
    before = None
    while left is None or left > 0:
        rows = await database.read(
            partial(punches.list_lines, account=account, span=span, before=before, limit=SLICE)
        )
        held += [_entry(row) for row in rows if _is_wanted(row, since)]
        if len(rows) < SLICE:
            yield _ordered(held, left)
            return
        before, last = rows[-1].punch_id, rows[-1].wall_time
        # What shares the last wall time may go on in the next slice.
        done = [each for each in held if each.wall_time != last]
        held = [each for each in held if each.wall_time == last]
        if done:
            done = _ordered(done, left)
            left = None if left is None else left - len(done)
            yield done


def _ordered(entries: list[Entry], limit: int | None) -> list[Entry]:
    """Put entries into their order, newest first, and cut them."""
    entries.sort(key=lambda each: (each.device_id, each.user_code, each.direction_code))
    entries.sort(key=lambda each: each.wall_time, reverse=True)
    return entries if limit is None else entries[:limit]


def _is_wanted(row: Line, since: Mapping[DeviceId, datetime | None]) -> bool:
    first = since[row.device_id]
    return first is None or row.wall_time >= str(first)


def _entry(row: Line) -> Entry:
    if row.code_table == "pull":
        method, direction = row.verify_code, row.direction_code
    else:
        method = _METHODS.get(row.verify, row.verify_code)
        direction = _DIRECTIONS[row.direction]
    return Entry(
        row.device_id,
        row.user_code,
        row.wall_time,
        UNSPECIFIED_CODE if method is None else method,
        UNSPECIFIED_CODE if direction is None else direction,
    )


def _span(since: Mapping[DeviceId, datetime | None], query: Query) -> Span | None:
    """Give the rows that are looked at; None where there can be none."""
    firsts = list(since.values())
    if not firsts:
        return None
    first = min((each for each in firsts if each is not None), default=None)
    first = None if None in firsts else first
    until = None
    if query.beginning is not None:
        period = _period(query.beginning)
        if period is None:
            return None
        first = period[0] if first is None else max(first, period[0])
        until = period[1]
    return Span(tuple(since), first, until, query.user_code, query.beginning)


def _period(beginning: str) -> tuple[datetime, datetime | None] | None:
    """Give the days in which a wall time can begin so; None where no calendar has one.

    Of a half-written month or day, the year or month around it is taken.
    """
    year = int(beginning[:4])
    month = int(beginning[5:7]) if len(beginning) >= 7 else None
    day = int(beginning[8:10]) if len(beginning) >= 10 else None
    try:
        first = date(year, 1 if month is None else month, 1 if day is None else day)
    except ValueError:
        return None
    try:
        if day is not None:
            after = first + _DAY
        elif month is not None:
            after = date(year + month // 12, month % 12 + 1, 1)
        else:
            after = date(year + 1, 1, 1)
    except (ValueError, OverflowError):
        # The calendar ends there.
        return datetime.combine(first, time()), None
    return datetime.combine(first, time()), datetime.combine(after, time())
