"""Attendance rows to readings, in slices, and nothing dropped.

Every row becomes a `Reading` or, with its bytes and a reason, an `Unreadable`. Whether a time lies
ahead of us is not judged here: that needs a clock.

A slice is decoded column by column: the rows of a log repeat the same people and days, so that most
fields are a look-up. One row at a time costs three times as much.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import repeat
from typing import Final, NamedTuple

from punchgate.protocols.zk import layouts, moment
from punchgate.protocols.zk.layouts import NOT_MEASURED, Fields, Layout, LayoutName, Order16
from punchgate.wire.event import Reading, Unreadable

#: Rows of one slice, between which an event loop can turn to others: to make facts of them takes
#: five milliseconds, of a thousand twenty.
SLICE_ROWS: Final = 250
#: A dead clock battery writes 2000-01-01 00:00:00, and people punch for hours after it.
FIRST_WALL_TIME: Final = datetime(2000, 1, 2)  # noqa: DTZ001 (a wall time has no zone)
#: What is remembered of texts and clocks before it is forgotten: a log is not trusted.
_REMEMBERED: Final = 100_000
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400
#: How the moments of an hour are written.
_CLOCKS: Final = tuple(f"{minute:02}:{second:02}" for minute in range(60) for second in range(60))
_NOTHING_MEASURED: Final = b"\xff255\0\0\0\0\0"
_DEGREES: Final = re.compile(rb"\d{1,3}(\.\d{1,3})?")

BAD_CODE: Final = "Its user code cannot be read."

Item = Reading | Unreadable


class Slice(NamedTuple):
    """Some rows of a table: the number of the first one, and one item for each."""

    first: int
    items: Sequence[Item]


class Reader:
    """Reads the attendance table of one terminal.

    Shapes:  `users` gives the user code of a row number; rows without a code of their own need it.
             `since` is the first wall time that is believed; None believes them all, as an operator
             does who releases a row from quarantine.
    """

    def __init__(
        self,
        layout: LayoutName,
        *,
        users: Mapping[int, str] | None = None,
        order16: Order16 = "method_state",
        since: datetime | None = FIRST_WALL_TIME,
    ) -> None:
        self.layout: Layout = layouts.get(layout, order16=order16)
        self._users = _People(users or {})
        self._days = _Days(since)
        self._hours = _Hours(self._days)
        self._codes = _Codes()

    def slices(self, rows: bytes, *, skip: int = 0) -> Iterator[Slice]:
        """Decode a table's rows, a slice at a time.

        Shapes:  `rows` is without the table's head; `skip` bytes before the first row belong to
                 none and are one item of their own. A last row that is cut is an item too.
        Errors:  none.
        """
        width = self.layout.width
        whole = (len(rows) - skip) // width
        if skip:
            yield Slice(0, [Unreadable(rows[:skip], "unreadable_row", "Bytes before the rows.")])
        for first in range(0, whole, SLICE_ROWS):
            count = min(SLICE_ROWS, whole - first)
            start = skip + first * width
            yield Slice(first, self.read(rows[start : start + count * width]))
        rest = rows[skip + whole * width :]
        if rest:
            yield Slice(whole, [self._last(rest)])

    def read(self, rows: bytes) -> Sequence[Item]:
        """Decode whole rows, at least one, all in one go."""
        fields = self.layout.fields(rows)
        raws = self.layout.raws(rows)
        codes = self._codes_of(fields)
        hours = self._hours
        texts = [hours[each // _HOUR_S] + _CLOCKS[each % _HOUR_S] for each in fields.packed]
        walls = self._walls_of(fields, texts)
        readings: list[Reading] = list(
            map(
                tuple.__new__,
                repeat(Reading),
                zip(
                    raws, codes, walls, repeat(None), repeat("wall"), texts, fields.states,
                    fields.verifies, repeat(None), repeat(None), repeat(None),
                    _temperatures(fields), _masks(fields), _work_codes(fields), repeat(()),
                ),
            )
        )  # fmt: skip
        if all(walls) and all(codes):
            return readings
        return list(map(self._checked, readings, codes, fields.uids or repeat(0), fields.packed))

    def _codes_of(self, fields: Fields) -> list[str | None]:
        """Give the user codes: None for one that cannot be, empty where the row number decides."""
        if fields.ids is None:
            return list(map(self._users.__getitem__, fields.uids or ()))
        return list(map(self._codes.__getitem__, fields.ids))

    def _walls_of(self, fields: Fields, texts: Sequence[str]) -> Sequence[datetime | None]:
        """Give the wall times: None for one that is on no calendar, or that is not believed."""
        doubtful = self._days.doubtful
        if not doubtful:
            return list(map(datetime.fromisoformat, texts))
        return [
            None if packed // _DAY_S in doubtful else datetime.fromisoformat(text)
            for packed, text in zip(fields.packed, texts, strict=True)
        ]

    def _checked(self, reading: Reading, code: str | None, uid: int, packed: int) -> Item:
        """Look again at a row of a slice in which some row lacks a person or a time."""
        if code is None:
            return Unreadable(reading.raw, "bad_user_id", BAD_CODE)
        if not reading.user_code:
            reading = self._by_uid(reading, uid)
        if reading.wall_time:
            return reading
        if moment.said(packed).wall_time() is None:
            detail = f"{reading.time_text} is on no calendar."
            return Unreadable(reading.raw, "unreadable_time", detail, reading.user_code)
        detail = f"At {reading.time_text} the clock had lost its time."
        return Unreadable(reading.raw, "ancient_time", detail, reading.user_code)

    def _by_uid(self, reading: Reading, uid: int) -> Reading:
        code = self._users.get(uid)
        if code:
            return reading._replace(user_code=code)
        return reading._replace(user_code=f"uid:{uid}", flags=("no_user",))

    def _last(self, rest: bytes) -> Item:
        # Where the nine bytes stand in front of each row, the last one has them not.
        if self.layout.name == "49" and len(rest) == layouts.LAYOUT_40.width:
            item = self.read(rest + _NOTHING_MEASURED)[0]
            return item._replace(raw=rest)
        detail = f"{len(rest)} of {self.layout.width} bytes."
        return Unreadable(rest, "cut_row", detail)


class _Days(dict[int, str]):
    """The days of a log as they are written; the packed calendar has fewer than 50,000."""

    def __init__(self, since: datetime | None) -> None:
        super().__init__()
        self._since = since
        #: Those of them that are on no calendar, or before what is believed.
        self.doubtful: set[int] = set()

    def __missing__(self, number: int) -> str:
        said = moment.said(number * _DAY_S)
        midnight = said.wall_time()
        if midnight is None or (self._since is not None and midnight < self._since):
            self.doubtful.add(number)
        self[number] = day = str(said)[:11]
        return day


class _Hours(dict[int, str]):
    """The hours of a log as they are written, by their number in the packed calendar."""

    def __init__(self, days: _Days) -> None:
        super().__init__()
        self._days = days

    def __missing__(self, number: int) -> str:
        if len(self) >= _REMEMBERED:
            self.clear()
        self[number] = hour = f"{self._days[number // 24]}{number % 24:02}:"
        return hour


class _People(dict[int, str]):
    """The user codes of row numbers; empty for a number that is nobody's."""

    def __missing__(self, _: int) -> str:
        return ""


