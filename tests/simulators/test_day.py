"""The invented day: pure, so everything about it may be asserted."""

from collections import Counter
from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.simulators import day

MONDAY = date(2026, 6, 22)


def test_the_same_seed_gives_the_same_day() -> None:
    one = day.plan(MONDAY, 2, people=20, devices=3, seed=7)
    assert one == day.plan(MONDAY, 2, people=20, devices=3, seed=7)
    assert one != day.plan(MONDAY, 2, people=20, devices=3, seed=8)


def test_two_days_are_the_days_one_by_one() -> None:
    tuesday = MONDAY + timedelta(days=1)
    apart = (
        *day.plan(MONDAY, 1, people=9, devices=3, seed=1),
        *day.plan(tuesday, 1, people=9, devices=3, seed=1),
    )
    assert sorted(apart) == list(day.plan(MONDAY, 2, people=9, devices=3, seed=1))


def test_somebody_punches_twice_within_a_minute() -> None:
    punches = day.plan(MONDAY, 1, people=10, devices=3, seed=3)
    by_code: dict[str, list[day.Planned]] = {}
    for punch in punches:
        by_code.setdefault(punch.user_code, []).append(punch)
    doubles = [
        (first, second)
        for own in by_code.values()
        for first, second in pairwise(own)
        if second.wall_time - first.wall_time < timedelta(seconds=60)
    ]
    assert len(doubles) == 1
    [(first, second)] = doubles
    assert first._replace(wall_time=second.wall_time) == second


def test_the_last_person_works_through_the_night() -> None:
    *_, night_worker = day.user_codes(10)
    punches = day.plan(MONDAY, 1, people=10, devices=3, seed=3)
    own = [punch for punch in punches if punch.user_code == night_worker]
    assert own[0].direction_code == day.CHECK_IN
    assert own[0].wall_time.date() == MONDAY
    assert own[-1].direction_code == day.CHECK_OUT
    assert own[-1].wall_time.date() == MONDAY + timedelta(days=1)


def test_some_are_late_and_most_take_a_break_in_the_cafeteria() -> None:
    punches = day.plan(MONDAY, 5, people=40, devices=3, seed=5)
    directions = Counter(punch.direction_code for punch in punches)
    arrivals = [
        punch.wall_time
        for punch in punches
        if punch.direction_code == day.CHECK_IN and punch.wall_time.hour < 20
    ]
    late = [moment for moment in arrivals if (moment.hour, moment.minute) >= (9, 0)]
    assert 0 < len(late) < len(arrivals) / 3
    assert directions[day.BREAK_OUT] == directions[day.BREAK_IN] > len(arrivals) / 2
    at_lunch = {punch.device for punch in punches if punch.direction_code == day.BREAK_OUT}
    assert at_lunch == {2}


def test_hiring_somebody_changes_nobody_elses_day() -> None:
    before = day.plan(MONDAY, 1, people=12, devices=3, seed=2)
    after = day.plan(MONDAY, 1, people=13, devices=3, seed=2)
    # The two whose part in the story may change: the night worker, and whoever punches twice.
    old = {*day.user_codes(11)}
    doubled = {code for code, n in Counter(p.user_code for p in (*before, *after)).items() if n > 9}
    own = [p for p in before if p.user_code in old - doubled]
    kept = set(after)
    missing = {p.user_code for p in own if p not in kept}
    assert len(missing) <= 2


@pytest.mark.parametrize("people", [1, 2])
def test_the_smallest_company_has_a_day_too(people: int) -> None:
    punches = day.plan(MONDAY, 1, people=people, devices=1, seed=1)
    assert {punch.user_code for punch in punches} == set(day.user_codes(people))


@given(
    people=st.integers(1, 40),
    devices=st.integers(1, 12),
    days=st.integers(1, 4),
    seed=st.integers(),
)
def test_a_plan_is_in_order_and_names_only_devices_and_people_that_exist(
    people: int, devices: int, days: int, seed: int
) -> None:
    punches = day.plan(MONDAY, days, people=people, devices=devices, seed=seed)
    assert list(punches) == sorted(punches)
    assert {punch.device for punch in punches} <= set(range(devices))
    assert {punch.user_code for punch in punches} <= set(day.user_codes(people))
    earliest = datetime.combine(MONDAY, datetime.min.time())
    assert all(
        earliest <= punch.wall_time < earliest + timedelta(days=days, hours=7) for punch in punches
    )
    assert all(punch.wall_time.microsecond == 0 for punch in punches)


@given(people=st.integers(1, 40), devices=st.integers(1, 12), seed=st.integers())
def test_no_two_planned_punches_are_the_same_punch(people: int, devices: int, seed: int) -> None:
    punches = day.plan(MONDAY, 2, people=people, devices=devices, seed=seed)
    assert len({punch[:4] for punch in punches}) == len(punches)
