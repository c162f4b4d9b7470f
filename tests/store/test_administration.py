"""The tables of the administration on both databases: what one database accepts, the other does.

Real: SQLite, PostgreSQL, and the use cases on top. The rules themselves are held by
`tests/usecases`, on SQLite alone; here it is the statements.
"""

import io
import json
from collections.abc import AsyncIterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError

from punchgate.domain.device import Device
from punchgate.domain.error import AlreadyExists
from punchgate.domain.ids import DeviceId, SerialNumber, UserCode
from punchgate.reports import exports, punches
from punchgate.store import diagnosis, schema
from punchgate.store import people as rows
from punchgate.store.error import StoreUnavailable
from punchgate.usecases import accounts, audit, devices, keys, people, policies
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway

_CODE = UserCode("1001")
#: How a trigger's refusal arrives: SQLite calls it a constraint, PostgreSQL an exception.
_REFUSED = (IntegrityError, StoreUnavailable)


@pytest.fixture(name="gate")
async def _gate(tmp_path: Path, database_url: str) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path, database_url) as gate:
        yield gate


async def _count(gate: Gateway, table: Any) -> int:
    question = select(func.count()).select_from(table)
    return int(await gate.context.database.read(lambda tx: tx.execute(question).scalar_one()))


async def _punch_a_day(gate: Gateway) -> None:
    await gate.add_device("SN1", id="gate", zone="Asia/Kolkata")
    await gate.punch(
        "SN1",
        {"user_id": _CODE, "att_time": "2026-06-20 09:00:00", "att_state": 0, "mask": True},
        {"user_id": _CODE, "att_time": "2026-06-20 17:00:00", "att_state": 1},
        {"user_id": _CODE, "att_time": "2030-01-01 09:00:00"},
    )


async def test_a_device_is_read_as_it_was_written(gate: Gateway) -> None:
    added = await gate.add_device(
        "SN1",
        id="gate",
        name="Main Gate",
        zone="Asia/Kolkata",
        site="Plant 2",
        engine="tcp",
        valid_until=date(2026, 12, 31),
        is_suspended=True,
        direction_policy="alternate",
        directions={7: "break-out"},
        verify_methods={2: "palm"},
        heartbeat_interval_s=120,
        poll_interval_s=600,
    )
    found: Device = await devices.get(gate.context, MAIN, DeviceId("gate"))
    assert found == added.device
    assert (await gate.entry("SN1")).device == found


async def test_the_database_itself_holds_a_serial_to_one_device(gate: Gateway) -> None:
    await gate.add_device("SN1", id="gate")
    taken = {**_row("canteen"), "removed_at": None}
    with pytest.raises(IntegrityError):
        await gate.context.writer.run(lambda tx: tx.execute(schema.device.insert().values(taken)))
    assert await _count(gate, schema.device) == 1
    removed = {**_row("canteen"), "removed_at": NOON}
    await gate.context.writer.run(lambda tx: tx.execute(schema.device.insert().values(removed)))
    with pytest.raises(AlreadyExists):
        await gate.add_device("SN1", id="office")


def _row(device_id: str) -> dict[str, Any]:
    return {
        "account": MAIN,
        "device_id": device_id,
        "serial": "SN1",
        "engine": "http",
        "is_suspended": False,
        "direction_policy": "as-reported",
        "heartbeat_interval_s": 60,
        "poll_interval_s": 300,
        "version": 1,
        "created_at": NOON,
    }


async def test_a_device_is_removed_and_revived(gate: Gateway) -> None:
    await gate.add_device("SN1", id="gate")
    await devices.remove(gate.context, MAIN, DeviceId("gate"), actor="test", now=NOON)
    assert await devices.list_devices(gate.context, MAIN) == []
    assert (await gate.add_device("SN1")).device.id == "gate"
    assert await _count(gate, schema.device) == 1


async def test_presence_is_written_over_and_never_backwards(gate: Gateway) -> None:
    added = await gate.add_device("SN1")
    for at in (NOON, NOON + 5, NOON + 3):
        gate.context.presence.heard(MAIN, added.device.id, address=f"10.0.0.{at % 7}", now=at)
        await gate.context.presence.flush(gate.context.writer, now=NOON)
    (listed,) = await devices.list_devices(gate.context, MAIN)
    assert listed.last_seen_at == NOON + 5


async def test_calls_of_strangers_are_added_up(gate: Gateway) -> None:
    for serial in ("SN8", "SN9", "SN8"):
        gate.context.presence.stranger(
            SerialNumber(serial), engine="http", address=None, operation="punch", now=NOON
        )
        await gate.context.presence.flush(gate.context.writer, now=NOON)
    listed = await devices.list_unclaimed(gate.context)
    assert [(each.serial, each.requests) for each in listed] == [("SN8", 2), ("SN9", 1)]


