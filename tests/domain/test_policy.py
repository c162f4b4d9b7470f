"""Policies as data: what is read, what is refused and in which words. Pure, nothing simulated."""

from datetime import date
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.domain import policy
from punchgate.domain.error import Invalid
from punchgate.domain.policy import AutoBreak, Overtime, Policy, Rounding, Rules, Shift

FULL: dict[str, object] = {
    "attribution": "shift",
    "cutoff": "04:30",
    "max_session_h": 12.5,
    "shifts": [
        {
            "date": "2026-06-01",
            "start": "22:00",
            "end": "06:00",
            "before_min": 30,
            "after_min": 240,
        }
    ],
    "pairing": "pairs",
    "dedupe_s": 0,
    "round": {"in": {"mode": "up", "min": 15}, "out": {"mode": "down", "min": 5}},
    "round_total": {"mode": "nearest", "min": 6},
    "auto_break": {"min": 30, "after_h": 6, "credit_punched": True, "cap": True},
    "clip_to_shift_start": True,
    "late_grace_min": 5,
    "early_grace_min": 10,
    "ot": {"after_h": 7.6, "min_min": 60, "round_down_min": 15},
    "zone": "Europe/Berlin",
}


def test_an_empty_policy_is_the_default() -> None:
    assert policy.parse({}) == policy.DEFAULT
    named = Policy(attribution="calendar", pairing="first_last", dedupe_s=60, max_session_s=57_600)
    assert named == policy.parse({})


def test_null_is_absent() -> None:
    assert policy.parse(dict.fromkeys(policy.KEYS)) == policy.DEFAULT


def test_every_key_is_read() -> None:
    assert policy.parse(FULL) == Policy(
        attribution="shift",
        cutoff_s=16_200,
        max_session_s=45_000,
        shifts=(Shift(date(2026, 6, 1), 79_200, 21_600, 1800, 14_400),),
        pairing="pairs",
        dedupe_s=0,
        round_in=Rounding("up", 900),
        round_out=Rounding("down", 300),
        round_total=Rounding("nearest", 360),
        auto_break=AutoBreak(1800, 21_600, credit_punched=True, cap=True),
        clip_to_shift_start=True,
        late_grace_s=300,
        early_grace_s=600,
        overtime=Overtime(27_360, 3600, 900),
        zone="Europe/Berlin",
    )
    assert set(FULL) == set(policy.KEYS)


def test_a_policy_is_written_as_it_was_read() -> None:
    assert policy.as_data(policy.parse(FULL)) == FULL


def test_the_default_is_written_with_every_key() -> None:
    written = policy.as_data(policy.DEFAULT)
    assert tuple(written) == policy.KEYS
    assert policy.parse(written) == policy.DEFAULT


def test_members_that_a_rule_may_leave_out_have_their_defaults() -> None:
    read = policy.parse(
        {
            "shifts": [{"date": "2026-06-01", "start": "08:00", "end": "12:00"}],
            "round": {"in": {"mode": "down", "min": 15}},
            "auto_break": {"min": 30, "after_h": 6},
            "ot": {"after_h": 8},
        }
    )
    assert read.shifts[0] == Shift(date(2026, 6, 1), 28_800, 43_200, 3600, 3600)
    assert (read.round_in, read.round_out) == (Rounding("down", 900), None)
    assert read.auto_break == AutoBreak(1800, 21_600, credit_punched=False, cap=False)
    assert read.overtime == Overtime(28_800, 0, 0)


