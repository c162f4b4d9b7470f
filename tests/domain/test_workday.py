"""Workdays: what the cases cannot say: activities, direction policies, changing rules, figures.

Pure; nothing is simulated.
"""

from datetime import date

import pytest

from punchgate.domain import policy, workday
from punchgate.domain.workday import Activity
from tests.domain.days import computed, punches, rules, sides

DAY = "2026-06-01"
NEXT = "2026-06-02"


def test_no_punches_are_no_days() -> None:
    assert workday.compute([], rules()) == []


def test_a_day_lists_every_punch_oldest_first_with_near_duplicates_marked() -> None:
    days = computed(
        f"""{DAY} 17:00:00 out back
            {DAY} 09:00:12 in back
            {DAY} 09:00:00 in front
            {DAY} 12:00:00 -"""
    )
    ids = [f"{number:026d}" for number in range(4)]
    assert len(days) == 1
    assert days[0].activities == (
        Activity(ids[2], f"{DAY} 09:00:00", "in", "front", is_duplicate=False),
        Activity(ids[1], f"{DAY} 09:00:12", "in", "back", is_duplicate=True),
        Activity(ids[3], f"{DAY} 12:00:00", None, "gate", is_duplicate=False),
        Activity(ids[0], f"{DAY} 17:00:00", "out", "back", is_duplicate=False),
    )
    assert days[0].duplicates == 1


def test_a_near_duplicate_behind_midnight_is_listed_with_the_punch_that_it_repeats() -> None:
    days = computed(f"{DAY} 23:59:40 out\n{NEXT} 00:00:10 out")
    assert [(day.date, day.duplicates) for day in days] == [(DAY, 1)]
    assert [activity.time for activity in days[0].activities] == [
        f"{DAY} 23:59:40",
        f"{NEXT} 00:00:10",
    ]


@pytest.mark.parametrize(
    ("first", "second", "count"),
    [("in", "break-in", 1), ("out", "ot-out", 1), ("in", "break-out", 0), ("ot-in", "-", 0)],
)
def test_near_duplicates_are_of_one_side_whatever_the_code(
    first: str, second: str, count: int
) -> None:
    days = computed(f"{DAY} 09:00:00 {first}\n{DAY} 09:00:30 {second}")
    assert sum(day.duplicates for day in days) == count


def test_wall_times_are_shown_as_the_device_has_them() -> None:
    days = computed("2026-03-29 02:30:00 in\n2026-03-29 09:00:00 out", zone="Europe/Berlin")
    assert days[0].first_in == "2026-03-29 03:30:00"
    assert days[0].flags == ("nonexistent_local_time",)


def test_a_punchs_own_ambiguity_is_not_the_days() -> None:
    found = punches("2026-10-25 02:30:00 in\n2026-10-25 09:00:00 out", "Europe/Berlin")
    assert found[0].flags == ("ambiguous_local_time",)
    assert workday.compute(found, rules())[0].flags == ()


def test_flags_of_the_day_stand_in_one_order() -> None:
    one, two = punches(f"{DAY} 09:00:00 in\n{DAY} 17:00:00 out")
    flagged = [
        one._replace(flags=("nonexistent_local_time", "late_upload")),
        two._replace(flags=("ambiguous_local_time", "fold_inferred")),
    ]
    days = workday.compute(flagged, rules())
    assert days[0].flags == ("fold_inferred", "nonexistent_local_time")


def test_at_the_same_instant_and_side_the_id_decides() -> None:
    found = punches(f"{DAY} 09:00:00 in b\n{DAY} 09:00:00 in a")
    days = workday.compute(found, rules())
    assert [activity.device_id for activity in days[0].activities] == ["b", "a"]


