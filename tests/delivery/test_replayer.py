"""Replays: a part of the log is sent once more, beside what is live and under the same lease.

Real: the log, the jobs, the lanes, the sender, a receiver with its books. Turned by hand: the wall
clock and, where a rate is looked at, the monotonic one. What failed is tried again at once unless a
test says otherwise. Which events a selection picks is pinned in tests/usecases/test_replays.py.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from punchgate.delivery.replayer import LATE_S
from punchgate.domain.endpoint import Filter, Selection
from punchgate.domain.event import Event
from punchgate.domain.ids import EndpointId, UserCode
from punchgate.store import schema
from punchgate.usecases import endpoints, people, replays
from tests import receiver
from tests.delivery.replaying import (
    EVERYTHING,
    FAST,
    HOUR_MS,
    again,
    ends,
    has_got,
    has_lane,
    is_set,
    is_written,
    look,
    of_people,
    start,
)
from tests.delivery.samples import PUNCH
from tests.delivery.stage import Ledger, Stage, event, ids, is_in_order, open_stage
from tests.gateway import MAIN, NOON
from tests.receiver import Answer, Behaviour, Receiver, Request


@pytest.fixture(name="stage")
async def _stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path) as opened:
        yield opened


@pytest.fixture(name="r")
async def _receiver() -> AsyncIterator[Receiver]:
    async with receiver.open() as opened:
        yield opened


def punch(who: str, number: int, serial: str, at: int) -> Event:
    body = {"punch_id": f"P{number}", "person": {"code": who}, "device": {"serial": serial}}
    return event(who, number, at=at)._replace(body=json.dumps(body))


TOLD: Final = (
    punch("0001", 0, "SN1", NOON),
    punch("0002", 0, "SN2", NOON + HOUR_MS),
    punch("0001", 1, "SN2", NOON + 2 * HOUR_MS),
    event("0001", 2, "summary.updated", NOON + 3 * HOUR_MS),
    punch("0002", 1, "SN1", NOON + 4 * HOUR_MS),
)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (EVERYTHING, [0, 1, 2, 3, 4]),
        (Selection(since=NOON + HOUR_MS), [1, 2, 3, 4]),
        (Selection(since=NOON + HOUR_MS, until=NOON + 3 * HOUR_MS), [1, 2]),
        (Selection(since=0, filter=Filter(devices=("SN2",))), [1, 2]),
        (Selection(since=0, filter=Filter(people=("0002",))), [1, 4]),
        (Selection(since=0, filter=Filter(events=("summary.updated",))), [3]),
        (Selection(since=0, filter=Filter(people=("0001",), devices=("SN1",))), [0]),
    ],
)
async def test_a_replay_sends_what_its_selection_picks_with_the_ids_and_bytes_of_live(
    stage: Stage, r: Receiver, selection: Selection, expected: list[int]
) -> None:
    stage.clock.ms += 5 * HOUR_MS
    endpoint_id, before = await has_got(stage, r, list(TOLD))
    job = await ends(stage, await start(stage, endpoint_id, selection))
    assert sorted(ids(r.requests)) == sorted(TOLD[number].id for number in expected)
    assert is_in_order(ids(r.requests))
    for request in r.requests:
        assert request.headers["webhook-replay"] == job.id
        assert request.body == before.bodies[request.headers["webhook-id"]]
    assert (job.state, job.counted, job.sent, job.failed) == (
        "done",
        len(expected),
        len(expected),
        0,
    )
    await stage.stop()
    # The delivery log says of each attempt which replay it was.
    tried = [row.event_id for row in await stage.rows(schema.attempt) if row.replay_id == job.id]
    assert sorted(tried) == sorted(ids(r.requests))


async def test_live_requests_name_no_replay(stage: Stage, r: Receiver) -> None:
    await stage.add_endpoint(r.url())
    stage.deliver()
    await stage.tell(event("0001", 0))
    await r.received(1)
    assert "webhook-replay" not in r.requests[0].headers


async def test_a_replay_leaves_the_cursor_where_it_is(stage: Stage, r: Receiver) -> None:
    endpoint_id, _ = await has_got(stage, r, of_people(20, 5))
    await stage.until(lambda: is_written(stage, 100), "the cursor at the end")
    before = await stage.cursor()
    await ends(stage, await start(stage, endpoint_id, Selection(since=0)))
    after = await stage.cursor()
    assert (after.tx, after.seq, after.at) == (before.tx, before.seq, before.at)
    assert after.epoch == before.epoch


async def test_a_replay_covers_what_was_delivered_when_it_was_made_and_no_more(
    tmp_path: Path, database_url: str
) -> None:
    async with open_stage(tmp_path, database_url) as stage, receiver.open() as r:
        told = of_people(5, 2)
        endpoint_id, _ = await has_got(stage, r, told)
        await stage.stop()
        later = [event(f"{who:04d}", 2) for who in range(5)]
        await stage.tell(*later)
        job = await start(stage, endpoint_id)
        assert job.counted == len(told)
        stage.deliver()
        await ends(stage, job)
        await stage.until(stage.is_drained, "the end of the log")
        assert sorted(ids(again(r, job))) == sorted(one.id for one in told)
        live = [one for one in r.requests if "webhook-replay" not in one.headers]
        assert sorted(ids(live)) == sorted(one.id for one in later)


async def test_what_waits_with_a_parked_key_is_left_to_it(stage: Stage, r: Receiver) -> None:
    refused = {"evt_0002_000001"}

    def refuse(request: Request) -> Behaviour | None:
        return Answer(422) if request.headers["webhook-id"] in refused else None

    ledger = Ledger(refuse)
    r.otherwise = ledger
    endpoint_id = await stage.add_endpoint(r.url(), schedule_s=(60,))
    told = await stage.tell_many(4, 3)
    stage.deliver()

    async def is_behind_everything() -> bool:
        return len(await stage.rows(schema.parked)) == 1 and await is_written(stage, len(told))

    await stage.until(is_behind_everything, "one to be parked")
    job = await ends(stage, await start(stage, endpoint_id))
    waiting = ["evt_0002_000001", "evt_0002_000002"]
    # What the person got before it was parked is sent again, as everybody else's.
    expected = sorted(one.id for one in told if one.id not in waiting)
    assert sorted(ids(again(r, job))) == expected
    assert job.sent == len(expected)
    (parked,) = await stage.rows(schema.parked)
    assert (parked.key, parked.attempt) == ("person:0002", 1)
    refused.clear()
    await stage.until(stage.is_drained, "the parked ones", passing_ms=5_000)
    assert ids(r.requests)[-2:] == waiting
    assert not again(r, job)[len(expected) :]


async def test_a_replay_that_is_cancelled_stops(stage: Stage, r: Receiver) -> None:
    endpoint_id, _ = await has_got(stage, r, of_people(20, 50))
    # It would take a hundred seconds.
    job = await start(stage, endpoint_id, rate=10)
    await stage.until(lambda: len(again(r, job)) >= 2, "the first ones")
    await replays.cancel(stage.context, MAIN, job.id, actor="test", now=stage.clock())
    # The next one begins when this one has stopped.
    one_person = Selection(since=0, filter=Filter(people=("0003",)))
    other = await ends(stage, await start(stage, endpoint_id, one_person))
    assert (other.state, other.sent) == ("done", 50)
    sent = len(again(r, job))
    assert sent < 1_000
    assert (await look(stage, job)).state == "cancelled"
    await stage.stop()
    stage.deliver()
    await stage.tell(event("0001", 50))
    await stage.until(stage.is_drained, "a live one")
    assert len(again(r, job)) == sent


async def test_a_paused_endpoint_keeps_its_replay_and_goes_on_with_it(
    stage: Stage, r: Receiver
) -> None:
    told = of_people(20, 50)
    endpoint_id, _ = await has_got(stage, r, told)
    job = await start(stage, endpoint_id, rate=100)
    await stage.until(lambda: len(again(r, job)) >= 3, "the first ones")
    await endpoints.pause(stage.context, MAIN, endpoint_id, actor="test", now=stage.clock())

    async def stands_still() -> bool:
        return (await stage.cursor()).lease_owner is None

    await stage.until(stands_still, "the lane to end")
    sent = len(again(r, job))
    assert sent < len(told)
    assert (await look(stage, job)).state == "running"
    # Another one that is quicker, so that the test need not wait for the first to its end.
    await stage.write(schema.replay.update().values(rate=FAST))
    stage.clock.ms += 1
    assert len(again(r, job)) == sent
    await endpoints.resume(stage.context, MAIN, endpoint_id, actor="test", now=stage.clock())
    assert (await ends(stage, job)).state == "done"
    assert set(ids(again(r, job))) == {one.id for one in told}


async def test_a_removed_endpoints_replay_is_cancelled(stage: Stage, r: Receiver) -> None:
    endpoint_id, _ = await has_got(stage, r, of_people(20, 50))
    job = await start(stage, endpoint_id, rate=10)
    await stage.until(lambda: len(again(r, job)) >= 2, "the first ones")
    await endpoints.remove(stage.context, MAIN, endpoint_id, actor="test", now=stage.clock())
    assert (await look(stage, job)).state == "cancelled"
    async with receiver.open() as other:
        # Somebody else's deliveries are time enough to see that no more come.
        await stage.add_endpoint(other.url())
        await stage.until(lambda: not has_lane(endpoint_id), "its lane to end")
        count = r.count
        await stage.tell(*(event("other", number) for number in range(20)))
        await other.received(20)
    assert r.count == count


async def test_a_replay_keeps_its_rate(stage: Stage, r: Receiver) -> None:
    endpoint_id, _ = await has_got(stage, r, of_people(10, 3))
    process = stage.running["one"]
    began_s = process.monotonic()
    job = await start(stage, endpoint_id, rate=1)

    async def turn_on() -> bool:
        count = len(again(r, job))
        # By the clock that it goes by: one a second, and what it may catch up.
        assert count <= 1 + (process.monotonic() - began_s) + LATE_S
        process.ahead_s += 0.2
        return count == 30

    await stage.until(turn_on, "every event")
    assert process.monotonic() - began_s >= 29 - LATE_S
    assert (await ends(stage, job)).sent == 30


async def test_a_replay_is_not_quicker_than_its_endpoint_may_be_sent_to(
    stage: Stage, r: Receiver
) -> None:
    endpoint_id, _ = await has_got(stage, r, of_people(10, 1))
    await is_set(stage, endpoint_id, rate=0.5)
    process = stage.running["one"]
    began_s = process.monotonic()
    job = await start(stage, endpoint_id, rate=FAST)

    async def turn_on() -> bool:
        assert len(again(r, job)) <= 1 + (process.monotonic() - began_s + LATE_S) / 2
        process.ahead_s += 0.2
        return len(again(r, job)) == 10

    await stage.until(turn_on, "every event")


async def test_a_stop_does_not_have_those_sent_whose_turn_has_not_come(
    stage: Stage, r: Receiver
) -> None:
    endpoint_id, _ = await has_got(stage, r, of_people(10, 1))
    # One every hundred seconds.
    await is_set(stage, endpoint_id, rate=0.01)
    job = await start(stage, endpoint_id)
    await stage.until(lambda: len(again(r, job)) == 1, "the first")
    await stage.stop()
    assert len(again(r, job)) == 1
    assert (await look(stage, job)).state == "running"


async def test_of_an_erased_person_a_replay_sends_the_tombstone(stage: Stage, r: Receiver) -> None:
    await stage.gate.add_device("SN1")
    await stage.gate.punch("SN1", {"user_id": "7", "att_time": "2026-06-01 08:00:00"})
    endpoint_id, _ = await _has_got_all(stage, r)
    code = UserCode("7")
    await people.erase(stage.context, MAIN, code, actor="test", now=stage.clock())
    r.requests.clear()
    job = await ends(stage, await start(stage, endpoint_id))
    (request,) = again(r, job)
    sent = json.loads(request.body)
    assert sent["type"] == "punch.recorded"
    assert sent["data"] == {"punch_id": sent["id"].removeprefix("evt_"), "erased": True}


async def _has_got_all(stage: Stage, r: Receiver) -> tuple[EndpointId, list[Request]]:
    """Let an endpoint have what the log holds already."""
    new = endpoints.New(
        address=r.url(), changes=endpoints.Changes(events=("punch.recorded",)), start_at=0
    )
    added = await endpoints.add(stage.context, MAIN, new, actor="test", now=stage.clock())
    stage.deliver()
    await stage.until(stage.is_drained, "the end of the log")
    return added.endpoint.id, list(r.requests)


async def test_replays_of_an_endpoint_run_one_after_the_other(stage: Stage, r: Receiver) -> None:
    endpoint_id, _ = await has_got(stage, r, of_people(10, 5))
    await stage.stop()
    first = await start(stage, endpoint_id)
    stage.clock.ms += 1
    second = await start(stage, endpoint_id)
    stage.deliver()
    await ends(stage, second)
    sent_by = [request.headers["webhook-replay"] for request in r.requests]
    assert sent_by == [first.id] * 50 + [second.id] * 50


async def test_a_selection_with_next_to_nothing_in_a_long_log_is_found(
    stage: Stage, r: Receiver
) -> None:
    told = [*of_people(100, 30), event("needle", 0), *of_people(1, 40)[30:]]
    endpoint_id, _ = await has_got(stage, r, told)
    needle = Selection(since=0, filter=Filter(people=("needle",)))
    job = await ends(stage, await start(stage, endpoint_id, needle))
    assert ids(again(r, job)) == ["evt_needle_000000"]


async def test_what_the_format_has_no_form_for_does_not_hold_up_a_replay(
    stage: Stage, r: Receiver
) -> None:
    erased = [
        event(f"{who:04d}", 0)._replace(body='{"punch_id":"P1","erased":true}')
        for who in range(600)
    ]
    told = [*erased, event("zoe", 0)._replace(body=json.dumps(PUNCH))]
    endpoint_id, _ = await has_got(stage, r, told)
    r.otherwise = Answer(200, body=b'{"status":"done"}')
    await is_set(stage, endpoint_id, format="cams")
    job = await ends(stage, await start(stage, endpoint_id))
    # Of the erased there is nothing to say in this format; the walk still comes to its end.
    assert job.state == "done"
    assert ids(again(r, job)) == ["evt_zoe_000000"]
