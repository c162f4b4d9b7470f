"""Replays that are refused, interrupted, or sent to who is down: nothing of them is lost.

Real: the log, the jobs, the lanes, the sender, a receiver that misbehaves. Turned by hand: the wall
clock. What failed is tried again at once unless a test says otherwise.
"""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from punchgate.delivery.replayer import WINDOW
from punchgate.domain.endpoint import Selection
from punchgate.domain.ids import EndpointId
from punchgate.store import installation, schema
from punchgate.usecases import endpoints
from tests import receiver
from tests.delivery.replaying import (
    HOUR_MS,
    again,
    ends,
    has_got,
    is_written,
    look,
    of_people,
    refuses,
    start,
)
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


@pytest.mark.slow
async def test_I5_each_persons_events_come_in_order_while_one_in_ten_fails(
    tmp_path: Path, database_url: str
) -> None:
    chance = Random(7)  # noqa: S311 (a run that can be repeated)

    def fail_at_times(_: Request) -> Behaviour | None:
        return Answer(chance.choice((500, 422))) if chance.random() < 0.1 else None

    async with open_stage(tmp_path, database_url) as stage, receiver.open() as r:
        # Four refusals in a row can happen by chance; nine will not.
        stage.replay_steps_s = (0.0,) * 8
        told = of_people(100, 12)
        endpoint_id, _ = await has_got(stage, r, told)
        ledger = Ledger(fail_at_times)
        r.otherwise = ledger
        job = await ends(stage, await start(stage, endpoint_id))
        assert not ledger.too_early
        assert sorted(ledger.taken) == sorted(one.id for one in told)
        assert (job.sent, job.failed) == (len(told), 0)
        assert r.count > 2 * len(told)


async def test_live_events_go_on_while_a_replay_hangs(stage: Stage, r: Receiver) -> None:
    endpoint_id, _ = await has_got(stage, r, of_people(10, 2))

    def hang(request: Request) -> Behaviour:
        return receiver.Hang() if "webhook-replay" in request.headers else receiver.OK

    r.otherwise = hang
    job = await start(stage, endpoint_id)
    await stage.until(lambda: len(again(r, job)) == 4, "its four requests")
    await stage.tell(*(event(f"{who:04d}", number) for number in (2, 3) for who in range(10)))
    await stage.until(lambda: len(r.requests) == 24, "what is live")
    await stage.until(stage.is_drained, "the end of the log")
    # Four at once and no more, of four people.
    assert len({each.split("_")[1] for each in ids(again(r, job))}) == 4
    assert (await look(stage, job)).state == "running"


@pytest.mark.slow
@pytest.mark.parametrize("is_killed", [False, True], ids=["stopped", "killed"])
async def test_a_replay_goes_on_after_a_restart_and_repeats_at_most_its_window(
    tmp_path: Path, database_url: str, *, is_killed: bool
) -> None:
    async with open_stage(tmp_path, database_url) as stage, receiver.open() as r:
        told = of_people(100, 30)
        endpoint_id, before = await has_got(stage, r, told)
        ledger = Ledger()
        r.otherwise = ledger
        job = await start(stage, endpoint_id)
        # Told by the receiver itself, so that it is not over before the store was asked.
        await r.until(lambda: len(ledger.taken) > 2 * WINDOW, "the middle")
        await (stage.kill() if is_killed else stage.stop())
        assert len(ledger.taken) < len(told)
        middle = await look(stage, job)
        assert middle.state == "running"
        assert middle.position.seq > 0
        stage.deliver("two")
        await ends(stage, job)
        counts = Counter(ids(r.requests))
        assert set(counts) == {one.id for one in told}
        repeated = sum(counts.values()) - len(told)
        assert repeated <= WINDOW
        assert is_in_order(ledger.taken)
        assert not ledger.too_early
        assert ledger.bodies == before.bodies
        # Nothing of it is live: the cursor had passed it all.
        assert len(again(r, job)) == r.count - len(told)


