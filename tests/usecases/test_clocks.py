"""Wrong clocks: ours was behind and is set right, a device's is ahead. A real store.

Turned by the tests: the clock that is stored, and the time since the machine was started.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from punchgate.domain.ids import DeviceId, QuarantineId
from punchgate.store import problems as problem_rows
from punchgate.store import schema
from punchgate.store.error import StoreUnavailable
from punchgate.usecases import clocks, devices, problems, quarantine
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
#: What a device says whose clock is right, while ours is a day behind noon.
RIGHT = {"user_id": "1", "att_time": "2026-06-21 11:59:00", "att_state": 0}


@dataclass
class Machine:
    """A gateway that was started before noon, and the watch over its clock."""

    gate: Gateway
    up_s: float = 0.0

    def __post_init__(self) -> None:
        self.watch = clocks.Watch(self.gate.context, self.gate.clock, lambda: self.up_s)

    def passes(self, seconds: float) -> None:
        self.up_s += seconds
        self.gate.clock.ms += int(seconds * 1000)

    async def hold(self, **changes: Any) -> QuarantineId:
        (receipt,) = await self.gate.punch("SN1", {**RIGHT, **changes})
        assert receipt.quarantine_id is not None
        return receipt.quarantine_id

    async def state(self, item_id: QuarantineId) -> str:
        return (await quarantine.get(self.gate.context, MAIN, item_id)).state


@pytest.fixture(name="gate")
async def _gate(tmp_path: Path, database_url: str) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path, database_url) as gate:
        await gate.add_device("SN1", id="gate", zone="UTC")
        yield gate


@pytest.fixture(name="machine")
def _machine(gate: Gateway) -> Machine:
    gate.clock.ms = NOON - DAY_MS
    return Machine(gate)


async def _punches(gate: Gateway) -> list[Any]:
    return await gate.context.database.read(lambda tx: list(tx.execute(select(schema.punch))))


async def test_what_was_held_while_our_clock_was_behind_is_released_once_it_is_right(
    machine: Machine,
) -> None:
    held = await machine.hold()
    machine.passes(30)
    machine.gate.clock.ms += DAY_MS

    await machine.watch.look()

    item = await quarantine.get(machine.gate.context, MAIN, held)
    assert (item.state, item.decided_at) == ("released", NOON + 30_000)
    (row,) = await _punches(machine.gate)
    assert (row.punch_id, row.flags, row.received_at) == (item.punch_id, "clock_skew", NOON)
    (again,) = await machine.gate.punch("SN1", RIGHT)
    assert (again.status, again.punch_id) == ("duplicate", item.punch_id)


async def test_what_was_held_is_judged_page_by_page(machine: Machine) -> None:
    gate = machine.gate
    ahead = await machine.hold(att_time="2026-06-21 12:06:00")
    good = [await machine.hold(user_id=f"{number}") for number in range(5)]
    find = {"since": gate.clock.ms, "until": gate.clock.ms, "behind_ms": DAY_MS}

    released = await quarantine.judge_again(gate.context, **find, now=NOON, page=2)

    assert released == 5
    assert [await machine.state(each) for each in (ahead, *good)] == ["open", *["released"] * 5]


async def test_what_is_ahead_of_the_right_clock_too_stays(machine: Machine) -> None:
    ahead = await machine.hold(att_time="2026-06-21 12:06:00")
    edge = await machine.hold(att_time="2026-06-21 12:05:00")
    machine.gate.clock.ms += DAY_MS
    # By now it is not ahead any more; but it was when it arrived.
    machine.passes(HOUR_MS / 1000)

    await machine.watch.look()

    assert [await machine.state(each) for each in (ahead, edge)] == ["open", "released"]


async def test_a_clock_that_nobody_set_releases_nothing(machine: Machine) -> None:
    held = await machine.hold()
    for seconds in (5.0, DAY_MS / 1000, 59.0):
        machine.passes(seconds)
        machine.gate.clock.ms += 15_000
        await machine.watch.look()
    assert await machine.state(held) == "open"


async def test_what_was_held_before_the_clock_was_set_wrong_stays(machine: Machine) -> None:
    gate = machine.gate
    gate.clock.ms = NOON
    machine = Machine(gate)
    before = await machine.hold(att_time="2026-06-21 15:00:00")
    machine.passes(10)
    gate.clock.ms -= DAY_MS
    await machine.watch.look()
    machine.passes(10)
    during = await machine.hold()
    machine.passes(10)
    gate.clock.ms += DAY_MS

    await machine.watch.look()

    assert [await machine.state(each) for each in (before, during)] == ["open", "released"]


async def test_what_was_decided_or_cannot_be_read_is_left_alone(machine: Machine) -> None:
    gate = machine.gate
    dismissed = await machine.hold()
    await quarantine.dismiss(gate.context, MAIN, dismissed, "", actor="ops", now=gate.clock())
    unreadable = await machine.hold(att_time="yesterday")
    await gate.add_device("SN2", id="gone", zone="UTC")
    (receipt,) = await gate.punch("SN2", RIGHT)
    assert receipt.quarantine_id is not None
    await devices.remove(gate.context, MAIN, DeviceId("gone"), actor="ops", now=gate.clock())
    machine.gate.clock.ms += DAY_MS

    await machine.watch.look()

    found = [await machine.state(each) for each in (dismissed, unreadable, receipt.quarantine_id)]
    assert found == ["dismissed", "open", "open"]
    assert await _punches(gate) == []


async def test_a_look_that_fails_is_made_again(machine: Machine) -> None:
    held = await machine.hold()
    machine.gate.clock.ms += DAY_MS
    writer = machine.gate.context.writer
    await writer.run(lambda tx: tx.execute(text("ALTER TABLE quarantine RENAME TO away")))
    with pytest.raises(StoreUnavailable):
        await machine.watch.look()
    await writer.run(lambda tx: tx.execute(text("ALTER TABLE away RENAME TO quarantine")))
    await machine.watch.look()
    assert await machine.state(held) == "released"


async def test_a_device_whose_punches_are_ahead_is_a_problem_until_they_are_decided(
    gate: Gateway,
) -> None:
    machine = Machine(gate)
    items = [await machine.hold(att_time=f"2027-01-0{day} 09:00:00") for day in (1, 2)]
    await machine.hold(att_time="yesterday")
    for _ in range(2):
        await clocks.tell(gate.context, now=NOON)
        (found,) = await problems.list_problems(gate.context, MAIN)
        assert (found.kind, found.subject, found.times) == ("clock_skew", "device:gate", 1)
        assert found.detail.startswith("2 of its punches were ahead of us by more than 5 minutes")
    for item in items:
        assert len(await problems.list_problems(gate.context, MAIN)) == 1
        await quarantine.dismiss(gate.context, MAIN, item, "", actor="ops", now=NOON)
        await clocks.tell(gate.context, now=NOON + 1)
    assert await problems.list_problems(gate.context, MAIN) == []


async def test_the_clock_of_a_terminal_that_we_call_is_not_judged_here(gate: Gateway) -> None:
    await gate.add_device("ZK1", id="zk", zone="UTC")
    await gate.add_device("SN2", id="gone", zone="UTC")
    await gate.punch("SN2", {**RIGHT, "att_time": "2027-01-01 09:00:00"})
    await devices.remove(gate.context, MAIN, DeviceId("gone"), actor="ops", now=NOON)

    def name_terminal(tx: Any) -> None:
        tx.execute(
            schema.device.update().where(schema.device.c.device_id == "zk").values(engine="zk")
        )
        problem_rows.raise_(tx, MAIN, "clock_skew", subject="device:zk", detail="61 s", now=NOON)

    await gate.context.writer.run(name_terminal)
    await clocks.tell(gate.context, now=NOON)
    # Neither cleared, nor joined by a device that is not there any more.
    (found,) = await problems.list_problems(gate.context, MAIN)
    assert (found.subject, found.detail) == ("device:zk", "61 s")
