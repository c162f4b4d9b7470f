"""F25: several processes, one holder per endpoint; the frozen, the killed and the stopped.

Real: the leases and settlements on both databases, the lanes, the sender, the receiver. Two
"processes" are two `Deliveries` in one loop, each with a writer that can be stopped or die; a
lease of half a minute is made to be over by hand. Real processes: tests/journeys/test_delivery.py.
"""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from punchgate.delivery.live import WINDOW
from punchgate.store import schema
from punchgate.usecases import endpoints
from tests import receiver
from tests.delivery.stage import Ledger, Stage, event, ids, is_in_order, open_stage
from tests.gateway import MAIN
from tests.receiver import OK, Answer, Behaviour, Request

PEOPLE, EACH = 50, 6


async def owners(stage: Stage) -> list[str | None]:
    return [row.lease_owner for row in await stage.rows(schema.cursor)]


async def moved(stage: Stage) -> tuple[object, ...]:
    """Give what a holder moves of the only cursor; its lease is renewed besides."""
    row = await stage.cursor()
    return (row.generation, row.tx, row.seq, row.at, row.lease_owner, row.epoch)


def lanes() -> list["asyncio.Task[object]"]:
    return [task for task in asyncio.all_tasks() if task.get_name().startswith("lane ")]


async def test_two_processes_share_the_endpoints_and_never_one(
    tmp_path: Path, database_url: str
) -> None:
    async with open_stage(tmp_path, database_url) as stage, receiver.open() as r:
        for _ in range(5):
            await stage.add_endpoint(r.url())
        stage.deliver("one")

        async def all_are_taken() -> bool:
            return None not in await owners(stage)

        await stage.until(all_are_taken, "the first to take all")
        two = stage.deliver("two")
        assert two.task is not None

        # The first hears of the second when it renews, ten seconds later.
        async def both_are_known() -> bool:
            return len(await stage.rows(schema.process)) == 2

        await stage.until(both_are_known, "the second to show itself")
        stage.running["one"].ahead_s += 11
        two.ahead_s += 11

        async def are_shared() -> bool:
            two.ahead_s += 0.1
            return sorted(Counter(await owners(stage)).values()) == [2, 3]

        await stage.until(are_shared, "two or three each")
        told = await stage.tell_many(PEOPLE, EACH)
        await r.received(5 * len(told))
        await stage.until(stage.is_drained, "the end of the log")
        assert set(Counter(ids(r.requests)).values()) == {5}
        # Who leaves leaves everything to the other.
        await stage.stop("one")

        async def has_all() -> bool:
            two.ahead_s += 0.1
            return await owners(stage) == ["two"] * 5

        await stage.until(has_all, "the second to have all")


@pytest.mark.slow
async def test_I6_a_frozen_holder_repeats_what_it_had_and_moves_nothing(
    tmp_path: Path, database_url: str
) -> None:
    go = asyncio.Event()
    ledger = Ledger()

    def hang_at_first(_: Request) -> Behaviour | None:
        # What the first process has on its way when it is frozen.
        return None if go.is_set() or r.count <= 40 else Answer(after=go)

    async with open_stage(tmp_path, database_url) as stage, receiver.open() as r:
        r.otherwise = ledger
        ledger.choose = hang_at_first
        await stage.add_endpoint(r.url())
        told = [one.id for one in await stage.tell_many(PEOPLE, EACH)]
        one = stage.deliver("one")
        await r.received(50)
        one.freeze()
        before = await stage.cursor()
        await stage.expire("one")
        ledger.choose = lambda _: None
        stage.deliver("two")

        async def is_taken_over() -> bool:
            row = await stage.cursor()
            return (row.lease_owner, row.epoch) == ("two", before.epoch + 1)

        await stage.until(is_taken_over, "the second to take over")
        await stage.until(lambda: set(ledger.taken) == set(told), "every event")
        await stage.until(stage.is_drained, "the end of the log")
        assert len(lanes()) == 2
        after, attempts = await moved(stage), len(await stage.rows(schema.attempt))
        count = r.count
        # A minute later the first goes on: its answers come, and it has a lot to write.
        go.set()
        one.thaw(60)

        await stage.until(lambda: len(lanes()) == 1, "the first to let go")
        assert await moved(stage) == after
        assert len(await stage.rows(schema.attempt)) == attempts
        assert not await stage.rows(schema.parked)
        # Nothing that it had not sent before was sent by it now.
        assert r.count == count
        assert is_in_order(ids(r.requests))
        await stage.tell(event("0001", EACH))
        await r.received(count + 1)


