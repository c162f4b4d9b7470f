"""Wall time and instants: which moment a device's clock meant, and what it shows at a moment.

Zone rules come from the packaged zone data, never from the host, so that the same punch gives the
same instant on every machine. Nothing here knows of days, shifts or persons.
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from importlib import resources
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import tzdata  # type: ignore[import-untyped]  # the package ships none

from punchgate.domain.error import Invalid

NONEXISTENT: Final = "nonexistent_local_time"
AMBIGUOUS: Final = "ambiguous_local_time"
FOLD_INFERRED: Final = "fold_inferred"

#: Release of the zone rules in use, `2026a`; recorded wherever figures leave the house.
ZONE_DATA_VERSION: Final[str] = tzdata.IANA_VERSION

#: A punch older than this says nothing about the pass of an ambiguous hour (workday rule R13).
RECENT_S: Final = 2 * 3600
#: The widest jump of any zone is a day (Apia, 30 December 2011); an hour more is certainty.
_MARGIN_H: Final = 25
_DAY_S: Final = 86_400
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 (a wall time has no zone)
_EPOCH_ORDINAL: Final = _EPOCH.toordinal()
# A clock may show anything between the years 1 and 9999; offsets are asked two days inside that.
_FIRST_INSTANT: Final = int(datetime(1, 1, 3, tzinfo=UTC).timestamp())
_LAST_INSTANT: Final = int(datetime(9999, 12, 29, tzinfo=UTC).timestamp())


class Resolved(NamedTuple):
    """What a wall time meant.

    Units:  `instant` is whole seconds since 1970-01-01 UTC; `utc_offset_s` is the offset of the
            zone at that instant. The wall time to show is their sum: a skipped hour has moved
            forward there.
    """

    instant: int
    utc_offset_s: int
    flags: tuple[str, ...]


@cache
def find_zone(name: str) -> ZoneInfo:
    """Find a zone of the packaged data by its IANA name, exactly as written there.

    Errors:  Invalid for any other name; it is only ever compared with the list, so it is no path.
    """
    if name not in _zone_names():
        raise Invalid(f"There is no time zone {name!r}. {_hint(name)}")
    directory = resources.files("tzdata.zoneinfo")
    with directory.joinpath(*name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def resolve(
    wall_time: datetime,
    zone: ZoneInfo,
    *,
    fold: int | None = None,
    made: Collection[int] = (),
) -> Resolved:
    """Derive the instant of a naive wall time; anything below a second is cut.

    A skipped time moves forward by the gap. Of a time that comes twice, `fold` (0 or 1) names the
    pass. Without it, it is the second pass if that, and not the first, lies behind one that this
    device has `made` (instants of its punches so far) within two hours; else the first. A punch
    behind both passes says nothing: it came out of order.

    Source:  rule R13 of docs/reference/workday.md.
    """
    ordinal = wall_time.toordinal()
    offset = _only_offset(zone, ordinal)
    if offset is None:
        return _resolve_near_change(wall_time, zone, fold, made)
    seconds = wall_time.hour * 3600 + wall_time.minute * 60 + wall_time.second
    return Resolved((ordinal - _EPOCH_ORDINAL) * _DAY_S + seconds - offset, offset, ())


def wall_at(instant: int, zone: ZoneInfo) -> tuple[datetime, int]:
    """Tell what a clock in the zone shows at an instant, naive, and its offset from UTC then.

    The time's `fold` attribute is its pass; handed to `resolve` it leads back to the instant.
    """
    aware = datetime.fromtimestamp(instant, zone)
    return aware.replace(tzinfo=None), _seconds(aware.utcoffset())


def offset_at(instant: int, zone: ZoneInfo) -> int:
    """Give a zone's offset from UTC at an instant; beyond the calendar, that of its edge."""
    within = min(max(instant, _FIRST_INSTANT), _LAST_INSTANT)
    return _seconds(datetime.fromtimestamp(within, zone).utcoffset())


def as_wall(wall_s: int) -> datetime:
    """Make a naive wall time of its seconds since 1970-01-01 00:00:00 on the same clock."""
    return _EPOCH + timedelta(seconds=wall_s)


def is_ambiguous(wall_time: datetime, zone: ZoneInfo) -> bool:
    """Say whether clocks of the zone show this time twice."""
    if _only_offset(zone, wall_time.toordinal()) is not None:
        return False
    first, second = _both_offsets(wall_time, zone)
    return first > second


def _resolve_near_change(
    wall_time: datetime, zone: ZoneInfo, fold: int | None, made: Collection[int]
) -> Resolved:
    first_offset, second_offset = _both_offsets(wall_time, zone)
    wall_s = _as_if_utc(wall_time)
    first = wall_s - first_offset
    if first_offset < second_offset:
        # The offset before the gap, applied to a time inside it, lands behind it by as much.
        return Resolved(first, offset_at(first, zone), (NONEXISTENT,))
    if first_offset == second_offset or fold == 0:
        return Resolved(first, first_offset, ())
    second = wall_s - second_offset
    if fold is not None:
        return Resolved(second, second_offset, ())
    if any(max(first + 1, second - RECENT_S) <= at <= second for at in made):
        return Resolved(second, second_offset, (AMBIGUOUS, FOLD_INFERRED))
    return Resolved(first, first_offset, (AMBIGUOUS,))


def _both_offsets(wall_time: datetime, zone: ZoneInfo) -> tuple[int, int]:
    """Give the offsets of both passes: equal on plain times, falling in a fold, rising in a gap."""
    return (
        _seconds(zone.utcoffset(wall_time.replace(fold=0))),
        _seconds(zone.utcoffset(wall_time.replace(fold=1))),
    )


# Some forty zones times half a year. A day that is not here costs fifty microseconds to look at.
@lru_cache(maxsize=8192)
def _only_offset(zone: ZoneInfo, ordinal: int) -> int | None:
    """Give the one offset that a local day and its surroundings have, or None near a change."""
    midnight = (ordinal - _EPOCH_ORDINAL) * _DAY_S
    offset = offset_at(midnight + _DAY_S // 2, zone)
    start = midnight - offset
    for hour in range(-_MARGIN_H, 24 + _MARGIN_H + 1):
        if offset_at(start + hour * 3600, zone) != offset:
            return None
    return offset


def _as_if_utc(wall_time: datetime) -> int:
    seconds = wall_time.hour * 3600 + wall_time.minute * 60 + wall_time.second
    return (wall_time.toordinal() - _EPOCH_ORDINAL) * _DAY_S + seconds


def _seconds(offset: timedelta | None) -> int:
    assert offset is not None  # noqa: S101 (a ZoneInfo always knows; the type of tzinfo does not)
    return offset.days * _DAY_S + offset.seconds


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())


def _hint(name: str) -> str:
    wanted = name.strip().lower().replace(" ", "_")
    for known in sorted(_zone_names()):
        if wanted in (known.lower(), known.lower().rpartition("/")[2]):
            return f"Did you mean {known!r}?"
    return "Use a name of the IANA list, such as 'Europe/Berlin' or 'UTC'."
