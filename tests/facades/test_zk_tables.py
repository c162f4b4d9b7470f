"""What the facade shows: widths, counts, codes, names, times, and of which scope.

Real: a store, the verbs that fill it, sockets, our own client. The questions to both databases are
tested with the report. Rules 2, 4 to 7 of
docs/how-to/facade.md.
"""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from punchgate.domain.error import Invalid
from punchgate.domain.ids import DeviceId, UserCode
from punchgate.facades.zk_memory import FIRMWARE
from punchgate.protocols.zk import dialogue, layouts, moment, users
from punchgate.protocols.zk.commands import Command
from punchgate.protocols.zk.tables import Table
from punchgate.reports.terminal_view import Scope
from punchgate.usecases import (
    accounts,
    devices,
    facade_notices,
    people,
    punches,
    quarantine,
)
from punchgate.wire import attendance
from punchgate.wire.event import PunchesSeen
from tests import gateway
from tests.facades import stage
from tests.facades.stage import Session
from tests.gateway import MAIN, NOON, Gateway

GATE = DeviceId("gate")


@pytest.fixture(name="opened")
async def opened_gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path) as opened:
        await opened.add_device("SN1", id="gate", site="north")
        await opened.add_device("SN2", id="hall", site="north")
        await opened.add_device("SN3", id="shop", site="south")
        yield opened


def said(code: str, wall_time: str, **more: Any) -> dict[str, Any]:
    return {"user_id": code, "att_time": wall_time, **more}


async def name(opened: Gateway, code: str, full: str | None) -> None:
    changes = people.Changes(name=full)
    await people.add(opened.context, MAIN, code, changes, actor="test", now=opened.clock())


def plain(row: bytes) -> tuple[int, str, str, int, int]:
    """Give a row's number, code, wall time, method and state."""
    uid, code, verify, packed, state, rest = layouts.LAYOUT_40.form.unpack(row)
    assert rest == b"\0\0\0\0\xff\0\0\0"
    text = code.rstrip(b"\0")
    assert b"\0" not in text
    return uid, text.decode("ascii"), str(moment.said(packed)), verify, state


async def codes(session: Session) -> list[str]:
    return [plain(row)[1] for row in await session.rows()]


async def test_a_store_with_nothing_in_it_is_an_empty_terminal(opened: Gateway) -> None:
    async with stage.before(opened) as before, before.session() as session:
        sizes = await session.have(dialogue.read_free_sizes())
        assert (sizes.users, sizes.records, sizes.record_capacity) == (0, 0, 100_000)
        assert await session.people() == []
        assert await session.rows() == []


async def test_people_have_72_bytes_rows_40_and_counters_92(opened: Gateway) -> None:
    await opened.punch("SN1", said("7", "2026-06-20 09:00:00"))
    async with stage.before(opened) as before, before.call() as caller:
        assert await caller.connect() == 2000
        assert len(await caller.table(Table.USERS)) == 4 + 72
        assert len(await caller.table(Table.ATTENDANCE)) == 4 + 40
        assert len((await caller.ask(Command.GET_FREE_SIZES))[0].data) == 92
        assert await caller.table(Table.TEMPLATES) == bytes(4)
        assert await caller.table(Table.OPERATIONS) == bytes(4)


async def test_rows_say_who_when_how_and_which_way_oldest_first(opened: Gateway) -> None:
    await opened.punch(
        "SN2",
        said("ANA7", "2026-06-20 17:00:05", att_state=1, input_type=1),
        said("0042", "2026-06-20 09:00:00", att_state=0, input_type=0),
    )
    await opened.punch("SN1", said("0042", "2026-06-20 12:30:59", att_state=2, input_type=3))
    async with stage.before(opened) as before, before.session() as session:
        rows = [plain(row) for row in await session.rows()]
    numbers = {code: uid for uid, code, *_ in rows}
    assert sorted(numbers.values()) == [1, 2]
    assert [row[1:] for row in rows] == [
        ("0042", "2026-06-20 09:00:00", 1, 0),
        ("0042", "2026-06-20 12:30:59", 2, 2),
        ("ANA7", "2026-06-20 17:00:05", 15, 1),
    ]


