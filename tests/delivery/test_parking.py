"""What becomes of a key whose head fails: its whole way through a schedule, and out of it. Pure."""

from dataclasses import dataclass, field

import pytest

from punchgate.delivery import parking
from punchgate.domain.endpoint import OnDead
from punchgate.domain.event import Position
from punchgate.store.cursors import Parked
from tests.gateway import NOON

PLACE = Position(1, 0, 7, NOON)
SCHEDULE_S = (10, 100)


@dataclass
class Key:
    """A key at an endpoint, as it waits."""

    on_dead: OnDead = "skip"
    item: Parked = field(default_factory=lambda: parking.first("person:1", PLACE, NOON))

    def fail(self, now: int) -> bool:
        after = parking.failed(
            self.item,
            schedule_s=SCHEDULE_S,
            on_dead=self.on_dead,
            status=422,
            error="no such person",
            share=0.5,
            now=now,
        )
        self.item = after.parked
        return after.is_dead


def test_a_key_that_waits_for_its_endpoint_has_used_up_nothing() -> None:
    assert parking.first("person:1", PLACE, NOON) == Parked(
        "person:1", PLACE, 0, NOON, NOON, "endpoint"
    )


def test_each_failure_is_one_step_of_the_schedule() -> None:
    key = Key()
    assert not key.fail(NOON)
    assert key.item == Parked(
        "person:1", PLACE, 1, NOON, NOON + 10_000, "refused", 422, "no such person"
    )
    assert not key.fail(NOON + 10_000)
    assert (key.item.attempt, key.item.due_at) == (2, NOON + 110_000)
    assert key.item.first_failed_at == NOON


def test_after_the_last_step_the_head_is_dead_and_the_key_goes_on_at_once() -> None:
    key = Key()
    assert [key.fail(NOON) for _ in range(3)] == [False, False, True]
    assert key.item.due_at == NOON
    assert parking.is_spent(key.item, SCHEDULE_S)


def test_each_further_event_of_a_spent_key_gets_one_attempt() -> None:
    key = Key()
    assert [key.fail(NOON) for _ in range(6)] == [False, False, True, True, True, True]
    assert key.item.attempt == len(SCHEDULE_S) + 1


def test_a_key_that_is_held_waits_for_an_operator() -> None:
    key = Key("hold")
    assert [key.fail(NOON) for _ in range(3)] == [False, False, False]
    assert key.item.due_at is None


@pytest.mark.parametrize(("attempt", "expected"), [(0, False), (2, False), (3, True), (9, True)])
def test_a_key_is_spent_when_it_has_had_more_attempts_than_steps(
    attempt: int, *, expected: bool
) -> None:
    item = parking.first("person:1", PLACE, NOON)._replace(attempt=attempt)
    assert parking.is_spent(item, SCHEDULE_S) is expected


def test_a_spent_key_without_a_backlog_waits_for_its_next_event() -> None:
    item = parking.first("person:1", PLACE, NOON)._replace(attempt=3)
    further = PLACE._replace(seq=9)
    waiting = parking.idle(item, further, NOON)
    assert (waiting.after, waiting.attempt) == (further, 3)
    assert waiting.due_at is not None
    assert waiting.due_at > NOON
