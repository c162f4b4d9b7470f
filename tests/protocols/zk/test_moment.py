"""The terminal's clock and its comm key, against the tables of the protocol page."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.protocols.zk import commkey, moment
from punchgate.protocols.zk.moment import Said

wall = datetime.fromisoformat


@pytest.mark.parametrize(
    ("packed", "text", "is_real"),
    [
        (0x2368B36B, "2018-06-25 17:50:35", True),
        (0x1EA7EBA8, "2016-01-01 19:02:00", True),
        (0x32B66818, "2026-06-21 09:30:00", True),
        (0, "2000-01-01 00:00:00", True),
        (0xBF92F7FF, "2099-12-31 23:59:59", True),
        (0xFFFFFFFF, "2133-08-18 06:28:15", True),
        (0x30350234, "2025-02-30 21:12:20", False),
    ],
)
def test_a_packed_time_is_taken_apart(packed: int, text: str, *, is_real: bool) -> None:
    said = moment.said(packed)
    assert str(said) == text
    assert said.packed() == packed
    assert said.wall_time() == (wall(text) if is_real else None)


@given(st.integers(0, 0xFFFFFFFF))
def test_every_number_has_one_moment_and_back(packed: int) -> None:
    said = moment.said(packed)
    assert said.packed() == packed
    assert said.wall_time() is None or str(said.wall_time()) == str(said)


@given(st.datetimes(wall("2000-01-01"), wall("2099-12-31T23:59:59")))
def test_every_wall_time_survives_both_forms(wall_time: datetime) -> None:
    second = wall_time.replace(microsecond=0)
    assert moment.said(moment.pack(wall_time)).wall_time() == second
    assert moment.said_in_six(moment.of(wall_time).six()).wall_time() == second


def test_one_second_after_the_last_of_february_is_a_day_that_does_not_exist() -> None:
    last = moment.pack(wall("2025-02-28T23:59:59"))
    assert str(moment.said(last + 1)) == "2025-02-29 00:00:00"
    assert moment.said(last + 1).wall_time() is None


@pytest.mark.parametrize("year", [1999, 2100])
def test_a_year_that_no_terminal_has_is_refused(year: int) -> None:
    with pytest.raises(ValueError, match=str(year)):
        moment.pack(wall(f"{year}-01-01"))


@pytest.mark.parametrize(
    "said",
    [
        Said(2025, 0, 1, 0, 0, 0),
        Said(2025, 1, 32, 0, 0, 0),
        Said(2025, 1, 1, 24, 0, 0),
        Said(1999, 12, 31, 0, 0, 0),
        Said(2134, 1, 1, 0, 0, 0),
    ],
)
def test_what_has_no_packed_form_is_refused(said: Said) -> None:
    with pytest.raises(ValueError, match="no packed form"):
        said.packed()


def test_six_bytes_may_say_anything() -> None:
    assert str(moment.said_in_six(bytes.fromhex("120619112905"))) == "2018-06-25 17:41:05"
    assert moment.said_in_six(b"\xff" * 6).wall_time() is None


@pytest.mark.parametrize(
    ("key", "session", "sent"),
    [
        (1234, 0x1F2E, "41363266"),
        (0, 0x0001, "617d3279"),
        (1, 0x0100, "61fd3278"),
        (123456, 0x6BA0, "267f3292"),
        (999999, 0xC0C5, "228132c9"),
    ],
)
def test_a_key_is_scrambled_as_clients_do(key: int, session: int, sent: str) -> None:
    assert commkey.scramble(key, session).hex() == sent
    assert commkey.matches(bytes.fromhex(sent), key, session)


@given(
    st.integers(0, commkey.KEY_MAX), st.integers(0, commkey.KEY_MAX), st.integers(0, 0xFFFF),
    st.integers(0, 255),
)  # fmt: skip
def test_a_key_matches_itself_with_any_ticks_and_no_other_key(
    key: int, other: int, session: int, ticks: int
) -> None:
    sent = commkey.scramble(key, session, ticks)
    assert commkey.matches(sent, key, session)
    assert commkey.matches(sent, other, session) == (key == other)


def test_the_low_byte_of_the_session_does_not_matter() -> None:
    assert commkey.scramble(1234, 0x1F00) == commkey.scramble(1234, 0x1FFF)


@pytest.mark.parametrize("data", [b"", b"\0\0\0", b"\0" * 5])
def test_data_of_another_length_is_no_key(data: bytes) -> None:
    assert not commkey.matches(data, 0, 0)


def test_the_clock_goes_on_by_whole_seconds() -> None:
    start = wall("2026-06-21T09:30:00")
    assert moment.pack(start + timedelta(seconds=1)) == moment.pack(start) + 1