@pytest.mark.parametrize(
    ("method", "shown"),
    [(0, 1), (1, 15), (3, 2), (4, 0), (5, 1), (9, 1), (50, 1), (None, 1)],
)
async def test_verify_is_password_finger_card_face_or_else_a_finger(
    opened: Gateway, method: int | None, shown: int
) -> None:
    more = {} if method is None else {"input_type": method}
    await opened.punch("SN1", said("7", "2026-06-20 09:00:00", **more))
    async with stage.before(opened) as before, before.session() as session:
        assert plain((await session.rows())[0])[3] == shown


@pytest.mark.parametrize(
    ("state", "shown"),
    [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (255, 255), (None, 255)],
)
async def test_the_state_is_the_direction(opened: Gateway, state: int | None, shown: int) -> None:
    more = {} if state is None else {"att_state": state}
    await opened.punch("SN1", said("7", "2026-06-20 09:00:00", **more))
    async with stage.before(opened) as before, before.session() as session:
        assert plain((await session.rows())[0])[4] == shown


async def test_a_device_that_only_lets_people_in_says_so(opened: Gateway) -> None:
    changes = devices.Changes(direction_policy="always-in")
    await devices.set_device(opened.context, MAIN, GATE, changes, actor="test", now=opened.clock())
    await opened.punch("SN1", said("7", "2026-06-20 09:00:00", att_state=255))
    async with stage.before(opened) as before, before.session() as session:
        assert plain((await session.rows())[0])[4] == 0


async def test_what_is_in_quarantine_is_not_served(opened: Gateway) -> None:
    receipts = await opened.punch(
        "SN1",
        said("7", "1999-06-20 09:00:00"),
        said("7", "2044-06-20 09:00:00"),
        said("7", "2026-06-20 09:00:00"),
    )
    assert [receipt.status for receipt in receipts] == ["quarantined", "quarantined", "recorded"]
    async with stage.before(opened) as before, before.session() as session:
        assert [plain(row)[2] for row in await session.rows()] == ["2026-06-20 09:00:00"]
        assert (await session.have(dialogue.read_free_sizes())).records == 1


async def test_a_year_that_no_terminal_has_is_not_served_and_told(opened: Gateway) -> None:
    (receipt,) = await opened.punch("SN1", said("7", "2144-06-20 09:00:00"))
    assert receipt.quarantine_id is not None
    async with stage.before(opened) as before:
        # An operator may release whatever is in quarantine.
        await quarantine.release(
            opened.context, MAIN, receipt.quarantine_id, actor="test", now=opened.clock()
        )
        async with before.session() as session:
            assert await session.rows() == []
        assert "1 punches have a year" in (await before.problems())[facade_notices.UNFIT]


@pytest.mark.parametrize(
    ("full", "shown"),
    [
        (None, ""),
        ("Ana Torres", "Ana Torres"),
        ("Łukasz Żółć", "Łukasz Żółć"),
        ("a" * 23, "a" * 23),
        ("a" * 24, "a" * 23),
        # 22 letters and one of two bytes: it does not fit whole, so it goes.
        ("a" * 22 + "ñ", "a" * 22),
        ("李" * 9, "李" * 7),
    ],
)
async def test_a_name_is_cut_at_23_bytes_between_two_characters(
    opened: Gateway, full: str | None, shown: str
) -> None:
    await name(opened, "7", full)
    async with stage.before(opened) as before, before.session() as session:
        (person,) = await session.people()
    assert person.name == shown
    assert (person.user_id, person.permission, person.card, person.password) == ("7", 0, 0, b"")
    # The Node clients read a name up to the next NUL, wherever that is.
    assert person.row[34] == 0


@pytest.mark.parametrize("code", ["1", "0001", "ANA7", "123456789", "x" * 24, "a b"])
async def test_a_code_of_24_ascii_characters_is_served_as_it_is(opened: Gateway, code: str) -> None:
    await opened.punch("SN1", said(code, "2026-06-20 09:00:00"))
    async with stage.before(opened) as before:
        async with before.session() as session:
            assert [person.user_id for person in await session.people()] == [code]
            assert await codes(session) == [code]
        assert (facade_notices.LONG in await before.problems()) == (len(code) > 9)
        assert facade_notices.UNFIT not in await before.problems()