def test_exact_seconds_are_kept_beside_rounded_ones() -> None:
    quarter = {"mode": "nearest", "min": 15}
    days = computed(
        f"{DAY} 08:08:00 in\n{DAY} 17:00:00 out",
        round={"in": quarter},
        round_total={"mode": "down", "min": 60},
        auto_break={"min": 30, "after_h": 6},
    )
    assert (days[0].worked_s, days[0].exact_s) == (8 * 3600, 30_120)
    assert computed(f"{DAY} 08:08:00 in", round={"in": quarter})[0].exact_s is None


def test_figures_that_nobody_asked_for_are_absent() -> None:
    day = computed(f"{DAY} 09:00:00 in\n{DAY} 17:00:00 out")[0]
    figures = (day.late_min, day.early_min, day.overtime_s, day.auto_break_s, day.punched_break_s)
    assert figures == (None,) * 5


# Shifts


def shift(start: str, end: str, day: str = DAY, **margins: int) -> dict[str, object]:
    return {"date": day, "start": start, "end": end, **margins}


def test_off_shift_rows_stand_behind_the_shift_row_of_their_date() -> None:
    days = computed(
        f"""{DAY} 03:00:00 in
            {DAY} 09:00:00 in
            {DAY} 17:00:00 out
            {NEXT} 03:00:00 in""",
        attribution="shift",
        shifts=[shift("09:00", "17:00")],
    )
    assert [(day.date, day.is_off_shift) for day in days] == [
        (DAY, False),
        (DAY, True),
        (NEXT, True),
    ]
    assert days[1].late_min is None


def test_two_shifts_of_a_date_are_one_day_late_by_the_first_and_early_by_the_second() -> None:
    days = computed(
        f"""{DAY} 08:10:00 in
            {DAY} 12:00:00 out
            {DAY} 16:50:00 in
            {DAY} 20:45:00 out""",
        attribution="shift",
        shifts=[shift("17:00", "21:00"), shift("08:00", "12:00")],
        pairing="pairs",
        clip_to_shift_start=True,
    )
    assert len(days) == 1
    assert (days[0].late_min, days[0].early_min) == (10, 15)
    assert days[0].worked_s == (3 * 60 + 50 + 3 * 60 + 45) * 60


def test_a_shift_is_measured_with_the_offset_of_the_punch_where_no_zone_is_known() -> None:
    found = punches(f"{DAY} 09:10:00 in\n{DAY} 16:50:00 out", "Asia/Kolkata")
    given = rules(attribution="shift", shifts=[shift("09:00", "17:00")])
    with_zone = workday.compute(found, given)
    assert workday.compute([each._replace(zone=None) for each in found], given) == with_zone
    assert (with_zone[0].late_min, with_zone[0].early_min) == (10, 10)


def test_a_fixed_zone_is_also_the_clock_of_shifts_and_rounding() -> None:
    found = punches(f"{DAY} 14:40:00 in\n{DAY} 22:30:00 out", "Asia/Kolkata")
    given = rules(
        zone="UTC",
        attribution="shift",
        shifts=[shift("09:00", "17:00")],
        round={"in": {"mode": "up", "min": 60}},
    )
    day = workday.compute(found, given)[0]
    # 14:40 in Kolkata is 09:10 UTC: ten minutes late, and rounded up to 10:00 there.
    assert (day.is_off_shift, day.late_min, day.early_min, day.worked_s) == (False, 10, 0, 7 * 3600)
    assert day.first_in == f"{DAY} 14:40:00"


# Direction policies of devices


@pytest.mark.parametrize(
    ("device_policy", "expected"),
    [
        ("alternate", ["in", "out", "in", "out"]),
        ("first-last", ["in", "None", "None", "out"]),
        ("always-in", ["in", "in", "in", "in"]),
        ("always-out", ["out", "out", "out", "out"]),
    ],
)
def test_a_devices_policy_replaces_what_it_reported(
    device_policy: str, expected: list[str]
) -> None:
    times = ("08:00:00", "12:00:00", "13:00:00", "17:00:00")
    text = "\n".join(f"{DAY} {time} in gate {device_policy}" for time in times)
    assert sides(computed(text)) == expected


