"""Strict order: one at a time, and nothing behind what failed, for whoever asks for it.

`concurrency = 1` and `on_dead = hold` make every event wait for every event before it. Real: the
log, the lanes, the sender, a receiver that keeps books of the order. The wall clock is turned, so
that retries come due.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from punchgate.delivery.live import WINDOW
from punchgate.domain.endpoint import Selection
from punchgate.domain.ids import EndpointId
from punchgate.store import schema
from punchgate.store.cursors import ALL
from punchgate.usecases import endpoints, replays
from tests import receiver
from tests.delivery.stage import Ledger, Stage, event, ids, is_in_order, open_stage
from tests.gateway import MAIN
from tests.receiver import Answer, Behaviour, Drop, Receiver, Request

STRICT: Final[dict[str, Any]] = {"concurrency": 1, "on_dead": "hold"}
#: Beyond a step of sixty seconds with the fifth that chance may add, and before the end of two.
ONE_STEP_MS: Final = 75_000
LOOSE: Final[dict[str, Any]] = {"concurrency": 8, "on_dead": "skip"}


@pytest.fixture(name="stage")
async def _stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path) as opened:
        yield opened


@pytest.fixture(name="r")
async def _receiver() -> AsyncIterator[Receiver]:
    async with receiver.open() as opened:
        yield opened


class Refusing:
    """A choice of a receiver's: these events are refused, for as long as they are named here."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)

    def __call__(self, request: Request) -> Behaviour | None:
        return Answer(422) if request.headers["webhook-id"] in self.names else None


async def change(stage: Stage, endpoint_id: EndpointId, settings: dict[str, Any]) -> None:
    """Change an endpoint's settings while it delivers, and wait until they count."""
    before = (await stage.cursor()).epoch
    await endpoints.set_endpoint(
        stage.context,
        MAIN,
        endpoint_id,
        endpoints.Changes(**settings),
        actor="test",
        now=stage.clock(),
    )

    async def is_begun_anew() -> bool:
        row = await stage.cursor()
        return row.epoch > before and row.lease_owner is not None

    await stage.until(is_begun_anew, "the settings to count")


async def resume(stage: Stage, endpoint_id: EndpointId) -> endpoints.Resumed:
    stage.clock.ms += 1
    return await endpoints.resume(stage.context, MAIN, endpoint_id, actor="test", now=stage.clock())


async def waits(stage: Stage, *, attempt: int) -> bool:
    """Say whether everything waits for one event that was refused so often."""
    rows = await stage.rows(schema.parked)
    return [(row.key, row.attempt) for row in rows] == [(ALL, attempt)]


async def is_held(stage: Stage) -> bool:
    rows = await stage.rows(schema.parked)
    return [(row.key, row.due_at) for row in rows] == [(ALL, None)]


async def test_nothing_passes_an_event_that_is_refused(stage: Stage, r: Receiver) -> None:
    refusing = Refusing("evt_0002_000001")
    r.otherwise = ledger = Ledger(refusing)
    await stage.add_endpoint(r.url(), schedule_s=(60, 60, 60), **STRICT)
    told = [one.id for one in await stage.tell_many(5, 4)]
    head = told.index("evt_0002_000001")
    stage.deliver()
    await stage.until(lambda: waits(stage, attempt=1), "it to wait")
    # Neither what was there already nor what comes now, of whomever.
    await stage.tell(event("9999", 0))
    async with receiver.open() as other:
        await stage.add_endpoint(other.url(), people=["8888"])
        await stage.tell(event("8888", 0))
        await other.received(1)
    told += ["evt_9999_000000", "evt_8888_000000"]
    assert ids(r.requests) == told[: head + 1]
    stage.clock.ms += ONE_STEP_MS
    await stage.until(lambda: waits(stage, attempt=2), "its second try")
    assert ids(r.requests) == [*told[: head + 1], told[head]]
    refusing.names.clear()
    await stage.until(stage.is_drained, "the end of the log", passing_ms=1_000)
    assert ledger.taken == told
    assert r.requests[-1].headers["webhook-attempt"] == "1"
    assert not await stage.rows(schema.dead)


