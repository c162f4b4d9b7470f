"""What an endpoint's settings mean on the wire: filter, format, batches, rate, cookies.

Real: the lanes, the formats, the sender, the receiver. Which bytes a format makes is pinned in
tests/delivery/formats; here it is which requests there are.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from punchgate.domain.endpoint import Condition
from punchgate.domain.event import Event
from punchgate.store import schema
from tests import receiver
from tests.delivery.samples import PUNCH
from tests.delivery.stage import Stage, event, ids, open_stage
from tests.gateway import NOON
from tests.receiver import Answer, Behaviour, Receiver, Request

#: A 2xx whose list of failed events is too long to be read to its end.
CUT = b'{"failed":["' + b"x" * 20_000 + b'"]}'


@pytest.fixture(name="stage")
async def _stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path) as opened:
        yield opened


@pytest.fixture(name="r")
async def _receiver() -> AsyncIterator[Receiver]:
    async with receiver.open() as opened:
        yield opened


def punch(person: str, number: int, serial: str = "SN1", site: str | None = "HQ") -> Event:
    """Make a whole `punch.recorded` of a person at a device."""
    device = {"id": serial.lower(), "serial": serial, "name": None, "site": site}
    data = {**PUNCH, "person": {**PUNCH["person"], "code": person}, "device": device}
    return event(person, number)._replace(body=json.dumps(data))


def of_batch(request: Request) -> list[str]:
    """Give the ids of the events of a batch."""
    return [each["id"] for each in json.loads(request.body)["data"]]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ["0001", "0002", "0003", "summary"]),
        ({"events": ["punch.recorded"]}, ["0001", "0002", "0003"]),
        ({"people": ["0002", "0003"]}, ["0002", "0003"]),
        ({"devices": ["SN1"]}, ["0001"]),
        ({"sites": ["North"], "people": ["0002", "0001"]}, ["0002"]),
        ({"fields": [Condition("person.code", "prefix", ("0",))]}, ["0001", "0002", "0003"]),
        ({"fields": [Condition("device.site", "exists")], "devices": ["SN2"]}, ["0002"]),
    ],
)
async def test_a_filter_says_what_is_sent_and_the_cursor_passes_the_rest(
    stage: Stage, r: Receiver, wanted: dict[str, Any], expected: list[str]
) -> None:
    await stage.add_endpoint(r.url(), **wanted)
    summary = Event(
        "evt_summary_000000", "person:9", "summary.updated", NOON, NOON, '{"person":{"code":"9"}}'
    )
    told = [
        punch("0001", 0),
        punch("0002", 0, "SN2", "North"),
        punch("0003", 0, "SN2", None),
        summary,
    ]
    await stage.tell(*told)
    stage.deliver()
    await r.received(len(expected))
    await stage.stop()
    assert sorted(each.split("_")[1] for each in ids(r.requests)) == expected
    assert await stage.is_drained()


async def test_a_format_without_a_form_for_a_type_passes_over_it(stage: Stage, r: Receiver) -> None:
    r.otherwise = Answer(200, body=b'{"status":"done"}')
    await stage.add_endpoint(r.url("/in?stgid=x"), format="cams")
    await stage.tell(
        event("0001", 0, "summary.updated"),
        # Of somebody who was erased there is nothing to say in it.
        event("0001", 1)._replace(body='{"punch_id":"P1","erased":true}'),
        punch("0001", 2),
        event("0001", 3, "device.online"),
    )
    stage.deliver()
    await r.received(1)
    await stage.stop()
    assert ids(r.requests) == ["evt_0001_000002"]
    assert r.requests[0].target == "/in?stgid=SN1"
    assert await stage.is_drained()


async def test_many_events_without_a_form_do_not_hold_up_the_rest(
    stage: Stage, r: Receiver
) -> None:
    r.otherwise = Answer(200, body=b'{"status":"done"}')
    await stage.add_endpoint(r.url(), format="cams")
    for start in range(0, 4_000, 1_000):
        await stage.tell(
            *(
                event(f"{number:04d}", 0)._replace(body='{"punch_id":"P1","erased":true}')
                for number in range(start, start + 1_000)
            )
        )
    await stage.tell(punch("0001", 1))
    stage.deliver()
    await r.received(1)
    await stage.until(stage.is_drained, "the end of the log")


async def test_a_yes_that_the_format_does_not_take_for_one_is_a_refusal(
    stage: Stage, r: Receiver
) -> None:
    r.script(Answer(200, body=b'{"status":"error"}'))
    r.otherwise = Answer(200, body=b'{"status":"done"}')
    await stage.add_endpoint(r.url(), format="cams")
    await stage.tell(punch("0001", 0))
    stage.deliver()
    await stage.until(lambda: r.count == 2, "a second attempt", passing_ms=1_000)
    await stage.until(stage.is_drained, "the end of the log")
    assert await stage.outcomes() == ["refused", "accepted"]


async def test_a_batch_has_several_events_those_of_a_person_in_order(
    stage: Stage, r: Receiver
) -> None:
    await stage.add_endpoint(r.url(), batch_max=7, concurrency=1)
    told = [one.id for one in await stage.tell_many(10, 5)]
    stage.deliver()
    await stage.until(stage.is_drained, "the end of the log")
    batches = [of_batch(request) for request in r.requests]
    assert max(len(batch) for batch in batches) == 7
    sent = [each for batch in batches for each in batch]
    assert sorted(sent) == sorted(told)
    for person in range(10):
        mine = [each for each in sent if f"_{person:04d}_" in each]
        assert mine == sorted(mine)
    assert all(request.headers["webhook-id"].startswith("bat_") for request in r.requests)
    # Each event has its line in the delivery log.
    await stage.stop()
    assert len(await stage.rows(schema.attempt)) == len(told)


async def test_a_batch_waits_for_more_as_long_as_it_may(stage: Stage, r: Receiver) -> None:
    await stage.add_endpoint(r.url(), batch_max=4, batch_wait_ms=5_000)
    stage.deliver()
    await stage.tell(event("0001", 0))
    # The others come while it waits; a full batch is not kept waiting for its time.
    await stage.tell(event("0002", 0), event("0003", 0))
    stopping = asyncio.ensure_future(stage.until(lambda: r.count > 0, "the batch"))
    await stage.tell(event("0004", 0))
    await stopping
    assert sorted(of_batch(r.requests[0])) == [f"evt_000{number}_000000" for number in range(1, 5)]


async def test_a_partial_yes_parks_the_people_it_names_and_takes_the_others(
    stage: Stage, r: Receiver
) -> None:
    failed = [{"id": "evt_0002_000001", "reason": "unknown employee"}, "evt_0003_000000"]
    r.script(Answer(200, body=json.dumps({"failed": failed}).encode()))
    await stage.add_endpoint(r.url(), batch_max=100, concurrency=1, schedule_s=(60,))
    await stage.tell(*(event(f"000{who}", number) for number in range(3) for who in (1, 2, 3)))
    stage.deliver()

    async def are_parked() -> bool:
        return len(await stage.rows(schema.parked)) == 2

    await stage.until(are_parked, "two to be parked")
    two, three = await stage.rows(schema.parked)
    assert (two.key, two.last_error, two.attempt) == ("person:0002", "unknown employee", 1)
    assert (three.key, three.last_error) == ("person:0003", "named as failed")
    outcomes = {row.event_id: row.outcome for row in await stage.rows(schema.attempt)}
    assert outcomes["evt_0002_000000"] == "accepted"
    assert outcomes["evt_0002_000001"] == "refused"
    await stage.until(stage.is_drained, "the end of the log", passing_ms=1_000)
    first, *others = [of_batch(request) for request in r.requests]
    assert len(first) == 9
    again = [each for batch in others for each in batch]
    # From the one that was named on, each in its turn; what was taken before it is not repeated.
    assert sorted(again) == [
        "evt_0002_000001",
        "evt_0002_000002",
        "evt_0003_000000",
        "evt_0003_000001",
        "evt_0003_000002",
    ]
    for who in ("0002", "0003"):
        mine = [each for each in again if f"_{who}_" in each]
        assert mine == sorted(mine)


@pytest.mark.parametrize(
    "refusal", [Answer(422), Answer(400), Answer(413), Answer(404), Answer(200, body=CUT)]
)
async def test_a_batch_that_is_refused_for_what_is_in_it_parks_the_bad_one_alone(
    stage: Stage, r: Receiver, refusal: Answer
) -> None:
    def refuse_bad(request: Request) -> Behaviour:
        return refusal if "evt_0002_000001" in of_batch(request) else receiver.OK

    r.otherwise = refuse_bad
    await stage.add_endpoint(r.url(), batch_max=100, concurrency=1, schedule_s=(3_600,))
    await stage.tell(*(event(f"000{who}", number) for number in range(3) for who in (1, 2, 3)))
    stage.deliver()
    await stage.until(lambda: r.count >= 9, "all that can be sent")
    await stage.stop()
    (parked,) = await stage.rows(schema.parked)
    assert (parked.key, parked.attempt, parked.last_status) == ("person:0002", 1, refusal.status)
    first, *others = [of_batch(request) for request in r.requests]
    assert len(first) == 9
    # Each alone and in its person's order; what stands behind the bad one waits with it.
    assert [len(batch) for batch in others] == [1] * 8
    assert sorted(each for batch in others for each in batch) == sorted(
        {*first} - {"evt_0002_000002"}
    )
    assert [request.headers["webhook-attempt"] for request in r.requests] == ["1", *"2" * 8]
    outcomes = {row.event_id: row.outcome for row in await stage.rows(schema.attempt)}
    assert [name for name, outcome in outcomes.items() if outcome != "accepted"] == [
        "evt_0002_000001",
        "evt_0002_000002",
    ]
    # What comes after that is sent together again.
    await stage.tell(event("0004", 0), event("0005", 0))
    stage.deliver()
    await stage.until(lambda: r.count == 10, "the next batch")
    assert len(of_batch(r.requests[-1])) == 2


@pytest.mark.parametrize("refusal", [Answer(401), Answer(403), Answer(500)])
async def test_a_batch_that_is_refused_for_another_reason_waits_as_a_whole(
    stage: Stage, r: Receiver, refusal: Answer
) -> None:
    r.otherwise = refusal
    await stage.add_endpoint(r.url(), batch_max=100, concurrency=1, schedule_s=(3_600,))
    await stage.tell(*(event(f"000{who}", 0) for who in range(1, 4)))
    stage.deliver()

    async def are_parked() -> bool:
        return len(await stage.rows(schema.parked)) == 3

    await stage.until(are_parked, "all of it to be parked")
    assert r.count == 1


async def test_a_bulk_request_of_a_vendor_has_one_devices_punches(
    stage: Stage, r: Receiver
) -> None:
    r.otherwise = Answer(200, body=b'{"status":"done"}')
    await stage.add_endpoint(r.url(), format="cams", batch_max=50, concurrency=1)
    await stage.tell(*(punch(f"{number:04d}", 0, f"SN{number % 3}") for number in range(12)))
    stage.deliver()
    await stage.until(stage.is_drained, "the end of the log")
    bodies = [json.loads(request.body) for request in r.requests]
    assert sorted(body["SerialNumber"] for body in bodies) == ["SN0", "SN1", "SN2"]
    assert {body["PunchLog"]["ReturnRowCount"] for body in bodies} == {"4"}


async def test_a_rate_holds_requests_back_until_their_time(stage: Stage, r: Receiver) -> None:
    # One every fifty seconds.
    await stage.add_endpoint(r.url(), rate=0.02)
    await stage.tell_many(10, 2)
    stage.deliver()
    await r.received(1)
    async with receiver.open() as other:
        await stage.add_endpoint(other.url())
        # Somebody else's twenty-two events are time enough to see that no second one comes.
        await stage.tell(*(event("0001", number) for number in range(2, 24)))
        await other.received(22)
    assert r.count == 1
    # A stop does not wait for those whose time has not come, and loses none.
    await stage.stop()
    assert r.count == 1
    assert len(await stage.rows(schema.parked)) == 10


async def test_a_vendors_first_no_gives_a_session_and_the_next_attempt_brings_it(
    stage: Stage, r: Receiver
) -> None:
    done = Answer(200, body=b'{"status":"done"}')

    def ask_for_a_session(request: Request) -> Behaviour:
        if request.headers.get("cookie") == "session_id=s1":
            return done
        return Answer(403, {"Set-Cookie": "session_id=s1; Path=/; HttpOnly"})

    r.otherwise = ask_for_a_session
    await stage.add_endpoint(r.url(), format="cams")
    await stage.tell(punch("0001", 0))
    stage.deliver()
    await stage.until(lambda: r.count == 2, "a second attempt", passing_ms=1_000)
    await stage.until(stage.is_drained, "the end of the log")
    assert await stage.outcomes() == ["refused", "accepted"]


async def test_other_formats_keep_no_cookies(stage: Stage, r: Receiver) -> None:
    r.otherwise = Answer(200, {"Set-Cookie": "session_id=s1"})
    await stage.add_endpoint(r.url(), concurrency=1)
    await stage.tell(event("0001", 0), event("0001", 1))
    stage.deliver()
    await r.received(2)
    assert not any("cookie" in request.headers for request in r.requests)


async def test_the_head_of_an_answer_is_kept_where_it_is_a_no(stage: Stage, r: Receiver) -> None:
    r.otherwise = Answer(422, body=b"no \0 such person " + b"x" * 5_000)
    await stage.add_endpoint(r.url())
    await stage.tell(event("0001", 0))
    stage.deliver()

    async def is_written() -> bool:
        return bool(await stage.rows(schema.attempt))

    await stage.until(is_written, "the attempt")
    (row,) = await stage.rows(schema.attempt)
    assert row.answer.startswith("no \ufffd such person")
    assert len(row.answer) == 4_096
    assert (row.event_id, row.n, row.status, row.outcome) == ("evt_0001_000000", 1, 422, "refused")
