"""The forms in which a device may say when: a wall time, a time with its offset, or Unix time.

Answers for reading them alone. Which zone a wall time stands in, and whether a moment is impossible
(ahead of us, or ancient), is decided where the device and a clock are known.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from punchgate.wire.event import TimeForm

#: A text is kept beside what was read from it up to this length; a longer one has nothing but a
#: long fraction.
TEXT_MAX: Final = 64

#: The characters 4, 7, 10, 13 and 16 of `YYYY-MM-DD HH:MM:SS`. With them in place `fromisoformat`
#: is left with digits: it would also take week dates, `HHMMSS.f` and `HH:MM+05`, which have 19
#: characters too.
_SEPARATORS: Final = frozenset({"-- ::", "--T::"})

_WRITTEN: Final = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[ T](?P<minutes>\d\d:\d\d)(?::(?P<seconds>\d\d)(?:\.\d+)?)?"
    r"(?P<zone> ?Z| ?(?:GMT|UTC)?(?: ?(?P<sign>[+-])(?P<h>\d\d)(?::?(?P<m>\d\d))?)?)",
    re.ASCII | re.IGNORECASE,
)
_UNIX: Final = re.compile(r"(\d+)(?:\.\d+)?", re.ASCII)
#: Digits before the point, and how many of the unit make a second.
_UNIX_UNITS: Final = {9: 1, 10: 1, 12: 1000, 13: 1000}
# A number of thousands of digits is not worth writing down to count them.
_UNIX_LIMIT: Final = 10**13

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# A day inside what a calendar can hold, so that an instant can be shown in every zone.
_FIRST_INSTANT: Final = int((datetime(1, 1, 2, tzinfo=UTC) - _EPOCH).total_seconds())
_LAST_INSTANT: Final = int((datetime(9999, 12, 30, tzinfo=UTC) - _EPOCH).total_seconds())


class Moment(NamedTuple):
    """When something happened, as it was said; the fields are those of a `Reading`."""

    wall_time: datetime | None
    instant: int | None
    form: TimeForm
    text: str


def read(value: str | float) -> Moment | None:
    """Read a moment in any published form; None for every other, and for a date that is none.

    Shapes:  a text of a wall time (`2026-06-21 09:30:00`, also with `T`, without seconds, with a
             fraction), the same with an offset (`+05:30`, `+0530`, `+05`, `Z`, `GMT`, `UTC`, `GMT
             +0530`), or Unix time as a number or a text.
    Units:   Unix time of 9 or 10 digits is in seconds, of 12 or 13 digits in milliseconds. Both
             results are cut to the second. A leap second `:60` is read as `:59`; `24:00` does not
             exist.
    Errors:  none.
    """
    if not isinstance(value, str):
        return _read_unix(repr(value)) if 0 <= value < _UNIX_LIMIT else None
    wall_time = read_plain(value)
    if wall_time is not None:
        return Moment(wall_time, None, "wall", value)
    text = value.strip()
    return _read_written(text) or _read_unix(text)


def read_plain(text: str) -> datetime | None:
    """Read the form that nearly every device sends, `YYYY-MM-DD HH:MM:SS`; else None."""
    if len(text) != 19 or text[4::3] not in _SEPARATORS or text[11:13] == "24":
        # From 3.13 on `fromisoformat` takes 24:00:00 for midnight; here it is no time at all.
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _read_written(text: str) -> Moment | None:
    match = _WRITTEN.fullmatch(text)
    if match is None:
        return None
    seconds = match["seconds"] or "00"
    wall_time = read_plain(
        f"{match['date']} {match['minutes']}:{'59' if seconds == '60' else seconds}"
    )
    if wall_time is None:
        return None
    if not match["zone"]:
        return Moment(wall_time, None, "wall", text[:TEXT_MAX])
    hours, minutes = int(match["h"] or 0), int(match["m"] or 0)
    if hours > 23 or minutes > 59:
        return None
    offset = timedelta(hours=hours, minutes=minutes)
    distance = wall_time.replace(tzinfo=UTC) - _EPOCH
    distance = distance + offset if match["sign"] == "-" else distance - offset
    return _exact(distance.days * 86_400 + distance.seconds, "offset", text)


def _read_unix(text: str) -> Moment | None:
    match = _UNIX.fullmatch(text)
    unit = _UNIX_UNITS.get(len(match[1])) if match else None
    if match is None or unit is None:
        return None
    return _exact(int(match[1]) // unit, "epoch", text)


def _exact(instant: int, form: TimeForm, text: str) -> Moment | None:
    if not _FIRST_INSTANT <= instant <= _LAST_INSTANT:
        return None
    return Moment(None, instant, form, text[:TEXT_MAX])
