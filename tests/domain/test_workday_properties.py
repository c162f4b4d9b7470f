"""Properties of workdays, over invented weeks in six zones, around their clock changes.

The windows that a caller may load are tried here too: a row computed from what `reach` and
`is_enough` ask for is the row computed from everything. Pure; nothing is simulated.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.domain import localtime, policy, workday
from punchgate.domain.codes import Direction, DirectionPolicy
from punchgate.domain.policy import Rules
from punchgate.domain.workday import DayPunch, Reach, Workday
from tests.domain.days import punches, rules

#: A zone, and a day near which its clocks change (none in Kolkata, a whole day in Apia).
PLACES = (
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("America/New_York", "2026-11-01"),
    ("Asia/Kolkata", "2026-06-01"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Pacific/Apia", "2011-12-30"),
    ("Africa/Casablanca", "2026-03-22"),
)
SHIFTS = [
    {"date": f"{year}-{month:02d}-{day:02d}", "start": start, "end": end, "after_min": 120}
    for year, month, days in (
        (2026, 3, range(18, 32)),
        (2026, 10, range(20, 30)),
        (2026, 4, range(1, 9)),
    )
    for day in days
    for start, end in (("06:00", "14:00"), ("22:00", "06:00"))
]
POLICIES: list[dict[str, object]] = [
    {},
    {"dedupe_s": 0},
    {"dedupe_s": 3600},
    {"attribution": "cutoff", "cutoff": "04:00"},
    {"attribution": "session"},
    {"attribution": "session", "max_session_h": 48},
    {"attribution": "shift", "shifts": SHIFTS},
    {"zone": "UTC"},
    {"attribution": "session", "zone": "Pacific/Auckland"},
]
DEVICE_POLICIES: tuple[DirectionPolicy, ...] = (
    "as-reported",
    "as-reported",
    "as-reported",
    "alternate",
    "first-in-last-out",
    "always-in",
)
DIRECTIONS: tuple[Direction, ...] = ("check-in", "check-out", "unspecified", "break-in")


@st.composite
def weeks(draw: st.DrawFn, device_policies: Sequence[DirectionPolicy]) -> list[DayPunch]:
    """Invent some days around a clock change; many gaps are short, some are long."""
    name, day = draw(st.sampled_from(PLACES))
    zone = localtime.find_zone(name)
    start = localtime.resolve(datetime.fromisoformat(day), zone).instant - 3 * 86_400
    gaps = draw(
        st.lists(
            st.integers(0, 90)
            | st.integers(91, 60_000)
            | st.sampled_from((28_800, 54_000, 57_600, 57_601, 86_400, 100_000)),
            max_size=14,
        )
    )
    at = start
    invented = []
    for number, gap in enumerate(gaps):
        at += gap
        invented.append(
            DayPunch(
                f"{number:026d}",
                at,
                localtime.wall_at(at, zone)[1],
                draw(st.sampled_from(DIRECTIONS)),
                draw(st.sampled_from(("front", "back"))),
                draw(st.sampled_from(device_policies)),
                (),
                name,
            )
        )
    return invented


RULES = st.sampled_from([policy.always(policy.parse(data)) for data in POLICIES])
PAIRS = st.sampled_from([policy.always(policy.parse(d | {"pairing": "pairs"})) for d in POLICIES])


@given(weeks(DEVICE_POLICIES), RULES | PAIRS, st.randoms(use_true_random=False), st.data())
def test_I3_order_and_repetition_change_nothing(
    week: list[DayPunch], given_rules: Rules, chance: object, data: st.DataObject
) -> None:
    arrived = [
        *week,
        *data.draw(st.lists(st.sampled_from(week), max_size=5) if week else st.just([])),
    ]
    assert hasattr(chance, "shuffle")
    chance.shuffle(arrived)
    assert workday.compute(arrived, given_rules) == workday.compute(week, given_rules)


@given(weeks(DEVICE_POLICIES), RULES)
def test_every_punch_is_listed_once(week: list[DayPunch], given_rules: Rules) -> None:
    days = workday.compute(week, given_rules)
    listed = [activity.punch_id for day in days for activity in day.activities]
    assert sorted(listed) == [punch.punch_id for punch in week]
    assert all(day.activities for day in days)
    keys = [(day.date, day.is_off_shift) for day in days]
    assert keys == sorted(set(keys))


@given(weeks(("as-reported",)), st.sampled_from(POLICIES))
def test_the_sum_of_pairs_is_within_first_and_last(
    week: list[DayPunch], data: dict[str, object]
) -> None:
    spans = workday.compute(week, rules(**data))
    pairs = workday.compute(week, rules(**data, pairing="pairs"))
    for span, summed in zip(spans, pairs, strict=True):
        assert (span.date, span.activities) == (summed.date, summed.activities)
        if summed.worked_s is not None and span.worked_s is not None:
            assert 0 <= summed.worked_s + (summed.punched_break_s or 0) <= longest(summed, week)
            assert span.worked_s <= longest(span, week)
        if all(activity.side for activity in span.activities) and summed.worked_s is not None:
            assert span.worked_s is not None
            assert summed.worked_s <= span.worked_s


def longest(day: Workday, week: Sequence[DayPunch]) -> int:
    ids = {activity.punch_id for activity in day.activities}
    instants = [punch.at for punch in week if punch.punch_id in ids]
    return max(instants) - min(instants)


@given(weeks(("as-reported",)))
def test_a_calendar_day_is_what_plain_zoneinfo_makes_of_it(week: list[DayPunch]) -> None:
    """Directed punches, no near-duplicates: first in and last out by aware datetimes alone."""
    days = workday.compute(week, rules(dedupe_s=0))
    for day in days:
        aware = [
            (datetime.fromtimestamp(punch.at, ZoneInfo(punch.zone or "UTC")), punch)
            for punch in week
        ]
        own = [(at, punch) for at, punch in aware if at.date().isoformat() == day.date]
        ins = [at for at, punch in own if punch.direction in ("check-in", "break-in")]
        outs = [at for at, punch in own if punch.direction == "check-out"]
        if ins and outs:
            first = min(ins, key=datetime.timestamp)
            behind = [at for at in outs if at.timestamp() >= first.timestamp()]
            last = max(behind, key=datetime.timestamp, default=None)
            span = None if last is None else last.timestamp() - first.timestamp()
            assert day.first_in == f"{first:%Y-%m-%d %H:%M:%S}"
            assert day.worked_s == span


# Windows


def dates(days: Sequence[Workday]) -> set[date]:
    return {date.fromisoformat(day.date) for day in days}


@given(weeks(DEVICE_POLICIES), RULES)
def test_a_day_from_its_window_is_the_day_from_everything(
    week: list[DayPunch], given_rules: Rules
) -> None:
    everything = workday.compute(week, given_rules)
    reached = workday.reach(given_rules)
    for day in dates(everything):
        for before in range(reached.before, 12):
            loaded, since = load(week, day, Reach(before, reached.after))
            if workday.is_enough(loaded, given_rules, since=since, day=day):
                found = [row for row in workday.compute(loaded, given_rules) if at(row, day)]
                assert found == [row for row in everything if at(row, day)]


@given(weeks(("as-reported",)), RULES)
def test_a_window_that_grows_is_enough_in_the_end(week: list[DayPunch], given_rules: Rules) -> None:
    for day in dates(workday.compute(week, given_rules)):
        loaded, since = load(week, day, Reach(60, 12))
        assert workday.is_enough(loaded, given_rules, since=since, day=day)


def load(week: Sequence[DayPunch], day: date, reached: Reach) -> tuple[list[DayPunch], int]:
    """Load as a store would: whole dates of the device's own wall clock, and since when."""
    if any(punch.zone == "Pacific/Apia" for punch in week):
        # It skipped a date, which is no day to count.
        reached = Reach(reached.before + 1, reached.after + 1)
    since = localtime.as_wall(0) + (day - timedelta(reached.before) - date(1970, 1, 1))
    until = localtime.as_wall(0) + (day + timedelta(reached.after + 1) - date(1970, 1, 1))
    loaded = [p for p in week if since <= localtime.as_wall(p.at + p.utc_offset_s) < until]
    zone = localtime.find_zone(week[0].zone or "UTC")
    return loaded, localtime.resolve(since, zone, fold=0).instant


