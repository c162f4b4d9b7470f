"""When a punch was: zones and how they are known, hours that come twice, times that cannot be.

Real: the store, the directory, the zone rules. Invented: devices, punches and the clock.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from punchgate.domain.punch import Punch
from punchgate.store import punches, schema
from punchgate.usecases import accounts, policies
from punchgate.usecases import punches as door
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway

BERLIN = "Europe/Berlin"
#: On 25 October 2026 Berlin's clocks show 02:00 to 03:00 twice.
FOLD_MORNING = int(datetime(2026, 10, 25, 6, tzinfo=UTC).timestamp() * 1000)


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


@pytest.mark.parametrize("is_one_upload", [True, False])
async def test_the_order_of_punches_outside_the_ambiguous_hour_tells_nothing(
    gate: Gateway, *, is_one_upload: bool
) -> None:
    """Behind the hour or before it; and none of them hides the one that tells."""
    gate.clock.ms = FOLD_MORNING
    await gate.add_device("BER", zone=BERLIN)
    items = [
        _item(f"2026-10-25 {time}:00", f"p{time}")
        for time in ("03:10", "01:50", "02:10", "02:50", "03:00", "02:40", "06:00", "02:45")
    ]

    uploads = [items] if is_one_upload else [[item] for item in items]
    receipts = [each for upload in uploads for each in await gate.punch("BER", *upload)]
    stored = [await _stored(gate, receipt) for receipt in receipts]

    assert [each.utc_offset_s // 3600 for each in stored] == [1, 2, 2, 2, 1, 1, 1, 1]


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
