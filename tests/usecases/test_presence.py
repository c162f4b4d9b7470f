"""Who has been heard from: in memory, flushed in batches, never a row per heartbeat. A real store.

Also here: the figures that `/metrics` asks for, which count what presence has written.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select

from punchgate import telemetry
from punchgate.domain.ids import DeviceId, SerialNumber
from punchgate.store import presence as rows
from punchgate.store import schema
from punchgate.store.error import StoreUnavailable
from punchgate.usecases import devices, gauges
from punchgate.usecases.presence import STRANGERS, Presence
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway

GATE = DeviceId("gate")


@pytest.fixture(name="gate")
async def _gate(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path) as gate:
        await gate.add_device("SN1", id="gate")
        yield gate


async def _all(gate: Gateway, table: Any) -> list[Any]:
    return list(await gate.context.database.read(lambda tx: tx.execute(select(table)).all()))


async def _sql(gate: Gateway, statement: str) -> None:
    await gate.context.writer.run(lambda tx: tx.exec_driver_sql(statement))


async def _flush(gate: Gateway, presence: Presence, now: int = NOON) -> None:
    await presence.flush(gate.context.writer, now=now)


def _call(presence: Presence, serial: str, now: int, operation: str = "punch") -> None:
    presence.stranger(
        SerialNumber(serial), engine="http", address="10.0.0.9", operation=operation, now=now
    )


async def test_a_thousand_heartbeats_are_one_row_at_the_next_flush(gate: Gateway) -> None:
    presence = Presence()
    for number in range(1_000):
        presence.heard(MAIN, GATE, address="10.0.0.7", now=NOON + number)
    assert await _all(gate, schema.presence) == []

    await _flush(gate, presence)

    (row,) = await _all(gate, schema.presence)
    assert (row.device_id, row.last_seen_at, row.address) == ("gate", NOON + 999, "10.0.0.7")


async def test_the_later_of_two_processes_stands(gate: Gateway) -> None:
    early, late = Presence(), Presence()
    early.heard(MAIN, GATE, address="a", now=NOON)
    late.heard(MAIN, GATE, address="b", now=NOON + 1)

    await _flush(gate, late)
    await _flush(gate, early)

    (row,) = await _all(gate, schema.presence)
    assert (row.last_seen_at, row.address) == (NOON + 1, "b")


async def test_what_the_store_did_not_take_is_written_with_the_next_flush(gate: Gateway) -> None:
    presence = Presence()
    await gate.add_device("SN2", id="other")
    presence.heard(MAIN, GATE, address="old", now=NOON)
    presence.heard(MAIN, DeviceId("other"), address="10.0.0.8", now=NOON + 1)
    _call(presence, "NEW", NOON)
    _call(presence, "QUIET", NOON)
    await _sql(gate, "ALTER TABLE presence RENAME TO away")
    with pytest.raises(StoreUnavailable):
        await _flush(gate, presence)
    presence.heard(MAIN, GATE, address="new", now=NOON + 9)
    _call(presence, "NEW", NOON + 9, "heartbeat")
    await _sql(gate, "ALTER TABLE away RENAME TO presence")

    await _flush(gate, presence)

    seen = {row.device_id: row for row in await _all(gate, schema.presence)}
    assert (seen["gate"].last_seen_at, seen["gate"].address) == (NOON + 9, "new")
    assert seen["other"].last_seen_at == NOON + 1
    called = {str(row.serial): row for row in await devices.list_unclaimed(gate.context)}
    assert (called["NEW"].requests, called["NEW"].operation) == (2, "heartbeat")
    assert (called["NEW"].first_seen_at, called["NEW"].last_seen_at) == (NOON, NOON + 9)
    assert called["QUIET"].requests == 1


async def test_a_flush_of_nothing_writes_nothing(gate: Gateway) -> None:
    presence = Presence()
    presence.heard(MAIN, GATE, address=None, now=NOON)
    await _flush(gate, presence)
    await gate.context.writer.run(lambda tx: tx.exec_driver_sql("DELETE FROM presence"))

    assert not await presence.flush(gate.context.writer, now=NOON)

    assert await _all(gate, schema.presence) == []


async def test_a_serial_that_nobody_claimed_is_listed_with_what_it_did(gate: Gateway) -> None:
    presence = Presence()
    _call(presence, "NEW", NOON)
    _call(presence, "NEW", NOON + 5, "heartbeat")
    await _flush(gate, presence)
    _call(presence, "NEW", NOON + 9)
    await _flush(gate, presence)

    (row,) = await devices.list_unclaimed(gate.context)
    assert (row.serial, row.requests, row.operation) == ("NEW", 3, "punch")
    assert (row.first_seen_at, row.last_seen_at, row.address) == (NOON, NOON + 9, "10.0.0.9")


async def test_a_serial_that_was_claimed_meanwhile_is_no_stranger(gate: Gateway) -> None:
    presence = Presence()
    _call(presence, "SN1", NOON)
    _call(presence, "NEW", NOON)

    await _flush(gate, presence)

    assert [row.serial for row in await devices.list_unclaimed(gate.context)] == ["NEW"]


async def test_a_stranger_is_forgotten_a_day_after_it_was_last_heard(gate: Gateway) -> None:
    presence = Presence()
    _call(presence, "OLD", NOON)
    await _flush(gate, presence)
    later = NOON + rows.UNCLAIMED_MS
    _call(presence, "NEW", later)
    await _flush(gate, presence, later)
    assert {row.serial for row in await _all(gate, schema.unclaimed)} == {"OLD", "NEW"}

    _call(presence, "NEW", later + 1)
    await _flush(gate, presence, later + 1)

    assert {row.serial for row in await _all(gate, schema.unclaimed)} == {"NEW"}


@pytest.mark.slow
async def test_a_flood_of_invented_serials_is_bounded_and_hides_nobody_known(
    gate: Gateway,
) -> None:
    presence = Presence()
    _call(presence, "KNOWN", NOON)
    await _flush(gate, presence)
    for number in range(STRANGERS + 50):
        _call(presence, f"X{number:06d}", NOON + 1)
    _call(presence, "X000000", NOON + 2)
    await _flush(gate, presence)
    _call(presence, "KNOWN", NOON + 3)
    _call(presence, "LATE", NOON + 3)
    await _flush(gate, presence)

    listed = await _all(gate, schema.unclaimed)
    assert len(listed) == rows.MOST_UNCLAIMED
    (known,) = [row for row in listed if row.serial == "KNOWN"]
    assert known.requests == 2
    assert "LATE" not in {row.serial for row in listed}


def _figures() -> dict[tuple[str, str], float]:
    families = text_string_to_metric_families(telemetry.metrics().decode())
    return {
        (sample.name, sample.labels.get("state", "")): sample.value
        for family in families
        for sample in family.samples
    }


async def test_devices_are_counted_by_how_long_they_have_been_quiet(gate: Gateway) -> None:
    for name in ("b", "c", "d", "gone"):
        await gate.add_device(name.upper(), id=name)
    # Heard or not: whoever suspended it does not wait for it.
    await gate.add_device("F", id="f", is_suspended=True)
    presence = Presence()
    # An interval is 60 s: online until then, late for two more.
    quiet = [("gate", 60), ("b", 61), ("c", 180), ("d", 181), ("gone", 1), ("f", 1)]
    for name, quiet_s in quiet:
        presence.heard(MAIN, DeviceId(name), address=None, now=NOON - quiet_s * 1000)
    await gate.add_device("E", id="e")
    await _flush(gate, presence)
    await devices.remove(gate.context, MAIN, DeviceId("gone"), actor="test", now=NOON)

    await gauges.measure(gate.context, gate.clock)

    found = _figures()
    states = ("online", "late", "offline", "never", "paused")
    assert [found["punchgate_devices", state] for state in states] == [1, 2, 1, 1, 1]


async def test_the_figures_of_the_store_are_counted_when_they_are_asked_for(
    gate: Gateway,
) -> None:
    await gate.punch(
        "SN1",
        {"user_id": "1", "att_time": "2026-06-20 09:00:00"},
        {"user_id": "2", "att_time": "2026-06-20 09:00:00"},
        {"user_id": "3", "att_time": "2031-06-20 09:00:00"},
    )
    _call(gate.context.presence, "NEW", NOON)
    await _flush(gate, gate.context.presence)

    await gauges.measure(gate.context, gate.clock)
    found = _figures()
    assert found["punchgate_workdays_stale", ""] == 2
    assert found["punchgate_quarantine", "open"] == 1
    assert found["punchgate_quarantine", "released"] == 0
    assert found["punchgate_unclaimed_devices", ""] == 1
    assert found["punchgate_writer_queue", ""] == 0

    await gate.catch_up()
    await gauges.measure(gate.context, gate.clock)
    assert _figures()["punchgate_workdays_stale", ""] == 0
