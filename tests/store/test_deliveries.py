"""What became of deliveries, read on both databases from rows that a test has put there.

Real: SQLite, PostgreSQL, the log with the events of real punches. Invented: how deliveries went.
"""

from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from punchgate.domain.endpoint import Condition, Filter
from punchgate.domain.event import Event, EventType, Position
from punchgate.domain.ids import AccountNo, EndpointId
from punchgate.store import deliveries, events, schema
from punchgate.store.deliveries import Wanted
from tests.store.stage import MAIN, NOW, Stage, days, fact

ID = EndpointId("ep_a")
OTHER = EndpointId("ep_b")
ALL = Wanted(Filter())


async def _put(stage: Stage, table: Any, *rows: dict[str, Any]) -> None:
    def work(tx: Connection) -> None:
        tx.execute(insert(table), [{"account": MAIN, "endpoint_id": ID, **row} for row in rows])

    await stage.store.writer.run(work)


def _attempt(event_id: str, at: int, outcome: str = "accepted", **more: Any) -> dict[str, Any]:
    values = {"n": 1, "status": 200, "ms": 5, "error": None, "answer": None, "replay_id": None}
    return {**values, "event_id": event_id, "at": at, "outcome": outcome, **more}


def _dead(event_id: str, at: int = NOW) -> dict[str, Any]:
    values = {"key": "person:1001", "reason": "unknown employee", "status": 400, "attempts": 11}
    return {**values, "event_id": event_id, "at": at}


def _parked(key: str, at: int) -> dict[str, Any]:
    place = {"generation": 1, "tx": 0, "seq": 3, "at": 0}
    rest = {"attempt": 2, "due_at": None, "reason": "refused", "last_status": 500}
    return {**place, **rest, "key": key, "first_failed_at": at, "last_error": "no"}


async def _events(stage: Stage, count: int) -> list[str]:
    """Record punches one after the other and give the ids of their events, in order."""
    for day in days("2026-06-01", count):
        await stage.store.writer.record([fact(wall_time=f"{day} 09:00:00")])
    start = Position(1, 0, 0, 0)
    window = await stage.read(lambda tx: events.read(tx, MAIN, start, limit=count))
    assert len(window.entries) == count
    return [entry.id for entry in window.entries]


async def test_attempts_are_listed_newest_first_and_by_event(stage: Stage) -> None:
    await _put(
        stage,
        schema.attempt,
        _attempt("evt_1", NOW, "refused", status=500, error="status 500", answer="oh"),
        _attempt("evt_2", NOW + 1, replay_id="rp_a"),
        _attempt("evt_1", NOW + 2, n=2),
        {**_attempt("evt_3", NOW + 3), "endpoint_id": OTHER},
    )
    listed = await stage.read(
        lambda tx: deliveries.list_attempts(tx, MAIN, ID, event_id=None, limit=2)
    )
    assert [(each.event_id, each.n) for each in listed] == [("evt_1", 2), ("evt_2", 1)]
    assert listed[1].replay_id == "rp_a"
    of_one = await stage.read(
        lambda tx: deliveries.list_attempts(tx, MAIN, ID, event_id="evt_1", limit=9)
    )
    assert [(each.status, each.error, each.answer) for each in of_one] == [
        (200, None, None),
        (500, "status 500", "oh"),
    ]


async def test_parked_keys_are_listed_by_how_long_they_wait(stage: Stage) -> None:
    await _put(stage, schema.parked, _parked("person:2", NOW), _parked("person:1", NOW + 1))
    listed = await stage.read(lambda tx: deliveries.list_parked(tx, MAIN, ID, limit=9))
    assert [each.key for each in listed] == ["person:2", "person:1"]
    assert (listed[0].attempt, listed[0].due_at, listed[0].last_error) == (2, None, "no")


async def test_dead_letters_are_listed_and_found_among_events(stage: Stage) -> None:
    await _put(stage, schema.dead, _dead("evt_1"), _dead("evt_2", NOW + 1))
    listed = await stage.read(lambda tx: deliveries.list_dead(tx, MAIN, ID, limit=9))
    assert [each.event_id for each in listed] == ["evt_2", "evt_1"]
    names = ["evt_0", "evt_1"]
    assert await stage.read(lambda tx: deliveries.dead_among(tx, MAIN, ID, names)) == {"evt_1"}
    assert not await stage.read(lambda tx: deliveries.dead_among(tx, MAIN, OTHER, names))
    assert not await stage.read(lambda tx: deliveries.dead_among(tx, AccountNo(2), ID, names))


async def test_the_place_before_the_first_dead_letter_is_found(stage: Stage) -> None:
    ids = await _events(stage, 4)
    await _put(stage, schema.dead, _dead(ids[3]), _dead(ids[1]))
    found = await stage.read(lambda tx: deliveries.first_dead(tx, MAIN, ID))
    assert found is not None
    place = found._replace(generation=1)
    window = await stage.read(lambda tx: events.read(tx, MAIN, place, limit=9))
    assert [entry.id for entry in window.entries] == ids[1:]
    assert await stage.read(lambda tx: deliveries.first_dead(tx, MAIN, OTHER)) is None


