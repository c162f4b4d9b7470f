"""`summary.updated`: what the log is told of days that change after they have ended, and only then.

Real: both databases, the door, the worker's pass. Invented: the time. It stands at a Sunday noon,
so Saturday has ended and Sunday runs.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import select

from punchgate.domain.ids import DeviceId, UserCode
from punchgate.store import schema, stale
from punchgate.store import workdays as stored
from punchgate.usecases import accounts, devices, people, policies
from punchgate.usecases.devices import Changes, New
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway

SATURDAY, SUNDAY = "2026-06-20", "2026-06-21"
SHIFT = {"date": SATURDAY, "start": "09:00", "end": "17:00"}


@pytest.fixture(name="gate")
async def _gate(tmp_path: Path, database_url: str) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path, database_url) as gate:
        await gate.add_device("SN1", id="gate")
        yield gate


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


async def _punch(gate: Gateway, time: str, state: int, code: str = "1001") -> None:
    item = {"user_id": code, "att_time": time, "att_state": state}
    await gate.punch("SN1", item)


async def _work(gate: Gateway, day: str, code: str = "1001") -> None:
    await _punch(gate, f"{day} 09:00:00", 0, code)
    await _punch(gate, f"{day} 11:30:00", 1, code)


async def _set(gate: Gateway, rules: Mapping[str, Any], since: str = "2026-01-01") -> None:
    stored_policy = policies.StoredPolicy(date.fromisoformat(since), rules)
    await policies.set_policy(gate.context, MAIN, stored_policy, actor="test", now=gate.clock())
    # As if half a second had passed since the last request.
    gate.context.directory._checked_at = float("-inf")


async def _events(gate: Gateway) -> list[Any]:
    table = schema.event
    wanted = select(table).where(table.c.type == "summary.updated").order_by(table.c.seq)
    return list(await gate.context.database.read(lambda tx: tx.execute(wanted).all()))


async def _bodies(gate: Gateway) -> list[dict[str, Any]]:
    return [json.loads(row.body) for row in await _events(gate)]


async def _reported(gate: Gateway) -> list[tuple[str, int, str]]:
    """Give what was told by date, version and reason."""
    return [(body["date"], body["version"], body["reason"]) for body in await _bodies(gate)]


async def test_a_late_punch_tells_what_the_day_was_and_what_it_is(gate: Gateway) -> None:
    gate.clock.ms = _at(f"{SATURDAY} 12:00:00")
    await people.add(
        gate.context,
        MAIN,
        "1001",
        people.Changes(name="Rahul", custom_id="S1"),
        actor="test",
        now=gate.clock(),
    )
    await _punch(gate, f"{SATURDAY} 09:00:00", 0)
    await gate.catch_up()
    assert await _events(gate) == []

    gate.clock.ms = NOON
    await _punch(gate, f"{SATURDAY} 17:30:00", 1)
    await gate.catch_up()

    (row,) = await _events(gate)
    assert (row.account, row.key) == (1, "person:1001")
    assert (row.occurred_at, row.received_at) == (NOON, NOON)
    assert row.body == (
        '{"person":{"code":"1001","custom_id":"S1","name":"Rahul"},"date":"2026-06-20",'
        '"version":2,"reason":"late_punch","first_in":"2026-06-20T09:00:00",'
        '"last_out":"2026-06-20T17:30:00","worked_seconds":30600,"working_hours":"8h 30m",'
        '"hours_decimal":8.5,"status":"complete","missing":[],"flags":[],"final":false,'
        '"previous":{"version":1,"worked_seconds":null,"status":"incomplete"}}'
    )


async def test_the_running_day_is_not_told(gate: Gateway) -> None:
    for hour in ("09", "10", "11"):
        await _punch(gate, f"{SUNDAY} {hour}:00:00", 0)
        await gate.catch_up()
    assert await _events(gate) == []


async def test_a_day_that_comes_into_being_after_its_end_is_told_as_new(gate: Gateway) -> None:
    await _work(gate, SATURDAY)
    await gate.catch_up()
    (body,) = await _bodies(gate)
    assert (body["version"], body["reason"]) == (1, "late_punch")
    assert body["previous"] == {"version": 0, "worked_seconds": None, "status": None}


async def test_a_burst_of_late_punches_is_told_once_per_person_and_day(gate: Gateway) -> None:
    for code in ("1001", "1002"):
        await _work(gate, SATURDAY, code)
        await _work(gate, "2026-06-19", code)
        await _work(gate, SUNDAY, code)
    await gate.catch_up()
    told = {(row.key, json.loads(row.body)["date"]) for row in await _events(gate)}
    assert len(await _events(gate)) == len(told) == 4
    assert {day for _, day in told} == {"2026-06-19", SATURDAY}


async def test_a_day_that_is_computed_again_and_comes_out_the_same_is_not_told(
    gate: Gateway,
) -> None:
    await _work(gate, SATURDAY)
    await gate.catch_up()
    await _set(gate, {"dedupe_s": 59})
    await _work(gate, SATURDAY)
    await gate.catch_up()
    assert await _reported(gate) == [(SATURDAY, 1, "late_punch")]


async def test_other_rules_tell_every_ended_day_that_they_change(gate: Gateway) -> None:
    for day in ("2026-06-19", SATURDAY, SUNDAY):
        await _work(gate, day)
    await gate.catch_up()
    await _set(gate, {"round_total": {"mode": "down", "min": 60}}, since=SATURDAY)
    await gate.catch_up()

    assert await _reported(gate) == [
        ("2026-06-19", 1, "late_punch"),
        (SATURDAY, 1, "late_punch"),
        (SATURDAY, 2, "policy_changed"),
    ]
    body = (await _bodies(gate))[-1]
    assert (body["worked_seconds"], body["previous"]["worked_seconds"]) == (7_200, 9_000)


async def test_another_direction_policy_of_a_device_is_other_rules_too(gate: Gateway) -> None:
    await _work(gate, SATURDAY)
    await gate.catch_up()
    await devices.set_device(
        gate.context,
        MAIN,
        DeviceId("gate"),
        Changes(direction_policy="always-in"),
        actor="test",
        now=NOON,
    )
    await gate.catch_up()
    assert (await _reported(gate))[1:] == [(SATURDAY, 2, "policy_changed")]


async def test_a_punch_after_other_rules_is_a_late_punch_again(gate: Gateway) -> None:
    await _work(gate, SATURDAY)
    await _set(gate, {"round_total": {"mode": "down", "min": 60}})
    await gate.catch_up()
    await _punch(gate, f"{SATURDAY} 18:00:00", 1)
    await gate.catch_up()
    assert await _reported(gate) == [(SATURDAY, 1, "policy_changed"), (SATURDAY, 2, "late_punch")]


async def test_a_punch_that_moves_to_another_date_is_told_on_both(gate: Gateway) -> None:
    await _punch(gate, f"{SATURDAY} 01:30:00", 1)
    await gate.catch_up()
    await _set(gate, {"attribution": "cutoff", "cutoff": "04:00"})
    await gate.catch_up()

    came, went = sorted((await _bodies(gate))[1:], key=lambda body: str(body["date"]))
    assert (came["date"], came["version"], came["last_out"]) == (
        *("2026-06-19", 1, "2026-06-20T01:30:00"),
    )
    assert (went["date"], went["version"], went["last_out"]) == (SATURDAY, 2, None)
    assert (went["status"], went["missing"]) == ("incomplete", ["in", "out"])
    assert went["previous"] == {"version": 1, "worked_seconds": None, "status": "incomplete"}

    await _set(gate, {"attribution": "calendar"})
    await gate.catch_up()
    back = [body for body in await _bodies(gate) if body["date"] == SATURDAY][-1]
    assert back["version"] == 3
    assert back["previous"] == {"version": 2, "worked_seconds": None, "status": None}


async def test_the_rows_of_a_shift_and_beside_it_are_told_apart(gate: Gateway) -> None:
    await _set(gate, {"attribution": "shift", "shifts": [SHIFT]})
    await _work(gate, SATURDAY)
    await _punch(gate, f"{SATURDAY} 22:00:00", 1)
    await gate.catch_up()
    bodies = await _bodies(gate)
    assert [(body["version"], body["flags"]) for body in bodies] == [(1, []), (1, ["off_shift"])]
    assert len({row.id for row in await _events(gate)}) == 2


@pytest.mark.parametrize(
    ("rules", "last_quiet", "first_told"),
    [
        ({}, "23:59:59", "00:00:00"),
        ({"attribution": "cutoff", "cutoff": "04:00"}, "03:59:59", "04:00:00"),
        ({"attribution": "session", "max_session_h": 10}, "09:59:59", "10:00:00"),
    ],
)
async def test_a_day_ends_by_its_policy(
    gate: Gateway, rules: Mapping[str, Any], last_quiet: str, first_told: str
) -> None:
    await _set(gate, rules)
    await _punch(gate, f"{SATURDAY} 09:00:00", 0)
    gate.clock.ms = _at(f"{SATURDAY if last_quiet > '12' else SUNDAY} {last_quiet}")
    await gate.catch_up()
    assert await _events(gate) == []

    await _punch(gate, f"{SATURDAY} 17:00:00", 1)
    gate.clock.ms = _at(f"{SUNDAY} {first_told}")
    await gate.catch_up()
    assert [version for _, version, _ in await _reported(gate)] == [2]


async def test_a_day_ends_on_the_clock_of_its_account(gate: Gateway) -> None:
    account = await accounts.add(gate.context, "india", "Asia/Kolkata", actor="test", now=NOON)
    await devices.add(
        gate.context, account.no, New(serial="SN9", changes=Changes()), actor="test", now=NOON
    )
    # Half past midnight in Kolkata, seven in the evening in UTC, which is the zone of `main`.
    gate.clock.ms = _at(f"{SATURDAY} 19:00:00")
    for serial in ("SN1", "SN9"):
        await gate.punch(serial, {"user_id": "1", "att_time": f"{SATURDAY} 09:00:00"})
    await gate.catch_up()
    assert [row.account for row in await _events(gate)] == [account.no]


async def test_an_account_without_a_zone_goes_by_that_of_the_installation(
    tmp_path: Path,
) -> None:
    async with gateway.open(tmp_path, default_zone="Asia/Kolkata") as gate:
        await gate.add_device("SN1")
        gate.clock.ms = _at(f"{SATURDAY} 18:29:59")
        await _punch(gate, f"{SATURDAY} 09:00:00", 0)
        await gate.catch_up()
        assert await _events(gate) == []
        gate.clock.ms = _at(f"{SATURDAY} 18:30:00")
        await _punch(gate, f"{SATURDAY} 17:00:00", 1)
        await gate.catch_up()
        assert await _reported(gate) == [(SATURDAY, 2, "late_punch")]


async def test_every_day_told_is_the_day_that_is_kept(gate: Gateway) -> None:
    for code in ("a", "b", "c"):
        for day in ("2026-06-17", "2026-06-18", "2026-06-19", SATURDAY):
            await _work(gate, day, code)
            await gate.catch_up()
            await _punch(gate, f"{day} 19:00:00", 1, code)
    await gate.catch_up()

    last: dict[tuple[str, str], tuple[int, int | None]] = {}
    for body in await _bodies(gate):
        last[body["person"]["code"], body["date"]] = (body["version"], body["worked_seconds"])
    rows = await gate.context.database.read(
        lambda tx: [
            kept
            for day in ("2026-06-17", "2026-06-18", "2026-06-19", SATURDAY)
            for kept in stored.list_of_date(tx, MAIN, day, offset=0, limit=10)
        ]
    )
    codes = "abc"
    assert last == {
        (codes[row.key.person_no - 1], row.key.date): (row.version, row.day.worked_s)
        for row in rows
    }


@pytest.mark.slow
async def test_two_processes_that_compute_the_same_days_tell_each_version_once(
    tmp_path: Path, postgresql_url: str
) -> None:
    async with (
        gateway.open(tmp_path / "a", postgresql_url) as one,
        gateway.open(tmp_path / "b", postgresql_url) as two,
    ):
        await one.add_device("SN1")
        codes = [f"p{number}" for number in range(20)]
        for hour in ("17", "18", "19"):
            items = [
                {"user_id": code, "att_time": f"{SATURDAY} {hour}:00:00", "att_state": 1}
                for code in codes
            ]
            await one.punch("SN1", *items)
            await asyncio.gather(one.catch_up(), two.catch_up(), one.catch_up())

        for code in codes:
            told = [
                body["version"] for body in await _bodies(one) if body["person"]["code"] == code
            ]
            assert told == [1, 2, 3]


async def test_I8_an_erasure_blanks_what_was_told_while_it_waited(
    tmp_path: Path, postgresql_url: str
) -> None:
    """Another process keeps the person's days when the erasure begins, and tells of them."""
    async with gateway.open(tmp_path, postgresql_url) as gate:
        await gate.add_device("SN1")
        await _work(gate, SATURDAY)
        other = await asyncpg.connect(postgresql_url)
        try:
            async with other.transaction():
                await other.execute("SELECT pg_advisory_xact_lock($1, 1)", stale._LOCK)
                erasing = asyncio.ensure_future(
                    people.erase(gate.context, MAIN, UserCode("1001"), actor="test", now=NOON)
                )
                waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                while not await other.fetchval(waits):
                    pass
                await other.execute(
                    "INSERT INTO event (account, id, key, type, occurred_at, received_at, body)"
                    " VALUES (1, 'evt_x', 'person:1001', 'summary.updated', 1, 1, $1)",
                    '{"person":{"name":"Rahul"},"date":"2026-06-20","version":7}',
                )
            await erasing
        finally:
            await other.close()
        (row,) = await _events(gate)
        assert row.body == '{"date":"2026-06-20","version":7,"erased":true}'
