"""A terminal's clock on the wire: the packed 32-bit form and the six bytes of live events.

Both can hold days that do not exist; those come out as what was said, without a wall time. All of
it is the terminal's local clock: which zone that is, the gateway knows and the codec does not.
"""

from datetime import datetime
from typing import Final, NamedTuple

FIRST_YEAR: Final = 2000
#: Above it the number goes on to 2133, but no clock means that.
LAST_YEAR: Final = 2099
SIX_BYTES: Final = 6


class Said(NamedTuple):
    """A moment as the terminal said it; no part of it need make sense."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int

    def __str__(self) -> str:
        """Write it as a person would, whether the day exists or not."""
        return "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(*self)

    def wall_time(self) -> datetime | None:
        """Give the wall time, or None where no calendar has it."""
        try:
            return datetime(*self)  # noqa: DTZ001 (the terminal's wall clock has no zone)
        except ValueError:
            return None

    def packed(self) -> int:
        """Give the packed form.

        Units:   seconds in a calendar of 12 months of 31 days, from 2000 on.
        Errors:  ValueError where a part does not fit; 30 February does.
        """
        parts = (self.month - 1, self.day - 1, self.hour, self.minute, self.second)
        limits = (12, 31, 24, 60, 60)
        if not all(0 <= part < limit for part, limit in zip(parts, limits, strict=True)):
            raise ValueError(f"{self} has no packed form.")
        number = self.year - FIRST_YEAR
        for part, limit in zip(parts, limits, strict=True):
            number = number * limit + part
        if not 0 <= number <= 0xFFFFFFFF:
            raise ValueError(f"{self} has no packed form.")
        return number

    def six(self) -> bytes:
        """Give the six bytes of live events: yy mm dd HH MM SS.

        Errors:  ValueError where a part does not fit into its byte.
        """
        return bytes((self.year - FIRST_YEAR, *self[1:]))


def said(packed: int) -> Said:
    """Take a packed time apart; judge nothing.

    Units:   (((year - 2000) * 12 + month - 1) * 31 + day - 1) * 86_400 + second of the day.
    Source:  docs/protocols/zk-4370.md, "Time"; two real terminals.
    """
    rest, second = divmod(packed, 60)
    rest, minute = divmod(rest, 60)
    rest, hour = divmod(rest, 24)
    rest, day = divmod(rest, 31)
    year, month = divmod(rest, 12)
    return Said(FIRST_YEAR + year, month + 1, day + 1, hour, minute, second)


def said_in_six(data: bytes) -> Said:
    """Take the six bytes of a live event apart; judge nothing.

    Errors:  ValueError if there are not six.
    """
    year, month, day, hour, minute, second = data
    return Said(FIRST_YEAR + year, month, day, hour, minute, second)


def of(wall_time: datetime) -> Said:
    """Give a wall time as a terminal says it, cut to the second.

    Errors:  ValueError for a year that a terminal's clock does not have.
    """
    if not FIRST_YEAR <= wall_time.year <= LAST_YEAR:
        raise ValueError(f"A terminal's clock has no year {wall_time.year}.")
    return Said(*wall_time.timetuple()[:6])


def pack(wall_time: datetime) -> int:
    """Give the packed form of a wall time."""
    return of(wall_time).packed()