async def test_who_may_not_trust_his_lease_sends_nothing(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, receiver.open() as r:
        await stage.add_endpoint(r.url())
        one = stage.deliver("one")
        await stage.tell(event("0001", 0))
        await r.received(1)
        await stage.until(stage.is_drained, "the first")
        # It cannot renew, and 25 s go by on its own clock.
        one.freeze()
        one.ahead_s += 26
        await stage.tell(event("0001", 1), event("0002", 0))
        async with receiver.open() as other:
            # Somebody else's whole delivery is time enough to see that nothing comes.
            await stage.add_endpoint(other.url(), people=["0003"])
            stage.deliver("two")
            await stage.tell(event("0003", 0))
            await other.received(1)
        assert r.count == 1
        one.thaw(0)
        await stage.until(stage.is_drained, "the rest")
        assert sorted(ids(r.requests)) == [
            "evt_0001_000000",
            "evt_0001_000001",
            "evt_0002_000000",
            "evt_0003_000000",
        ]


@pytest.mark.slow
@pytest.mark.parametrize("kills", [3])
async def test_I5_a_kill_repeats_a_window_at_most(
    tmp_path: Path, database_url: str, kills: int
) -> None:
    def refuse_some(request: Request) -> Behaviour | None:
        # A tenth fails the first time it is seen, so that there are parked keys to be lost.
        new = request.headers["webhook-id"] not in seen
        seen.add(request.headers["webhook-id"])
        return Answer(500) if new and request.headers["webhook-id"].endswith("3") else None

    seen: set[str] = set()
    ledger = Ledger(refuse_some)
    async with open_stage(tmp_path, database_url) as stage, receiver.open() as r:
        r.otherwise = ledger
        await stage.add_endpoint(r.url(), schedule_s=(1, 1, 1, 1, 1, 1))
        told = [one.id for one in await stage.tell_many(200, 20)]
        for number in range(1, kills + 1):
            stage.deliver()
            enough = number * len(told) // (kills + 1)
            await stage.until(
                lambda enough=enough: len(set(ledger.taken)) >= enough,
                "some more",
                passing_ms=1_000,
            )
            await stage.kill()
        stage.deliver()
        await stage.until(lambda: set(ledger.taken) == set(told), "every event", passing_ms=1_000)
        await stage.until(stage.is_drained, "the end of the log", passing_ms=1_000)
        assert not ledger.too_early
        assert len(ledger.taken) - len(told) <= kills * WINDOW
        assert not await stage.rows(schema.dead)


async def test_I5_a_stop_in_order_repeats_nothing(tmp_path: Path, database_url: str) -> None:
    def refuse_some(request: Request) -> Behaviour | None:
        return Answer(500) if request.headers["webhook-attempt"] == "1" and (
            request.headers["webhook-id"].endswith("3")
        ) else None  # fmt: skip

    ledger = Ledger(refuse_some)
    async with open_stage(tmp_path, database_url) as stage, receiver.open() as r:
        r.otherwise = ledger
        await stage.add_endpoint(r.url(), schedule_s=(1, 1, 1))
        told = [one.id for one in await stage.tell_many(PEOPLE, EACH)]
        for number in range(1, 6):
            stage.deliver()
            enough = number * len(told) // 6
            await stage.until(
                lambda enough=enough: len(ledger.taken) >= enough,
                "some more",
                passing_ms=1_000,
            )
            await stage.stop()
            assert (await stage.cursor()).lease_owner is None
            assert len(await stage.rows(schema.attempt)) == r.count
        stage.deliver()
        await stage.until(lambda: len(ledger.taken) >= len(told), "every event", passing_ms=1_000)
        await stage.until(stage.is_drained, "the end of the log", passing_ms=1_000)
        assert sorted(ledger.taken) == sorted(told)
        assert not ledger.too_early


async def test_a_stop_waits_for_the_answer_that_is_on_its_way(tmp_path: Path) -> None:
    go = asyncio.Event()
    async with open_stage(tmp_path) as stage, receiver.open() as r:
        r.script(Answer(after=go))
        await stage.add_endpoint(r.url())
        await stage.tell(event("0001", 0), event("0001", 1))
        stage.deliver()
        await r.received(1)
        stopping = asyncio.ensure_future(stage.stop())
        await stage.tell(event("0002", 0))
        go.set()
        await stopping
        assert r.count == 1
        assert await stage.outcomes() == ["accepted"]
        stage.deliver()
        await stage.until(stage.is_drained, "the rest")
        assert sorted(ids(r.requests)) == [
            "evt_0001_000000",
            "evt_0001_000001",
            "evt_0002_000000",
        ]


async def test_pause_stands_still_and_resume_goes_on_where_it_stood(
    tmp_path: Path, database_url: str
) -> None:
    ledger = Ledger()
    async with open_stage(tmp_path, database_url) as stage, receiver.open() as r:
        r.otherwise = ledger
        endpoint_id = await stage.add_endpoint(r.url())
        stage.deliver()
        told = [one.id for one in await stage.tell_many(PEOPLE, 1)]
        await stage.until(stage.is_drained, "the first part")
        await endpoints.pause(stage.context, MAIN, endpoint_id, actor="test", now=stage.clock())

        async def is_given_back() -> bool:
            return await owners(stage) == [None]

        await stage.until(is_given_back, "the lane to end")
        count = r.count
        more = [event(f"{person:04d}", 1) for person in range(PEOPLE)]
        await stage.tell(*more)
        told += [one.id for one in more]
        assert await stage.state() == "paused"
        assert r.count == count
        await endpoints.resume(stage.context, MAIN, endpoint_id, actor="test", now=stage.clock())
        await stage.until(stage.is_drained, "the rest")
        assert sorted(ids(r.requests)) == sorted(told)


async def test_resume_from_now_passes_over_what_waited(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage, receiver.open() as r:
        r.otherwise = Answer(422)
        endpoint_id = await stage.add_endpoint(r.url(), schedule_s=(3_600,))
        await stage.tell(*(event(f"{person:04d}", 0) for person in range(4)))
        stage.deliver()
        await r.received(4)
        # While it runs, and with keys that are parked in its memory.
        await endpoints.resume(
            stage.context, MAIN, endpoint_id, skip_to_now=True, actor="test", now=stage.clock()
        )

        async def has_begun_anew() -> bool:
            # Taken, passed on, and taken again.
            return bool((await stage.cursor()).epoch == 3)

        await stage.until(has_begun_anew, "a new lane")
        r.otherwise = OK
        await stage.tell(event("0001", 1))
        await stage.until(lambda: r.count >= 5, "the new one", passing_ms=3_600_000)
        await stage.until(stage.is_drained, "the end", passing_ms=3_600_000)
        assert ids(r.requests)[4:] == ["evt_0001_000001"]


async def test_an_endpoint_that_is_removed_while_it_runs_gets_nothing_more(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage, receiver.open() as r, receiver.open() as other:
        removed = await stage.add_endpoint(r.url())
        await stage.add_endpoint(other.url())
        stage.deliver()
        await stage.tell(event("0001", 0))
        await r.received(1)
        await endpoints.remove(stage.context, MAIN, removed, actor="test", now=stage.clock())

        async def has_ended() -> bool:
            lanes = [one for one in asyncio.all_tasks() if one.get_name() == f"lane {removed}"]
            return not lanes

        await stage.until(has_ended, "the lane to end")
        await stage.tell(event("0001", 1))
        await other.received(2)
        assert r.count == 1


async def test_a_change_while_it_runs_counts_for_what_is_sent_from_then_on(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage, receiver.open() as r, receiver.open() as new:
        endpoint_id = await stage.add_endpoint(r.url())
        stage.deliver()
        await stage.tell(event("0001", 0))
        await stage.until(stage.is_drained, "the first")
        changes = endpoints.Changes(address=new.url("/new"), format="github")
        await endpoints.set_endpoint(
            stage.context, MAIN, endpoint_id, changes, actor="test", now=stage.clock()
        )

        async def is_known() -> bool:
            return bool((await stage.cursor()).epoch == 2)

        await stage.until(is_known, "a new lane")
        await stage.tell(event("0001", 1))
        (request,) = await new.received(1)
        assert (request.target, r.count) == ("/new", 1)
        assert request.headers["x-github-event"] == "punch.recorded"


async def test_places_of_an_older_generation_repeat_and_lose_nothing(
    tmp_path: Path, database_url: str
) -> None:
    def refuse_one(request: Request) -> Behaviour | None:
        return Answer(422) if "_0007_" in request.headers["webhook-id"] else None

    ledger = Ledger(refuse_one)
    async with open_stage(tmp_path, database_url) as stage, receiver.open() as r:
        r.otherwise = ledger
        await stage.add_endpoint(r.url(), schedule_s=(60,))
        told = [one.id for one in await stage.tell_many(PEOPLE, EACH)]
        stage.deliver()
        await stage.until(lambda: len(ledger.taken) == len(told) - EACH, "all others")
        await stage.stop()
        # As `backup restore` leaves it: numbers mean nothing any more.
        later = schema.installation.update().values(generation=schema.installation.c.generation + 1)
        await stage.write(later)
        stale = {"tx": 10**9, "seq": 10**9} if stage.is_postgres else {"seq": 10**9}
        for table in (schema.cursor, schema.parked):
            work = table.update().values(**stale)
            await stage.write(work)
        ledger.choose = lambda _: None
        stage.deliver()
        await stage.until(lambda: set(ledger.taken) == set(told), "all", passing_ms=10_000)
        await stage.until(stage.is_drained, "the end", passing_ms=10_000)
        (row,) = await stage.rows(schema.cursor)
        assert row.generation == 2
