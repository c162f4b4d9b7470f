"""Cases as people write them: how they are read, compared, and refused. Pure; nothing simulated.

That the figures are right is held by tests/domain; here it is the form that counts.
"""

from collections.abc import Mapping

import pytest

from punchgate.domain.error import Invalid
from punchgate.reports import trial

PUNCHES: list[dict[str, object]] = [
    {"at": "2026-06-01 09:00:00", "dir": "in"},
    {"at": "2026-06-01 17:00:00", "dir": "out"},
]
EXPECTED: dict[str, object] = {
    "days": [
        {
            "date": "2026-06-01",
            "first_in": "2026-06-01 09:00:00",
            "last_out": "2026-06-01 17:00:00",
            "worked_seconds": 28_800,
            "working_hours": "8h 0m",
            "hours_decimal": 8.0,
            "status": "complete",
        }
    ],
    "duplicates_dropped": 0,
}


def case(**members: object) -> dict[str, object]:
    return {"id": "c1", "title": "a day", "punches": PUNCHES, **members}


def test_a_case_that_comes_out_as_expected_is_equal() -> None:
    result = trial.run(case(expect=EXPECTED))
    assert (result.id, result.title, result.is_equal) == ("c1", "a day", True)
    assert result.computed == result.expected == EXPECTED


def test_a_case_without_an_expectation_is_only_computed() -> None:
    result = trial.run(case())
    assert (result.computed, result.expected, result.is_equal) == (EXPECTED, None, None)


def day_with(**members: object) -> dict[str, object]:
    days = EXPECTED["days"]
    assert isinstance(days, list)
    return {"days": [{**days[0], **members}], "duplicates_dropped": 0}


@pytest.mark.parametrize(
    "expected",
    [
        day_with(worked_seconds=28_801),
        day_with(status="incomplete"),
        day_with(overtime_s=0),
        day_with(flags=[]),
        {**EXPECTED, "duplicates_dropped": 1},
        {**EXPECTED, "days": []},
        {},
    ],
)
def test_any_field_that_differs_or_is_too_many_is_noticed(expected: Mapping[str, object]) -> None:
    assert trial.run(case(expect=expected)).is_equal is False


def test_a_field_that_is_missing_from_the_expectation_is_noticed() -> None:
    shortened = day_with()
    days = shortened["days"]
    assert isinstance(days, list)
    del days[0]["hours_decimal"]
    assert trial.run(case(expect=shortened)).is_equal is False


def test_all_fields_of_a_day_are_written() -> None:
    computed = trial.run(
        case(
            policy={
                "tz": "Europe/Berlin",
                "attribution": "shift",
                "shifts": [{"date": "2026-10-25", "start": "02:00", "end": "03:00"}],
                "pairing": "pairs",
                "auto_break": {"min": 10, "after_h": 0},
                "ot": {"after_h": 0},
            },
            punches=[
                {"at": "2026-10-25 02:50:00", "dir": "in"},
                {"at": "2026-10-25 02:10:00", "dir": "out"},
                {"at": "2026-10-25 02:15:00", "dir": "in"},
                {"at": "2026-10-25 02:15:20", "dir": "in"},
            ],
        )
    ).computed
    assert computed == {
        "days": [
            {
                "date": "2026-10-25",
                "first_in": "2026-10-25 02:50:00",
                "last_out": "2026-10-25 02:10:00",
                "worked_seconds": 600,
                "working_hours": "0h 10m",
                "hours_decimal": 0.17,
                "late_min": 50,
                "early_min": 50,
                "auto_break_s": 600,
                "punched_break_s": 300,
                "overtime_s": 600,
                "status": "incomplete",
                "missing": ["out"],
                "flags": ["fold_inferred"],
            }
        ],
        "duplicates_dropped": 1,
    }


def test_an_off_shift_row_says_so_in_its_date() -> None:
    result = trial.run(case(policy={"attribution": "shift"}))
    days = result.computed and result.computed["days"]
    assert isinstance(days, list)
    assert days[0]["date"] == "off-shift:2026-06-01"


def test_a_null_policy_and_a_null_device_are_absent() -> None:
    punches = [{**punch, "dev": None, "fold": None} for punch in PUNCHES]
    assert trial.run(case(policy=None, punches=punches)).computed == EXPECTED


