"""The workday: what one person's punches amount to, day by day (docs/reference/workday.md).

A pure function of the punches, the policy and the zone data: it can be computed again at any time
and comes out the same, in whatever order the punches came. Which punches to load is said by `reach`
and `is_enough`; where a workday is kept, its version and whether it is final are not known here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from punchgate.domain import attribution, localtime, pairing, policy, timeline
from punchgate.domain.attribution import Plan, Side
from punchgate.domain.pairing import Counted
from punchgate.domain.policy import Policy, Rules
from punchgate.domain.timeline import DayPunch, Entry

__all__ = [
    "Activity",
    "DayPunch",
    "Reach",
    "Workday",
    "compute",
    "hours_decimal",
    "is_enough",
    "reach",
    "working_hours",
]

_DAY_S: Final = 86_400
#: No clock change of our time is longer, but for the days that islands skipped.
_CHANGE_S: Final = 2 * 3600
#: The flags of a punch that are also its day's.
_DAY_FLAGS: Final = (localtime.FOLD_INFERRED, localtime.NONEXISTENT)

Status = Literal["complete", "incomplete"]


class Activity(NamedTuple):
    """One punch as the day shows it; `side` is after the device's direction policy."""

    punch_id: str
    #: Wall time of the device, `YYYY-MM-DD HH:MM:SS`, a skipped hour moved forward.
    time: str
    side: Side | None
    device_id: str
    is_duplicate: bool


@dataclass(frozen=True, slots=True)
class Workday:
    """One row: the day of one person, or the punches of a date that lie in no shift.

    Units:  figures in seconds, `late_min` and `early_min` in whole minutes. `worked_s` is None when
            no span is closed, never zero for that; the others are None when the policy does not
            ask for them (no shift, no break, not `pairs`, no overtime).
    """

    date: str
    is_off_shift: bool
    #: Wall times of the devices, never rounded; the last out may be of the next date.
    first_in: str | None
    last_out: str | None
    worked_s: int | None
    #: The worked time as it would be without rounding.
    exact_s: int | None
    status: Status
    missing: tuple[Side, ...]
    late_min: int | None
    early_min: int | None
    overtime_s: int | None
    auto_break_s: int | None
    punched_break_s: int | None
    flags: tuple[str, ...]
    #: Every punch of the day, oldest first, near-duplicates included.
    activities: tuple[Activity, ...]
    duplicates: int


class Reach(NamedTuple):
    """How many days around a date have to be loaded with it."""

    before: int
    after: int


class _Row(NamedTuple):
    entries: list[Entry]
    counted: list[Counted]


def compute(punches: Iterable[DayPunch], rules: Rules) -> list[Workday]:
    """Compute every workday that these punches of one person form.

    Shapes:  ordered by date, the off-shift row of a date behind its shift row. A near-duplicate is
             listed in the row of the punch that it repeats. The days at the ends of the given
             stretch are only right if `is_enough` says so and `reach` was loaded behind them.
    Repeating:  order and repetition of the given punches change nothing.
    """
    plan = Plan(rules)
    line = timeline.lay_out(punches, plan)
    kept = [entry for entry in line if entry.twin is None]
    placed = iter(attribution.places([entry.located for entry in kept], plan))
    rows: dict[tuple[int, bool], _Row] = {}
    row_of: list[_Row] = []
    for entry in line:
        if entry.twin is not None:
            row = row_of[entry.twin]
        else:
            place = next(placed)
            row = rows.setdefault((place.day, place.is_off_shift), _Row([], []))
            row.counted.append(Counted(entry, place.window))
        row.entries.append(entry)
        row_of.append(row)
    return [_workday(key, rows[key], plan) for key in sorted(rows)]


