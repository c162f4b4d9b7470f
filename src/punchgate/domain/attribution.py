"""Attribution: to which date a punch belongs (docs/reference/workday.md §3).

Days are numbers here, counted from 1970-01-01, because every punch asks for one. The sides of the
punches and their near-duplicates are settled before, in `timeline.py`; what a day's punches amount
to comes after, in `pairing.py`.

Where policies change, the earlier day takes what is its own by its own rule: an open session its
`out`, a shift its window, a cutoff its small hours. A punch that nobody takes has its local date.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from punchgate.domain import localtime, policy
from punchgate.domain.policy import Policy, Rules, Shift

Side = Literal["in", "out"]
#: How wall times of a punch's calendar become instants: by its zone, or by its offset alone.
Clock = ZoneInfo | int

_DAY_S: Final = 86_400
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()


class Window(NamedTuple):
    """One planned shift as instants (seconds since 1970-01-01 UTC); `day` is the date it starts."""

    day: int
    start: int
    end: int
    opens: int
    closes: int


class Located(NamedTuple):
    """What attribution asks of a punch; `day` is its local date, on the calendar that counts."""

    at: int
    day: int
    second_of_day: int
    side: Side | None
    clock: Clock
    #: An undirected punch that its device's policy set between an `in` and an `out`.
    is_between: bool = False


class Place(NamedTuple):
    """The row to which a punch belongs, and the shift that holds it."""

    day: int
    is_off_shift: bool
    window: Window | None


class Plan:
    """The policies of a computation by day, with the shifts of each made into instants once."""

    __slots__ = ("_policies", "_rules", "_shifts", "_windows")

    def __init__(self, rules: Rules) -> None:
        """Index the shifts of all policies by their dates."""
        self._rules = rules
        self._policies: dict[int, Policy] = {}
        self._windows: dict[tuple[int, Clock], list[Window]] = {}
        self._shifts: dict[int, list[Shift]] = {}
        for rule in rules.policies():
            for shift in rule.shifts if rule.attribution == "shift" else ():
                day = number_of(shift.date)
                if self.on(day) is rule:
                    self._shifts.setdefault(day, []).append(shift)

    def on(self, day: int) -> Policy:
        """Give the policy of a day."""
        known = self._policies.get(day)
        if known is None:
            known = self._policies[day] = self._rules.on(date_of(day))
        return known

    def find_shift(self, punch: Located) -> Window | None:
        """Find the shift in whose window a punch lies, edges included.

        Of several, an `in` takes the nearest start, an `out` the nearest end, an undirected punch
        the nearest of either; a tie goes to the earlier shift.
        """
        if not self._shifts:
            return None
        best: Window | None = None
        best_distance = 0
        # A shift ends on the next date, its margins are a day, and the clocks may change meanwhile.
        for day in range(punch.day - 3, punch.day + 3):
            for window in self._windows_of(day, punch.clock):
                if not window.opens <= punch.at <= window.closes:
                    continue
                distance = _distance(window, punch)
                if best is None or distance < best_distance:
                    best, best_distance = window, distance
        return best

    def _windows_of(self, day: int, clock: Clock) -> list[Window]:
        key = (day, clock)
        known = self._windows.get(key)
        if known is None:
            zone = self.on(day).zone
            if zone != policy.DEVICE_ZONE:
                clock = localtime.find_zone(zone)
            known = sorted(_window(shift, day, clock) for shift in self._shifts.get(day, ()))
            self._windows[key] = known
        return known


def places(punches: Sequence[Located], plan: Plan) -> list[Place]:
    """Give each punch its place; they are of one person, in their order, without duplicates."""
    given: list[Place] = []
    opened: Located | None = None
    limit_s = 0
    for punch in punches:
        rule = plan.on(punch.day)
        if opened is not None and punch.at - opened.at > limit_s:
            opened = None
        if opened is not None and (punch.side == "out" or punch.is_between):
            given.append(Place(opened.day, is_off_shift=False, window=None))
            if punch.side == "out":
                opened = None
            continue
        if rule.attribution == "session" and punch.side == "in" and opened is None:
            opened, limit_s = punch, rule.max_session_s
        given.append(place_alone(punch, plan))
    return given


def place_alone(punch: Located, plan: Plan) -> Place:
    """Give a punch the place that it has by itself, whatever session is open."""
    window = plan.find_shift(punch)
    if window is not None:
        return Place(window.day, is_off_shift=False, window=window)
    eve = plan.on(punch.day - 1)
    if eve.attribution == "cutoff" and punch.second_of_day < eve.cutoff_s:
        return Place(punch.day - 1, is_off_shift=False, window=None)
    is_off_shift = plan.on(punch.day).attribution == "shift"
    return Place(punch.day, is_off_shift=is_off_shift, window=None)


def date_of(day: int) -> date:
    """Give the date of a day's number; beyond the calendar, its first or its last."""
    return date.fromordinal(min(max(day + _EPOCH_ORDINAL, 1), date.max.toordinal()))


def number_of(day: date) -> int:
    """Give the number of a date."""
    return day.toordinal() - _EPOCH_ORDINAL


def _window(shift: Shift, day: int, clock: Clock) -> Window:
    start = _instant(day * _DAY_S + shift.start_s, clock)
    end = _instant(day * _DAY_S + shift.ends_s, clock)
    return Window(day, start, end, start - shift.before_s, end + shift.after_s)


def _instant(wall_s: int, clock: Clock) -> int:
    """Read a planned time as an instant; one that comes twice means the first pass."""
    if isinstance(clock, int):
        return wall_s - clock
    return localtime.resolve(localtime.as_wall(wall_s), clock, fold=0).instant


def _distance(window: Window, punch: Located) -> int:
    to_start, to_end = abs(punch.at - window.start), abs(punch.at - window.end)
    if punch.side == "in":
        return to_start
    return to_end if punch.side == "out" else min(to_start, to_end)
