"""Requests that wait: what wakes them, what ends them, how many there may be.

Real: the log and its poll, on both databases. Invented: the connection, whose caller says when it
leaves, and the time that a wait takes. A deadline here is only for a hang.
"""

import asyncio
from dataclasses import replace

import pytest

from punchgate.contracts import manage_v1
from punchgate.contracts.manage_v1 import waiting
from punchgate.contracts.manage_v1.errors import Refused
from punchgate.domain.ids import KeyId
from punchgate.httpkit import body
from tests.contracts.manage_v1.conftest import LIMIT_S, Caller, Stage, cursor_of, made
from tests.contracts.manage_v1.test_errors import problem


async def test_a_punch_wakes_a_request_that_waits(stage: Stage) -> None:
    await stage.gateway.add_device("SN1")
    seen = await stage.punch("1", 1)
    given_out = cursor_of(await stage.read())
    held = await stage.hold(f"wait=30&{given_out}")
    told = await stage.punch("1", 2)
    answer = await stage.answer(held)
    assert answer is not None
    assert [one["id"] for one in answer.json()["events"]] == [told] != [seen]
    assert await stage.ids(cursor_of(answer.json())) == []


async def test_what_is_there_already_is_answered_at_once(stage: Stage) -> None:
    await stage.append(made(1))
    # Nobody polls the log here: a request that waited would hang.
    async with asyncio.timeout(LIMIT_S):
        assert await stage.ids("wait=30") == ["evt_punch.recorded1"]


async def test_a_wait_goes_on_past_what_is_not_wanted(stage: Stage) -> None:
    held = await stage.hold("wait=30&person=3")
    for number in (1, 2, 4):
        await stage.append(made(number))
        await stage.gateway.context.log.poll()
    assert not held.task.done()
    await stage.append(made(3))
    answer = await stage.answer(held)
    assert answer is not None
    assert [one["id"] for one in answer.json()["events"]] == ["evt_punch.recorded3"]


async def test_a_wait_whose_time_is_up_gives_the_place_that_it_has_reached(stage: Stage) -> None:
    now = 0.0
    edge = replace(stage.gateway.edge, monotonic=lambda: now)
    timed = replace(stage, app=manage_v1.build(edge, manage_v1.Settings(0)))
    held = await timed.hold("wait=30&person=3")
    now = 30.0
    await stage.append(made(1))
    answer = await timed.answer(held)
    assert answer is not None
    content = answer.json()
    assert (content["events"], content["has_more"]) == ([], False)
    await stage.append(made(3))
    assert await stage.ids(f"person=3&{cursor_of(content)}") == ["evt_punch.recorded3"]


@pytest.mark.slow
async def test_a_wait_ends_by_itself(stage: Stage) -> None:
    held = await stage.hold("wait=1")
    answer = await stage.answer(held)
    assert answer is not None
    assert answer.json()["events"] == []


async def test_a_head_waits_too(stage: Stage) -> None:
    held = await stage.hold("wait=30", method="HEAD")
    await stage.append(made(1))
    answer = await stage.answer(held)
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"")


async def test_a_caller_that_leaves_ends_his_wait_unanswered(stage: Stage) -> None:
    held = await stage.hold("wait=30")
    held.caller.leaves.set()
    assert await stage.answer(held) is None


async def test_the_end_of_the_server_ends_every_wait_with_an_answer(stage: Stage) -> None:
    stopping = asyncio.Event()
    edge = replace(stage.gateway.edge, stopping=stopping)
    served = replace(stage, app=manage_v1.build(edge, manage_v1.Settings(0)))
    held = [await served.hold("wait=30") for _ in range(3)]
    stopping.set()
    for one in held:
        async with asyncio.timeout(LIMIT_S):
            answer = await one.task
        assert answer is not None
        assert (answer.status, answer.json()["events"]) == (200, [])
        assert await served.read(cursor_of(answer.json()))
    # And whoever comes now does not begin to wait.
    async with asyncio.timeout(LIMIT_S):
        late = await Caller("/v1/events?wait=30", stage.key).run(served.app)
    assert late is not None
    assert late.status == 200


async def test_a_key_may_have_so_many_waiting_and_no_more(stage: Stage) -> None:
    held = [await stage.hold("wait=30") for _ in range(waiting.MOST_OF_A_KEY)]
    answer = await stage.ask("wait=30")
    assert problem(answer) == (429, "too-many-waiting")
    assert answer.headers["retry-after"] == "1"
    assert str(waiting.MOST_OF_A_KEY) in answer.json()["detail"]
    # Whoever does not want to wait, and another key, are let in.
    assert (await stage.ask()).status == 200
    await stage.hold("wait=30", key=await stage.gateway.add_key())
    held[0].caller.leaves.set()
    await stage.answer(held[0])
    await stage.hold("wait=30")


def test_all_keys_together_may_have_so_many_waiting() -> None:
    room = waiting.Room(most=2, most_of_a_key=5)
    with room.seat(KeyId("a")), room.seat(KeyId("b")):
        assert room.taken == 2
        with pytest.raises(Refused) as refused, room.seat(KeyId("c")):
            pass
        assert refused.value.answer.status == 503
        assert dict(refused.value.answer.headers)[b"retry-after"] == b"1"
    assert room.taken == 0


def test_a_seat_is_given_back_whatever_happens() -> None:
    room = waiting.Room(most=1, most_of_a_key=1)
    for _ in range(2):
        with pytest.raises(body.Gone), room.seat(KeyId("a")):
            raise body.Gone
    assert room.taken == 0


async def never() -> dict[str, object]:
    await asyncio.get_running_loop().create_future()
    return {}


async def test_what_the_work_raises_is_raised_and_nothing_is_left_running() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    before = asyncio.all_tasks()
    with pytest.raises(ZeroDivisionError):
        await waiting.attended(fail(), never, asyncio.Event())
    assert asyncio.all_tasks() == before


async def test_whoever_cancels_the_request_ends_its_work() -> None:
    before = asyncio.all_tasks()
    task = asyncio.ensure_future(waiting.attended(never(), never, asyncio.Event()))
    await asyncio.wait([task], timeout=0)
    task.cancel()
    await asyncio.wait([task], timeout=LIMIT_S)
    assert task.cancelled()
    assert asyncio.all_tasks() == before