async def test_after_its_last_try_it_waits_for_an_operator_and_then_goes_on_in_order(
    stage: Stage, r: Receiver
) -> None:
    refusing = Refusing("evt_0001_000002")
    r.otherwise = ledger = Ledger(refusing)
    endpoint_id = await stage.add_endpoint(r.url(), schedule_s=(1, 1), **STRICT)
    told = [one.id for one in await stage.tell_many(3, 4)]
    stage.deliver()
    await stage.until(lambda: is_held(stage), "it to be held", passing_ms=500)
    count = len(r.requests)
    assert ids(r.requests)[-3:] == ["evt_0001_000002"] * 3
    # Days later nobody has tried, and nothing is dead.
    stage.clock.ms += 3 * 86_400_000
    await stage.tell(event("0002", 4))
    told.append("evt_0002_000004")
    await stage.until(lambda: _has_passed(stage, len(told)), "the cursor to follow")
    assert len(r.requests) == count
    assert not await stage.rows(schema.dead)
    # It is still refused: held again, after as many tries.
    await resume(stage, endpoint_id)
    await stage.until(lambda: len(r.requests) == count + 3, "three tries", passing_ms=500)
    await stage.until(lambda: is_held(stage), "it to be held again")
    assert set(ids(r.requests[count:])) == {"evt_0001_000002"}
    refusing.names.clear()
    assert (await resume(stage, endpoint_id)).released_keys == 1
    await stage.until(stage.is_drained, "the end of the log")
    assert ledger.taken == told


async def _has_passed(stage: Stage, seq: int) -> bool:
    return bool((await stage.cursor()).seq == seq)


@pytest.mark.parametrize("is_killed", [False, True], ids=["stopped", "killed"])
async def test_a_restart_while_one_waits_lets_nothing_pass_it(
    tmp_path: Path, database_url: str, *, is_killed: bool
) -> None:
    async with open_stage(tmp_path, database_url) as stage, receiver.open() as r:
        refusing = Refusing("evt_0002_000001")
        r.otherwise = ledger = Ledger(refusing)
        await stage.add_endpoint(r.url(), schedule_s=(60,) * 5, **STRICT)
        told = [one.id for one in await stage.tell_many(5, 4)]
        head = told.index("evt_0002_000001")
        stage.deliver()
        await stage.until(lambda: waits(stage, attempt=1), "it to wait")
        await (stage.kill() if is_killed else stage.stop())
        assert ids(r.requests) == told[: head + 1]
        stage.deliver("two")
        stage.clock.ms += ONE_STEP_MS
        await stage.until(lambda: waits(stage, attempt=2), "its second try")
        assert set(ids(r.requests)[head + 1 :]) == {told[head]}
        refusing.names.clear()
        await stage.until(stage.is_drained, "the end of the log", passing_ms=1_000)
        assert ledger.taken == told