async def test_the_standing_counts_what_is_behind_the_cursor(stage: Stage) -> None:
    ids = await _events(stage, 5)
    start = Position(1, 0, 0, 0)
    window = await stage.read(lambda tx: events.read(tx, MAIN, start, limit=2))
    await _put(stage, schema.dead, _dead(ids[0]))
    await _put(stage, schema.parked, _parked("person:1", NOW), _parked("person:2", NOW - 7))
    standing = await stage.read(lambda tx: deliveries.standing(tx, MAIN, ID, window.reached, ALL))
    (third,) = (await stage.read(lambda tx: events.read(tx, MAIN, window.reached, limit=1))).entries
    assert (standing.lag, standing.oldest_at) == (3, third.received_at)
    assert (standing.parked, standing.oldest_parked_at, standing.dead) == (2, NOW - 7, 1)
    end = await stage.read(lambda tx: events.end_of(tx, MAIN))
    caught_up = await stage.read(lambda tx: deliveries.standing(tx, MAIN, ID, end, ALL))
    assert (caught_up.lag, caught_up.oldest_at) == (0, None)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(Filter()), [0, 1, 2, 3, 4, 5]),
        (Wanted(Filter(events=("punch.recorded",))), [0, 2, 4]),
        (Wanted(Filter(), frozenset({"device.online", "summary.updated"})), [1, 3, 5]),
        (Wanted(Filter(events=("punch.recorded",)), frozenset({"device.online"})), []),
        (Wanted(Filter(people=("1",))), [4]),
        (Wanted(Filter(events=("device.online",), people=("1",))), []),
        (Wanted(Filter(people=("1", "2")), frozenset({"device.online"})), [5]),
        (Wanted(Filter(fields=(Condition("n", "in", ("2", "3", "4")),))), [2, 3, 4]),
    ],
)
async def test_only_what_an_endpoint_wants_is_its_lag(
    stage: Stage, wanted: Wanted, expected: list[int]
) -> None:
    kinds: tuple[EventType, EventType] = ("punch.recorded", "device.online")
    told = [
        Event(
            f"evt_{n}",
            f"person:{n % 3}",
            kinds[n % 2],
            NOW,
            NOW + n,
            f'{{"person":{{"code":"{n % 3 if n > 2 else 9}"}},"n":{n}}}',
        )
        for n in range(6)
    ]
    await stage.store.writer.run(lambda tx: events.append(tx, MAIN, told))
    start = Position(1, 0, 0, 0)
    standing = await stage.read(lambda tx: deliveries.standing(tx, MAIN, ID, start, wanted))
    assert standing.is_lag_whole
    assert standing.lag == len(expected)
    assert standing.oldest_at == min((NOW + n for n in expected), default=None)


@pytest.mark.slow
async def test_the_lag_of_a_narrow_filter_is_looked_for_in_a_part_of_a_long_log(
    stage: Stage,
) -> None:
    told = [
        Event(f"evt_{n}", "device:gate", "device.online", NOW, NOW + n, f'{{"n":{n}}}')
        for n in range(deliveries.MOST_READ + 5)
    ]
    for first in range(0, len(told), 1_000):
        some = told[first : first + 1_000]
        await stage.store.writer.run(partial(events.append, account=MAIN, events=some))
    start = Position(1, 0, 0, 0)
    last = Wanted(Filter(fields=(Condition("n", "in", ("3", str(deliveries.MOST_READ + 1))),)))
    part = await stage.read(lambda tx: deliveries.standing(tx, MAIN, ID, start, last))
    assert (part.lag, part.is_lag_whole, part.oldest_at) == (1, False, NOW + 3)
    # By its type alone an event is counted without being read, so further.
    kind = Wanted(Filter(events=("device.online",)))
    whole = await stage.read(lambda tx: deliveries.standing(tx, MAIN, ID, start, kind))
    assert (whole.lag, whole.is_lag_whole) == (len(told), True)


async def test_the_pace_is_that_of_accepted_attempts_alone(stage: Stage) -> None:
    here = Position(1, 0, 0, 0)
    await _put(stage, schema.attempt, _attempt("evt_0", NOW))
    first = await stage.read(lambda tx: deliveries.standing(tx, MAIN, ID, here, ALL))
    assert first.accepted_per_s is None
    # Two more accepted, 4 s after the first: 2 / 4 s.
    await _put(
        stage,
        schema.attempt,
        _attempt("evt_1", NOW + 1_000, "refused"),
        _attempt("evt_2", NOW + 2_000),
        _attempt("evt_3", NOW + 4_000),
    )
    later = await stage.read(lambda tx: deliveries.standing(tx, MAIN, ID, here, ALL))
    assert later.accepted_per_s == 0.5