async def test_a_key_is_read_as_it_was_written_and_its_use_is_noted(gate: Gateway) -> None:
    text = await gate.add_key(scopes=["reports:read"], expires_at=NOON + 1)
    key = await keys.find(gate.context, text, now=NOON)
    assert key is not None
    await keys.note_uses(gate.context)
    (stored,) = await keys.list_keys(gate.context, MAIN)
    assert (stored.key, stored.last_used_at, stored.revoked_at) == (key, NOON, None)
    await keys.revoke(gate.context, MAIN, key.key_id, actor="test", now=NOON)
    (stored,) = await keys.list_keys(gate.context, MAIN)
    assert stored.revoked_at == NOON


async def test_an_account_its_rules_and_its_audit_are_kept(gate: Gateway) -> None:
    account = await accounts.add(gate.context, "india", "Asia/Kolkata", actor="t", now=NOON)
    rules = policies.StoredPolicy(date(2026, 1, 1), {"attribution": "session"})
    for _ in range(2):
        await policies.set_policy(gate.context, account.no, rules, actor="t", now=NOON)
    assert await policies.list_policies(gate.context, account.no) == [rules]
    assert (await accounts.get(gate.context, "india")).spread == 2
    entries = await audit.list_entries(gate.context, account.no)
    assert [entry.action for entry in entries] == ["policy.set", "account.add"]
    assert entries[0].after == {"attribution": "session"}


async def test_people_are_numbered_without_a_gap_also_beside_those_who_only_punch(
    gate: Gateway,
) -> None:
    await people.add(gate.context, MAIN, "1", actor="test", now=NOON)
    await _punch_a_day(gate)
    await people.add(gate.context, MAIN, "2", actor="test", now=NOON)
    listed = await people.list_people(gate.context, MAIN)
    assert [(person.no, person.code) for person in listed] == [(1, "1"), (2, "1001"), (3, "2")]


async def test_I2_erasing_is_all_that_takes_a_punch_away(gate: Gateway) -> None:
    await _punch_a_day(gate)
    await gate.catch_up()
    with pytest.raises(_REFUSED):
        await gate.context.writer.run(lambda tx: tx.execute(delete(schema.punch)))
    with pytest.raises(_REFUSED):
        await gate.context.writer.run(lambda tx: tx.execute(update(schema.event).values(body="")))
    assert await _count(gate, schema.punch) == 2
    traces = await people.erase(gate.context, MAIN, _CODE, actor="test", now=NOON)
    # The events of both punches, and that of the day, which had ended before they came.
    assert (traces.punches, traces.quarantined, traces.workdays, traces.events) == (2, 1, 1, 3)
    for table in (schema.punch, schema.workday, schema.quarantine, schema.removal):
        assert await _count(gate, table) == 0
    assert (await people.erase(gate.context, MAIN, _CODE, actor="test", now=NOON)).is_nothing


async def test_punches_are_listed_and_exported_alike(gate: Gateway) -> None:
    await _punch_a_day(gate)
    wanted = punches.Filter(since=datetime.fromisoformat("2026-06-20 12:00"))
    (row,) = await punches.list_punches(gate.context.database, MAIN, wanted, limit=9)
    assert row.punch.wall_time == "2026-06-20 17:00:00"
    assert isinstance(row.punch.raw, bytes)
    out = io.StringIO(newline="")
    layout = exports.Layout(form="jsonl")
    everything = punches.Filter()
    assert await exports.write(gate.context.database, MAIN, everything, layout, out) == 2
    assert json.loads(out.getvalue().splitlines()[-1]) == exports.record(row)
    assert '"mask":true' in out.getvalue()


async def test_people_are_found_among_more_codes_than_one_statement_can_bind(
    gate: Gateway,
) -> None:
    await people.add(gate.context, MAIN, _CODE, people.Changes(name="Ada"), actor="test", now=NOON)
    codes = {_CODE, *(UserCode(f"p{number}") for number in range(33_000))}

    found = await gate.context.database.read(lambda tx: rows.find_codes(tx, MAIN, codes))

    assert {code: person.name for code, person in found.items()} == {_CODE: "Ada"}


async def test_the_doctor_can_ask(gate: Gateway) -> None:
    await _punch_a_day(gate)
    found = await gate.context.database.read(diagnosis.examine)
    assert (found.integrity, found.quarantined, found.unclaimed) == (diagnosis.INTACT, 1, 0)
    assert found.stale >= 1
