"""I5: per person in order, at least once, under one id and with the same bytes, whatever fails.

Real: the log, the lanes, the sender, and a receiver that keeps books of what it took. One request
in twenty fails, at random by a seed; the wall clock is turned, so that retries come due.
"""

from pathlib import Path
from random import Random

import pytest

from punchgate.store import schema
from tests import receiver
from tests.delivery.stage import Ledger, event, ids, open_stage
from tests.receiver import Answer, Behaviour, Drop, Raw, Request

PEOPLE, EACH = 200, 8
FAILURES = (Answer(500), Answer(503), Answer(422), Drop(), Raw(b"SSH-2.0-OpenSSH_9.6\r\n"))


@pytest.mark.slow
@pytest.mark.parametrize("concurrency", [8, 16])
async def test_I5_each_persons_events_come_in_order_while_one_in_twenty_fails(
    tmp_path: Path, database_url: str, concurrency: int
) -> None:
    chance = Random(concurrency)  # noqa: S311 (a run that can be repeated)

    def fail_at_times(_: Request) -> Behaviour | None:
        return chance.choice(FAILURES) if chance.random() < 0.05 else None

    ledger = Ledger(fail_at_times)
    async with open_stage(tmp_path, database_url) as stage, receiver.open() as r:
        r.otherwise = ledger
        await stage.add_endpoint(r.url(), concurrency=concurrency)
        told = [one.id for one in await stage.tell_many(PEOPLE, EACH)]
        stage.deliver()
        await stage.until(
            lambda: len(set(ledger.taken)) == len(told), "every event", passing_ms=2_000
        )
        await stage.until(stage.is_drained, "the end of the log")
        assert not ledger.too_early
        # Whoever answered yes was heard: at least once is exactly once where nobody crashes.
        assert sorted(ledger.taken) == sorted(told)
        assert r.count > len(told)
        await stage.stop()
        assert len(await stage.rows(schema.attempt)) == r.count
        assert not await stage.rows(schema.dead)


@pytest.mark.slow
async def test_I5_a_person_who_is_always_refused_holds_up_nobody_else(
    tmp_path: Path, database_url: str
) -> None:
    def refuse_one(request: Request) -> Behaviour | None:
        return Answer(422, body=b"who?") if "_0007_" in request.headers["webhook-id"] else None

    ledger = Ledger(refuse_one)
    async with open_stage(tmp_path, database_url) as stage, receiver.open() as r:
        r.otherwise = ledger
        await stage.add_endpoint(r.url(), schedule_s=(3_600,))
        told = [one.id for one in await stage.tell_many(PEOPLE, EACH)]
        others = [each for each in told if "_0007_" not in each]
        stage.deliver()
        await r.received(len(others) + 1)
        await stage.until(lambda: len(ledger.taken) == len(others), "all others")

        async def is_written() -> bool:
            return bool((await stage.cursor()).seq == len(told))

        await stage.until(is_written, "the cursor at the end")
        (parked,) = await stage.rows(schema.parked)
        assert (parked.key, parked.attempt, parked.last_status) == ("person:0007", 1, 422)
        assert parked.last_error is not None
        # Events behind its head cost nothing, those that come later neither.
        await stage.tell(event("0007", EACH), event("0008", EACH))
        await r.received(len(others) + 2)
        assert ids(r.requests).count("evt_0007_000000") == 1
        assert sorted(ledger.taken) == sorted([*others, f"evt_0008_{EACH:06d}"])
        # It is accepted at last, and its backlog follows in order.
        ledger.choose = lambda _: None
        stage.clock.ms += 2 * 3_600_000
        await stage.until(stage.is_drained, "the backlog")
        assert [each for each in ledger.taken if "_0007_" in each] == [
            f"evt_0007_{number:06d}" for number in range(EACH + 1)
        ]
        assert not ledger.too_early


async def test_I5_with_one_connection_everything_comes_in_the_order_of_the_log(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage, receiver.open() as r:
        await stage.add_endpoint(r.url(), concurrency=1)
        told = [event("0002", 0), event("0002", 1), event("0001", 0), event("0002", 2)]
        await stage.tell(*told)
        stage.deliver()
        await r.received(len(told))
        assert ids(r.requests) == [one.id for one in told]


async def test_I5_an_event_keeps_its_id_and_its_bytes_through_every_attempt(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage, receiver.open() as r:
        r.script(*[Answer(500)] * 3)
        await stage.add_endpoint(r.url(), schedule_s=(1, 1, 1))
        await stage.tell(event("0001", 0))
        stage.deliver()
        await stage.until(lambda: r.count == 4, "four attempts", passing_ms=500)
        first, *others = r.requests
        for number, request in enumerate(others, 2):
            assert request.body == first.body
            assert request.headers["webhook-id"] == "evt_0001_000000"
            assert request.headers["webhook-attempt"] == str(number)
        await stage.until(stage.is_drained, "the end")