SHIFT = {"date": "2026-06-01", "start": "08:00", "end": "12:00"}
KNOWN = ", ".join(policy.KEYS)
CLOCK = "a time of day from 00:00 to 23:59, written HH:MM"
REFUSED: list[tuple[dict[str, object], str]] = [
    ({"tz": "UTC"}, f"There is no key `tz` here; there are {KNOWN}."),
    ({"Cutoff": "04:00"}, f"There is no key `Cutoff` here; there are {KNOWN}."),
    (
        {"attribution": "night"},
        "`attribution` must be one of calendar, cutoff, session, shift; it is 'night'.",
    ),
    (
        {"attribution": ["shift"]},
        "`attribution` must be one of calendar, cutoff, session, shift; it is ['shift'].",
    ),
    ({"attribution": "cutoff"}, f"`cutoff` must be {CLOCK}; it is missing."),
    ({"cutoff": "24:00"}, f"`cutoff` must be {CLOCK}; it is '24:00'."),
    ({"cutoff": "4:00"}, f"`cutoff` must be {CLOCK}; it is '4:00'."),
    ({"cutoff": "04:00\n"}, f"`cutoff` must be {CLOCK}; it is '04:00\\n'."),
    ({"cutoff": 4}, f"`cutoff` must be {CLOCK}; it is 4."),
    ({"max_session_h": -1}, "`max_session_h` must be a number of hours from 0 to 168; it is -1."),
    (
        {"max_session_h": float("nan")},
        "`max_session_h` must be a number of hours from 0 to 168; it is nan.",
    ),
    (
        {"max_session_h": True},
        "`max_session_h` must be a number of hours from 0 to 168; it is True.",
    ),
    (
        {"max_session_h": "16"},
        "`max_session_h` must be a number of hours from 0 to 168; it is '16'.",
    ),
    ({"shifts": SHIFT}, f"`shifts` must be a list; it is {SHIFT!r}."),
    ({"shifts": [SHIFT, 1]}, "`shifts[1]` must be an object; it is 1."),
    (
        {"shifts": [SHIFT | {"date": "2026-6-1"}]},
        "`shifts[0].date` must be a date, written YYYY-MM-DD; it is '2026-6-1'.",
    ),
    (
        {"shifts": [SHIFT | {"date": "2026-02-29"}]},
        "`shifts[0].date` must be a date, written YYYY-MM-DD; it is '2026-02-29'.",
    ),
    (
        {"shifts": [{"start": "08:00", "end": "12:00"}]},
        "`shifts[0].date` must be a date, written YYYY-MM-DD; it is missing.",
    ),
    (
        {"shifts": [SHIFT, {"date": "2026-06-02", "end": "12:00"}]},
        f"`shifts[1].start` must be {CLOCK}; it is missing.",
    ),
    (
        {"shifts": [SHIFT | {"before_min": 1441}]},
        "`shifts[0].before_min` must be a whole number from 0 to 1440; it is 1441.",
    ),
    (
        {"shifts": [SHIFT | {"name": "early"}]},
        "There is no key `shifts[0].name` here; there are date, start, end, before_min, after_min.",
    ),
    ({"pairing": "all"}, "`pairing` must be one of first_last, pairs; it is 'all'."),
    ({"dedupe_s": 1.5}, "`dedupe_s` must be a whole number from 0 to 86400; it is 1.5."),
    ({"dedupe_s": True}, "`dedupe_s` must be a whole number from 0 to 86400; it is True."),
    ({"dedupe_s": -1}, "`dedupe_s` must be a whole number from 0 to 86400; it is -1."),
    ({"round": "nearest"}, "`round` must be an object; it is 'nearest'."),
    ({"round": {"both": {}}}, "There is no key `round.both` here; there are in, out."),
    (
        {"round": {"in": {"mode": "half", "min": 15}}},
        "`round.in.mode` must be one of down, up, nearest; it is 'half'.",
    ),
    (
        {"round": {"out": {"mode": "up"}}},
        "`round.out.min` must be a whole number from 1 to 1440; it is missing.",
    ),
    (
        {"round_total": {"mode": "up", "min": 0}},
        "`round_total.min` must be a whole number from 1 to 1440; it is 0.",
    ),
    (
        {"round_total": {"min": 6}},
        "`round_total.mode` must be one of down, up, nearest; it is missing.",
    ),
    ({"auto_break": 30}, "`auto_break` must be an object; it is 30."),
    (
        {"auto_break": {"min": 30}},
        "`auto_break.after_h` must be a number of hours from 0 to 168; it is missing.",
    ),
    (
        {"auto_break": {"min": 30, "after_h": 6, "cap": "yes"}},
        "`auto_break.cap` must be true or false; it is 'yes'.",
    ),
    (
        {"auto_break": {"min": 30, "after_h": 6, "paid": True}},
        "There is no key `auto_break.paid` here; there are min, after_h, credit_punched, cap.",
    ),
    ({"clip_to_shift_start": 1}, "`clip_to_shift_start` must be true or false; it is 1."),
    ({"late_grace_min": "5"}, "`late_grace_min` must be a whole number from 0 to 1440; it is '5'."),
    (
        {"early_grace_min": -5},
        "`early_grace_min` must be a whole number from 0 to 1440; it is -5.",
    ),
    (
        {"ot": {"min_min": 60}},
        "`ot.after_h` must be a number of hours from 0 to 168; it is missing.",
    ),
    (
        {"ot": {"after_h": 8, "rate": 1.5}},
        "There is no key `ot.rate` here; there are after_h, min_min, round_down_min.",
    ),
    ({"zone": ""}, "`zone` must be a text; it is ''."),
    ({"zone": 5}, "`zone` must be a text; it is 5."),
    (
        {"zone": "Berlin"},
        "There is no time zone 'Berlin'. Did you mean 'Europe/Berlin'?",
    ),
]


