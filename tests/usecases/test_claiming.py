"""Who calls unclaimed: listed, and claimed as a device. A real store; the clock is an argument."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from punchgate.domain.error import NotFound
from punchgate.domain.ids import SerialNumber
from punchgate.usecases import devices
from punchgate.usecases.devices import New
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway


@pytest.fixture(name="gate")
async def _gate(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path) as gate:
        yield gate


async def _stranger(gate: Gateway, serial: str = "SN9", now: int = NOON) -> None:
    gate.context.presence.stranger(
        SerialNumber(serial),
        engine="iclock",
        address="10.0.0.9",
        operation="punch",
        now=now,
    )
    await gate.context.presence.flush(gate.context.writer, now=now)


async def test_who_calls_unclaimed_is_listed_with_what_is_known(gate: Gateway) -> None:
    await _stranger(gate)
    await _stranger(gate, now=NOON + 1_000)
    (unclaimed,) = await devices.list_unclaimed(gate.context)
    assert unclaimed == devices.Unclaimed(
        serial=SerialNumber("SN9"),
        engine="iclock",
        address="10.0.0.9",
        operation="punch",
        first_seen_at=NOON,
        last_seen_at=NOON + 1_000,
        requests=2,
    )


async def test_who_has_been_silent_for_a_day_is_listed_no_more(gate: Gateway) -> None:
    await _stranger(gate, "OLD")
    await _stranger(gate, "NEW", now=NOON + 24 * 3_600_000 + 1)
    assert [each.serial for each in await devices.list_unclaimed(gate.context)] == ["NEW"]


async def test_claiming_adds_the_device_with_the_engine_that_it_speaks(gate: Gateway) -> None:
    await _stranger(gate)
    added = await devices.claim(
        gate.context, MAIN, New(serial="SN9", id="gate"), actor="test", now=NOON
    )
    assert (added.device.id, added.device.engine) == ("gate", "iclock")
    assert await devices.list_unclaimed(gate.context) == []


async def test_only_who_has_called_can_be_claimed(gate: Gateway) -> None:
    with pytest.raises(NotFound, match="device add"):
        await devices.claim(gate.context, MAIN, New(serial="SN9"), actor="test", now=NOON)


async def test_adding_takes_a_serial_off_the_list_of_strangers(gate: Gateway) -> None:
    await _stranger(gate)
    await gate.add_device("SN9")
    assert await devices.list_unclaimed(gate.context) == []


async def test_a_call_from_before_the_claim_does_not_bring_the_stranger_back(
    gate: Gateway,
) -> None:
    gate.context.presence.stranger(
        SerialNumber("SN9"), engine="http", address=None, operation="punch", now=NOON
    )
    await gate.add_device("SN9")
    await gate.context.presence.flush(gate.context.writer, now=NOON)
    assert await devices.list_unclaimed(gate.context) == []