def test_the_latest_punch_that_can_tell_is_not_hidden_by_a_later_one() -> None:
    """An upload that is out of order still tells: 02:50 does, though 06:00 came before it."""
    result = trial.run(
        case(
            policy={"tz": "Europe/Berlin"},
            punches=[
                {"at": "2026-10-25 06:00:00", "dir": "out"},
                {"at": "2026-10-25 02:50:00", "dir": "in"},
                {"at": "2026-10-25 02:10:00", "dir": "out"},
            ],
        )
    )
    days = result.computed and result.computed["days"]
    assert isinstance(days, list)
    assert days[0]["flags"] == ["fold_inferred"]


def test_a_time_before_2000_is_left_out_as_in_quarantine() -> None:
    first: dict[str, object] = {"at": "2000-01-01 00:00:00", "dir": "in"}
    for before in ("1999-12-31 23:59:59", "0001-01-01 00:00:00"):
        result = trial.run(case(punches=[{"at": before, "dir": "out"}, first]))
        days = result.computed and result.computed["days"]
        assert isinstance(days, list)
        assert [(day["date"], day["missing"]) for day in days] == [("2000-01-01", ["out"])]


@pytest.mark.parametrize("zone", ["device", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("attribution", ["calendar", "session", "shift"])
def test_the_last_moment_of_the_calendar_is_a_day_too(zone: str, attribution: str) -> None:
    policy = {"zone": zone, "attribution": attribution}
    result = trial.run(case(policy=policy, punches=[{"at": "9999-12-31 23:59:59"}]))
    days = result.computed and result.computed["days"]
    assert isinstance(days, list)
    assert [day["first_in"] for day in days] == ["9999-12-31 23:59:59"]


REFUSED: list[tuple[dict[str, object], str]] = [
    (case(punches=None, policy={"foo": 1}), "There is no key `foo` here; there are "),
    (case(policy=[]), "`policy` must be an object; it is []."),
    (case(policy={"tz": "Mars"}), "There is no time zone 'Mars'. "),
    (case(policy={"tz": 1}), "`policy.tz` must be a text; it is 1."),
    (case(policy={"dedupe_s": "x"}), "`dedupe_s` must be a whole number from 0 to 86400; "),
    (case(punches={}), "`punches` must be a list; it is {}."),
    (case(punches=["x"]), "`punches[0]` must be an object; it is 'x'."),
    (
        case(punches=[{"dir": "in"}]),
        "`punches[0].at` must be a text; it is missing.",
    ),
    (
        case(punches=[PUNCHES[0], {"at": "2026-06-01", "dir": "in"}]),
        "`punches[1].at` must be a wall time, written YYYY-MM-DD HH:MM:SS; it is '2026-06-01'.",
    ),
    (
        case(punches=[{"at": "2026-06-01 24:00:00"}]),
        "`punches[0].at` must be a wall time, written YYYY-MM-DD HH:MM:SS; it is '2026-06-01 24",
    ),
    (
        case(punches=[{"at": "2026-06-01 09:00:00+02:00"}]),
        "`punches[0].at` must be a wall time, written YYYY-MM-DD HH:MM:SS; ",
    ),
    (
        case(punches=[{"at": "2026-06-01 09:00:00.500000"}]),
        "`punches[0].at` must be a wall time, written YYYY-MM-DD HH:MM:SS; ",
    ),
    (
        case(punches=[{"at": "2026-06-01T09:00:00"}]),
        "`punches[0].at` must be a wall time, written YYYY-MM-DD HH:MM:SS; ",
    ),
    (
        case(punches=[{"at": "2026-06-01 09:00:00", "dir": "inn"}]),
        "`punches[0].dir` must be one of in, out; it is 'inn'.",
    ),
    (
        case(punches=[{"at": "2026-06-01 09:00:00", "fold": 2}]),
        "`punches[0].fold` must be a whole number from 0 to 1; it is 2.",
    ),
    (
        case(punches=[{"at": "2026-06-01 09:00:00", "device": "A"}]),
        "There is no key `punches[0].device` here; there are at, dir, dev, fold.",
    ),
    (case(expect=[]), "`expect` must be an object; it is []."),
    (case(title=5), "`title` must be a text; it is 5."),
]


@pytest.mark.parametrize(("bad", "sentence"), REFUSED, ids=[text for _, text in REFUSED])
def test_bad_input_is_refused_with_the_case_and_the_field(
    bad: dict[str, object], sentence: str
) -> None:
    with pytest.raises(Invalid) as caught:
        trial.run(bad)
    assert str(caught.value).startswith(f"Case c1: {sentence}")


def test_a_case_without_an_id_is_refused() -> None:
    with pytest.raises(Invalid, match="`id` must be a text; it is missing"):
        trial.run({"punches": PUNCHES})