@pytest.mark.parametrize(("data", "sentence"), REFUSED, ids=[text for _, text in REFUSED])
def test_bad_input_is_refused_in_a_sentence(data: dict[str, object], sentence: str) -> None:
    with pytest.raises(Invalid) as caught:
        policy.parse(data)
    assert str(caught.value) == sentence


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
NAMES = st.sampled_from(("in", "out", "min", "mode", "after_h", "date", "start", "end", "x"))
JSON = LEAVES | st.lists(LEAVES, max_size=2) | st.dictionaries(NAMES, LEAVES, max_size=3)


@given(st.dictionaries(st.sampled_from(policy.KEYS), JSON, max_size=5))
def test_whatever_is_written_there_is_a_policy_or_a_sentence(data: dict[str, object]) -> None:
    try:
        read = policy.parse(data)
    except Invalid as refused:
        said = str(refused)
    else:
        said = "It is read." if policy.parse(policy.as_data(read)) == read else "It changed"
    assert said.endswith((".", "?"))


MINUTES = st.integers(0, 1440).map(lambda minutes: minutes * 60)
CLOCKS = st.integers(0, 1439).map(lambda minutes: minutes * 60)
POLICIES = st.builds(
    Policy,
    attribution=st.sampled_from(get_args(policy.Attribution)),
    cutoff_s=CLOCKS,
    max_session_s=st.integers(0, 168 * 3600),
    shifts=st.lists(
        st.builds(Shift, st.dates(), CLOCKS, CLOCKS, before_s=MINUTES, after_s=MINUTES),
        max_size=2,
    ).map(tuple),
    round_out=st.none() | st.builds(Rounding, st.sampled_from(("up", "down")), st.just(900)),
    auto_break=st.none() | st.builds(AutoBreak, MINUTES, st.integers(0, 86_400)),
    overtime=st.none() | st.builds(Overtime, st.integers(0, 86_400), MINUTES, MINUTES),
)


@given(POLICIES)
def test_any_policy_is_read_back_as_it_was_written(written: Policy) -> None:
    assert policy.parse(policy.as_data(written)) == written


NIGHT = Policy(attribution="session")
LATE = Policy(attribution="cutoff", cutoff_s=14_400)


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2026, 5, 31), policy.DEFAULT),
        (date(2026, 6, 1), NIGHT),
        (date(2026, 6, 30), NIGHT),
        (date(2026, 7, 1), LATE),
        (date(2027, 1, 1), LATE),
    ],
)
def test_a_policy_holds_from_its_date(day: date, expected: Policy) -> None:
    rules = policy.in_order({date(2026, 7, 1): LATE, date(2026, 6, 1): NIGHT})
    assert rules.on(day) == expected


def test_rules_know_every_policy_that_some_day_has() -> None:
    dated = policy.in_order({date(2026, 7, 1): LATE, date(2026, 6, 1): NIGHT})
    assert dated.policies() == (policy.DEFAULT, NIGHT, LATE)
    assert policy.always(LATE).policies() == (LATE,)
    assert Rules().policies() == (policy.DEFAULT,)
    assert policy.always(LATE).on(date.min) == LATE


SHIFT = {"date": "2026-06-01", "start": "22:00", "end": "06:00"}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, 0),
        ({"pairing": "pairs"}, 0),
        ({"zone": "device"}, 0),
        ({"dedupe_s": 600}, 0),
        ({"dedupe_s": 601}, 1),
        ({"zone": "UTC"}, 1),
        ({"attribution": "cutoff", "cutoff": "04:00"}, 1),
        ({"attribution": "cutoff", "cutoff": "04:00", "zone": "UTC"}, 2),
        ({"attribution": "session", "max_session_h": 12}, 1),
        ({"attribution": "session"}, 2),
        ({"attribution": "session", "max_session_h": 48, "zone": "UTC"}, 5),
        ({"attribution": "shift"}, 1),
        ({"attribution": "shift", "shifts": [SHIFT]}, 1),
        ({"attribution": "shift", "shifts": [{**SHIFT, "end": "21:00", "after_min": 240}]}, 2),
    ],
)
def test_a_policy_spreads_as_far_as_a_punch_can_change_other_dates(
    data: dict[str, object], expected: int
) -> None:
    assert policy.spread(policy.parse(data)) == expected


@pytest.mark.parametrize(
    ("start_s", "end_s", "ends_s"),
    [(28_800, 61_200, 61_200), (79_200, 21_600, 108_000), (28_800, 28_800, 115_200)],
)
def test_a_shift_whose_end_is_not_after_its_start_ends_on_the_next_day(
    start_s: int, end_s: int, ends_s: int
) -> None:
    assert Shift(date(2026, 6, 1), start_s, end_s).ends_s == ends_s
