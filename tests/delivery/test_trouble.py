"""F17: receivers that are down, slow, broken or gone. Nothing is lost, and nobody else waits.

Real: the log, the lanes, the sender, the sockets, and a receiver that misbehaves. Turned by hand:
the wall clock; shortened, where somebody hangs: how long an answer may take.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest

from punchgate.store import schema
from punchgate.usecases import endpoints
from tests import receiver
from tests.delivery.stage import Ledger, Stage, by_key, event, ids, open_stage
from tests.gateway import MAIN
from tests.ports import free_port
from tests.receiver import (
    OK,
    Answer,
    Behaviour,
    CutOff,
    Drop,
    Flood,
    Hang,
    Raw,
    Receiver,
    Request,
    Trickle,
)

#: How long an answer of one who hangs may take here.
WHOLE_S: Final = 0.6
PEOPLE, EACH = 30, 3
HOUR_MS: Final = 3_600_000


@pytest.fixture(name="stage")
async def _stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path) as opened:
        yield opened


@pytest.fixture(name="r")
async def _receiver() -> AsyncIterator[Receiver]:
    async with receiver.open() as opened:
        yield opened


async def fails(stage: Stage) -> bool:
    return await stage.state() != "active"


async def gets_everything(stage: Stage, ledger: Ledger, told: list[str]) -> None:
    """Let time pass until every event was taken, and see that each was once and in its turn."""
    await stage.until(lambda: len(ledger.taken) >= len(told), "every event", passing_ms=500)
    await stage.until(stage.is_drained, "the end of the log", passing_ms=500)
    assert sorted(ledger.taken) == sorted(told)
    assert not ledger.too_early
    assert not await stage.rows(schema.dead)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("behaviour", "outcome", "state"),
    [
        pytest.param(Drop(), "slow", "failing", id="closes at once"),
        pytest.param(Hang(), "slow", "failing", id="hangs"),
        pytest.param(Trickle(interval_s=1.0), "slow", "failing", id="a byte a second"),
        pytest.param(Answer(502), "slow", "failing", id="502"),
        pytest.param(Answer(503), "slow", "failing", id="503"),
        pytest.param(Answer(504), "slow", "failing", id="504"),
        pytest.param(Answer(429), "backoff", "failing", id="429"),
        pytest.param(
            Answer(429, {"Retry-After": "7"}), "backoff", "failing", id="429, seven seconds"
        ),
        pytest.param(
            Answer(503, {"Retry-After": "86400"}), "backoff", "failing", id="503, for a day"
        ),
        pytest.param(Answer(410), "gone", "disabled", id="410"),
        pytest.param(Answer(500), "refused", "failing", id="500"),
        pytest.param(Answer(404), "refused", "failing", id="404"),
        pytest.param(Answer(302, {"Location": "/elsewhere"}), "refused", "failing", id="302"),
        pytest.param(CutOff(), "refused", "failing", id="closes in mid-answer"),
        pytest.param(Raw(b"no HTTP\r\n\r\n"), "refused", "failing", id="no HTTP"),
        pytest.param(Flood(10**9, status=500), "refused", "failing", id="a gigabyte of error"),
    ],
)
async def test_L4_an_outage_costs_no_event(
    stage: Stage, r: Receiver, behaviour: Behaviour, outcome: str, state: str
) -> None:
    if isinstance(behaviour, Hang | Trickle):
        stage.waits(WHOLE_S)
    ledger = Ledger(lambda _: behaviour)
    r.otherwise = ledger
    endpoint_id = await stage.add_endpoint(r.url())
    told = [one.id for one in await stage.tell_many(PEOPLE, EACH)]
    stage.deliver()
    await stage.until(lambda: fails(stage), "trouble to be noticed")
    assert await stage.state() == state
    assert set(await stage.outcomes()) == {outcome}
    kinds = [row.kind for row in await stage.rows(schema.problem) if row.cleared_at is None]
    assert kinds == [f"endpoint_{state}"]
    # A person counts at most the attempt that found it out.
    await stage.until(lambda: is_folded(stage), "the window to be parked")
    assert {row.attempt for row in await stage.rows(schema.parked)} <= {0, 1}
    assert not ledger.taken
    assert not any(request.target == "/elsewhere" for request in r.requests)
    ledger.choose = lambda _: None
    stage.waits()
    if state == "disabled":
        stage.clock.ms += 1
        await endpoints.resume(stage.context, MAIN, endpoint_id, actor="test", now=stage.clock())
    if outcome == "backoff":
        stage.clock.ms += 2 * 86_400_000
    await gets_everything(stage, ledger, told)
    assert await stage.state() == "active"


async def is_folded(stage: Stage) -> bool:
    return await are_parked(stage, PEOPLE)


async def are_parked(stage: Stage, keys: int) -> bool:
    return len(await stage.rows(schema.parked)) == keys


async def are_tried(stage: Stage, r: Receiver, count: int) -> None:
    """Let time pass to each next probe, and no further, until there were so many requests."""

    async def have_come() -> bool:
        (row,) = await stage.rows(schema.endpoint)
        stage.clock.ms = max(stage.clock.ms, row.retry_at or 0)
        return r.count >= count

    await stage.until(have_come, f"{count} requests")


async def test_L4_who_is_down_gets_everything_when_it_is_up_again(stage: Stage) -> None:
    async with receiver.open(port=free_port()) as r:
        port = r.port
    endpoint_id = await stage.add_endpoint(r.url())
    told = [one.id for one in await stage.tell_many(PEOPLE, EACH)]
    stage.deliver()
    await stage.until(lambda: fails(stage), "trouble to be noticed")
    async with receiver.open(port=port) as r:
        ledger = Ledger()
        r.otherwise = ledger
        await gets_everything(stage, ledger, told)
        assert (await endpoints.get(stage.context, MAIN, endpoint_id)).health.state == "active"


async def test_L4_who_cannot_be_reached_spends_no_event_though_he_took_one_just_before(
    stage: Stage,
) -> None:
    async with receiver.open(port=free_port()) as r:
        port = r.port
        await stage.add_endpoint(r.url(), schedule_s=(1,))
        await stage.tell(event("0001", 0))
        stage.deliver()
        await r.received(1)
        await stage.until(stage.is_drained, "the first one to be noted")
    await stage.tell(event("0002", 0), event("0003", 0))
    await stage.until(lambda: fails(stage), "trouble to be noticed")
    await stage.until(lambda: are_parked(stage, 2), "the keys to be parked")
    assert {row.attempt for row in await stage.rows(schema.parked)} == {0}
    assert await stage.rows(schema.dead) == []
    async with receiver.open(port=port) as r:
        ledger = Ledger()
        r.otherwise = ledger
        await gets_everything(stage, ledger, ["evt_0002_000000", "evt_0003_000000"])


async def test_a_gigabyte_of_yes_is_a_yes_of_which_little_is_read(
    stage: Stage, r: Receiver
) -> None:
    r.otherwise = Flood(10**9)
    await stage.add_endpoint(r.url())
    await stage.tell_many(PEOPLE, 1)
    stage.deliver()
    await stage.until(stage.is_drained, "the end of the log")
    assert set(await stage.outcomes()) == {"accepted"}
    # What the sockets of both sides took before they were closed.
    assert r.flooded < PEOPLE * 10**8


async def test_a_long_outage_uses_up_nothing_and_writes_one_window(
    stage: Stage, r: Receiver
) -> None:
    ledger = Ledger(lambda _: Answer(503))
    r.otherwise = ledger
    await stage.add_endpoint(r.url())
    told = [one.id for one in await stage.tell_many(PEOPLE, EACH)]
    stage.deliver()
    await stage.until(lambda: is_folded(stage), "the window to be parked")
    began_ms = stage.clock.ms
    await are_tried(stage, r, r.count + 20)
    # Every five minutes at the end.
    assert stage.clock.ms - began_ms > HOUR_MS
    assert await stage.state() == "failing"
    rows = await stage.rows(schema.parked)
    assert len(rows) == PEOPLE
    assert {row.attempt for row in rows} == {0}
    assert not await stage.rows(schema.dead)
    ledger.choose = lambda _: None
    await gets_everything(stage, ledger, told)


async def test_while_it_fails_another_key_is_tried_each_time(stage: Stage, r: Receiver) -> None:
    r.otherwise = Answer(503)
    await stage.add_endpoint(r.url())
    await stage.tell_many(PEOPLE, EACH)
    stage.deliver()
    await stage.until(lambda: is_folded(stage), "the window to be parked")
    before = r.count
    await are_tried(stage, r, before + PEOPLE)
    assert len(by_key(ids(r.requests[before : before + PEOPLE]))) == PEOPLE

    async def are_counted() -> bool:
        (row,) = await stage.rows(schema.endpoint)
        return bool(row.failures >= PEOPLE - 1)

    await stage.until(are_counted, "them to be counted")


@pytest.mark.slow
async def test_one_event_that_makes_the_receiver_hang_does_not_hold_the_rest(
    stage: Stage, r: Receiver
) -> None:
    # It is alone when it hangs, so at first it looks as if the endpoint did.
    def hang(request: Request) -> Behaviour | None:
        return Hang() if "_0666_" in request.headers["webhook-id"] else None

    stage.waits(WHOLE_S)
    ledger = Ledger(hang)
    r.otherwise = ledger
    await stage.add_endpoint(r.url())
    await stage.tell(event("0666", 0))
    stage.deliver()
    await stage.until(lambda: fails(stage), "trouble to be noticed", passing_ms=100)
    told = {one.id for one in await stage.tell_many(PEOPLE, EACH)}
    # Some of them more than once, where this process stood still for longer than they may take.
    await stage.until(lambda: set(ledger.taken) == told, "all others", passing_ms=1_000)

    async def is_to_blame() -> bool:
        rows = await stage.rows(schema.parked)
        return [(row.key, row.reason, row.attempt > 0) for row in rows] == [
            ("person:0666", "refused", True)
        ]

    await stage.until(is_to_blame, "the one to be parked", passing_ms=1_000)


async def test_a_failing_endpoint_is_given_up_after_five_days_and_can_be_resumed(
    stage: Stage, r: Receiver
) -> None:
    ledger = Ledger(lambda _: Answer(503))
    r.otherwise = ledger
    endpoint_id = await stage.add_endpoint(r.url())
    told = [one.id for one in await stage.tell_many(PEOPLE, EACH)]
    stage.deliver()

    async def is_given_up() -> bool:
        return await stage.state() == "disabled"

    await stage.until(is_given_up, "it to be given up", passing_ms=3_600_000)
    (row,) = await stage.rows(schema.endpoint)
    assert row.failures == 0 or row.failures >= 20
    assert "120 h" in row.state_reason
    count = r.count
    stage.clock.ms += 86_400_000
    await stage.tell(event("0001", EACH))
    told.append(f"evt_0001_{EACH:06d}")
    ledger.choose = lambda _: None
    await endpoints.resume(stage.context, MAIN, endpoint_id, actor="test", now=stage.clock())
    await gets_everything(stage, ledger, told)
    assert r.count == count + len(told)
    assert [row.cleared_at is None for row in await stage.rows(schema.problem)] == [False, False]


async def test_a_failing_endpoint_that_is_resumed_is_tried_at_once(
    stage: Stage, r: Receiver
) -> None:
    ledger = Ledger(lambda _: Answer(429, {"Retry-After": "86400"}))
    r.otherwise = ledger
    endpoint_id = await stage.add_endpoint(r.url())
    told = [one.id for one in await stage.tell_many(PEOPLE, EACH)]
    stage.deliver()
    await stage.until(lambda: is_folded(stage), "the window to be parked")
    ledger.choose = lambda _: None
    stage.clock.ms += 1
    await endpoints.resume(stage.context, MAIN, endpoint_id, actor="test", now=stage.clock())
    await stage.until(lambda: len(ledger.taken) == len(told), "every event")


async def test_nothing_is_sent_before_the_time_that_was_asked_for(
    stage: Stage, r: Receiver
) -> None:
    ledger = Ledger(lambda _: Answer(429, {"Retry-After": "600"}))
    r.otherwise = ledger
    await stage.add_endpoint(r.url(), concurrency=1)
    await stage.tell_many(PEOPLE, 1)
    stage.deliver()
    await stage.until(lambda: fails(stage), "trouble to be noticed")
    (row,) = await stage.rows(schema.endpoint)
    assert 600_000 <= row.retry_at - row.state_since <= 720_000
    stage.clock.ms = row.retry_at - 1
    # Another endpoint goes through all its motions meanwhile.
    async with receiver.open() as other:
        await stage.add_endpoint(other.url())
        await stage.tell_many(PEOPLE, 0)
        await stage.tell(event("0001", 1))
        await other.received(1)
    assert r.count == 1
    ledger.choose = lambda _: None
    stage.clock.ms += 1
    await stage.until(lambda: len(ledger.taken) == PEOPLE + 1, "every event", passing_ms=100)


@pytest.mark.slow
async def test_a_rate_is_no_reason_to_send_on_after_a_refusal(stage: Stage, r: Receiver) -> None:
    # Another has been promised its turn by then, two seconds later.
    r.otherwise = Answer(429, {"Retry-After": "600"})
    await stage.add_endpoint(r.url(), rate=0.5, concurrency=2)
    await stage.tell_many(PEOPLE, EACH)
    stage.deliver()
    await stage.until(lambda: is_folded(stage), "the window to be parked")
    assert r.count == 1


async def test_a_used_up_schedule_buries_the_head_and_tries_each_further_event_once(
    stage: Stage, r: Receiver
) -> None:
    ledger = Ledger(lambda _: Answer(422, body=b"no such person"))
    r.otherwise = ledger
    await stage.add_endpoint(r.url(), schedule_s=(1, 2))
    await stage.tell(*(event("0001", number) for number in range(3)))
    stage.deliver()

    async def buried() -> int:
        return len(await stage.rows(schema.dead))

    async def all_three_are() -> bool:
        return await buried() == 3

    await stage.until(all_three_are, "all to be given up", passing_ms=500)
    # Three attempts for the head (at once, after 1 s, after 2 s), then one for each.
    assert [ids(r.requests).count(f"evt_0001_00000{number}") for number in range(3)] == [3, 1, 1]
    rows = await stage.rows(schema.dead)
    assert [(row.event_id, row.attempts, row.status) for row in rows] == [
        ("evt_0001_000000", 3, 422),
        ("evt_0001_000001", 1, 422),
        ("evt_0001_000002", 1, 422),
    ]
    assert "dead_letters" in {row.kind for row in await stage.rows(schema.problem)}
    # Nothing new, nothing sent.
    stage.clock.ms += 3_600_000
    await stage.tell(event("0001", 3))
    await r.received(6)
    assert ids(r.requests)[5:] == ["evt_0001_000003"]
    # The receiver knows the person now: the key is as any other again.
    ledger.choose = lambda _: None
    await stage.tell(event("0001", 4), event("0001", 5))
    await stage.until(stage.is_drained, "the key to be free", passing_ms=100)
    assert ledger.taken == ["evt_0001_000004", "evt_0001_000005"]
    r.script(Answer(422))
    await stage.tell(event("0001", 6))
    await stage.until(lambda: "evt_0001_000006" in ledger.taken, "a second try", passing_ms=100)
    assert len(await stage.rows(schema.dead)) == 4


async def test_with_hold_the_key_waits_for_an_operator_and_others_go_on(
    stage: Stage, r: Receiver
) -> None:
    def refuse_one(request: Request) -> Behaviour | None:
        return Answer(422) if "_0001_" in request.headers["webhook-id"] else None

    ledger = Ledger(refuse_one)
    r.otherwise = ledger
    await stage.add_endpoint(r.url(), schedule_s=(1,), on_dead="hold")
    await stage.tell(event("0001", 0), event("0001", 1), event("0002", 0))
    stage.deliver()

    async def is_held() -> bool:
        rows = await stage.rows(schema.parked)
        return [row.due_at for row in rows] == [None]

    await stage.until(is_held, "the key to be held", passing_ms=500)
    await stage.until(lambda: ledger.taken == ["evt_0002_000000"], "the other")
    count = r.count
    stage.clock.ms += 30 * 86_400_000
    await stage.tell(event("0001", 2), event("0002", 1))
    await stage.until(lambda: "evt_0002_000001" in ledger.taken, "the other's next")
    assert r.count == count + 1
    assert not await stage.rows(schema.dead)


@pytest.mark.slow
async def test_I5_beside_broken_endpoints_a_healthy_one_gets_everything(stage: Stage) -> None:
    broken: list[Behaviour] = [Hang(), Answer(422), Trickle(interval_s=1.0), Flood(10**9), Drop()]
    async with AsyncExitStack() as stack:
        for behaviour in broken:
            bad = await stack.enter_async_context(receiver.open())
            bad.otherwise = behaviour
            await stage.add_endpoint(bad.url())
        good = await stack.enter_async_context(receiver.open())
        ledger = Ledger()
        good.otherwise = ledger
        await stage.add_endpoint(good.url())
        told = [one.id for one in await stage.tell_many(PEOPLE * 4, EACH)]
        stage.deliver()
        # The clock stands still: no other endpoint comes to anything, and this one needs none.
        await stage.until(lambda: len(ledger.taken) == len(told), "every event")
        assert sorted(ledger.taken) == sorted(told)
        assert not ledger.too_early


async def test_a_slow_receiver_gets_no_more_at_once_than_it_may(stage: Stage, r: Receiver) -> None:
    go = asyncio.Event()
    running, most = 0, 0

    def hold(_: Request) -> Behaviour:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 4:
            go.set()
        return Answer(after=go)

    r.otherwise = hold
    await stage.add_endpoint(r.url(), concurrency=4)
    await stage.tell_many(4, 1)
    stage.deliver()
    await stage.until(stage.is_drained, "the first four")
    assert (most, r.connections) == (4, 4)
    r.otherwise = OK
    await stage.tell_many(PEOPLE, 2)
    await stage.until(stage.is_drained, "the rest")
    assert r.connections == 4