def reach(rules: Rules) -> Reach:
    """Tell how many calendar days around a date have to be loaded so that its row comes out right.

    Behind the date that is always enough. Before it, it is enough unless the person hardly ever
    rests: with `session`, what a punch means can hang on any number of days before, so ask
    `is_enough`, and load further back until it agrees. A date that never was (30 December 2011 in
    Apia) is no day of these.
    """
    before = after = 1
    for rule in rules.policies():
        # A fixed zone can put a punch on the date beside that of the device.
        beside = 0 if rule.zone == policy.DEVICE_ZONE else 1
        early_s, late_s = _outside(rule)
        # Spans run on the real clock, dates on one that may jump meanwhile.
        slack_s = rule.dedupe_s + _CHANGE_S
        before = max(before, -(-(early_s + slack_s) // _DAY_S) + beside)
        after = max(after, (_DAY_S - 1 + late_s + slack_s) // _DAY_S + beside)
    return Reach(before, after)


def is_enough(punches: Sequence[DayPunch], rules: Rules, *, since: int, day: date) -> bool:
    """Say whether a day's row is certain, whatever lies before the loaded punches.

    Shapes:  `punches` are all those of one person from the instant `since` on.

    It is certain if the person rested somewhere before the day's first punch: for as long as a
    near-duplicate can follow and, with `session`, longer than a session lasts. After a reported
    `out` no session is open either. A day without punches is certain.
    """
    plan = Plan(rules)
    policies = rules.policies()
    session_s = max(
        (rule.max_session_s + 1 for rule in policies if rule.attribution == "session"), default=0
    )
    dedupe_s = max(rule.dedupe_s for rule in policies)
    margin = 2 if any(rule.attribution == "shift" for rule in policies) else 0
    first_day = attribution.number_of(day) - margin
    is_reported = all(timeline.is_reported(punch) for punch in punches)
    knows_kept = knows_session = False
    previous = since
    for entry in timeline.lay_out(punches, plan):
        rest_s = entry.located.at - previous
        knows_kept = knows_kept or rest_s >= dedupe_s
        knows_session = knows_session or rest_s >= max(session_s, dedupe_s)
        if entry.located.day >= first_day:
            return knows_kept and (knows_session or session_s == 0)
        if entry.located.side == "out" and is_reported:
            knows_session = True
        elif not knows_kept:
            knows_session = False
        previous = entry.located.at
    return True


def working_hours(seconds: int) -> str:
    """Write a total as `9h 29m`, cut to the minute; hours are not wrapped."""
    minutes = seconds // 60
    return f"{minutes // 60}h {minutes % 60}m"


def hours_decimal(seconds: int) -> float:
    """Give a total in hours, rounded half up to two places."""
    # In whole numbers: half of a hundredth has no exact float.
    return (seconds * 100 + 1800) // 3600 / 100


def _outside(rule: Policy) -> tuple[int, int]:
    """Tell how far before its date begins, and after it ends, a row depends on punches."""
    match rule.attribution:
        case "calendar":
            return 0, 0
        case "cutoff":
            return 0, rule.cutoff_s
        case "session":
            # Before: the session that may still be open. After: its `out`, which may be the last
            # of a stretch of first-in-last-out as long as another session.
            return rule.max_session_s, 2 * rule.max_session_s
    # By shifts, the widest decides, and the stretch of the shift beside it.
    early_s = max((each.before_s - each.start_s for each in rule.shifts), default=0)
    late_s = max((each.ends_s + each.after_s for each in rule.shifts), default=0)
    return max(0, early_s) + _DAY_S, max(0, late_s - _DAY_S) + _DAY_S


def _workday(key: tuple[int, bool], row: _Row, plan: Plan) -> Workday:
    day, is_off_shift = key
    rule = plan.on(day)
    paired = pairing.pair(row.counted, rule)
    figures = pairing.figures(paired, rule)
    late_min, early_min = _punctuality(row, paired, rule)
    activities = tuple(_activity(entry) for entry in row.entries)
    return Workday(
        _date_text(day),
        is_off_shift,
        _shown(paired.first_in),
        _shown(paired.last_out),
        figures.worked_s,
        figures.exact_s,
        "incomplete" if paired.missing else "complete",
        paired.missing,
        late_min,
        early_min,
        figures.overtime_s,
        figures.auto_break_s,
        figures.punched_break_s,
        _flags(row.counted),
        activities,
        len(row.entries) - len(row.counted),
    )


def _punctuality(row: _Row, paired: pairing.Paired, rule: Policy) -> tuple[int | None, int | None]:
    """Count the minutes late and early, from the shift's own edge once the grace is over.

    A day with a shift has both figures: who did not come in was not late, that is `missing`.
    """
    if all(each.window is None for each in row.counted):
        return None, None
    late_s = early_s = 0
    first_in, last_out = paired.first_in, paired.last_out
    if first_in is not None and first_in.window is not None:
        late_s = first_in.entry.located.at - first_in.window.start
    if last_out is not None and last_out.window is not None:
        early_s = last_out.window.end - last_out.entry.located.at
    return (
        late_s // 60 if late_s > rule.late_grace_s else 0,
        early_s // 60 if early_s > rule.early_grace_s else 0,
    )


def _activity(entry: Entry) -> Activity:
    punch = entry.punch
    return Activity(
        punch.punch_id,
        _time_text(punch),
        entry.located.side,
        punch.device_id,
        entry.twin is not None,
    )


def _shown(counted: Counted | None) -> str | None:
    return None if counted is None else _time_text(counted.entry.punch)


def _time_text(punch: DayPunch) -> str:
    return localtime.as_wall(punch.at + punch.utc_offset_s).isoformat(" ")


def _flags(counted: Sequence[Counted]) -> tuple[str, ...]:
    found = {flag for each in counted for flag in each.entry.punch.flags}
    return tuple(flag for flag in _DAY_FLAGS if flag in found) if found else ()


@lru_cache(maxsize=4096)
def _date_text(day: int) -> str:
    return attribution.date_of(day).isoformat()
