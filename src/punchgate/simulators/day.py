"""A plausible day: who punches where and when, invented from a seed.

The same seed, people, devices and date give the same punches on every machine, so a day sent twice
is the same day. It knows no protocol: how a punch is written for a device is said in `http.py`. It
does no I/O and reads no clock.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Final, NamedTuple

# Direction codes as terminals number them, and the methods of the published `input_type`.
CHECK_IN, CHECK_OUT, BREAK_OUT, BREAK_IN = 0, 1, 2, 3
FINGER, FACE, CARD = 0, 1, 3

#: The first user code: four digits, as terminals hand them out.
_FIRST_CODE: Final = 1001
#: Two gates and a cafeteria: what one site of an ordinary company has.
_SITE_DEVICES: Final = 3


class Planned(NamedTuple):
    """One punch of an invented day.

    Units:   `device` counts from 0; `wall_time` is that device's own clock, to the second.
    """

    wall_time: datetime
    user_code: str
    device: int
    direction_code: int
    verify_code: int


class _Places(NamedTuple):
    """The devices that one person passes."""

    gate: int
    cafeteria: int


def plan(first: date, days: int, *, people: int, devices: int, seed: int) -> tuple[Planned, ...]:
    """Invent the punches of some days in a row, oldest first.

    On each day some arrive late, a few stay away, most punch their lunch break, one puts the finger
    on the reader twice and, of two people or more, the last works the night: that punch lies on the
    morning after.

    Shapes:  all numbers but `seed` are at least 1. The last device of each three is a cafeteria,
             the others are gates.
    """
    dates = (first + timedelta(days=number) for number in range(days))
    return tuple(sorted(punch for day in dates for punch in _one_day(day, people, devices, seed)))


def user_codes(people: int) -> tuple[str, ...]:
    """Give the user codes of the people that `plan` invents punches for."""
    return tuple(str(_FIRST_CODE + number) for number in range(people))


def _one_day(day: date, people: int, devices: int, seed: int) -> Iterator[Planned]:
    hasty = Random(f"{seed}/{day}").randrange(people)  # noqa: S311 (an invented day is no secret)
    for number, code in enumerate(user_codes(people)):
        # A generator for each person and day: hiring somebody changes nobody else's day.
        chance = Random(f"{seed}/{day}/{code}")  # noqa: S311 (the same)
        places = _places(number, devices)
        is_night_worker = number == people - 1 and people > 1
        punches = list(
            _night(chance, day, code, places)
            if is_night_worker
            else _office_day(chance, day, code, places, may_stay_away=number != hasty)
        )
        yield from punches
        if number == hasty:
            again = punches[0].wall_time + timedelta(seconds=chance.randint(2, 9))
            yield punches[0]._replace(wall_time=again)


def _office_day(
    chance: Random, day: date, code: str, places: _Places, *, may_stay_away: bool
) -> Iterator[Planned]:
    if chance.random() < 0.05 and may_stay_away:
        return
    method = _method(code)
    late_min = chance.randint(20, 90) if chance.random() < 0.15 else 0
    arrival = _around(chance, day, time(8, 40), spread_min=18) + timedelta(minutes=late_min)
    yield Planned(arrival, code, places.gate, CHECK_IN, method)
    if chance.random() < 0.85:
        lunch = _around(chance, day, time(12, 30), spread_min=25)
        back = lunch + timedelta(seconds=chance.randint(25 * 60, 55 * 60))
        yield Planned(lunch, code, places.cafeteria, BREAK_OUT, method)
        yield Planned(back, code, places.cafeteria, BREAK_IN, method)
    if chance.random() < 0.97:  # Now and then somebody forgets.
        leaving = _around(chance, day, time(17, 30), spread_min=35)
        yield Planned(leaving, code, places.gate, CHECK_OUT, method)


def _night(chance: Random, day: date, code: str, places: _Places) -> Iterator[Planned]:
    method = _method(code)
    arrival = _around(chance, day, time(21, 52), spread_min=6)
    leaving = _around(chance, day + timedelta(days=1), time(6, 6), spread_min=5)
    yield Planned(arrival, code, places.gate, CHECK_IN, method)
    yield Planned(leaving, code, places.gate, CHECK_OUT, method)


def _around(chance: Random, day: date, middle: time, *, spread_min: int) -> datetime:
    # A triangle: most come near the usual time, nobody further away than the spread.
    off_s = chance.triangular(-spread_min * 60, spread_min * 60, 0)
    return datetime.combine(day, middle) + timedelta(seconds=round(off_s))


def _places(person: int, devices: int) -> _Places:
    sites = (devices + _SITE_DEVICES - 1) // _SITE_DEVICES
    start = person % sites * _SITE_DEVICES
    size = min(_SITE_DEVICES, devices - start)
    gates = max(1, size - 1)
    return _Places(gate=start + person // sites % gates, cafeteria=start + size - 1)


def _method(code: str) -> int:
    return (FINGER, FACE, CARD)[int(code) % 3]
