"""The one door: what a reading becomes, and that it becomes it once.

Real: the store, the directory, the readers of HTTP. Invented: devices, punches and the clock.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from punchgate.domain.error import NotFound
from punchgate.domain.event import Entry
from punchgate.domain.ids import AccountNo, DeviceId
from punchgate.domain.punch import Punch, Transport, derive_id
from punchgate.store import events, punches, schema
from punchgate.store.error import StoreUnavailable
from punchgate.usecases import devices, quarantine
from punchgate.usecases import punches as door
from punchgate.usecases.context import Reader
from punchgate.wire import attendance
from punchgate.wire.event import PunchesSeen
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway

BERLIN = "Europe/Berlin"
SEEN = PunchesSeen([attendance.read_bytes(b'{"user_id":"1","att_time":"2026-06-21 09:00:00"}')])


@pytest.fixture(name="gate")
async def _gate(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path) as gate:
        await gate.add_device("SN1", id="gate", zone="UTC")
        yield gate


def _item(time: object = "2026-06-21 09:00:00", code: str = "1001", **more: Any) -> dict[str, Any]:
    return {"user_id": code, "att_time": time, **more}


async def _stored(gate: Gateway, receipt: door.Receipt) -> Punch:
    assert receipt.punch_id is not None, receipt
    wanted = receipt.punch_id
    found = await gate.context.database.read(lambda tx: punches.find(tx, MAIN, wanted))
    assert found is not None
    return found


async def _one(gate: Gateway, item: Mapping[str, Any], serial: str = "SN1") -> Punch:
    (receipt,) = await gate.punch(serial, item)
    return await _stored(gate, receipt)


async def _all(gate: Gateway, table: Any) -> list[Any]:
    wanted = select(table).order_by(*table.primary_key.columns)
    return list(await gate.context.database.read(lambda tx: tx.execute(wanted).all()))


async def test_a_punch_is_kept_with_all_that_was_said_and_derived(gate: Gateway) -> None:
    item = _item(
        att_state=1, input_type=3, latitude=52.5, longitude=13.25, temperature=36.6, mask=True
    )

    (receipt,) = await gate.punch("SN1", item)
    stored = await _stored(gate, receipt)

    assert (receipt.status, receipt.flags, receipt.reason) == ("recorded", "", None)
    assert (stored.device_id, stored.serial, stored.user_code) == ("gate", "SN1", "1001")
    assert (stored.wall_time, stored.time_text) == ("2026-06-21 09:00:00", "2026-06-21 09:00:00")
    assert stored.at == int(datetime(2026, 6, 21, 9, tzinfo=UTC).timestamp())
    assert stored.received_at == NOON
    assert (stored.direction_code, stored.direction) == (1, "check-out")
    assert (stored.verify_code, stored.verify, stored.code_table) == (3, "card", "http")
    assert (stored.latitude, stored.longitude, stored.temperature_c) == (52.5, 13.25, 36.6)
    assert stored.mask is True
    assert attendance.read_bytes(stored.raw) == attendance.read_bytes(json.dumps(item).encode())


async def test_receipts_come_in_the_order_of_the_items(gate: Gateway) -> None:
    receipts = await gate.punch(
        "SN1",
        _item(),
        {"att_time": "2026-06-21 09:00:00"},
        _item("2031-01-01 00:00:00"),
        _item(),
        _item("1999-12-31 23:59:59"),
        _item(code="1002"),
    )

    assert [(each.status, each.reason) for each in receipts] == [
        ("recorded", None),
        ("quarantined", "missing_user_id"),
        ("quarantined", "future_time"),
        ("duplicate", None),
        ("quarantined", "ancient_time"),
        ("recorded", None),
    ]
    assert receipts[0].punch_id == receipts[3].punch_id != receipts[5].punch_id


@pytest.mark.parametrize(("count", "turns"), [(1, 0), (250, 0), (1_000, 3)])
async def test_others_have_their_turn_while_a_large_upload_is_read(
    gate: Gateway, count: int, turns: int
) -> None:
    entry = await gate.entry("SN1")
    writer = gate.context.writer
    seen = PunchesSeen([*SEEN.items] * count)
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while not writer.waiting:
            beats += 1
            await asyncio.sleep(0)  # noqa: TID251 (a turn, no time)

    recorded, _ = await asyncio.gather(
        door.record(gate.context, entry, seen, transport="http", now=NOON), beat()
    )

    assert beats == turns
    assert [each.status for each in recorded].count("recorded") == 1
    assert len(recorded) == count


async def test_an_empty_upload_has_no_receipts(gate: Gateway) -> None:
    assert await gate.punch("SN1") == []


@pytest.mark.parametrize(
    ("more", "flags", "direction", "verify"),
    [
        ({}, "", "unspecified", "unknown"),
        ({"att_state": 255}, "", "unspecified", "unknown"),
        ({"att_state": 77}, "unknown_state", "unspecified", "unknown"),
        ({"input_type": 88}, "unknown_input_type", "unspecified", "unknown"),
        (
            {"att_state": 77, "input_type": 88},
            "unknown_state unknown_input_type",
            "unspecified",
            "unknown",
        ),
        ({"att_state": 4, "input_type": 50}, "", "overtime-in", "app"),
        ({"input_type": 9}, "", "unspecified", "unknown"),
    ],
)
async def test_a_code_that_no_table_knows_is_kept_raw_and_flagged(
    gate: Gateway, more: Mapping[str, Any], flags: str, direction: str, verify: str
) -> None:
    stored = await _one(gate, _item(**more))

    assert (stored.flags, stored.direction, stored.verify) == (flags, direction, verify)
    assert stored.direction_code == more.get("att_state")
    assert stored.verify_code == more.get("input_type")


async def test_a_device_may_have_tables_of_its_own(gate: Gateway) -> None:
    await gate.add_device(
        "SN2",
        zone="UTC",
        directions={1: "check-in", 9: "check-out"},
        verify_methods={3: "palm", 200: "finger"},
    )

    found = [
        await _one(
            gate, _item(code=f"c{state}-{method}", att_state=state, input_type=method), "SN2"
        )
        for state, method in [(1, 3), (9, 200), (0, 0)]
    ]

    assert [(each.direction, each.verify, each.flags) for each in found] == [
        ("check-in", "palm", ""),
        ("check-out", "finger", ""),
        # What its own tables leave out is read by the default ones.
        ("check-in", "finger", ""),
    ]


@pytest.mark.parametrize(
    ("policy", "direction"),
    [
        ("as-reported", "break-out"),
        ("always-in", "check-in"),
        ("always-out", "check-out"),
        ("alternate", "break-out"),
        ("first-in-last-out", "break-out"),
    ],
)
async def test_a_device_that_is_always_in_or_out_says_so_and_the_code_stays(
    gate: Gateway, policy: str, direction: str
) -> None:
    await gate.add_device("SN2", zone="UTC", direction_policy=policy)

    stored = await _one(gate, _item(att_state=2), "SN2")

    assert (stored.direction, stored.direction_code) == (direction, 2)


async def test_a_device_that_was_removed_and_added_again_still_sends_the_same_punches(
    gate: Gateway,
) -> None:
    first = await gate.punch("SN1", _item())
    await devices.remove(gate.context, MAIN, DeviceId("gate"), actor="test", now=NOON)
    await gate.add_device("SN1", id="new-gate", zone=BERLIN)
    gate.context.directory._checked_at = float("-inf")

    again = await gate.punch("SN1", _item())

    assert (again[0].status, again[0].punch_id) == ("duplicate", first[0].punch_id)


async def test_a_store_that_fails_gives_no_receipt(gate: Gateway) -> None:
    await gate.context.writer.run(
        lambda tx: tx.exec_driver_sql(
            "CREATE TRIGGER planted BEFORE INSERT ON event BEGIN DELETE FROM missing; END"
        )
    )

    with pytest.raises(StoreUnavailable):
        await gate.punch("SN1", _item())

    assert await _all(gate, schema.punch) == []


async def test_a_row_that_the_database_refuses_has_a_receipt_of_quarantine(gate: Gateway) -> None:
    await gate.context.writer.run(
        lambda tx: tx.exec_driver_sql(
            "CREATE TRIGGER planted BEFORE INSERT ON punch WHEN NEW.user_code = 'bad'"
            " BEGIN SELECT RAISE(ABORT, 'planted'); END"
        )
    )

    good, bad = await gate.punch("SN1", _item(), _item(code="bad"))

    assert (good.status, bad.status, bad.reason) == ("recorded", "quarantined", "unreadable_row")
    assert bad.quarantine_id is not None
    item = await quarantine.get(gate.context, MAIN, bad.quarantine_id)
    assert (item.state, item.reason) == ("open", "unreadable_row")
    with pytest.raises(NotFound):
        await quarantine.get(gate.context, AccountNo(2), bad.quarantine_id)


#: A small day on two devices, with a repeat, a bad row and the same second twice.
LOG: list[tuple[str, dict[str, Any]]] = [
    ("SN1", _item("2026-06-20 08:00:00", "a", att_state=0)),
    ("SN1", _item("2026-06-20 08:00:00", "b", att_state=0)),
    ("SN1", _item("2026-06-20 17:00:00", "a", att_state=1)),
    ("SN2", _item("2026-06-20 08:00:00", "a", att_state=0)),
    ("SN2", _item("2026-06-20 08:00:00", "a", att_state=1)),
    ("SN2", {"user_id": "a"}),
]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations(range(len(LOG))),
    again=st.lists(st.sampled_from(range(len(LOG))), max_size=8),
    size=st.integers(1, 4),
)
async def test_I3_any_order_of_uploads_resends_and_replays_gives_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], again: list[int], size: int
) -> None:
    sent = [*order]
    for place, item in enumerate(again):
        sent.insert(place * 2 % (len(sent) + 1), item)
    async with gateway.open(tmp_path_factory.mktemp("i3")) as gate:
        await gate.add_device("SN1", zone="UTC")
        await gate.add_device("SN2", zone="UTC")
        recorded = 0
        for start in range(0, len(sent), size):
            for serial in ("SN1", "SN2"):
                items = [
                    LOG[each][1] for each in sent[start : start + size] if LOG[each][0] == serial
                ]
                receipts = await gate.punch(serial, *items)
                recorded += sum(each.status == "recorded" for each in receipts)
        rows = await _all(gate, schema.punch)
        told = [
            await gate.context.database.read(
                partial(events.find, account=MAIN, event_id=f"evt_{row.punch_id}")
            )
            for row in rows
        ]
        held = await _all(gate, schema.quarantine)
        log = await _all(gate, schema.event)

    assert recorded == len(rows) == len(log) == 5
    assert [row.punch_id for row in rows] == EXPECTED_IDS
    entries = [entry for entry in told if entry is not None]
    assert len(entries) == 5
    assert {type(entry) for entry in entries} == {Entry}
    assert [row.reason for row in held] == ["missing_att_time"]


#: Derived, never drawn: these are the same on every machine and in every order.
EXPECTED_IDS = sorted(
    {
        derive_id(
            "main",
            serial,
            item["user_id"],
            datetime.fromisoformat(item["att_time"]),
            item["att_time"],
            item["att_state"],
        )
        for serial, item in LOG
        if "att_time" in item
    }
)


@pytest.mark.slow
async def test_I3_a_thousand_posts_of_one_punch_at_once_are_one_row_and_one_event(
    gate: Gateway,
) -> None:
    entry = await gate.entry("SN1")
    receipts = await asyncio.gather(
        *(door.record(gate.context, entry, SEEN, transport="http", now=NOON) for _ in range(1_000))
    )

    statuses = [each.status for (each,) in receipts]
    assert (statuses.count("recorded"), statuses.count("duplicate")) == (1, 999)
    assert len(await _all(gate, schema.punch)) == len(await _all(gate, schema.event)) == 1


@pytest.mark.parametrize(
    ("transport", "table"), [("zk", "pull"), ("iclock", "push"), ("tcp", "http"), ("mqtt", "http")]
)
async def test_I3_the_same_punch_over_another_transport_is_the_same_punch(
    gate: Gateway, transport: Transport, table: str
) -> None:
    context = replace(
        gate.context,
        readers={transport: Reader("its reader", lambda raw, _: attendance.read_bytes(raw))},
    )
    entry = await gate.entry("SN1")
    (first,) = await door.record(context, entry, SEEN, transport=transport, now=NOON)
    (second,) = await door.record(gate.context, entry, SEEN, transport="http", now=NOON)

    assert (first.status, second.status) == ("recorded", "duplicate")
    stored = await _stored(gate, first)
    assert (stored.transport, stored.code_table) == (transport, table)