@pytest.mark.parametrize("device_policy", ["alternate", "first-last"])
def test_touching_the_reader_twice_flips_nothing(device_policy: str) -> None:
    text = "\n".join(
        f"{DAY} {time} in gate {device_policy}"
        for time in ("08:00:00", "08:00:59", "17:00:00", "17:00:30")
    )
    days = computed(text)
    assert sides(days) == ["in", "(in)", "out", "(out)"]
    assert days[0].worked_s == 9 * 3600


def test_a_second_touch_after_the_limit_is_the_way_out() -> None:
    text = f"{DAY} 08:00:00 in gate alternate\n{DAY} 08:01:00 in gate alternate"
    assert sides(computed(text)) == ["in", "out"]


def test_alternation_is_a_persons_and_not_a_doors() -> None:
    text = f"{DAY} 08:00:00 in front alternate\n{DAY} 17:00:00 in back alternate"
    assert sides(computed(text)) == ["in", "out"]


def test_alternation_goes_on_from_what_other_devices_reported() -> None:
    text = f"""{DAY} 08:00:00 in door alternate
               {DAY} 12:00:00 out turnstile
               {DAY} 12:10:00 - canteen
               {DAY} 12:30:00 in door alternate
               {DAY} 17:00:00 in door alternate"""
    assert sides(computed(text)) == ["in", "out", "None", "in", "out"]


def test_a_punch_on_two_devices_at_once_does_not_flip_an_alternation() -> None:
    text = f"{DAY} 08:00:00 in turnstile\n{DAY} 08:00:12 in door alternate"
    assert sides(computed(text)) == ["in", "(in)"]


def test_a_near_duplicate_of_another_device_is_not_what_alternation_goes_on_from() -> None:
    text = f"""{DAY} 08:00:00 in turnstile
               {DAY} 08:00:20 out turnstile
               {DAY} 08:00:40 in turnstile
               {DAY} 08:01:10 in door alternate"""
    assert sides(computed(text)) == ["in", "out", "(in)", "(out)"]


@pytest.mark.parametrize("device_policy", ["alternate", "first-last"])
def test_a_new_day_begins_with_an_in(device_policy: str) -> None:
    text = f"""{DAY} 08:00:00 in gate {device_policy}
               {NEXT} 08:00:00 in gate {device_policy}
               {NEXT} 17:00:00 in gate {device_policy}"""
    days = computed(text)
    assert sides(days) == ["in", "in", "out"]
    assert [day.missing for day in days] == [("out",), ()]


NIGHT: list[dict[str, object]] = [
    {"attribution": "session"},
    {"attribution": "cutoff", "cutoff": "12:00"},
    {
        "attribution": "shift",
        "shifts": [shift("22:00", "06:00"), shift("22:00", "06:00", NEXT)],
    },
]


@pytest.mark.parametrize("rule", NIGHT, ids=lambda rule: str(rule["attribution"]))
@pytest.mark.parametrize("device_policy", ["alternate", "first-last"])
def test_a_night_is_one_stretch_for_a_devices_policy(
    device_policy: str, rule: dict[str, object]
) -> None:
    text = f"""{DAY} 22:00:00 in gate {device_policy}
               {NEXT} 06:00:00 in gate {device_policy}
               {NEXT} 22:00:00 in gate {device_policy}
               2026-06-03 06:00:00 in gate {device_policy}"""
    days = workday.compute(punches(text), rules(**rule))
    assert sides(days) == ["in", "out", "in", "out"]
    assert [(day.date, day.worked_s) for day in days] == [(DAY, 28_800), (NEXT, 28_800)]


@pytest.mark.parametrize("rule", NIGHT, ids=lambda rule: str(rule["attribution"]))
def test_what_lies_between_first_and_last_goes_with_them_and_counts_nowhere(
    rule: dict[str, object],
) -> None:
    text = f"""{DAY} 22:00:00 in gate first-last
               {NEXT} 01:00:00 in gate first-last
               {NEXT} 06:00:00 in gate first-last"""
    days = workday.compute(punches(text), rules(pairing="pairs", **rule))
    assert sides(days) == ["in", "None", "out"]
    assert [(day.date, day.worked_s, day.missing) for day in days] == [(DAY, 28_800, ())]


