"""Batches of "last seen" and of strangers: bounded, and right in whatever order they come.

Real: both databases. The moments are invented.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from punchgate.domain.ids import SerialNumber
from punchgate.store import devices, presence
from punchgate.store.presence import Call
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway


@pytest.fixture(name="gate")
async def _gate(tmp_path: Path, database_url: str) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path, database_url) as gate:
        yield gate


def _call(serial: str, at: int = NOON, requests: int = 1) -> Call:
    return Call(SerialNumber(serial), "http", "10.0.0.9", "punch", at, at, requests)


async def _write(gate: Gateway, *calls: Call, now: int = NOON) -> None:
    await gate.context.writer.run(lambda tx: presence.write(tx, [], calls, now))


async def _serials(gate: Gateway) -> list[str]:
    listed = await gate.context.database.read(
        lambda tx: devices.list_unclaimed(tx, limit=presence.MOST_UNCLAIMED + 1)
    )
    return [each.serial for each in listed]


async def test_an_empty_batch_writes_nothing(gate: Gateway) -> None:
    await _write(gate)
    assert await _serials(gate) == []


async def test_who_was_heard_last_is_listed_first(gate: Gateway) -> None:
    await _write(gate, _call("B", NOON), _call("A", NOON), _call("C", NOON + 1))
    assert await _serials(gate) == ["C", "A", "B"]


async def test_the_first_time_stays_and_the_requests_add_up(gate: Gateway) -> None:
    await _write(gate, _call("A", NOON, 2))
    await _write(gate, _call("A", NOON + 9, 3))
    found = await gate.context.database.read(
        lambda tx: devices.find_unclaimed(tx, SerialNumber("A"))
    )
    assert found is not None
    assert (found.first_seen_at, found.last_seen_at, found.requests) == (NOON, NOON + 9, 5)


@pytest.mark.slow
async def test_invented_serials_cannot_fill_the_list_beyond_its_bound(gate: Gateway) -> None:
    many = [_call(f"S{number:05}") for number in range(presence.MOST_UNCLAIMED)]
    await _write(gate, *many)
    await _write(gate, _call("NEW"), _call("S00000", NOON + 1, 4))
    serials = await _serials(gate)
    assert len(serials) == presence.MOST_UNCLAIMED
    assert "NEW" not in serials
    assert serials[0] == "S00000"


async def test_the_silent_make_room(gate: Gateway) -> None:
    await _write(gate, _call("OLD"))
    later = NOON + presence.UNCLAIMED_MS + 1
    await _write(gate, _call("NEW", later), now=later)
    assert await _serials(gate) == ["NEW"]


async def test_a_claimed_serial_is_no_stranger(gate: Gateway) -> None:
    await gate.add_device("SN1")
    await _write(gate, _call("SN1"), _call("SN2"))
    assert await _serials(gate) == ["SN2"]


async def test_a_removed_device_is_a_stranger_again(gate: Gateway) -> None:
    added = await gate.add_device("SN1")
    await gate.context.writer.run(lambda tx: devices.remove(tx, MAIN, added.device, NOON))
    await _write(gate, _call("SN1"))
    assert await _serials(gate) == ["SN1"]
