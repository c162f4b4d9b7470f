"""What an answer means and when the next attempt is due, against the table that was published.

Pure: numbers in, numbers out. The arithmetic stands beside the cases.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.delivery import schedule
from punchgate.delivery.schedule import Meaning
from punchgate.domain.endpoint import SCHEDULE_S
from tests.gateway import NOON

shares = st.floats(0, 1)


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (410, {}, Meaning("gone")),
        # Gone is gone, however long it wants us to wait.
        (410, {"Retry-After": "5"}, Meaning("gone")),
        (429, {}, Meaning("backoff")),
        (429, {"Retry-After": "7"}, Meaning("backoff", 7)),
        (503, {"Retry-After": "7"}, Meaning("backoff", 7)),
        (400, {"Retry-After": "7"}, Meaning("backoff", 7)),
        (302, {"Retry-After": "7"}, Meaning("backoff", 7)),
        # What cannot be read does not count.
        (503, {"Retry-After": "soon"}, Meaning("slow")),
        (502, {}, Meaning("slow")),
        (503, {}, Meaning("slow")),
        (504, {}, Meaning("slow")),
        (500, {}, Meaning("refused")),
        (501, {}, Meaning("refused")),
        (505, {}, Meaning("refused")),
        (400, {}, Meaning("refused")),
        (401, {}, Meaning("refused")),
        (403, {}, Meaning("refused")),
        (404, {}, Meaning("refused")),
        (422, {}, Meaning("refused")),
        (301, {}, Meaning("refused")),
        (302, {"Location": "/"}, Meaning("refused")),
        (307, {"Location": "/"}, Meaning("refused")),
        # 2xx that the format does not take for a yes.
        (200, {}, Meaning("refused")),
        (100, {}, Meaning("refused")),
    ],
)
def test_an_answer_that_is_no_yes_has_a_meaning(
    status: int, headers: dict[str, str], expected: Meaning
) -> None:
    assert schedule.read(status, headers, NOON, is_accepted=False) == expected


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "60"}])
def test_what_the_format_takes_for_a_yes_is_accepted(headers: dict[str, str]) -> None:
    assert schedule.read(200, headers, NOON, is_accepted=True) == Meaning("accepted")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("refused_address", Meaning("backoff", 300)),
        ("timeout", Meaning("slow")),
        ("connect", Meaning("slow")),
        ("tls", Meaning("slow")),
        ("broken", Meaning("refused")),
    ],
)
def test_no_answer_has_a_meaning_too(kind: str, expected: Meaning) -> None:
    assert schedule.failed(kind) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("", None),
        ("120", 120),
        (" 120 ", 120),
        # Within a second and a day.
        ("0", 1),
        ("86401", 86_400),
        ("9" * 5_000, 86_400),
        ("-5", None),
        ("1.5", None),
        ("\u0661", None),
        # NOON is Sunday 2026-06-21 12:00:00 UTC.
        ("Sun, 21 Jun 2026 12:00:30 GMT", 30),
        ("Sunday, 21-Jun-26 12:00:30 GMT", 30),
        ("Sun, 21 Jun 2026 14:00:30 +0200", 30),
        ("Sun, 21 Jun 2026 12:00:30 -0000", 30),
        ("Sun, 21 Jun 2026 11:00:00 GMT", 1),
        ("Mon, 21 Jun 2027 12:00:00 GMT", 86_400),
        ("Sun, 99 Jun 2026 12:00:00 GMT", None),
        ("tomorrow", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, expected: int | None) -> None:
    assert schedule.retry_after(text, NOON) == expected


def test_a_date_that_is_half_a_second_off_is_not_anticipated() -> None:
    text = "Sun, 21 Jun 2026 12:00:30 GMT"
    assert schedule.retry_after(text, NOON + 500) == 30  # 29.5 s, and never earlier


@given(st.text(alphabet="SunJ, :GMT+-0123456789\0é", max_size=60), st.integers(0, 2**42))
def test_whatever_a_receiver_writes_is_a_bounded_wait_or_none(text: str, now: int) -> None:
    wait_s = schedule.retry_after(text, now)
    assert wait_s is None or 1 <= wait_s <= 86_400


@given(
    st.integers(0, 10**22),
    st.sampled_from(["Jan", "Feb", "Dec"]),
    st.integers(0, 10**22),
    st.integers(-(10**6), 10**6),
)
def test_a_date_of_any_size_is_a_bounded_wait_or_none(
    day: int, month: str, year: int, zone: int
) -> None:
    text = f"Sun, {day} {month} {year} 12:00:00 {zone:+05d}"
    wait_s = schedule.retry_after(text, NOON)
    assert wait_s is None or 1 <= wait_s <= 86_400


def test_the_default_schedule_lasts_three_days() -> None:
    # 5 s + 30 s + 5 min + 30 min + 2 h + 5 h + 10 h + 14 h + 20 h + 24 h = 75 h 35 min 35 s.
    assert sum(SCHEDULE_S) == 75 * 3600 + 35 * 60 + 35
    assert len(SCHEDULE_S) == 10


@given(st.integers(1, 10), shares)
def test_a_step_is_a_fifth_early_or_late_at_most(attempt: int, share: float) -> None:
    wait_ms = schedule.step_ms(SCHEDULE_S, attempt, share)
    assert wait_ms is not None
    assert SCHEDULE_S[attempt - 1] * 800 - 1 <= wait_ms <= SCHEDULE_S[attempt - 1] * 1200


@pytest.mark.parametrize(
    ("attempt", "share", "expected"),
    [(1, 0.0, 4_000), (1, 0.5, 5_000), (1, 1.0, 6_000), (2, 0.5, 30_000), (10, 0.5, 86_400_000)],
)
def test_a_step_depends_on_the_attempt_and_on_chance(
    attempt: int, share: float, expected: int
) -> None:
    assert schedule.step_ms(SCHEDULE_S, attempt, share) == expected


def test_after_its_last_step_a_schedule_is_used_up() -> None:
    assert schedule.step_ms((5, 30), 3, 0.5) is None


@given(st.integers(1, 86_400), shares)
def test_patience_is_never_shorter_and_a_fifth_longer_at_most(wait_s: int, share: float) -> None:
    assert wait_s * 1000 <= schedule.patience_ms(wait_s, share) <= wait_s * 1200


def test_probes_come_ever_later_and_then_every_five_minutes() -> None:
    waits = [schedule.probe_ms(probes) for probes in range(6)]
    assert waits == [5_000, 30_000, 60_000, 300_000, 300_000, 300_000]