async def test_an_event_that_fails_is_tried_three_times_more_and_is_then_dead(
    stage: Stage, r: Receiver
) -> None:
    told = of_people(5, 3)
    endpoint_id, _ = await has_got(stage, r, told)
    r.otherwise = ledger = refuses("evt_0002_000001")
    job = await ends(stage, await start(stage, endpoint_id))
    tries = [one for one in again(r, job) if one.headers["webhook-id"] == "evt_0002_000001"]
    assert [one.headers["webhook-attempt"] for one in tries] == ["1", "2", "3", "4"]
    assert (job.state, job.sent, job.failed) == ("done", len(told) - 1, 1)
    (dead,) = await stage.rows(schema.dead)
    assert (dead.event_id, dead.key, dead.attempts, dead.status) == (
        "evt_0002_000001",
        "person:0002",
        4,
        422,
    )
    # The person's next event waited for it, and then came.
    assert ids(again(r, job)).index("evt_0002_000002") > ids(again(r, job)).index("evt_0002_000001")
    assert ledger.too_early == ["evt_0002_000002"]
    (problem,) = await stage.rows(schema.problem)
    assert (problem.kind, problem.cleared_at) == ("dead_letters", None)
    # The live order of the person is not touched by it.
    assert not await stage.rows(schema.parked)


async def test_who_waits_for_the_next_try_holds_up_nobody_else(stage: Stage, r: Receiver) -> None:
    stage.replay_steps_s = (0.0, 3_600.0)
    told = of_people(5, 400)
    endpoint_id, _ = await has_got(stage, r, told)
    r.otherwise = ledger = refuses("evt_0002_000000")
    job = await start(stage, endpoint_id)
    others = {one.id for one in told if "_0002_" not in one.id}
    await stage.until(lambda: set(ledger.taken) == others, "everybody else's")
    assert ids(again(r, job)).count("evt_0002_000000") == 2
    middle = await look(stage, job)
    assert (middle.state, middle.failed) == ("running", 0)
    # A restart begins before what waits, so that it is not forgotten.
    assert middle.position.seq <= 2
    assert not await stage.rows(schema.dead)


async def dead_ones(stage: Stage, r: Receiver, *names: str) -> EndpointId:
    """Let an endpoint refuse some events to the end, and everything else come home."""
    r.otherwise = refuses(*names)
    endpoint_id = await stage.add_endpoint(r.url(), schedule_s=(1,))
    await stage.tell_many(5, 2)
    stage.deliver()

    async def are_dead() -> bool:
        return len(await stage.rows(schema.dead)) == len(names) and await is_written(stage, 10)

    await stage.until(are_dead, "the dead letters", passing_ms=500)
    r.requests.clear()
    return endpoint_id


async def test_dead_letters_that_a_replay_brings_home_are_off_the_list_and_the_problem_too(
    tmp_path: Path, database_url: str
) -> None:
    names = ("evt_0002_000000", "evt_0002_000001", "evt_0004_000001")
    async with open_stage(tmp_path, database_url) as stage, receiver.open() as r:
        endpoint_id = await dead_ones(stage, r, *names)
        # One of them is still not taken.
        r.otherwise = refuses(names[2])
        only_dead = Selection(only_dead=True)
        job = await ends(stage, await start(stage, endpoint_id, only_dead))
        assert (job.counted, job.sent, job.failed) == (3, 2, 1)
        assert set(ids(again(r, job))) == set(names)
        assert [row.event_id for row in await stage.rows(schema.dead)] == [names[2]]
        (problem,) = await stage.rows(schema.problem)
        assert problem.cleared_at is None
        r.otherwise = refuses()
        job = await ends(stage, await start(stage, endpoint_id, only_dead))
        assert (job.counted, job.sent, job.failed) == (1, 1, 0)
        assert not await stage.rows(schema.dead)
        (problem,) = await stage.rows(schema.problem)
        assert problem.cleared_at is not None


