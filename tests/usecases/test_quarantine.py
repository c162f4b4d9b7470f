"""Quarantine: what could not be a punch is kept, looked at, released or dismissed. A real store."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from punchgate.domain.error import NotFound, Refused
from punchgate.domain.ids import AccountNo, DeviceId, QuarantineId
from punchgate.domain.quarantine import Quarantined
from punchgate.store import punches, schema
from punchgate.store import quarantine as rows
from punchgate.usecases import accounts, audit, devices, policies, quarantine
from punchgate.usecases import punches as door
from punchgate.wire import attendance
from punchgate.wire.event import PunchesSeen
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway
from tests.store.stage import until

FUTURE = {"user_id": "1001", "att_time": "2027-01-01 09:00:00", "att_state": 0}


@pytest.fixture(name="gate")
async def _gate(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path) as gate:
        await gate.add_device("SN1", id="gate", zone="UTC")
        yield gate


async def _send_raw(gate: Gateway, *items: bytes) -> list[door.Receipt]:
    seen = PunchesSeen([attendance.read_bytes(item) for item in items])
    entry = await gate.entry()
    return await door.record(gate.context, entry, seen, transport="http", now=gate.clock())


async def _hold(gate: Gateway, **item: Any) -> QuarantineId:
    (receipt,) = await gate.punch("SN1", item or FUTURE)
    assert receipt.quarantine_id is not None
    return receipt.quarantine_id


async def _release(gate: Gateway, item_id: QuarantineId, account: AccountNo = MAIN) -> Quarantined:
    return await quarantine.release(gate.context, account, item_id, actor="ops", now=NOON + 7)


async def _dismiss(gate: Gateway, item_id: QuarantineId, note: str = "") -> Quarantined:
    return await quarantine.dismiss(gate.context, MAIN, item_id, note, actor="ops", now=NOON + 7)


async def _count(gate: Gateway, table: Any) -> int:
    return len(await gate.context.database.read(lambda tx: tx.execute(select(table)).all()))


async def test_an_item_is_kept_with_its_bytes_its_reason_and_its_reader(gate: Gateway) -> None:
    (receipt,) = await _send_raw(gate, b"\xff not json")

    assert receipt.quarantine_id is not None
    item = await quarantine.get(gate.context, MAIN, receipt.quarantine_id)
    assert (item.raw, item.reason, item.codec) == (b"\xff not json", "not_json", "attendance/1")
    assert (item.device_id, item.serial, item.transport) == ("gate", "SN1", "http")
    assert (item.received_at, item.state, item.punch_id) == (NOON, "open", None)


async def test_the_same_bytes_sent_again_are_one_item_of_their_first_arrival(
    gate: Gateway,
) -> None:
    first = await _hold(gate)
    gate.clock.ms += 60_000

    assert await _hold(gate) == first

    assert (await quarantine.get(gate.context, MAIN, first)).received_at == NOON
    assert await _count(gate, schema.quarantine) == 1


async def test_the_same_bytes_of_two_devices_are_two_items(gate: Gateway) -> None:
    await gate.add_device("SN2", zone="UTC")
    await gate.punch("SN1", FUTURE)
    await gate.punch("SN2", FUTURE)

    assert await _count(gate, schema.quarantine) == 2


async def test_what_is_held_has_no_punch_no_event_and_no_day(gate: Gateway) -> None:
    await _hold(gate)

    for table in (schema.punch, schema.event, schema.workday_stale, schema.person):
        assert await _count(gate, table) == 0


async def test_a_release_stores_the_punch_and_says_so(gate: Gateway) -> None:
    item_id = await _hold(gate)

    released = await _release(gate, item_id)

    assert (released.state, released.decided_at) == ("released", NOON + 7)
    assert released.punch_id is not None
    wanted = released.punch_id
    stored = await gate.context.database.read(lambda tx: punches.find(tx, MAIN, wanted))
    assert stored is not None
    assert (stored.flags, stored.received_at) == ("released", NOON)
    assert stored.raw == released.raw
    assert await quarantine.get(gate.context, MAIN, item_id) == released
    found = await gate.context.database.read(lambda tx: rows.find_of_punch(tx, MAIN, wanted))
    assert found == released
    assert await _count(gate, schema.event) == 1
    (entry, *_) = await audit.list_entries(gate.context, MAIN)
    assert (entry.action, entry.actor) == ("quarantine.release", "ops")
    assert entry.subject == f"item:{item_id}"


async def test_a_released_punch_is_the_one_that_would_have_been_recorded(gate: Gateway) -> None:
    released = await _release(gate, await _hold(gate))
    gate.clock.ms += 365 * 86_400_000

    (receipt,) = await gate.punch("SN1", FUTURE)

    assert (receipt.status, receipt.punch_id) == ("duplicate", released.punch_id)


async def test_an_item_decided_once_is_not_decided_again(gate: Gateway) -> None:
    released, dismissed = await _hold(gate), await _hold(gate, **{**FUTURE, "user_id": "2"})
    await _release(gate, released)
    await _dismiss(gate, dismissed)

    for item_id, state in ((released, "released"), (dismissed, "dismissed")):
        with pytest.raises(Refused, match=f"is {state} already"):
            await _release(gate, item_id)
        with pytest.raises(Refused, match=f"is {state} already"):
            await _dismiss(gate, item_id)
    assert await _count(gate, schema.punch) == 1


async def test_of_two_decisions_at_once_the_first_stands(gate: Gateway) -> None:
    item_id = await _hold(gate)

    may_go_on = threading.Event()
    # Both have looked before either may write.
    busy = asyncio.ensure_future(gate.context.writer.run(lambda _: may_go_on.wait(30)))
    calls = [asyncio.ensure_future(_dismiss(gate, item_id, name)) for name in ("first", "second")]
    await until(lambda: gate.context.writer.waiting == 3)
    may_go_on.set()
    decided = await asyncio.gather(*calls, return_exceptions=True)
    await busy

    lost = [each for each in decided if isinstance(each, Refused)]
    won = [each for each in decided if isinstance(each, Quarantined)]
    assert (len(won), len(lost)) == (1, 1)
    assert "at the same time" in str(lost[0])
    assert await quarantine.get(gate.context, MAIN, item_id) == won[0]
    actions = [entry.action for entry in await audit.list_entries(gate.context, MAIN)]
    assert actions.count("quarantine.dismiss") == 1


async def test_a_release_that_comes_second_says_that_the_punch_is_stored(gate: Gateway) -> None:
    item_id = await _hold(gate)
    # Somebody dismisses the item while its punch is stored; no test could come between otherwise.
    await gate.context.writer.run(
        lambda tx: tx.exec_driver_sql(
            "CREATE TRIGGER planted AFTER INSERT ON punch BEGIN"
            " UPDATE quarantine SET state = 'dismissed', note = 'theirs'; END"
        )
    )

    with pytest.raises(Refused, match="at the same time") as caught:
        await _release(gate, item_id)

    (punch,) = await gate.context.database.read(lambda tx: tx.execute(select(schema.punch)).all())
    assert punch.punch_id in str(caught.value)
    item = await quarantine.get(gate.context, MAIN, item_id)
    assert (item.state, item.note, item.punch_id) == ("dismissed", "theirs", None)
    actions = {entry.action for entry in await audit.list_entries(gate.context, MAIN)}
    assert "quarantine.release" not in actions


async def test_a_dismissed_item_keeps_its_bytes_and_the_reason_of_the_operator(
    gate: Gateway,
) -> None:
    item_id = await _hold(gate)

    dismissed = await _dismiss(gate, item_id, "battery was empty")

    assert (dismissed.state, dismissed.note) == ("dismissed", "battery was empty")
    assert (await quarantine.get(gate.context, MAIN, item_id)).raw == dismissed.raw
    (entry, *_) = await audit.list_entries(gate.context, MAIN)
    assert entry.action == "quarantine.dismiss"


async def test_what_still_cannot_be_read_is_refused_and_stays(gate: Gateway) -> None:
    (receipt,) = await _send_raw(gate, b"{")
    assert receipt.quarantine_id is not None

    with pytest.raises(Refused, match="still cannot be read: not_json"):
        await _release(gate, receipt.quarantine_id)

    assert (await quarantine.get(gate.context, MAIN, receipt.quarantine_id)).state == "open"


async def test_an_item_of_a_device_that_is_gone_is_refused_until_it_is_back(
    gate: Gateway,
) -> None:
    item_id = await _hold(gate)
    await devices.remove(gate.context, MAIN, DeviceId("gate"), actor="test", now=NOON)
    gate.context.directory._checked_at = float("-inf")

    with pytest.raises(Refused, match="add it first"):
        await _release(gate, item_id)

    await gate.add_device("SN1", id="gate-2", zone="UTC")
    assert (await _release(gate, item_id)).state == "released"


async def test_a_release_reads_by_the_settings_of_today(gate: Gateway) -> None:
    """A wrong zone made the time impossible; with the right one it is not."""
    await gate.add_device("WEST", id="west", zone="Pacific/Honolulu")
    (receipt,) = await gate.punch("WEST", {"user_id": "1", "att_time": "2026-06-21 11:00:00"})
    assert (receipt.status, receipt.reason) == ("quarantined", "future_time")
    await devices.set_device(
        gate.context,
        MAIN,
        DeviceId("west"),
        devices.Changes(zone="UTC"),
        actor="test",
        now=NOON,
    )
    gate.context.directory._checked_at = float("-inf")

    assert receipt.quarantine_id is not None
    released = await _release(gate, receipt.quarantine_id)

    wanted = released.punch_id
    assert wanted is not None
    stored = await gate.context.database.read(lambda tx: punches.find(tx, MAIN, wanted))
    assert stored is not None
    assert (stored.zone, stored.utc_offset_s) == ("UTC", 0)


@pytest.mark.parametrize(
    "time", ["0001-01-01 00:00:00", "9999-12-31 23:59:59", "1969-12-31 12:00:00"]
)
@pytest.mark.parametrize("spreads", [False, True])
async def test_the_oddest_time_can_be_released_and_holds_no_day_up(
    gate: Gateway, time: object, *, spreads: bool
) -> None:
    if spreads:
        rules = policies.StoredPolicy(date(2020, 1, 1), {"attribution": "session"})
        await policies.set_policy(gate.context, MAIN, rules, actor="test", now=NOON)
    item_id = await _hold(gate, user_id="odd", att_time=time)

    released = await _release(gate, item_id)
    await gate.punch("SN1", {"user_id": "1001", "att_time": "2026-06-20 09:00:00"})
    await gate.catch_up()

    assert released.state == "released"
    days = await gate.context.database.read(
        lambda tx: set(tx.execute(select(schema.workday.c.date)).scalars())
    )
    assert "2026-06-20" in days


async def test_a_release_that_the_database_refuses_leaves_the_item_open(gate: Gateway) -> None:
    item_id = await _hold(gate)
    await gate.context.writer.run(
        lambda tx: tx.exec_driver_sql(
            "CREATE TRIGGER planted BEFORE INSERT ON punch BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    )

    with pytest.raises(Refused, match="did not take"):
        await _release(gate, item_id)

    assert (await quarantine.get(gate.context, MAIN, item_id)).state == "open"
    assert await _count(gate, schema.quarantine) == 1


@pytest.mark.parametrize("place", range(4))
async def test_I11_a_bad_item_at_any_place_is_kept_and_its_neighbours_are_stored(
    gate: Gateway, place: int
) -> None:
    """One cannot be read, then one whose time is impossible; the second is released at last."""
    good = [
        json.dumps({"user_id": f"p{each}", "att_time": "2026-06-20 09:00:00"}).encode()
        for each in range(3)
    ]
    for bad in (b'{"user_id":', json.dumps(FUTURE).encode()):
        upload = [*good[:place], bad, *good[place:]]
        receipts = await _send_raw(gate, *upload)
        held = [number for number, each in enumerate(receipts) if each.status == "quarantined"]
        assert held == [place]
        item_id = receipts[place].quarantine_id
        assert item_id is not None
        assert (await quarantine.get(gate.context, MAIN, item_id)).raw == bad

    assert await _count(gate, schema.punch) == 3
    assert item_id is not None
    assert (await _release(gate, item_id)).punch_id is not None
    assert await _count(gate, schema.punch) == 4


async def test_lists_are_by_state_latest_arrival_first_and_bounded(gate: Gateway) -> None:
    ids = []
    for number in range(4):
        gate.clock.ms = NOON + number
        ids.append(await _hold(gate, **{**FUTURE, "user_id": f"p{number}"}))
    await _dismiss(gate, ids[1])

    async def listed(**options: Any) -> list[QuarantineId]:
        return [item.id for item in await quarantine.list_items(gate.context, MAIN, **options)]

    assert await listed() == [ids[3], ids[2], ids[0]]
    assert await listed(state="dismissed") == [ids[1]]
    assert await listed(state=None) == [ids[3], ids[2], ids[1], ids[0]]
    assert await listed(limit=2) == [ids[3], ids[2]]


async def test_I12_another_accounts_items_are_as_if_they_never_were(gate: Gateway) -> None:
    item_id = await _hold(gate)
    other = await accounts.add(gate.context, "other", None, actor="test", now=NOON)

    assert await quarantine.list_items(gate.context, other.no, state=None) == []
    told = []
    for account, wanted in ((other.no, item_id), (other.no, QuarantineId("0" * 26))):
        with pytest.raises(NotFound) as caught:
            await _release(gate, wanted, account)
        told.append(str(caught.value).replace(wanted, "ID"))
    assert told[0] == told[1]


async def test_beyond_the_bound_the_oldest_dismissed_go_and_open_ones_never(
    gate: Gateway,
) -> None:
    ids = []
    for number in range(6):
        gate.clock.ms = NOON + number
        ids.append(await _hold(gate, **{**FUTURE, "user_id": f"p{number}"}))
    for number in (0, 2, 4):
        await _dismiss(gate, ids[number])

    assert await quarantine.prune(gate.context, now=NOON) == 0
    assert await quarantine.prune(gate.context, now=NOON + 9, bound=4) == 2
    left = {item.id for item in await quarantine.list_items(gate.context, MAIN, state=None)}
    assert left == {ids[1], ids[3], ids[4], ids[5]}
    assert await quarantine.prune(gate.context, now=NOON, bound=1) == 1
    assert await quarantine.prune(gate.context, now=NOON, bound=1) == 0


async def test_pruning_leaves_one_entry_per_account_with_the_count(gate: Gateway) -> None:
    for number in range(3):
        await _dismiss(gate, await _hold(gate, **{**FUTURE, "user_id": f"p{number}"}))
    before = await audit.list_entries(gate.context, MAIN)
    await quarantine.prune(gate.context, now=NOON, bound=3)
    assert await audit.list_entries(gate.context, MAIN) == before

    await quarantine.prune(gate.context, now=NOON + 9, bound=1)

    entry, *rest = await audit.list_entries(gate.context, MAIN)
    assert rest == before
    assert (entry.at, entry.action, entry.after) == (NOON + 9, "quarantine.prune", {"count": 2})