@pytest.mark.slow
@pytest.mark.parametrize("is_killed", [False, True], ids=["stopped", "killed"])
async def test_a_restart_in_the_middle_repeats_in_order_and_skips_nothing(
    tmp_path: Path, database_url: str, *, is_killed: bool
) -> None:
    async with open_stage(tmp_path, database_url) as stage, receiver.open() as r:
        r.otherwise = ledger = Ledger()
        await stage.add_endpoint(r.url(), **STRICT)
        told = [one.id for one in await stage.tell_many(20, 100)]
        stage.deliver()
        # Told by the receiver itself, so that it is not over before the store was asked.
        await r.until(lambda: len(ledger.taken) > 100, "the middle")
        await (stage.kill() if is_killed else stage.stop())
        middle = len(ledger.taken)
        assert middle < len(told)
        stage.deliver("two")
        await stage.until(stage.is_drained, "the end of the log", passing_ms=1_000)
        again = ledger.taken[middle:]
        # From one place on, everything; before it, nothing.
        assert again == told[len(told) - len(again) :]
        assert ledger.taken[:middle] == told[:middle]
        assert len(ledger.taken) - len(told) <= (WINDOW if is_killed else 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
async def test_everything_comes_in_the_order_of_the_log_while_one_in_ten_fails(
    tmp_path: Path, database_url: str, seed: int
) -> None:
    chance = Random(seed)  # noqa: S311 (a run that can be repeated)
    failures = (Answer(500), Answer(503), Answer(422), Answer(429), Drop())

    def fail_at_times(_: Request) -> Behaviour | None:
        return chance.choice(failures) if chance.random() < 0.1 else None

    async with open_stage(tmp_path, database_url) as stage, receiver.open() as r:
        r.otherwise = ledger = Ledger(fail_at_times)
        await stage.add_endpoint(r.url(), schedule_s=(1,) * 10, **STRICT)
        told = [one.id for one in await stage.tell_many(30, 10)]
        stage.deliver()
        await stage.until(lambda: len(ledger.taken) == len(told), "every event", passing_ms=2_000)
        await stage.until(stage.is_drained, "the end of the log", passing_ms=2_000)
        assert ledger.taken == told
        assert r.count > len(told)
        assert not await stage.rows(schema.dead)


async def test_an_outage_in_strict_order_is_over_with_the_event_that_found_it(
    stage: Stage, r: Receiver
) -> None:
    r.otherwise = ledger = Ledger(lambda _: Answer(429))
    await stage.add_endpoint(r.url(), **STRICT)
    told = [one.id for one in await stage.tell_many(10, 3)]
    stage.deliver()
    await stage.until(lambda: len(r.requests) == 4, "three probes", passing_ms=2_000)
    # There is one key, so it is one event that is tried.
    assert set(ids(r.requests)) == {told[0]}
    ledger.choose = lambda _: None
    await stage.until(stage.is_drained, "the end of the log", passing_ms=2_000)
    assert ledger.taken == told


async def test_leaving_strict_order_sends_what_waited_to_everybody_at_once(
    tmp_path: Path, database_url: str
) -> None:
    async with open_stage(tmp_path, database_url) as stage, receiver.open() as r:
        refusing = Refusing("evt_0002_000001")
        r.otherwise = ledger = Ledger(refusing)
        endpoint_id = await stage.add_endpoint(r.url(), schedule_s=(1,), **STRICT)
        told = [one.id for one in await stage.tell_many(5, 4)]
        stage.deliver()
        await stage.until(lambda: is_held(stage), "it to be held", passing_ms=500)
        await stage.until(lambda: _has_passed_all(stage), "the cursor at the end")
        assert len(ledger.taken) == told.index("evt_0002_000001")
        await change(stage, endpoint_id, {"on_dead": "skip", "schedule_s": (3_600,)})
        others = [each for each in told if each not in _of_two(1)]
        await stage.until(lambda: len(ledger.taken) == len(others), "everybody else's")
        assert sorted(ledger.taken) == sorted(others)

        async def waits_alone() -> bool:
            return [row.key for row in await stage.rows(schema.parked)] == ["person:0002"]

        await stage.until(waits_alone, "one person to wait")
        refusing.names.clear()
        await stage.until(stage.is_drained, "the end of the log", passing_ms=60_000)
        # Each once, and of each person in order.
        assert sorted(ledger.taken) == sorted(told)
        assert not ledger.too_early


async def _has_passed_all(stage: Stage) -> bool:
    return await _has_passed(stage, 20)


def _of_two(first: int) -> list[str]:
    return [f"evt_0002_{number:06d}" for number in range(first, 4)]


async def test_entering_strict_order_sends_first_what_waited_before(
    tmp_path: Path, database_url: str
) -> None:
    async with open_stage(tmp_path, database_url) as stage, receiver.open() as r:
        refusing = Refusing("evt_0002_000001", "evt_0003_000002")
        r.otherwise = ledger = Ledger(refusing)
        endpoint_id = await stage.add_endpoint(r.url(), schedule_s=(60,) * 9, **LOOSE)
        told = [one.id for one in await stage.tell_many(5, 4)]
        stage.deliver()

        async def are_parked() -> bool:
            return len(await stage.rows(schema.parked)) == 2 and await _has_passed_all(stage)

        await stage.until(are_parked, "two to be parked")
        await change(stage, endpoint_id, STRICT)
        later = [event("0001", 4), event("0002", 4), event("0003", 4)]
        await stage.tell(*later)
        count = len(r.requests)
        await stage.until(lambda: len(r.requests) > count, "another try", passing_ms=1_000)
        # They come first, so nothing that is new has come.
        assert not {one.id for one in later} & set(ids(r.requests))
        refusing.names.clear()
        await stage.until(stage.is_drained, "the end of the log", passing_ms=1_000)
        assert ledger.taken[-3:] == [one.id for one in later]
        assert sorted(ledger.taken) == sorted([*told, *(one.id for one in later)])
        assert not ledger.too_early


async def test_entering_strict_order_while_the_endpoint_fails_lets_nobody_pass_himself(
    stage: Stage, r: Receiver
) -> None:
    r.otherwise = ledger = Ledger(Refusing("evt_0002_000001"))
    endpoint_id = await stage.add_endpoint(r.url(), schedule_s=(60,) * 9, **LOOSE)
    told = [one.id for one in await stage.tell_many(5, 4)]
    stage.deliver()

    async def is_parked() -> bool:
        return len(await stage.rows(schema.parked)) == 1 and await _has_passed_all(stage)

    await stage.until(is_parked, "one to be parked")
    ledger.choose = lambda _: Answer(429)
    await change(stage, endpoint_id, STRICT)
    later = [event("0001", 4), event("0002", 4), event("0003", 4)]
    await stage.tell(*later)
    count = len(r.requests)
    await stage.until(lambda: len(r.requests) > count + 3, "some probes", passing_ms=2_000)
    # A probe is of who waits, and of nobody who came later.
    assert set(ids(r.requests[count:])) == {"evt_0002_000001"}
    ledger.choose = lambda _: None
    await stage.until(stage.is_drained, "the end of the log", passing_ms=2_000)
    assert sorted(ledger.taken) == sorted([*told, *(one.id for one in later)])
    assert not ledger.too_early


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 4, 5])
async def test_changing_to_and_fro_loses_nothing_and_keeps_each_persons_order(
    tmp_path: Path, database_url: str, seed: int
) -> None:
    chance = Random(seed)  # noqa: S311 (a run that can be repeated)

    def fail_at_times(_: Request) -> Behaviour | None:
        return chance.choice((Answer(500), Answer(422))) if chance.random() < 0.1 else None

    async with open_stage(tmp_path, database_url) as stage, receiver.open() as r:
        r.otherwise = ledger = Ledger(fail_at_times)
        endpoint_id = await stage.add_endpoint(r.url(), schedule_s=(1,) * 20, **STRICT)
        told = [one.id for one in await stage.tell_many(20, 20)]
        stage.deliver()
        for turn in range(1, 7):

            def has_come_on(upto: int = turn * len(told) // 8) -> bool:
                return len(set(ledger.taken)) > upto

            await stage.until(has_come_on, "some more", passing_ms=500)
            await change(stage, endpoint_id, LOOSE if turn % 2 else STRICT)
            if turn == 3:
                await stage.kill()
                stage.deliver()
        await stage.until(stage.is_drained, "the end of the log", passing_ms=500)
        assert set(ledger.taken) == set(told)
        assert is_in_order(ledger.taken)
        assert not ledger.too_early


async def test_a_replay_to_a_strict_endpoint_is_in_the_order_of_the_log(
    stage: Stage, r: Receiver
) -> None:
    endpoint_id = await stage.add_endpoint(r.url(), **STRICT)
    told = [one.id for one in await stage.tell_many(10, 5)]
    stage.deliver()
    await stage.until(stage.is_drained, "the end of the log")
    r.requests.clear()
    refused = iter([True, True, True])

    def refuse_three_times(request: Request) -> Behaviour | None:
        if request.headers["webhook-id"] == told[20] and next(refused, False):
            return Answer(422)
        return None

    r.otherwise = ledger = Ledger(refuse_three_times)
    job = await replays.start(
        stage.context,
        MAIN,
        endpoint_id,
        replays.New(Selection(since=0), rate=10_000),
        actor="test",
        now=stage.clock(),
    )

    async def is_over() -> bool:
        found = await replays.get(stage.context, MAIN, job.id)
        return found.state == "done"

    await stage.until(is_over, "the end of the replay")
    assert ledger.taken == told
    assert ids(r.requests) == [*told[:20], *[told[20]] * 4, *told[21:]]


async def test_a_spent_person_does_not_stop_an_endpoint_that_becomes_strict(
    stage: Stage, r: Receiver
) -> None:
    endpoint_id = await stage.add_endpoint(r.url(), schedule_s=(1,))
    refuse = Refusing("evt_0001_000000")
    ledger = Ledger(refuse)
    r.otherwise = ledger
    await stage.tell(event("0001", 0))
    stage.deliver()
    await r.received(1)

    async def has_died() -> bool:
        return len(await stage.rows(schema.dead)) == 1

    await stage.until(has_died, "the event to be given up", passing_ms=200)
    await change(stage, endpoint_id, STRICT)
    await stage.tell(event("0002", 0), event("0001", 1))
    await stage.until(lambda: len(ledger.taken) == 2, "what came later")
    await stage.until(stage.is_drained, "nothing to be left")
    assert ledger.taken == ["evt_0002_000000", "evt_0001_000001"]
