"""What the log is told of devices that come and go, and of strangers.

Real: both databases, the door of presence, everything between. Invented: the time; "another
process" is a second gateway on the same database.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from punchgate.domain.device import Device
from punchgate.domain.ids import AccountNo, DeviceId, SerialNumber
from punchgate.store import devices as stored
from punchgate.store import schema
from punchgate.store import transitions as rows
from punchgate.usecases import accounts, devices, transitions
from punchgate.usecases.devices import Changes, New
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway

GATE = DeviceId("gate")
#: As of `Device.heartbeat_interval_s`: offline after three of them.
BEAT_MS = 60_000
OFFLINE_MS = 3 * BEAT_MS
#: Since long before anything here happens: more milliseconds than a 32-bit number holds.
LONG_AGO = NOON - 40 * 24 * 3_600_000


@pytest.fixture(name="gate")
async def _gate(tmp_path: Path, database_url: str) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path, database_url) as gate:
        await gate.add_device("SN1", id="gate", name="Main Gate", site="HQ")
        yield gate


def _hear(gate: Gateway, device_id: str = "gate", account: AccountNo = MAIN) -> None:
    gate.context.presence.heard(account, DeviceId(device_id), address="10.0.0.31", now=gate.clock())


def _call(gate: Gateway, serial: str = "NEW") -> None:
    gate.context.presence.stranger(
        SerialNumber(serial), engine="http", address="10.0.0.9", operation="punch", now=gate.clock()
    )


async def _note(gate: Gateway) -> None:
    await transitions.note(gate.context, gate.clock)


async def _sweep(gate: Gateway, started_at: int = LONG_AGO) -> None:
    await transitions.sweep(gate.context, gate.clock, started_at=started_at)


async def _events(gate: Gateway) -> list[Any]:
    wanted = select(schema.event).order_by(schema.event.c.seq)
    return list(await gate.context.database.read(lambda tx: tx.execute(wanted).all()))


async def _told(gate: Gateway) -> list[tuple[str, str]]:
    """Give the entries of the log by type and key, in its order."""
    return [(row.type, row.key) for row in await _events(gate)]


async def _presence(gate: Gateway) -> dict[str, tuple[bool, int]]:
    found = await gate.context.database.read(lambda tx: tx.execute(select(schema.presence)).all())
    return {row.device_id: (row.is_online, row.since) for row in found}


async def test_the_first_request_brings_a_device_online(gate: Gateway) -> None:
    _hear(gate)
    assert await _told(gate) == []

    await _note(gate)

    (row,) = await _events(gate)
    assert (row.type, row.key) == ("device.online", "device:gate")
    assert (row.occurred_at, row.received_at) == (NOON, NOON)
    assert json.loads(row.body) == {
        "device": {"id": "gate", "serial": "SN1", "name": "Main Gate", "site": "HQ"},
        "since": "2026-06-21T12:00:00Z",
        "was": "never",
        "last_seen_at": "2026-06-21T12:00:00Z",
        "address": "10.0.0.31",
    }
    assert await _presence(gate) == {"gate": (True, NOON)}


async def test_a_thousand_heartbeats_are_one_row_and_one_entry(gate: Gateway) -> None:
    for _ in range(20):
        for _ in range(50):
            gate.clock.ms += 100
            _hear(gate)
        await _note(gate)
        await _sweep(gate)

    assert await _told(gate) == [("device.online", "device:gate")]
    assert list(await _presence(gate)) == ["gate"]


async def test_a_device_that_is_silent_for_three_intervals_goes_offline(gate: Gateway) -> None:
    _hear(gate)
    await _note(gate)
    gate.clock.ms = NOON + OFFLINE_MS + rows.SLACK_MS - 1
    await _sweep(gate)
    assert await _told(gate) == [("device.online", "device:gate")]

    gate.clock.ms += 1
    await _sweep(gate)
    await _sweep(gate)

    _, row = await _events(gate)
    assert (row.type, row.key) == ("device.offline", "device:gate")
    assert (row.occurred_at, row.received_at) == (NOON + OFFLINE_MS, gate.clock.ms)
    assert json.loads(row.body) == {
        "device": {"id": "gate", "serial": "SN1", "name": "Main Gate", "site": "HQ"},
        "since": "2026-06-21T12:03:00Z",
        "was": "online",
        "last_seen_at": "2026-06-21T12:00:00Z",
        "expected_every_s": 60,
    }
    assert await _presence(gate) == {"gate": (False, NOON + OFFLINE_MS)}


async def test_who_comes_back_is_told_as_coming_back(gate: Gateway) -> None:
    _hear(gate)
    await _note(gate)
    gate.clock.ms = NOON + 10 * OFFLINE_MS
    await _sweep(gate)
    _hear(gate)
    await _note(gate)

    assert [kind for kind, _ in await _told(gate)] == [
        *("device.online", "device.offline", "device.online"),
    ]
    (*_, back) = await _events(gate)
    assert json.loads(back.body)["was"] == "offline"
    assert await _presence(gate) == {"gate": (True, NOON + 10 * OFFLINE_MS)}


async def test_every_device_has_its_own_patience(gate: Gateway) -> None:
    await gate.add_device("SN2", id="quick", heartbeat_interval_s=10)
    await gate.add_device("SN3", id="slow", heartbeat_interval_s=3_600)
    for name in ("gate", "quick", "slow"):
        _hear(gate, name)
    await _note(gate)

    gone = []
    for seconds in (31, 32, 181, 182, 10_801, 10_802):
        gate.clock.ms = NOON + seconds * 1000
        before = len(await _told(gate))
        await _sweep(gate)
        gone.append([key for _, key in (await _told(gate))[before:]])

    assert gone == [[], ["device:quick"], [], ["device:gate"], [], ["device:slow"]]


async def test_what_is_heard_and_not_written_yet_is_not_silence(gate: Gateway) -> None:
    _hear(gate)
    await _note(gate)
    gate.clock.ms = NOON + 2 * OFFLINE_MS
    _hear(gate)

    await _sweep(gate)

    assert await _told(gate) == [("device.online", "device:gate")]


async def test_after_a_restart_who_was_silent_before_goes_offline_in_its_time(
    gate: Gateway,
) -> None:
    _hear(gate)
    await _note(gate)
    # Killed here, started again a minute before the time is up.
    started_at = NOON + OFFLINE_MS - BEAT_MS
    for seconds in (1, 30, 61):
        gate.clock.ms = started_at + seconds * 1000
        await _sweep(gate, started_at)
        assert len(await _told(gate)) == 1

    gate.clock.ms = started_at + BEAT_MS + rows.SLACK_MS
    await _sweep(gate, started_at)

    (_, gone) = await _events(gate)
    assert (gone.type, gone.occurred_at) == ("device.offline", NOON + OFFLINE_MS)


async def test_after_a_long_standstill_of_ours_a_living_device_does_not_flap(
    gate: Gateway,
) -> None:
    await gate.add_device("SN2", id="dead")
    _hear(gate)
    _hear(gate, "dead")
    await _note(gate)
    # Hours later we are back; whoever is alive calls within its interval.
    started_at = NOON + 100 * OFFLINE_MS
    gate.clock.ms = started_at + BEAT_MS - 1
    await _sweep(gate, started_at)
    _hear(gate)
    gate.clock.ms = started_at + BEAT_MS + rows.SLACK_MS
    await _sweep(gate, started_at)

    assert (await _told(gate))[2:] == [("device.offline", "device:dead")]
    (*_, gone) = await _events(gate)
    assert gone.occurred_at == NOON + OFFLINE_MS


async def test_a_crash_between_the_row_and_its_entry_loses_nothing(gate: Gateway) -> None:
    _hear(gate)
    await gate.context.presence.flush(gate.context.writer, now=gate.clock())
    assert await _told(gate) == []

    await _sweep(gate, started_at=gate.clock())

    assert await _told(gate) == [("device.online", "device:gate")]


async def test_a_row_from_before_the_log_knew_of_it_is_told_only_while_it_is_fresh(
    gate: Gateway,
) -> None:
    await gate.add_device("SN2", id="old")
    _hear(gate, "old")
    await gate.context.presence.flush(gate.context.writer, now=NOON)
    gate.clock.ms = NOON + OFFLINE_MS
    _hear(gate)

    await _sweep(gate)

    assert await _told(gate) == [("device.online", "device:gate")]


async def test_a_removed_device_goes_without_a_word_and_comes_back_with_its_next_request(
    gate: Gateway,
) -> None:
    _hear(gate)
    await _note(gate)
    gate.clock.ms += 1_000
    await devices.remove(gate.context, MAIN, GATE, actor="test", now=gate.clock())
    assert await _presence(gate) == {"gate": (False, gate.clock.ms)}
    _hear(gate)
    gate.clock.ms += 10 * OFFLINE_MS
    await _sweep(gate)
    assert len(await _told(gate)) == 1

    await gate.add_device("SN1", id="gate")
    await _sweep(gate)
    assert len(await _told(gate)) == 1
    _hear(gate)
    await _note(gate)
    assert await _told(gate) == [("device.online", "device:gate")] * 2


async def test_a_suspended_device_is_told_of_like_any_other(gate: Gateway) -> None:
    await devices.set_device(
        gate.context, MAIN, GATE, Changes(is_suspended=True), actor="test", now=NOON
    )
    _hear(gate)
    await _note(gate)
    gate.clock.ms += 2 * OFFLINE_MS
    await _sweep(gate)
    assert [kind for kind, _ in await _told(gate)] == ["device.online", "device.offline"]


async def test_devices_of_two_accounts_are_told_to_their_own(gate: Gateway) -> None:
    other = await accounts.add(gate.context, "other", None, actor="test", now=NOON)
    new = New(serial="SN9", id="gate", changes=Changes())
    await devices.add(gate.context, other.no, new, actor="test", now=NOON)
    _hear(gate)
    _hear(gate, "gate", other.no)
    await _note(gate)
    gate.clock.ms += 2 * OFFLINE_MS
    _hear(gate, "gate", other.no)
    await _sweep(gate)

    told = [(row.account, row.type) for row in await _events(gate)]
    assert told == [(1, "device.online"), (other.no, "device.online"), (1, "device.offline")]


@pytest.mark.slow
async def test_a_whole_site_that_goes_at_once_is_told_in_batches(gate: Gateway) -> None:
    names = [f"d{number:04}" for number in range(transitions.BATCH + 2)]

    def add(tx: Connection) -> None:
        for name in names:
            stored.add(tx, MAIN, Device(MAIN, DeviceId(name), SerialNumber(name)), NOON)

    await gate.context.writer.run(add)
    for name in names:
        _hear(gate, name)
        _call(gate, f"X{name}")
    await _note(gate)
    gate.clock.ms += 2 * OFFLINE_MS
    await _sweep(gate)

    told = await _told(gate)
    for kind in ("device.online", "device.offline"):
        assert [key for each, key in told if each == kind] == [f"device:{name}" for name in names]
    strangers = [key for kind, key in told if kind == "device.unclaimed"]
    assert strangers == [f"device:X{name}" for name in names]


@pytest.mark.slow
async def test_two_processes_that_look_at_once_tell_each_transition_once(
    tmp_path: Path, postgresql_url: str
) -> None:
    async with (
        gateway.open(tmp_path / "a", postgresql_url) as one,
        gateway.open(tmp_path / "b", postgresql_url) as two,
    ):
        both = (one, two)
        names = [f"d{number:02}" for number in range(40)]
        for name in names:
            await one.add_device(name.upper(), id=name)
        for round_ in range(3):
            now = NOON + round_ * 10 * OFFLINE_MS
            for gate in both:
                gate.clock.ms = now
                for name in names:
                    _hear(gate, name)
                _call(gate, "NEW")
            await asyncio.gather(*(_note(gate) for gate in both), *(_sweep(gate) for gate in both))
            for gate in both:
                gate.clock.ms = now + 2 * OFFLINE_MS
            await asyncio.gather(*(_sweep(gate) for gate in both for _ in range(2)))

        told = await _told(one)
        for name in names:
            kinds = [kind for kind, key in told if key == f"device:{name}"]
            assert kinds == ["device.online", "device.offline"] * 3
        assert [kind for kind, key in told if key == "device:NEW"] == ["device.unclaimed"]


async def test_a_stranger_is_told_to_the_first_account_once_a_day(gate: Gateway) -> None:
    await accounts.add(gate.context, "other", None, actor="test", now=NOON)
    _call(gate)
    await _note(gate)
    (row,) = await _events(gate)
    assert (row.account, row.type, row.key) == (1, "device.unclaimed", "device:NEW")
    assert json.loads(row.body) == {
        "serial": "NEW",
        "engine": "http",
        "address": "10.0.0.9",
        "model": None,
        "firmware": None,
        "first_seen_at": "2026-06-21T12:00:00Z",
    }

    # It calls every six hours.
    for hour in range(6, 49, 6):
        gate.clock.ms = NOON + hour * 3_600_000
        _call(gate)
        await _note(gate)
        told = [each.received_at for each in await _events(gate)]
        assert told == [NOON + day * rows.TELL_AGAIN_MS for day in range(hour // 24 + 1)]


async def test_a_stranger_that_was_claimed_meanwhile_is_not_told(gate: Gateway) -> None:
    _call(gate)
    await gate.context.presence.flush(gate.context.writer, now=NOON)
    await gate.add_device("NEW", id="new")

    await _sweep(gate)

    assert await _told(gate) == []


async def test_the_ids_of_the_log_are_never_the_same(gate: Gateway) -> None:
    for number in range(5):
        gate.clock.ms = NOON + number * 10 * OFFLINE_MS
        _hear(gate)
        await _note(gate)
        gate.clock.ms += 5 * OFFLINE_MS
        await _sweep(gate)
    ids = [row.id for row in await _events(gate)]
    assert len(ids) == len(set(ids)) == 10
    assert all(each.startswith("evt_") and len(each) == 30 for each in ids)
