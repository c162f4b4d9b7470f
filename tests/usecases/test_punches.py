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
from punchgate.domain.event import Event
from punchgate.domain.ids import AccountNo, DeviceId
from punchgate.domain.punch import Punch, Transport, derive_id
from punchgate.store import events, punches, schema
from punchgate.store.error import StoreUnavailable
from punchgate.usecases import accounts, devices, policies, quarantine
from punchgate.usecases import punches as door
from punchgate.usecases.context import Reader
from punchgate.wire import attendance
from punchgate.wire.event import PunchesSeen
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway

BERLIN = "Europe/Berlin"
#: On 25 October 2026 Berlin's clocks show 02:00 to 03:00 twice.
FOLD_MORNING = int(datetime(2026, 10, 25, 6, tzinfo=UTC).timestamp() * 1000)
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


async def test_an_empty_upload_has_no_receipts(gate: Gateway) -> None:
    assert await gate.punch("SN1") == []


@pytest.mark.parametrize(
    ("time", "status"),
    [
        # The clock of the test stands at 12:00:00 UTC.
        ("2026-06-21 12:05:00", "recorded"),
        ("2026-06-21 12:05:01", "quarantined"),
        (NOON // 1000 + 300, "recorded"),
        (NOON // 1000 + 301, "quarantined"),
        ("2026-06-21T14:05:00+02:00", "recorded"),
        ("2026-06-21T14:05:01+02:00", "quarantined"),
        ("2000-01-01 00:00:00", "recorded"),
        ("1999-12-31 23:59:59", "quarantined"),
        ("0001-01-01 00:00:00", "quarantined"),
        ("9999-12-31 23:59:59", "quarantined"),
    ],
)
@pytest.mark.parametrize("spreads", [False, True])
async def test_an_impossible_time_is_held_and_touches_no_neighbour(
    gate: Gateway, time: object, status: str, *, spreads: bool
) -> None:
    if spreads:
        rules = policies.StoredPolicy(datetime(2026, 1, 1, tzinfo=UTC).date(), {"zone": BERLIN})
        await policies.set_policy(gate.context, MAIN, rules, actor="test", now=NOON)

    receipts = await gate.punch("SN1", _item(code="a"), _item(time, "b"), _item(code="c"))

    assert [each.status for each in receipts] == ["recorded", status, "recorded"]


@pytest.mark.parametrize(
    ("hours", "flags"), [(0, ""), (24, ""), (24 + 1 / 3600, "late_upload"), (400, "late_upload")]
)
async def test_what_arrives_more_than_a_day_later_says_so(
    gate: Gateway, hours: float, flags: str
) -> None:
    gate.clock.ms = int(datetime(2026, 6, 21, 9, tzinfo=UTC).timestamp() * 1000)
    gate.clock.ms += round(hours * 3_600_000)

    assert (await _one(gate, _item())).flags == flags


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


async def test_the_zone_is_the_devices_then_the_accounts_then_the_installations(
    tmp_path: Path,
) -> None:
    async with gateway.open(tmp_path, default_zone="Asia/Kolkata") as gate:
        await gate.add_device("OWN", zone="America/New_York")
        await gate.add_device("NONE")
        installation = await _one(gate, _item(), "NONE")
        await accounts.set_zone(gate.context, MAIN, BERLIN, actor="test", now=NOON)
        gate.context.directory._checked_at = float("-inf")
        account = await _one(gate, _item(code="2"), "NONE")
        device = await _one(gate, _item("2026-06-21 05:00:00"), "OWN")

    seen = [(each.zone, each.zone_source) for each in (installation, account, device)]
    assert seen == [
        ("Asia/Kolkata", "installation"),
        (BERLIN, "account"),
        ("America/New_York", "device"),
    ]
    hours = [each.utc_offset_s / 3600 for each in (installation, account, device)]
    assert hours == [5.5, 2, -4]


async def test_a_time_with_an_offset_is_the_same_punch_as_the_devices_own_wall_time(
    gate: Gateway,
) -> None:
    await gate.add_device("BER", zone=BERLIN)
    at = datetime(2026, 6, 21, 9, tzinfo=UTC)
    times = ["2026-06-21 11:00:00", "2026-06-21T09:00:00Z", "2026-06-21T14:30:00+05:30"]
    times.append(str(int(at.timestamp())))

    receipts = [(await gate.punch("BER", _item(time)))[0] for time in times]
    receipts += await gate.punch("BER", _item(int(at.timestamp())))

    assert len({each.punch_id for each in receipts}) == 1
    assert [each.status for each in receipts] == ["recorded", *["duplicate"] * 4]


@pytest.mark.parametrize(
    ("time", "source"),
    [("2026-06-21T09:00:00Z", "offset"), (1_782_032_400, "epoch"), ("2026-06-21 09:00", "device")],
)
async def test_how_the_instant_is_known_is_kept(gate: Gateway, time: object, source: str) -> None:
    assert (await _one(gate, _item(time))).zone_source == source


async def test_the_ambiguous_hour_is_told_by_the_devices_own_earlier_punches(
    gate: Gateway,
) -> None:
    """Two uploads: the second stands earlier on the clock, so the clock was set back."""
    gate.clock.ms = FOLD_MORNING
    await gate.add_device("BER", zone=BERLIN)
    first = await _one(gate, _item("2026-10-25 02:50:00", "a"), "BER")
    second = await _one(gate, _item("2026-10-25 02:10:00", "b"), "BER")
    other = await gate.add_device("BER2", zone=BERLIN)
    elsewhere = await _one(gate, _item("2026-10-25 02:10:00", "b"), "BER2")

    assert (first.flags, first.utc_offset_s) == ("ambiguous_local_time", 7200)
    assert second.flags == "ambiguous_local_time fold_inferred"
    assert (second.utc_offset_s, second.at - first.at) == (3600, 20 * 60)
    assert elsewhere.utc_offset_s == 7200
    assert other.device.id != "gate"


async def test_the_ambiguous_hour_is_told_within_one_upload_too(gate: Gateway) -> None:
    gate.clock.ms = FOLD_MORNING
    await gate.add_device("BER", zone=BERLIN)
    times = ["01:55", "02:20", "02:50", "02:05", "02:45", "03:10"]

    receipts = await gate.punch(
        "BER", *(_item(f"2026-10-25 {time}:00", f"p{time}") for time in times)
    )
    stored = [await _stored(gate, receipt) for receipt in receipts]

    assert [each.utc_offset_s // 3600 for each in stored] == [2, 2, 2, 1, 1, 1]
    assert [each.at for each in stored] == sorted(each.at for each in stored)


async def test_a_log_of_the_ambiguous_hour_sent_again_changes_nothing(gate: Gateway) -> None:
    gate.clock.ms = FOLD_MORNING
    await gate.add_device("BER", zone=BERLIN)
    log = [_item(f"2026-10-25 {time}:00", time) for time in ("02:30", "02:10", "02:40")]
    await gate.punch("BER", *log)
    before = await _all(gate, schema.punch)

    receipts = await gate.punch("BER", *reversed(log))

    assert {each.status for each in receipts} == {"duplicate"}
    assert await _all(gate, schema.punch) == before


async def test_a_skipped_time_moves_forward_and_counts_on_the_date_it_moved_to(
    gate: Gateway,
) -> None:
    """In Beirut the first hour of 29 March 2026 did not exist."""
    await gate.add_device("BEY", zone="Asia/Beirut")

    stored = await _one(gate, _item("2026-03-29 00:30:00"), "BEY")

    assert "nonexistent_local_time" in stored.flags.split()
    assert stored.wall_time == "2026-03-29 00:30:00"
    assert stored.at + stored.utc_offset_s == int(
        datetime(2026, 3, 29, 1, 30, tzinfo=UTC).timestamp()
    )


@pytest.mark.parametrize(
    ("time", "dates"),
    [
        ("09:00:00", ["2026-06-20"]),
        ("00:00:30", ["2026-06-19", "2026-06-20", "2026-06-21"]),
        ("23:59:30", ["2026-06-19", "2026-06-20", "2026-06-21"]),
        ("00:09:59", ["2026-06-19", "2026-06-20", "2026-06-21"]),
        ("23:49:59", ["2026-06-20"]),
    ],
)
async def test_a_punch_near_midnight_touches_the_dates_beside_its_own(
    gate: Gateway, time: str, dates: list[str]
) -> None:
    await gate.punch("SN1", _item(f"2026-06-20 {time}"))

    assert [row.date for row in await _all(gate, schema.workday_stale)] == dates


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
    entries = [entry for found in told if found is not None for entry in [found[1]]]
    assert len(entries) == 5
    assert {type(entry) for entry in entries} == {Event}
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
        gate.context, readers={transport: Reader("its reader", attendance.read_bytes)}
    )
    entry = await gate.entry("SN1")
    (first,) = await door.record(context, entry, SEEN, transport=transport, now=NOON)
    (second,) = await door.record(gate.context, entry, SEEN, transport="http", now=NOON)

    assert (first.status, second.status) == ("recorded", "duplicate")
    stored = await _stored(gate, first)
    assert (stored.transport, stored.code_table) == (transport, table)