def at(row: Workday, day: date) -> bool:
    return row.date == day.isoformat()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, Reach(1, 1)),
        ({"dedupe_s": 0}, Reach(1, 1)),
        ({"zone": "UTC"}, Reach(2, 2)),
        ({"attribution": "cutoff", "cutoff": "04:00"}, Reach(1, 1)),
        ({"attribution": "session"}, Reach(1, 2)),
        ({"attribution": "session", "max_session_h": 48}, Reach(3, 5)),
        ({"attribution": "shift"}, Reach(2, 2)),
        (
            {
                "attribution": "shift",
                "shifts": [
                    {"date": "2026-06-01", "start": "22:00", "end": "21:00", "after_min": 600}
                ],
            },
            Reach(2, 3),
        ),
    ],
)
def test_how_far_around_a_date_punches_are_loaded(
    data: Mapping[str, object], expected: Reach
) -> None:
    assert workday.reach(rules(**data)) == expected


DAY = date(2026, 6, 3)
TEXT = """2026-06-01 08:00:00 in
2026-06-02 08:00:00 {direction}
2026-06-03 00:00:30 in"""


@pytest.mark.parametrize(
    ("data", "direction", "expected"),
    [
        ({}, "in", True),
        ({"attribution": "session"}, "out", True),
        ({"attribution": "session", "max_session_h": 15}, "in", True),
        ({"attribution": "session", "max_session_h": 17}, "in", False),
        ({"attribution": "session", "max_session_h": 25}, "out", True),
    ],
)
def test_when_a_window_is_enough(
    data: dict[str, object], direction: str, *, expected: bool
) -> None:
    loaded = punches(TEXT.format(direction=direction))[1:]
    given_rules = rules(**data)
    assert workday.is_enough(loaded, given_rules, since=loaded[0].at, day=DAY) is expected


def test_a_window_without_a_rest_before_its_day_is_not_enough() -> None:
    loaded = punches("2026-06-02 23:59:50 in\n2026-06-03 00:00:10 in")
    assert not workday.is_enough(loaded, rules(), since=loaded[0].at, day=DAY)
    assert workday.is_enough(loaded, rules(), since=loaded[0].at - 60, day=DAY)


def test_a_reported_out_ends_doubt_only_where_directions_are_reported() -> None:
    text = "2026-06-02 20:00:00 out gate {}\n2026-06-03 04:00:00 out gate {}"
    given_rules = rules(attribution="session")
    for device_policy, expected in (("always-out", True), ("alternate", False)):
        loaded = punches(text.format(device_policy, device_policy))
        since = loaded[0].at
        assert workday.is_enough(loaded, given_rules, since=since, day=DAY) is expected


def test_a_window_without_punches_of_its_day_is_enough() -> None:
    assert workday.is_enough([], rules(attribution="session"), since=0, day=DAY)