@pytest.mark.parametrize("code", ["x" * 25, "ANÁ7", "李"])
async def test_a_code_that_does_not_fit_is_not_served_and_raises_a_problem(
    opened: Gateway, code: str
) -> None:
    await opened.punch("SN1", said(code, "2026-06-20 09:00:00"), said("7", "2026-06-20 09:00:01"))
    async with stage.before(opened) as before:
        async with before.session() as session:
            assert [person.user_id for person in await session.people()] == ["7"]
            assert await codes(session) == ["7"]
            sizes = await session.have(dialogue.read_free_sizes())
            assert (sizes.users, sizes.records) == (1, 1)
        told = (await before.problems())[facade_notices.UNFIT]
        assert told.startswith("1 people cannot be served")
        assert code not in told


async def test_a_problem_is_over_once_its_person_is_gone(opened: Gateway) -> None:
    await opened.punch("SN1", said("x" * 25, "2026-06-20 09:00:00"))
    async with stage.before(opened, "device:gate") as before:
        async with before.session():
            pass
        assert facade_notices.UNFIT in await before.problems()
        await people.erase(
            opened.context, MAIN, UserCode("x" * 25), actor="test", now=opened.clock()
        )
        async with before.session():
            pass
        assert await before.problems() == {}


async def test_a_person_keeps_the_number_from_session_to_session(opened: Gateway) -> None:
    for code in ("c", "a", "b"):
        await opened.punch("SN1", said(code, "2026-06-20 09:00:00"))
    async with stage.before(opened) as before:
        async with before.session() as session:
            first = users.codes(await session.people())
        await people.erase(opened.context, MAIN, UserCode("c"), actor="test", now=opened.clock())
        await opened.punch("SN1", said("d", "2026-06-20 09:00:00"))
        async with before.session() as session:
            second = users.codes(await session.people())
            for row in await session.rows():
                uid, code, *_ = plain(row)
                assert second[uid] == code
    assert first == {1: "c", 2: "a", 3: "b"}
    # The bare code of somebody who was erased stays with its number.
    assert second == {1: "c", 2: "a", 3: "b", 4: "d"}


@pytest.mark.parametrize(
    ("scope", "shown"),
    [
        ("account", ["1", "2", "3"]),
        ("device:gate", ["1"]),
        ("device:shop", ["3"]),
        ("site:north", ["1", "2"]),
        ("site:south", ["3"]),
    ],
)
async def test_a_scope_shows_its_own_punches_and_who_made_them(
    opened: Gateway, scope: str, shown: list[str]
) -> None:
    await opened.punch("SN1", said("1", "2026-06-20 09:00:01"))
    await opened.punch("SN2", said("2", "2026-06-20 09:00:02"))
    await opened.punch("SN3", said("3", "2026-06-20 09:00:03"))
    async with stage.before(opened, scope) as before, before.session() as session:
        assert [person.user_id for person in await session.people()] == shown
        assert await codes(session) == shown
        sizes = await session.have(dialogue.read_free_sizes())
        assert (sizes.users, sizes.records) == (len(shown), len(shown))


async def test_a_whole_account_also_shows_who_has_not_punched(opened: Gateway) -> None:
    await name(opened, "7", "New")
    async with stage.before(opened) as before, before.session() as session:
        assert [person.user_id for person in await session.people()] == ["7"]
    async with stage.before(opened, "site:north") as before, before.session() as session:
        assert await session.people() == []


async def test_a_removed_device_keeps_its_punches_in_its_scope(opened: Gateway) -> None:
    await opened.punch("SN1", said("1", "2026-06-20 09:00:01"))
    await devices.remove(opened.context, MAIN, GATE, actor="test", now=opened.clock())
    for scope in ("device:gate", "site:north"):
        async with stage.before(opened, scope) as before, before.session() as session:
            assert await codes(session) == ["1"]


async def test_a_scope_without_a_device_is_empty_and_told(opened: Gateway) -> None:
    await opened.punch("SN1", said("1", "2026-06-20 09:00:01"))
    async with stage.before(opened, "device:gone") as before:
        async with before.session() as session:
            assert await session.people() == []
            assert await session.rows() == []
        assert facade_notices.NOBODY in await before.problems()


@pytest.mark.parametrize("text", ["", "device:", "site", "account:main", "person:7"])
def test_what_is_no_scope_is_told(text: str) -> None:
    with pytest.raises(Invalid, match="is no scope"):
        Scope.read(text, MAIN)