class _Codes(dict[bytes | int, str | None]):
    """The user codes of a log, by what stands in its rows."""

    def __missing__(self, field: bytes | int) -> str | None:
        if len(self) >= _REMEMBERED:
            self.clear()
        code = self[field] = _code(field)
        return code


def _code(field: bytes | int) -> str | None:
    if isinstance(field, int):
        return str(field)
    return user_code(field)


def user_code(field: bytes) -> str | None:
    """Give the user code in a text field, None for one that cannot be.

    Bytes that are no UTF-8 are not replaced: two people would have one code.
    """
    try:
        text = field.partition(b"\0")[0].decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None


def _masks(fields: Fields) -> Iterable[bool | None]:
    if fields.masks is None:
        return repeat(None)
    return [{0: False, 1: True}.get(each) for each in fields.masks]


def _temperatures(fields: Fields) -> Iterable[float | None]:
    if fields.temperatures is None:
        return repeat(None)
    known = {each: _temperature(each) for each in set(fields.temperatures)}
    return [known[each] for each in fields.temperatures]


def _temperature(field: bytes) -> float | None:
    match = _DEGREES.fullmatch(field.partition(b"\0")[0])
    degrees = float(match[0]) if match else None
    return None if degrees == NOT_MEASURED else degrees


def _work_codes(fields: Fields) -> Iterable[str | None]:
    if fields.work_codes is None:
        return repeat(None)
    return [str(each) if each else None for each in fields.work_codes]


def looks_swapped(rows: bytes) -> bool:
    """Say whether 16-byte rows seem to hold the state where the method is read.

    Twenty rows or more in which the second byte never changes and the first takes only the codes of
    a direction, more than one of them. Source: docs/protocols/zk-4370.md; 38 real rows.
    """
    width = layouts.LAYOUT_16.width
    whole = len(rows) // width
    if whole < 20:
        return False
    fields = layouts.LAYOUT_16.fields(rows[: whole * width])
    firsts, seconds = set(fields.verifies), set(fields.states)
    return len(seconds) == 1 and len(firsts) > 1 and max(firsts) <= 5