def test_a_lone_punch_of_a_first_and_last_device_is_an_in() -> None:
    assert sides(computed(f"{DAY} 12:00:00 out gate first-last")) == ["in"]


def test_first_and_last_look_at_such_devices_only() -> None:
    text = f"""{DAY} 07:00:00 out turnstile
               {DAY} 08:00:00 in gate first-last
               {DAY} 17:00:00 in gate first-last
               {DAY} 18:00:00 out turnstile"""
    assert sides(computed(text)) == ["out", "in", "out", "out"]


def test_a_session_longer_than_its_maximum_begins_anew_for_a_devices_policy() -> None:
    text = f"{DAY} 08:00:00 in gate alternate\n{NEXT} 00:00:01 in gate alternate"
    assert sides(computed(text, attribution="session")) == ["in", "in"]
    exact = f"{DAY} 08:00:00 in gate alternate\n{NEXT} 00:00:00 in gate alternate"
    assert sides(computed(exact, attribution="session")) == ["in", "out"]


# Rules that change on a date


def changing(before: dict[str, object], after: dict[str, object]) -> policy.Rules:
    return policy.in_order(
        {date(2000, 1, 1): policy.parse(before), date(2026, 6, 2): policy.parse(after)}
    )


def test_a_day_is_computed_by_the_rule_of_that_day() -> None:
    found = punches(
        f"""{DAY} 09:00:00 in
            {DAY} 17:00:00 out
            {NEXT} 09:00:00 in
            {NEXT} 17:00:00 out"""
    )
    days = workday.compute(found, changing({}, {"auto_break": {"min": 30, "after_h": 6}}))
    assert [(day.worked_s, day.auto_break_s) for day in days] == [(28_800, None), (27_000, 1800)]


NIGHT_OVER_THE_CHANGE = f"{DAY} 22:00:00 in\n{NEXT} 03:00:00 out"


@pytest.mark.parametrize("rule", NIGHT, ids=lambda rule: str(rule["attribution"]))
def test_the_earlier_day_takes_what_is_its_own_by_its_own_rule(rule: dict[str, object]) -> None:
    wide = rule | ({"shifts": [shift("22:00", "03:00")]} if "shifts" in rule else {})
    days = workday.compute(punches(NIGHT_OVER_THE_CHANGE), changing(wide, {}))
    assert [(day.date, day.worked_s) for day in days] == [(DAY, 5 * 3600)]


@pytest.mark.parametrize("rule", NIGHT, ids=lambda rule: str(rule["attribution"]))
def test_a_later_rule_takes_nothing_from_the_day_before(rule: dict[str, object]) -> None:
    wide = rule | ({"shifts": [shift("22:00", "03:00")]} if "shifts" in rule else {})
    days = workday.compute(punches(NIGHT_OVER_THE_CHANGE), changing({}, wide))
    assert [(day.date, day.missing) for day in days] == [(DAY, ("out",)), (NEXT, ("in",))]


# Texts


@pytest.mark.parametrize(
    ("seconds", "text", "decimal"),
    [
        (0, "0h 0m", 0.0),
        (59, "0h 0m", 0.02),
        (60, "0h 1m", 0.02),
        (1200, "0h 20m", 0.33),
        (32_700, "9h 5m", 9.08),
        (34_170, "9h 29m", 9.49),
        (34_200, "9h 30m", 9.5),
        (94_200, "26h 10m", 26.17),
        (36_018, "10h 0m", 10.01),
        (36_017, "10h 0m", 10.0),
    ],
)
def test_a_total_is_cut_to_the_minute_and_rounded_half_up_in_hours(
    seconds: int, text: str, decimal: float
) -> None:
    assert workday.working_hours(seconds) == text
    assert workday.hours_decimal(seconds) == decimal