async def test_dead_letters_that_are_refused_again_do_not_make_the_endpoint_fail(
    stage: Stage, r: Receiver
) -> None:
    everyone = [f"evt_{who:04d}_000001" for who in range(30)]
    endpoint_id, _ = await has_got(stage, r, of_people(30, 2))
    rows = [
        {
            "account": MAIN,
            "endpoint_id": endpoint_id,
            "event_id": name,
            "key": f"person:{name[4:8]}",
            "reason": "who?",
            "attempts": 11,
            "at": NOON,
        }
        for name in everyone
    ]
    await stage.write(schema.dead.insert().values(rows))
    r.otherwise = refuses(*everyone)
    job = await ends(stage, await start(stage, endpoint_id, Selection(only_dead=True)))
    assert (job.sent, job.failed) == (0, 30)
    assert len(again(r, job)) == 120
    assert await stage.state() == "active"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("behaviour", "state"),
    [
        pytest.param(Answer(429), "failing", id="429"),
        pytest.param(Answer(429, {"Retry-After": "600"}), "failing", id="429, ten minutes"),
        pytest.param(Answer(503), "failing", id="503"),
        pytest.param(Answer(500), "failing", id="500"),
        pytest.param(receiver.Drop(), "failing", id="closes at once"),
        pytest.param(Answer(410), "disabled", id="410"),
    ],
)
async def test_an_outage_in_the_middle_of_a_replay_costs_none_of_it(
    stage: Stage, r: Receiver, behaviour: Behaviour, state: str
) -> None:
    told = of_people(40, 5)
    endpoint_id, _ = await has_got(stage, r, told)
    # Nobody took anything in the last ten seconds: what fails is the endpoint's fault.
    stage.running["one"].ahead_s += 20
    stage.replay_steps_s = (0.0, 0.0, 0.0)
    r.otherwise = ledger = Ledger(lambda _: behaviour)
    job = await start(stage, endpoint_id)

    async def has_changed() -> bool:
        return await stage.state() == state

    await stage.until(has_changed, "trouble to be noticed")
    assert not ledger.taken
    assert (await look(stage, job)).state == "running"
    ledger.choose = lambda _: None
    if state == "disabled":
        stage.clock.ms += 1
        await endpoints.resume(stage.context, MAIN, endpoint_id, actor="test", now=stage.clock())
    # There is nothing live that could be the probe: one of the replay's own is.
    job = await ends(stage, job, passing_ms=10_000)
    assert job.state == "done"
    dead = [row.event_id for row in await stage.rows(schema.dead)]
    assert sorted([*ledger.taken, *dead]) == sorted(one.id for one in told)
    # To a 500 there is more than one way to read it: a few were tried to the end.
    assert not dead or behaviour == Answer(500)
    assert (job.sent, job.failed) == (len(ledger.taken), len(dead))
    assert is_in_order(ledger.taken)

    async def is_well() -> bool:
        return await stage.state() == "active"

    await stage.until(is_well, "the endpoint to be well")


async def test_while_the_endpoint_fails_a_replay_probes_with_another_key_each_time(
    stage: Stage, r: Receiver
) -> None:
    stage.replay_steps_s = (3_600.0,)
    endpoint_id, _ = await has_got(stage, r, of_people(10, 2))
    r.otherwise = Ledger(lambda _: Answer(429))
    await start(stage, endpoint_id)
    await stage.until(lambda: _is_failing(stage), "trouble to be noticed")
    count = len(r.requests)
    await stage.until(lambda: len(r.requests) == count + 4, "four probes", passing_ms=2_000)
    assert len(set(ids(r.requests[count:]))) == 4


async def _is_failing(stage: Stage) -> bool:
    return await stage.state() == "failing"


async def test_a_replay_survives_a_restore_and_leaves_to_live_what_live_repeats(
    tmp_path: Path, database_url: str
) -> None:
    async with open_stage(tmp_path, database_url) as stage, receiver.open() as r:
        stage.clock.ms += 5 * HOUR_MS
        told = [
            event(f"{who:04d}", n, at=NOON + n * HOUR_MS) for n in range(5) for who in range(10)
        ]
        endpoint_id, _ = await has_got(stage, r, told)
        await stage.stop()
        job = await start(stage, endpoint_id)
        # What `backup restore` does: places of before are told by their time.
        await stage.write(
            schema.installation.update().values(generation=schema.installation.c.generation + 1)
        )
        if stage.is_postgres:
            await stage.write(schema.event.update().values(tx=0))
        stage.deliver()
        job = await ends(stage, job)
        await stage.until(stage.is_drained, "the end of the log")
        assert job.state == "done"
        # Of the last minute everything comes live, and not twice.
        assert sorted(ids(again(r, job))) == sorted(one.id for one in told[:40])
        live = [one for one in r.requests if "webhook-replay" not in one.headers]
        assert sorted(ids(live)) == sorted(one.id for one in told[40:])
        generation = await stage.context.database.read(installation.generation)
        assert job.position.generation == generation
