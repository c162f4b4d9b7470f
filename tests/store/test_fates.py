"""What is kept of one event at every endpoint, on both databases.

Real: SQLite, PostgreSQL, the log. Invented: the endpoints, and how deliveries went.
"""

from typing import Any

import pytest
from sqlalchemy import insert

from punchgate.domain.event import Entry, Event, Position
from punchgate.store import cursors, events, fates, installation, schema
from tests.store.stage import MAIN, NOW, Stage


async def _put(stage: Stage, table: Any, *rows: dict[str, Any]) -> None:
    values = [{"account": MAIN, **row} for row in rows]
    await stage.store.writer.run(lambda tx: tx.execute(insert(table), values))


def _endpoint(name: str, at: int, removed_at: int | None = None) -> dict[str, Any]:
    return {
        "endpoint_id": name, "address": f"https://{name}.example/", "format": "standard",
        "filter": '{"people":["1"]}', "secrets": b"sealed", "pace": "{}", "unspecified_as": "in",
        "version": 1, "created_at": at, "removed_at": removed_at, "state": "active",
        "state_since": at, "failures": 0,
    }  # fmt: skip


def _attempt(name: str, event_id: str, n: int, at: int = NOW) -> dict[str, Any]:
    return {"endpoint_id": name, "event_id": event_id, "n": n, "at": at, "outcome": "refused"} | {
        "status": 422, "ms": 5, "error": "no", "answer": None, "replay_id": None
    }  # fmt: skip


@pytest.fixture(name="entry")
async def _entry(stage: Stage) -> Entry:
    told = [Event(f"evt_{n}", "person:1", "punch.recorded", NOW, NOW, "{}") for n in (1, 2)]
    await stage.store.writer.run(lambda tx: events.append(tx, MAIN, told))
    found = await stage.read(lambda tx: events.find(tx, MAIN, "evt_1"))
    assert found is not None
    return found


async def test_everything_that_is_kept_of_an_event_is_found(stage: Stage, entry: Entry) -> None:
    place = {"generation": 1, "tx": entry.position.tx, "seq": entry.position.seq, "at": NOW}
    await _put(stage, schema.endpoint, _endpoint("ep_b", NOW + 1), _endpoint("ep_a", NOW))
    await _put(
        stage,
        schema.cursor,
        {"endpoint_id": "ep_a", **place, "lease_until": 0, "epoch": 1},
        {"endpoint_id": "ep_b", **place, "lease_until": 0, "epoch": 1},
    )
    await _put(
        stage,
        schema.attempt,
        _attempt("ep_a", "evt_1", 1),
        _attempt("ep_a", "evt_2", 1),
        _attempt("ep_b", "evt_1", 1),
        _attempt("ep_a", "evt_1", 2, NOW + 9),
    )
    waits = {"attempt": 1, "first_failed_at": NOW, "due_at": None, "reason": "refused"}
    key, everything = {"key": "person:1"}, {"key": cursors.ALL}
    await _put(stage, schema.parked, {"endpoint_id": "ep_a", **place, **waits, **key})
    await _put(stage, schema.parked, {"endpoint_id": "ep_b", **place, **waits, **everything})
    letter = {"key": "person:1", "reason": "no", "attempts": 3, "at": NOW}
    await _put(
        stage,
        schema.dead,
        {"endpoint_id": "ep_b", "event_id": "evt_1", **letter},
        {"endpoint_id": "ep_a", "event_id": "evt_2", **letter},
    )
    first, second = await stage.read(lambda tx: fates.list_fates(tx, MAIN, entry))
    assert (first.endpoint_id, second.endpoint_id) == ("ep_a", "ep_b")
    assert [(each.n, each.at) for each in first.tried] == [(1, NOW), (2, NOW + 9)]
    assert [each.n for each in second.tried] == [1]
    assert (first.filter.people, first.cursor) == (("1",), Position(*place.values()))
    assert first.parked is not None
    assert second.parked is not None
    assert (first.parked.key, second.parked.key) == ("person:1", cursors.ALL)
    assert first.dead is None
    assert second.dead is not None
    assert second.dead.attempts == 3


async def test_an_attempt_of_long_before_the_event_is_not_looked_at(
    stage: Stage, entry: Entry
) -> None:
    """As after a restore: the id is the same, and what was sent then is not of this entry."""
    await _put(stage, schema.endpoint, _endpoint("ep_a", NOW))
    await _put(
        stage,
        schema.attempt,
        _attempt("ep_a", "evt_1", 1, NOW - 3_600_000),
        # Another server's clock is a little behind.
        _attempt("ep_a", "evt_1", 2, NOW - 1_000),
    )
    (fate,) = await stage.read(lambda tx: fates.list_fates(tx, MAIN, entry))
    assert [each.n for each in fate.tried] == [2]


async def test_a_removed_endpoint_is_there_while_an_attempt_is(stage: Stage, entry: Entry) -> None:
    await _put(stage, schema.endpoint, _endpoint("ep_a", NOW, NOW), _endpoint("ep_b", NOW, NOW))
    await _put(stage, schema.attempt, _attempt("ep_b", "evt_1", 1))
    (fate,) = await stage.read(lambda tx: fates.list_fates(tx, MAIN, entry))
    assert (fate.endpoint_id, fate.cursor) == ("ep_b", None)


async def test_places_of_an_older_generation_are_found_again(stage: Stage, entry: Entry) -> None:
    stale = {"generation": 0, "tx": 10**9, "seq": 10**9, "at": NOW + 3_600_000}
    await _put(stage, schema.endpoint, _endpoint("ep_a", NOW))
    await _put(stage, schema.cursor, {"endpoint_id": "ep_a", **stale, "lease_until": 0, "epoch": 1})
    (fate,) = await stage.read(lambda tx: fates.list_fates(tx, MAIN, entry))
    generation = await stage.read(installation.generation)
    assert fate.cursor is not None
    assert fate.cursor.generation == generation
    assert fate.cursor.seq < 10**9