async def test_nothing_of_another_account_is_served(opened: Gateway) -> None:
    await opened.punch("SN1", said("1", "2026-06-20 09:00:01"))
    other = await accounts.add(opened.context, "other", actor="test", now=NOON)
    new = devices.New(serial="SN9", id="gate", changes=devices.Changes(site="north"))
    await devices.add(opened.context, other.no, new, actor="test", now=NOON)
    await opened.punch("SN9", said("99", "2026-06-20 09:00:02"))
    for scope in ("account", "device:gate", "site:north"):
        async with stage.before(opened, scope) as before, before.session() as session:
            assert await codes(session) == ["1"]
            assert [person.user_id for person in await session.people()] == ["1"]


@pytest.mark.parametrize("scope", ["account", "device:gate"])
async def test_only_the_newest_are_served_and_the_others_are_counted(
    opened: Gateway, scope: str
) -> None:
    items = [said("7", f"2026-06-20 09:00:{second:02}") for second in range(9)]
    await opened.punch("SN1", *reversed(items))
    async with stage.before(opened, scope, most=4) as before:
        async with before.session() as session:
            times = [plain(row)[2] for row in await session.rows()]
            sizes = await session.have(dialogue.read_free_sizes())
        assert times == [item["att_time"] for item in items[5:]]
        assert (sizes.records, sizes.record_capacity, sizes.records_free) == (4, 4, 0)
        told = (await before.problems())[facade_notices.CUT]
        assert told.startswith("5 older punches are left out")
    async with stage.before(opened, scope, most=9) as before:
        async with before.session() as session:
            assert len(await session.rows()) == 9
        assert facade_notices.CUT not in await before.problems()


async def test_counts_and_tables_are_of_one_snapshot(opened: Gateway) -> None:
    await opened.punch("SN1", said("1", "2026-06-20 09:00:01"))
    async with stage.before(opened) as before:
        async with before.session() as session:
            await opened.punch("SN1", said("2", "2026-06-20 09:00:02"))
            await name(opened, "3", "New")
            sizes = await session.have(dialogue.read_free_sizes())
            assert (sizes.users, sizes.records) == (1, 1)
            assert await codes(session) == ["1"]
            # A second CONNECT changes nothing.
            await session.have(dialogue.ask(Command.CONNECT))
            assert len(await session.people()) == 1
        async with before.session() as session:
            assert await codes(session) == ["1", "2"]
            assert len(await session.people()) == 3
    assert [shot.rows.punch_count for shot in before.snapshots] == [1, 2]


async def test_a_snapshot_of_many_slices_has_each_row_once(opened: Gateway) -> None:
    entry = await opened.entry("SN1")
    first = datetime(2026, 6, 1)  # noqa: DTZ001 (a wall time)
    times = [str(first + timedelta(seconds=37 * at)) for at in range(2_345)]
    seen = [attendance.read_bytes(json.dumps(said("7", each)).encode()) for each in times]
    for at in range(0, len(seen), 1_000):
        part = PunchesSeen(seen[at : at + 1_000])
        await punches.record(opened.context, entry, part, transport="http", now=opened.clock())
    async with stage.before(opened) as before, before.session() as session:
        assert [plain(row)[2] for row in await session.rows()] == times


async def test_options_are_those_of_a_terminal_and_always_the_same(opened: Gateway) -> None:
    async with stage.before(opened) as before:
        told = []
        for _ in range(2):
            async with before.session() as session:
                names = (*dialogue.OPTIONS, "~OS", "~SSR", "IPAddress")
                found = await session.have(dialogue.read_options((*names, "NoSuchOption")))
                assert set(found) == set(names)
                assert await session.have(dialogue.read_firmware()) == FIRMWARE
                told.append(found)
    assert told[0] == told[1]
    assert told[0]["~SerialNumber"].startswith("PG")
    assert (told[0]["IPAddress"], told[0]["~PIN2Width"]) == ("127.0.0.1", "24")


async def test_the_scope_of_one_device_has_its_serial_number(opened: Gateway) -> None:
    async with stage.before(opened, "device:shop") as before, before.session() as session:
        found = await session.have(dialogue.read_options(["~SerialNumber"]))
    assert found == {"~SerialNumber": "SN3"}


@pytest.mark.parametrize(
    ("zone", "shown"),
    [("UTC", "2026-06-21 12:00:00"), ("Asia/Kolkata", "2026-06-21 17:30:00")],
)
async def test_the_clock_is_in_the_zone_of_the_facade(
    opened: Gateway, zone: str, shown: str
) -> None:
    async with stage.before(opened, zone=zone) as before, before.session() as session:
        assert str(await session.have(dialogue.read_time())) == shown
