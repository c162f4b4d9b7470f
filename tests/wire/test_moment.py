"""Forms of a moment: each published form beside what it is read as. Pure; nothing is simulated."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.wire import moment
from punchgate.wire.moment import Moment

#: 2026-06-21 04:00:00 UTC, which is 09:30:00 in Asia/Kolkata.
FOUR_UTC = 1_782_014_400

WALL_FORMS = {
    "2026-06-21 09:30:00": "2026-06-21T09:30:00",
    "2026-06-21T09:30:00": "2026-06-21T09:30:00",
    "2026-06-21t09:30:00": "2026-06-21T09:30:00",
    "2026-06-21 09:30": "2026-06-21T09:30:00",
    "2026-06-21T09:30": "2026-06-21T09:30:00",
    "2026-06-21 09:30:00.123": "2026-06-21T09:30:00",
    "2026-06-21T09:30:59.999999999": "2026-06-21T09:30:59",
    " 2026-06-21 09:30:00 ": "2026-06-21T09:30:00",
    "2026-06-21 00:00:00": "2026-06-21T00:00:00",
    "2024-02-29 23:59:59": "2024-02-29T23:59:59",
    # A leap second exists, but not in any calendar of ours.
    "2016-12-31 23:59:60": "2016-12-31T23:59:59",
    "2016-12-31T23:59:60.5": "2016-12-31T23:59:59",
    # Whether a time is possible is asked where there is a clock.
    "0001-01-01 00:00:00": "0001-01-01T00:00:00",
    "9999-12-31 23:59:59": "9999-12-31T23:59:59",
}

INSTANT_FORMS = {
    "2026-06-21T09:30:00+05:30": FOUR_UTC,
    "2026-06-21T09:30:00+0530": FOUR_UTC,
    "2026-06-21T09:00:00+05": FOUR_UTC,
    "2026-06-21T09:30+05:30": FOUR_UTC,
    # 19 characters, and not the plain form.
    "2026-06-21 09:00+05": FOUR_UTC,
    "2026-06-21 09:30:00 +0530": FOUR_UTC,
    "2026-06-21 09:30:00.9+05:30": FOUR_UTC,
    "2026-06-21T04:00:00Z": FOUR_UTC,
    "2026-06-21T04:00:00z": FOUR_UTC,
    "2026-06-21 04:00Z": FOUR_UTC,
    "2026-06-20T23:00:00-05:00": FOUR_UTC,
    "2026-06-21T04:00:00-00:00": FOUR_UTC,
    "2026-06-21 09:30:00 GMT +0530": FOUR_UTC,
    "2026-06-21 09:30:00 GMT+0530": FOUR_UTC,
    "2026-06-21 09:30:00 UTC +05:30": FOUR_UTC,
    "2026-06-21 09:30:00 GMT +05:30": FOUR_UTC,
    "2026-06-20 20:00:00 UTC-08": FOUR_UTC,
    "2026-06-21 04:00:00 GMT": FOUR_UTC,
    "2026-06-21 04:00:00 UTC": FOUR_UTC,
    "2026-06-21 04:00:00GMT": FOUR_UTC,
    # 23:59:59 UTC on the last day of 2016, a second before 1483228800.
    "2016-12-31T23:59:60Z": 1_483_228_799,
    "1969-12-31T23:59:59Z": -1,
}

UNIX_FORMS = [
    (1_782_014_400, FOUR_UTC),
    (1_782_014_400_000, FOUR_UTC),
    (1_782_014_400_999, FOUR_UTC),
    (1_782_014_400.75, FOUR_UTC),
    ("1782014400", FOUR_UTC),
    ("1782014400.5", FOUR_UTC),
    ("1782014400000", FOUR_UTC),
    ("1782014400999", FOUR_UTC),
    (" 1782014400 ", FOUR_UTC),
    (946_684_800, 946_684_800),  # nine digits: 2000-01-01
    (946_684_800_000, 946_684_800),  # twelve
    (9_999_999_999, 9_999_999_999),
]

UNREADABLE = [
    "yesterday",
    " ",
    "2026-06-21",
    "09:30:00",
    "2026-06-21 24:00:00",
    "2026-06-21 24:00",
    "2026-06-21 09:30:61",
    "2026-06-21 09:60:00",
    "2026-02-29 09:30:00",
    "2026-02-30T09:30:00Z",
    "2026-13-01 09:30:00",
    "2026-00-10 09:30:00",
    "0000-01-01 00:00:00",
    "2026-6-21 9:30:00",
    "2026/06/21 09:30:00",
    "21-06-2026 09:30:00",
    "2026-06-21_09:30:00",
    "2026-06-21  09:30:00",
    "2026-06-21 09:30:00.",
    "2026-06-21 09:30:00,123",
    "2026-06-21 09:30.5",
    "2026-06-21 09:30:00 PM",
    # `fromisoformat` takes these two, of 19 characters.
    "2026-W25-7 09:30:00",
    "2026-06-21 093000.1",
    "2026-06-21x09:30:00",
    "\uff12\uff10\uff12\uff16-06-21 09:30:00",
    "2026-06-21T09:30:00+5",
    "2026-06-21T09:30:00+24:00",
    "2026-06-21T09:30:00+05:60",
    "2026-06-21T09:30:00Z+05:30",
    "2026-06-21T09:30:00 IST",
    "2026-06-21T09:30:00 Asia/Kolkata",
    # No zone of ours could show these instants.
    "0001-01-01T00:00:00+05:30",
    "9999-12-31T23:59:59-05:00",
    "17820144",
    "17820144000",
    "17820144000000",
    "-1782014400",
    "+1782014400",
    "1e9",
    0,
    -1_782_014_400,
    17_820_144,
    17_820_144_000,
    17_820_144_000_000,
    10**5000,
    -(10**5000),
    1e300,
    float("nan"),
    float("inf"),
]


@pytest.mark.parametrize(("text", "wall_time"), WALL_FORMS.items())
def test_a_time_without_a_zone_is_a_wall_time(text: str, wall_time: str) -> None:
    seen = moment.read(text)
    assert seen is not None
    assert seen.wall_time == datetime.fromisoformat(wall_time)
    assert (seen.instant, seen.form, seen.text.strip()) == (None, "wall", text.strip())


@pytest.mark.parametrize(("text", "instant"), INSTANT_FORMS.items())
def test_a_time_with_an_offset_is_an_instant(text: str, instant: int) -> None:
    assert moment.read(text) == Moment(None, instant, "offset", text)


@pytest.mark.parametrize(("value", "instant"), UNIX_FORMS)
def test_unix_time_is_told_from_milliseconds_by_its_digits(
    value: str | float, instant: int
) -> None:
    assert moment.read(value) == Moment(None, instant, "epoch", str(value).strip())


@pytest.mark.parametrize("value", UNREADABLE, ids=range(len(UNREADABLE)))
def test_anything_else_is_no_moment(value: str | float) -> None:
    assert moment.read(value) is None


def test_a_long_fraction_is_read_and_its_text_is_cut() -> None:
    seen = moment.read("2026-06-21 09:30:00." + "1" * 1000)
    assert seen is not None
    assert seen.wall_time == datetime(2026, 6, 21, 9, 30)  # noqa: DTZ001 (a wall time)
    assert seen.text == "2026-06-21 09:30:00." + "1" * 44


@given(st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)))  # noqa: DTZ001 (walls)
def test_every_wall_time_is_read_as_it_was_written(written: datetime) -> None:
    written = written.replace(microsecond=0)
    for text in (written.isoformat(" "), written.isoformat("T"), f"{written.isoformat()}.5"):
        seen = moment.read(text)
        assert seen is not None
        assert seen.wall_time == written


@given(
    st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)),  # noqa: DTZ001 (walls)
    st.integers(min_value=-14 * 60, max_value=14 * 60),
)
def test_every_offset_gives_the_instant_that_it_means(wall: datetime, minutes: int) -> None:
    aware = wall.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    seen = moment.read(aware.isoformat())
    assert seen is not None
    assert seen.instant == (aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


@given(st.text(max_size=80))
def test_no_text_raises(text: str) -> None:
    seen = moment.read(text)
    assert seen is None or (seen.wall_time is None) != (seen.instant is None)
