"""Replays: what is counted is what a walk over the log picks. A real store and real punches."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from punchgate.domain.endpoint import Condition, Filter, Selection
from punchgate.domain.error import Invalid, NotFound
from punchgate.domain.event import Entry, Position
from punchgate.domain.ids import EndpointId, ReplayId
from punchgate.store import endpoints as rows
from punchgate.store import events, schema
from punchgate.store import replays as jobs
from punchgate.usecases import accounts, audit, endpoints, replays
from punchgate.usecases.endpoints import Changes, New
from punchgate.usecases.replays import Replay
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway

HOUR_MS = 3_600_000
ALL = Selection(since=0)


@pytest.fixture(name="gate")
async def _gate(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path) as gate:
        yield gate


@pytest.fixture(name="endpoint_id")
async def _endpoint_id(gate: Gateway) -> EndpointId:
    """Give an endpoint that has been sent six events: two people, two devices, hour by hour."""
    await gate.add_device("SN1", id="gate")
    await gate.add_device("SN2", id="canteen")
    for hour in range(6):
        gate.clock.ms = NOON + hour * HOUR_MS
        item = {"user_id": str(hour % 2), "att_time": f"2026-06-01 0{hour}:00:00"}
        await gate.punch("SN1" if hour < 4 else "SN2", {**item, "att_state": hour % 2})
    return await _add(gate)


async def _add(gate: Gateway, **changes: Any) -> EndpointId:
    new = New(address="https://receiver.example/", changes=Changes(**changes))
    added = await endpoints.add(gate.context, MAIN, new, actor="test", now=gate.clock())
    return added.endpoint.id


async def _count(gate: Gateway, endpoint_id: EndpointId, selection: Selection) -> int:
    return await replays.count(gate.context, MAIN, endpoint_id, selection)


async def _start(gate: Gateway, endpoint_id: EndpointId, selection: Selection = ALL) -> Replay:
    return await replays.start(
        gate.context,
        MAIN,
        endpoint_id,
        replays.New(selection),
        actor="test",
        now=gate.clock(),
    )


async def _entries(gate: Gateway) -> list[Entry]:
    start = Position(1, 0, 0, 0)
    window = await gate.context.database.read(lambda tx: events.read(tx, MAIN, start, limit=100))
    return list(window.entries)


async def _bury(gate: Gateway, endpoint_id: EndpointId, *event_ids: str) -> None:
    def work(tx: Connection) -> None:
        for event_id in event_ids:
            tx.execute(
                insert(schema.dead).values(
                    account=MAIN,
                    endpoint_id=endpoint_id,
                    event_id=event_id,
                    key="person:1",
                    reason="status 400",
                    status=400,
                    attempts=11,
                    at=NOON,
                )
            )

    await gate.context.writer.run(work)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (ALL, 6),
        (Selection(since=NOON + HOUR_MS), 5),
        (Selection(since=NOON + HOUR_MS + 1), 4),
        (Selection(since=0, until=NOON + HOUR_MS), 1),
        (Selection(since=0, until=NOON + HOUR_MS + 1), 2),
        (Selection(since=NOON + 9 * HOUR_MS), 0),
        (Selection(since=0, filter=Filter(people=("0",))), 3),
        (Selection(since=0, filter=Filter(people=("0",), devices=("gate",))), 2),
        (Selection(since=0, filter=Filter(devices=("SN2",))), 2),
        (Selection(since=0, filter=Filter(events=("punch.recorded",))), 6),
        (Selection(since=0, filter=Filter(events=("device.online",))), 0),
        (Selection(since=0, filter=Filter(people=("9",))), 0),
    ],
)
async def test_a_dry_run_counts_by_time_device_person_and_type(
    gate: Gateway, endpoint_id: EndpointId, selection: Selection, expected: int
) -> None:
    assert await _count(gate, endpoint_id, selection) == expected
    assert await replays.list_replays(gate.context, MAIN) == []


async def test_only_what_the_endpoint_would_hear_is_sent_again(
    gate: Gateway, endpoint_id: EndpointId
) -> None:
    del endpoint_id
    choosy = await _add(gate, fields=[Condition("direction", "eq", ("check-out",))])
    assert await _count(gate, choosy, ALL) == 3
    assert await _count(gate, choosy, Selection(since=0, filter=Filter(people=("0",)))) == 0


async def test_only_dead_letters_are_sent_again_where_that_is_said(
    gate: Gateway, endpoint_id: EndpointId
) -> None:
    names = [entry.id for entry in await _entries(gate)]
    assert await _count(gate, endpoint_id, Selection(only_dead=True)) == 0
    await _bury(gate, endpoint_id, names[1], names[4])
    assert await _count(gate, endpoint_id, Selection(only_dead=True)) == 2
    late = Selection(since=NOON + 2 * HOUR_MS, only_dead=True)
    assert await _count(gate, endpoint_id, late) == 1
    job = await _start(gate, endpoint_id, Selection(only_dead=True))
    # It begins at the first of them, not at the beginning of the log.
    assert job.position.seq == 1


async def test_a_replay_covers_what_was_sent_when_it_was_made(
    gate: Gateway, endpoint_id: EndpointId
) -> None:
    await gate.punch("SN1", {"user_id": "1", "att_time": "2026-06-02 09:00:00"})
    job = await _start(gate, endpoint_id)
    assert (job.state, job.counted, job.sent, job.failed) == ("running", 6, 0, 0)
    cursor = await gate.context.database.read(lambda tx: rows.cursor(tx, MAIN, endpoint_id))
    assert job.end == cursor
    assert job.rate == replays.DEFAULT_RATE
    assert await replays.get(gate.context, MAIN, job.id) == job


async def test_an_endpoint_that_has_got_nothing_has_nothing_to_be_sent_again(
    gate: Gateway, endpoint_id: EndpointId
) -> None:
    del endpoint_id
    new = New(address="https://receiver.example/", start_at=0)
    added = await endpoints.add(gate.context, MAIN, new, actor="test", now=gate.clock())
    job = await _start(gate, added.endpoint.id)
    assert (job.state, job.counted, job.ended_at) == ("done", 0, gate.clock())


async def test_more_than_a_window_is_counted(gate: Gateway, endpoint_id: EndpointId) -> None:
    def write(tx: Connection) -> None:
        entry = {"account": MAIN, "type": "device.online", "occurred_at": 0, "body": "{}"}
        tx.execute(
            insert(schema.event),
            [
                {**entry, "id": f"evt_{n}", "key": "device:x", "received_at": gate.clock()}
                for n in range(5_000)
            ],
        )
        rows.skip(tx, MAIN, endpoint_id, events.end_of(tx, MAIN))

    await gate.context.writer.run(write)
    assert await _count(gate, endpoint_id, ALL) == 5_006


@pytest.mark.parametrize(
    "selection",
    [
        Selection(),
        Selection(until=NOON),
        Selection(since=NOON, until=NOON),
        Selection(since=0, filter=Filter(events=("nothing.known",))),
    ],
)
async def test_a_selection_that_will_not_do_is_refused(
    gate: Gateway, endpoint_id: EndpointId, selection: Selection
) -> None:
    with pytest.raises(Invalid):
        await _count(gate, endpoint_id, selection)
    with pytest.raises(Invalid):
        await _start(gate, endpoint_id, selection)


@pytest.mark.parametrize("rate", [0, 10_001])
async def test_a_rate_that_will_not_do_is_refused(
    gate: Gateway, endpoint_id: EndpointId, rate: int
) -> None:
    with pytest.raises(Invalid, match="events a second"):
        await replays.start(
            gate.context, MAIN, endpoint_id, replays.New(ALL, rate), actor="test", now=NOON
        )


async def test_a_replay_is_cancelled_once_and_stays_so(
    gate: Gateway, endpoint_id: EndpointId
) -> None:
    job = await _start(gate, endpoint_id)
    for later in (5, 9):
        stopped = await replays.cancel(gate.context, MAIN, job.id, actor="test", now=NOON + later)
        assert (stopped.state, stopped.ended_at) == ("cancelled", NOON + 5)
    actions = [entry.action for entry in await audit.list_entries(gate.context, MAIN, limit=2)]
    assert actions == ["replay.cancel", "replay.start"]


async def test_a_replay_that_is_done_cannot_be_cancelled(
    gate: Gateway, endpoint_id: EndpointId
) -> None:
    job = await _start(gate, endpoint_id)
    await gate.context.writer.run(lambda tx: jobs.end(tx, MAIN, job.id, "done", NOON + 1))
    stopped = await replays.cancel(gate.context, MAIN, job.id, actor="test", now=NOON + 2)
    assert (stopped.state, stopped.ended_at) == ("done", NOON + 1)


async def test_replays_are_listed_newest_first_and_end_with_their_endpoint(
    gate: Gateway, endpoint_id: EndpointId
) -> None:
    first = await _start(gate, endpoint_id)
    gate.clock.ms += 1
    second = await _start(gate, endpoint_id)
    listed = await replays.list_replays(gate.context, MAIN, endpoint_id)
    assert [job.id for job in listed] == [second.id, first.id]
    await endpoints.remove(gate.context, MAIN, endpoint_id, actor="test", now=NOON)
    assert {job.state for job in await replays.list_replays(gate.context, MAIN)} == {"cancelled"}
    with pytest.raises(NotFound):
        await replays.list_replays(gate.context, MAIN, endpoint_id)


async def test_I12_a_replay_of_another_account_is_not_there(
    gate: Gateway, endpoint_id: EndpointId
) -> None:
    other = await accounts.add(gate.context, "other", actor="test", now=NOON)
    job = await _start(gate, endpoint_id)
    for name in (job.id, ReplayId("rp_unknown")):
        with pytest.raises(NotFound):
            await replays.cancel(gate.context, other.no, name, actor="test", now=NOON)
    with pytest.raises(NotFound):
        await replays.count(gate.context, other.no, endpoint_id, ALL)
    assert (await replays.get(gate.context, MAIN, job.id)).state == "running"


async def test_the_audit_of_a_replay_names_nobody(gate: Gateway, endpoint_id: EndpointId) -> None:
    await _start(gate, endpoint_id, Selection(since=0, filter=Filter(people=("0042-secret",))))
    (entry,) = await audit.list_entries(gate.context, MAIN, limit=1)
    assert entry.after is not None
    assert entry.after["people"] == 1
    assert "0042-secret" not in str(entry)


def test_what_was_erased_is_sent_again_as_the_tombstone_that_it_is() -> None:
    tombstone = Entry(
        Position(1, 0, 1, NOON),
        "evt_1",
        "person:1",
        "punch.recorded",
        NOON,
        NOON,
        '{"punch_id":"x","erased":true}',
    )
    assert replays.chosen([tombstone], ALL, Filter(), ()) == [tombstone]
    about_someone = replace(ALL, filter=Filter(people=("1",)))
    assert replays.chosen([tombstone], about_someone, Filter(), ()) == []
