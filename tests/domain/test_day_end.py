"""When a day is over: by its policy, on the account's clock. A table; nothing is simulated."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from punchgate.domain import day_end, localtime, policy
from punchgate.domain.policy import Rules

SATURDAY = date(2026, 6, 20)
BERLIN = localtime.find_zone("Europe/Berlin")
NIGHT = [{"date": "2026-06-20", "start": "22:00", "end": "06:00", "after_min": 90}]
EARLY = [{"date": "2026-06-20", "start": "06:00", "end": "14:00"}]


def _ends(rules: Rules, day: date = SATURDAY, zone: str = "Europe/Berlin") -> str:
    instant = day_end.ends_at(day, rules, localtime.find_zone(zone))
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _always(**rules: Any) -> Rules:
    return policy.always(policy.parse(rules))


@pytest.mark.parametrize(
    ("rules", "end"),
    [
        ({}, "2026-06-20 22:00:00"),  # midnight in Berlin is two hours earlier in UTC
        ({"attribution": "cutoff", "cutoff": "04:00"}, "2026-06-21 02:00:00"),
        ({"attribution": "session"}, "2026-06-21 14:00:00"),  # 16 h
        ({"attribution": "session", "max_session_h": 10}, "2026-06-21 08:00:00"),
        # The night shift is over at 06:00, and its window at 07:30.
        ({"attribution": "shift", "shifts": NIGHT}, "2026-06-21 05:30:00"),
        # The early shift ended at noon; what comes later is off shift, and of the same date.
        ({"attribution": "shift", "shifts": EARLY}, "2026-06-20 22:00:00"),
        ({"attribution": "shift", "shifts": EARLY + NIGHT}, "2026-06-21 05:30:00"),
        ({"attribution": "shift", "shifts": []}, "2026-06-20 22:00:00"),
        # A calendar of its own goes before that of the account.
        ({"zone": "Asia/Kolkata"}, "2026-06-20 18:30:00"),
    ],
)
def test_a_day_ends_when_no_punch_can_count_to_it_any_more(rules: dict[str, Any], end: str) -> None:
    assert _ends(_always(**rules)) == end


def test_a_day_goes_by_the_policy_of_its_date() -> None:
    cutoff = policy.parse({"attribution": "cutoff", "cutoff": "04:00"})
    rules = policy.in_order({date(2026, 6, 20): cutoff})
    assert _ends(rules, date(2026, 6, 19)) == "2026-06-19 22:00:00"
    assert _ends(rules, date(2026, 6, 20)) == "2026-06-21 02:00:00"


@pytest.mark.parametrize(
    ("day", "end"),
    [
        (date(2026, 3, 28), "2026-03-28 23:00:00"),  # the night before the clocks go forward
        (date(2026, 3, 29), "2026-03-29 22:00:00"),
        (date(2026, 10, 25), "2026-10-25 23:00:00"),
    ],
)
def test_midnight_follows_the_clock_changes(day: date, end: str) -> None:
    assert _ends(Rules(), day) == end


def test_a_cutoff_inside_the_hour_that_is_skipped_has_an_end_too() -> None:
    rules = _always(attribution="cutoff", cutoff="02:30")
    assert _ends(rules, date(2026, 3, 28)) == "2026-03-29 01:30:00"


@pytest.mark.parametrize("day", [date(1, 1, 1), date(9999, 12, 31), date(9999, 12, 25)])
def test_the_ends_of_the_calendar_are_no_error(day: date) -> None:
    rules = _always(attribution="session", max_session_h=168)
    noon = 1_782_043_200
    assert (day_end.ends_at(day, rules, BERLIN) <= noon) == (day.year == 1)
