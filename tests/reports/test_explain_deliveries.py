"""The end of a punch's story: what became of its event at each endpoint, and why.

Real: a store, endpoints and the event of a punch. Put there by hand: what only a delivery writes.
How deliveries come to that is held by tests/delivery.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from punchgate.domain.endpoint import Condition, Health
from punchgate.domain.ids import EndpointId, PunchId
from punchgate.reports import explain
from punchgate.reports.explain import Step
from punchgate.store import endpoints as rows
from punchgate.store import events, schema
from punchgate.usecases import accounts, endpoints
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway

URL = "https://receiver.example/hook?token=s3cret"
SHOWN = "https://receiver.example/hook?token=…"


@pytest.fixture(name="gate")
async def _gate(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path) as gate:
        await gate.add_device("SN1", id="gate")
        yield gate


async def _add(gate: Gateway, *, now: int = NOON, **changes: Any) -> EndpointId:
    new = endpoints.New(address=URL, changes=endpoints.Changes(**changes))
    return (await endpoints.add(gate.context, MAIN, new, actor="test", now=now)).endpoint.id


async def _punch(gate: Gateway, hour: int = 9) -> PunchId:
    (receipt,) = await gate.punch(
        "SN1", {"user_id": "1001", "att_time": f"2026-06-20 {hour:02d}:00:00", "att_state": 0}
    )
    assert receipt.punch_id is not None
    return receipt.punch_id


async def _catch_up(gate: Gateway, endpoint_id: EndpointId) -> None:
    """Put a cursor at the end of the log, as a delivery would have."""
    await gate.context.writer.run(
        lambda tx: rows.skip(tx, MAIN, endpoint_id, events.end_of(tx, MAIN))
    )


async def _put(gate: Gateway, table: Any, endpoint_id: EndpointId, **values: Any) -> None:
    row = insert(table).values(account=MAIN, endpoint_id=endpoint_id, **values)
    await gate.context.writer.run(lambda tx: tx.execute(row))


async def _tried(
    gate: Gateway, endpoint_id: EndpointId, punch_id: PunchId, outcome: str, **more: Any
) -> None:
    values = {"n": 1, "status": 422, "ms": 5, "error": "status 422", "at": NOON + 1_000, **more}
    await _put(
        gate, schema.attempt, endpoint_id, event_id=f"evt_{punch_id}", outcome=outcome, **values
    )


async def _parked(gate: Gateway, endpoint_id: EndpointId, **more: Any) -> None:
    values = {
        "key": "person:1001", "generation": 1, "tx": 0, "seq": 0, "at": 0, "attempt": 1,
        "first_failed_at": NOON, "due_at": NOON + 5_000, "reason": "refused", "last_status": 422,
        "last_error": "status 422",
    }  # fmt: skip
    await _put(gate, schema.parked, endpoint_id, **{**values, **more})


async def _steps(gate: Gateway, punch_id: PunchId) -> list[Step]:
    account = await accounts.get(gate.context, "main")
    story = await explain.explain(gate.context.database, account, punch_id)
    return [step for step in story.steps if step.title == "delivery"]


async def _step(gate: Gateway, punch_id: PunchId) -> Step:
    (step,) = await _steps(gate, punch_id)
    assert step.reason.endswith(".")
    return step


async def test_without_an_endpoint_nobody_is_told(gate: Gateway) -> None:
    step = await _step(gate, await _punch(gate))
    assert (step.values, step.reason) == ({}, "There is no endpoint, so nobody is told.")


async def test_each_endpoint_has_a_step_in_the_order_in_which_they_were_made(
    gate: Gateway,
) -> None:
    later = await _add(gate, now=NOON + 1)
    first = await _add(gate)
    steps = await _steps(gate, await _punch(gate))
    assert [step.values["endpoint_id"] for step in steps] == [first, later]


async def test_what_is_before_an_endpoint_waits(gate: Gateway) -> None:
    endpoint_id = await _add(gate)
    step = await _step(gate, await _punch(gate))
    assert step.values == {
        "endpoint_id": endpoint_id,
        "address": SHOWN,
        "endpoint_state": "active",
        "became": "waiting",
        "attempts": 0,
    }
    assert "a running server sends it" in step.reason


@pytest.mark.parametrize(
    ("state", "words"), [("failing", "probed"), ("paused", "paused"), ("disabled", "disabled")]
)
async def test_it_waits_for_an_endpoint_that_stands_still(
    gate: Gateway, state: Any, words: str
) -> None:
    endpoint_id = await _add(gate)
    health = Health(state, NOON)
    await gate.context.writer.run(lambda tx: rows.set_health(tx, MAIN, endpoint_id, health))
    step = await _step(gate, await _punch(gate))
    assert (step.values["became"], step.values["endpoint_state"]) == ("waiting", state)
    assert words in step.reason


async def test_what_was_accepted_says_when_and_after_how_many_attempts(gate: Gateway) -> None:
    endpoint_id = await _add(gate)
    punch_id, other = await _punch(gate), await _punch(gate, 10)
    await _catch_up(gate, endpoint_id)
    await _tried(gate, endpoint_id, punch_id, "refused")
    await _tried(gate, endpoint_id, punch_id, "accepted", n=2, status=204, error=None)
    # A replay that came later and failed takes nothing away.
    await _tried(gate, endpoint_id, punch_id, "refused", replay_id="rp_a", at=NOON + 9_000)
    step = await _step(gate, punch_id)
    assert step.values["became"] == "delivered"
    assert (step.values["attempts"], step.values["status"]) == (2, 204)
    assert step.values["at"] == "2026-06-21T12:00:01.000Z"
    assert step.reason == "Accepted after 2 attempts."
    await _tried(gate, endpoint_id, other, "accepted", replay_id="rp_b")
    assert (await _step(gate, other)).reason == "Accepted at once. It was in the replay rp_b."


async def test_what_was_refused_waits_with_the_reason_and_its_next_turn(gate: Gateway) -> None:
    endpoint_id = await _add(gate)
    punch_id, later = await _punch(gate), await _punch(gate, 10)
    await _tried(gate, endpoint_id, punch_id, "refused")
    await _parked(gate, endpoint_id)
    step = await _step(gate, punch_id)
    assert step.values["became"] == "parked"
    assert (step.values["attempts"], step.values["error"]) == (1, "status 422")
    assert step.values["due_at"] == "2026-06-21T12:00:05.000Z"
    assert "is tried again" in step.reason
    # What comes after it of the same person was not tried at all.
    behind = await _step(gate, later)
    assert (behind.values["became"], behind.values["attempts"]) == ("parked", 0)
    assert "behind an earlier event" in behind.reason


@pytest.mark.parametrize(
    ("parked", "words"),
    [
        ({"due_at": None}, "`endpoint resume` tries it once more"),
        ({"reason": "endpoint", "last_error": None}, "waits for its endpoint"),
        ({"key": "*"}, "behind an earlier event"),
    ],
)
async def test_a_parked_key_says_what_it_waits_for(
    gate: Gateway, parked: dict[str, Any], words: str
) -> None:
    endpoint_id = await _add(gate)
    punch_id = await _punch(gate)
    await _parked(gate, endpoint_id, **parked)
    step = await _step(gate, punch_id)
    assert step.values["became"] == "parked"
    assert words in step.reason


async def test_a_key_that_waits_behind_the_event_is_none_of_its_business(gate: Gateway) -> None:
    endpoint_id = await _add(gate)
    punch_id = await _punch(gate)
    await _catch_up(gate, endpoint_id)
    await _parked(gate, endpoint_id, seq=1, at=NOON)
    assert (await _step(gate, punch_id)).values["became"] == "passed"


async def test_what_was_given_up_is_dead(gate: Gateway) -> None:
    endpoint_id = await _add(gate)
    punch_id = await _punch(gate)
    await _catch_up(gate, endpoint_id)
    await _tried(gate, endpoint_id, punch_id, "refused")
    letter = {"key": "person:1001", "reason": "status 422", "status": 422, "attempts": 11}
    await _put(
        gate, schema.dead, endpoint_id, event_id=f"evt_{punch_id}", at=NOON + 7_000, **letter
    )
    step = await _step(gate, punch_id)
    assert {name: step.values[name] for name in ("became", "attempts", "status", "error")} == {
        "became": "dead",
        "attempts": 11,
        "status": 422,
        "error": "status 422",
    }
    assert "endpoint replay --dead" in step.reason


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"events": ["device.online"]}, "events"),
        ({"people": ["7"]}, "people"),
        ({"sites": ["North"]}, "sites"),
        ({"fields": [Condition("direction", "eq", ("check-out",))]}, "direction=check-out"),
    ],
)
async def test_the_part_of_the_filter_that_excludes_it_is_named(
    gate: Gateway, changes: dict[str, Any], part: str
) -> None:
    await _add(gate, **changes)
    step = await _step(gate, await _punch(gate))
    assert (step.values["became"], step.values["filter"]) == ("not_wanted", part)


async def test_what_an_endpoint_is_past_is_not_guessed(gate: Gateway) -> None:
    before = await _punch(gate)
    endpoint_id = await _add(gate, now=NOON + 5)
    assert "older than the endpoint" in (await _step(gate, before)).reason
    gate.clock.ms = NOON + 10
    tried, forgotten = await _punch(gate, 10), await _punch(gate, 11)
    await _tried(gate, endpoint_id, tried, "refused")
    await _catch_up(gate, endpoint_id)
    step = await _step(gate, tried)
    assert (step.values["became"], step.values["attempts"]) == ("passed", 1)
    assert "had the endpoint pass over it" in step.reason
    assert "no attempt is kept" in (await _step(gate, forgotten)).reason


async def test_a_removed_endpoint_is_told_of_while_its_attempts_are_kept(gate: Gateway) -> None:
    endpoint_id = await _add(gate)
    taken, refused, never = [await _punch(gate, hour) for hour in (9, 10, 11)]
    await _tried(gate, endpoint_id, taken, "accepted")
    await _tried(gate, endpoint_id, refused, "refused")
    await endpoints.remove(gate.context, MAIN, endpoint_id, actor="test", now=NOON)
    step = await _step(gate, taken)
    assert (step.values["became"], step.values["endpoint_state"]) == ("delivered", "removed")
    assert (await _step(gate, refused)).values["became"] == "given_up"
    assert (await _step(gate, never)).reason == "There is no endpoint, so nobody is told."


async def test_the_story_needs_no_master_key(gate: Gateway) -> None:
    await _add(gate)
    punch_id = await _punch(gate)
    await gate.context.writer.run(
        lambda tx: tx.execute(update(schema.endpoint).values(secrets=b"damaged"))
    )
    assert (await _step(gate, punch_id)).values["became"] == "waiting"


async def test_I12_an_endpoint_of_another_account_is_not_in_the_story(gate: Gateway) -> None:
    other = await accounts.add(gate.context, "other", actor="test", now=NOON)
    new = endpoints.New(address=URL)
    theirs = await endpoints.add(gate.context, other.no, new, actor="test", now=NOON)
    punch_id = await _punch(gate)
    row = insert(schema.attempt).values(
        account=other.no, endpoint_id=theirs.endpoint.id, event_id=f"evt_{punch_id}", n=1,
        at=NOON, outcome="accepted", ms=1,
    )  # fmt: skip
    await gate.context.writer.run(lambda tx: tx.execute(row))
    assert (await _step(gate, punch_id)).values == {}
