"""A person who is erased while something of theirs waits: no receiver is sent it any more.

Real: the store, the lanes, the sender, the receiver, the erasure. Turned by hand: the wall clock.
"""

import asyncio
from pathlib import Path

from punchgate.domain.ids import UserCode
from punchgate.store import schema
from punchgate.usecases import people
from punchgate.usecases.people import Changes
from tests import receiver
from tests.delivery.replaying import again, start
from tests.delivery.stage import event, open_stage
from tests.gateway import MAIN
from tests.receiver import Answer


async def test_I8_what_waited_in_memory_is_read_again_after_an_erasure(tmp_path: Path) -> None:
    body = '{"punch_id":"P","person":{"code":"0001","name":"Rahul"}}'
    async with open_stage(tmp_path) as stage, receiver.open() as r:
        r.otherwise = Answer(422)
        await people.add(
            stage.context, MAIN, "0001", Changes(name="Rahul"), actor="test", now=stage.clock()
        )
        await stage.add_endpoint(r.url(), schedule_s=(60,))
        await stage.tell(*(event("0001", number)._replace(body=body) for number in range(3)))
        stage.deliver()

        async def is_parked() -> bool:
            return bool(await stage.rows(schema.parked))

        await stage.until(is_parked, "the events to be parked")
        erased = await people.erase(
            stage.context, MAIN, UserCode("0001"), actor="test", now=stage.clock()
        )
        assert erased.events == 3
        r.otherwise = receiver.OK
        # Who delivers to an endpoint that came later has seen every change before it.
        await stage.add_endpoint(r.url("/later"), people=("0002",))
        await stage.tell(event("0002", 0))
        await stage.until(lambda: any(one.target == "/later" for one in r.requests), "the later")
        r.requests.clear()
        await stage.until(stage.is_drained, "the end of the log", passing_ms=1_000)

        sent = [request.body for request in r.requests if request.target != "/later"]
        assert len(sent) >= 3
        assert not [each for each in sent if b"Rahul" in each]


async def test_I8_what_was_under_way_at_an_erasure_is_not_kept_in_memory(tmp_path: Path) -> None:
    body = '{"punch_id":"P","person":{"code":"0001","name":"Rahul"}}'
    may_answer = asyncio.Event()
    async with open_stage(tmp_path) as stage, receiver.open() as r:
        r.script(Answer(422, after=may_answer))
        await people.add(
            stage.context, MAIN, "0001", Changes(name="Rahul"), actor="test", now=stage.clock()
        )
        await stage.add_endpoint(r.url(), schedule_s=(60,))
        await stage.tell(*(event("0001", number)._replace(body=body) for number in range(3)))
        stage.deliver()
        await r.received(1)
        await people.erase(stage.context, MAIN, UserCode("0001"), actor="test", now=stage.clock())
        may_answer.set()
        await stage.add_endpoint(r.url("/later"), people=("0002",))
        await stage.tell(event("0002", 0))
        await stage.until(lambda: any(one.target == "/later" for one in r.requests), "the later")
        await stage.until(stage.is_drained, "the end of the log", passing_ms=1_000)

        first, *others = [request.body for request in r.requests if request.target != "/later"]
        assert b"Rahul" in first
        assert len(others) >= 3
        assert not [each for each in others if b"Rahul" in each]


async def test_I8_what_waits_for_a_slow_endpoint_is_read_again_after_an_erasure(
    tmp_path: Path,
) -> None:
    body = '{"punch_id":"P","person":{"code":"0001","name":"Rahul"}}'
    async with open_stage(tmp_path) as stage, receiver.open() as r:
        await people.add(
            stage.context, MAIN, "0001", Changes(name="Rahul"), actor="test", now=stage.clock()
        )
        # A minute of turns: no machine is so slow that the erasure comes behind the last of them.
        await stage.add_endpoint(r.url(), rate=1)
        await stage.tell(*(event("0001", number)._replace(body=body) for number in range(60)))
        stage.deliver()
        await r.received(1)
        assert b"Rahul" in r.requests[0].body
        await people.erase(stage.context, MAIN, UserCode("0001"), actor="test", now=stage.clock())
        await stage.add_endpoint(r.url("/later"), people=("0002",))
        await stage.tell(event("0002", 0))
        await stage.until(lambda: any(one.target == "/later" for one in r.requests), "the later")
        before = len(r.requests)
        await r.received(before + 2)

        assert {one.target for one in r.requests[before:]} == {"/hook"}
        assert not [one for one in r.requests[before:] if b"Rahul" in one.body]


async def test_I8_what_waits_in_a_replay_is_read_again_after_an_erasure(tmp_path: Path) -> None:
    body = '{"punch_id":"P","person":{"code":"0001","name":"Rahul"}}'
    async with open_stage(tmp_path) as stage, receiver.open() as r:
        await people.add(
            stage.context, MAIN, "0001", Changes(name="Rahul"), actor="test", now=stage.clock()
        )
        endpoint_id = await stage.add_endpoint(r.url())
        await stage.tell(*(event("0001", number)._replace(body=body) for number in range(60)))
        stage.deliver()
        await stage.until(stage.is_drained, "the end of the log")
        # A minute of turns, as above.
        job = await start(stage, endpoint_id, rate=1)
        await stage.until(lambda: again(r, job), "the first of the replay")
        assert b"Rahul" in again(r, job)[0].body
        await people.erase(stage.context, MAIN, UserCode("0001"), actor="test", now=stage.clock())
        await stage.add_endpoint(r.url("/later"), people=("0002",))
        await stage.tell(event("0002", 0))
        await stage.until(lambda: any(one.target == "/later" for one in r.requests), "the later")
        before = len(again(r, job))
        await stage.until(lambda: len(again(r, job)) >= before + 2, "two more of the replay")

        assert not [one for one in again(r, job)[before:] if b"Rahul" in one.body]
