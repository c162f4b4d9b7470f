"""How an endpoint fares: every way into and out of *failing*, and how many requests may run.

Pure: both clocks are numbers.
"""

import pytest

from punchgate.delivery.breaker import GIVE_UP_MS, Breaker
from punchgate.domain.endpoint import Health, Pace
from tests.gateway import NOON


def new(state: str = "active", concurrency: int = 16) -> Breaker:
    health = Health("active", NOON) if state == "active" else Health("failing", NOON, "", NOON, 0)
    return Breaker(health, Pace(concurrency=concurrency))


def test_five_slow_answers_in_a_row_are_the_endpoints_fault() -> None:
    breaker = new()
    for number in range(5):
        assert breaker.is_closed
        assert not breaker.slow("a", NOON, 100.0 + number, "timeout")
    assert breaker.health == Health("failing", NOON, "timeout", NOON + 5_000, 0)


def test_an_accepted_event_between_slow_ones_begins_the_row_anew() -> None:
    breaker = new()
    for _ in range(4):
        breaker.slow("a", NOON, 100.0, "timeout")
    breaker.accepted(100.0)
    for _ in range(4):
        breaker.slow("a", NOON, 200.0, "timeout")
    assert breaker.is_closed


@pytest.mark.parametrize(
    ("sent_s", "is_the_key"),
    [
        (95.0, True),  # sent before the other was taken, failed after
        (109.9, True),
        (110.0, False),
        (500.0, False),
    ],
)
def test_who_took_another_event_shortly_before_is_not_slow(
    sent_s: float, *, is_the_key: bool
) -> None:
    breaker = new()
    breaker.accepted(100.0)
    assert breaker.slow("a", NOON, sent_s, "timeout") is is_the_key


def test_one_key_that_is_to_blame_never_opens_the_breaker() -> None:
    breaker = new()
    for number in range(100):
        breaker.accepted(100.0 + number)
        assert breaker.slow("a", NOON, 100.0 + number, "timeout")
    assert breaker.is_closed


def test_a_slow_answer_halves_how_many_may_run_and_an_accepted_one_adds_one() -> None:
    breaker = new()
    limits = []
    for _ in range(2):
        breaker.slow("a", NOON, 100.0, "")
        limits.append(breaker.limit)
    for _ in range(20):
        breaker.accepted(100.0)
        limits.append(breaker.limit)
    assert limits == [8, 4, *range(5, 17), *([16] * 8)]


def test_at_least_one_may_always_run() -> None:
    breaker = new(concurrency=1)
    breaker.slow("a", NOON, 100.0, "")
    assert breaker.limit == 1


@pytest.mark.parametrize(("keys", "is_open"), [(4, False), (5, True)])
def test_twenty_refusals_in_a_row_need_five_keys(keys: int, *, is_open: bool) -> None:
    breaker = new()
    for number in range(20):
        assert breaker.is_closed
        breaker.refused(f"key {number % keys}", NOON, "422")
    assert breaker.is_closed is not is_open


def test_an_accepted_event_between_refusals_begins_the_row_anew() -> None:
    breaker = new()
    for number in range(60):
        if number % 19 == 0:
            breaker.accepted(100.0)
        breaker.refused(f"key {number}", NOON, "422")
    assert breaker.is_closed


def test_patience_is_given_for_as_long_as_it_was_asked_for() -> None:
    breaker = new()
    breaker.asked_for_patience(NOON, 7_000, "429")
    assert breaker.health == Health("failing", NOON, "429", NOON + 7_000, 0)
    # Others that were on their way may only make it longer.
    breaker.asked_for_patience(NOON + 100, 2_000, "429")
    assert breaker.health.retry_at == NOON + 7_000
    breaker.asked_for_patience(NOON + 100, 9_000, "429")
    assert breaker.health.retry_at == NOON + 9_100


def test_what_was_on_its_way_before_does_not_close_the_breaker() -> None:
    breaker = new()
    breaker.asked_for_patience(NOON, 7_000, "429")
    breaker.accepted(100.0)
    assert not breaker.is_closed


def test_a_probe_that_was_taken_closes_it_and_begins_gently() -> None:
    breaker = new("failing")
    breaker.probe_failed(NOON, "timeout")
    breaker.probed(NOON + 5, 100.0)
    assert breaker.health == Health("active", NOON + 5)
    assert breaker.limit == 1


def test_failed_probes_come_ever_later() -> None:
    breaker, now, waits = new("failing"), NOON, []
    for _ in range(5):
        breaker.probe_failed(now, "timeout")
        assert breaker.health.retry_at is not None
        waits.append(breaker.health.retry_at - now)
        now = breaker.health.retry_at
    assert waits == [30_000, 60_000, 300_000, 300_000, 300_000]
    assert (breaker.health.since, breaker.health.failures) == (NOON, 5)


def test_after_a_recovery_probes_begin_with_the_first_step() -> None:
    breaker = new("failing")
    for _ in range(5):
        breaker.probe_failed(NOON, "timeout")
    breaker.probed(NOON, 0.0)
    for number in range(5):
        breaker.slow("a", NOON, 100.0 + number, "timeout")
    assert breaker.health.retry_at == NOON + 5_000


def test_a_probe_that_asks_for_patience_gets_it() -> None:
    breaker = new("failing")
    breaker.probe_failed(NOON, "429", 86_400_000)
    assert breaker.health.retry_at == NOON + 86_400_000


@pytest.mark.parametrize(
    ("after_ms", "attempts", "state"),
    [
        (GIVE_UP_MS, 19, "failing"),
        (GIVE_UP_MS - 1, 50, "failing"),
        (GIVE_UP_MS, 20, "disabled"),
    ],
)
def test_it_is_given_up_after_five_days_and_twenty_attempts(
    after_ms: int, attempts: int, state: str
) -> None:
    breaker = new("failing")
    for _ in range(attempts - 1):
        breaker.probe_failed(NOON, "timeout")
    breaker.probe_failed(NOON + after_ms, "timeout")
    assert breaker.health.state == state


def test_who_is_gone_stays_gone_whatever_comes_back_after_it() -> None:
    breaker = new("failing")
    breaker.gone(NOON, "410")
    breaker.asked_for_patience(NOON, 5_000, "429")
    breaker.probe_failed(NOON, "timeout")
    for number in range(30):
        breaker.slow("a", NOON, 100.0 + number, "timeout")
        breaker.refused(f"key {number}", NOON, "422")
        breaker.accepted(100.0)
    assert breaker.health == Health("disabled", NOON, "410")


def test_an_endpoint_that_failed_when_it_was_taken_up_begins_with_one() -> None:
    assert new("failing").limit == 1
    assert not new("failing").is_closed
