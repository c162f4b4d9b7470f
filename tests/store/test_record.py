"""What one group writes: punches, people, events and stale days. On SQLite and on PostgreSQL.

Real: both databases and the faults in them. Invented: the facts.
"""

import asyncio
import json

import pytest
from sqlalchemy import Connection

from punchgate.domain.account import Account
from punchgate.domain.ids import AccountNo, PersonNo, UserCode
from punchgate.domain.person import Person
from punchgate.store import accounts, events, installation, people, punches, schema, workdays
from punchgate.store.error import StoreUnavailable
from punchgate.store.fact import Fact
from tests.store.stage import MAIN, NOW, Stage, caused, fact, held

MOMENTS = {
    "the punch": "BEFORE INSERT ON punch",
    "the number of the person": "BEFORE UPDATE ON account",
    "the person": "BEFORE INSERT ON person",
    "the event": "BEFORE INSERT ON event",
    "the stale day": "BEFORE INSERT ON workday_stale",
}


async def test_a_new_punch_is_kept_as_it_was_handed_over(stage: Stage) -> None:
    one = fact()

    assert list(await stage.store.writer.record([one])) == ["recorded"]

    kept = await stage.read(lambda tx: punches.find(tx, MAIN, one.punch.punch_id))
    assert kept == one.punch


async def test_a_punch_that_is_there_is_a_duplicate_and_changes_nothing(stage: Stage) -> None:
    one = fact()
    await stage.store.writer.record([one])
    before = [await stage.rows(table) for table in caused()]
    again = one._replace(punch=one.punch._replace(received_at=NOW, raw=b"other bytes"))

    assert list(await stage.store.writer.record([again])) == ["duplicate"]

    assert [await stage.rows(table) for table in caused()] == before


async def test_of_equal_punches_in_one_group_the_first_is_recorded(stage: Stage) -> None:
    one, other = fact(), fact("1002")

    outcomes = await stage.store.writer.record([one, other, one, one])

    assert list(outcomes) == ["recorded", "recorded", "duplicate", "duplicate"]
    assert await stage.sizes(*caused()) == [2, 2, 2, 2]


async def test_items_for_quarantine_keep_their_place_among_punches(stage: Stage) -> None:
    outcomes = await stage.store.writer.record([held(b"a"), fact(), held(b"b"), fact(), held(b"a")])

    assert list(outcomes) == [
        *("quarantined", "recorded", "quarantined", "duplicate", "quarantined"),
    ]
    assert [(row.raw, row.state) for row in await stage.rows(schema.quarantine)] in (
        [(b"a", "open"), (b"b", "open")],
        [(b"b", "open"), (b"a", "open")],
    )


async def test_an_item_that_is_in_quarantine_already_stays_as_it_was_decided(stage: Stage) -> None:
    await stage.store.writer.record([held()])
    await stage.sql("UPDATE quarantine SET state = 'dismissed', note = 'noise'")

    await stage.store.writer.record([held()])

    (row,) = await stage.rows(schema.quarantine)
    assert (row.state, row.note) == ("dismissed", "noise")


async def test_people_are_numbered_from_one_in_the_order_of_their_first_punches(
    stage: Stage,
) -> None:
    await stage.store.writer.record([fact("b"), fact("a"), fact("b", "2026-06-20 10:00:00")])
    await stage.store.writer.record([fact("c"), fact("a", "2026-06-20 11:00:00")])

    rows = await stage.rows(schema.person)
    assert [(row.person_no, row.user_code) for row in rows] == [(1, "b"), (2, "a"), (3, "c")]
    assert rows[0].created_at == fact("b").punch.received_at
    assert (await stage.rows(schema.account))[0].next_person == 4


async def test_user_codes_that_look_alike_are_different_people(stage: Stage) -> None:
    await stage.store.writer.record([fact("42"), fact("0042"), fact("\uff2142"), fact("a42")])

    assert len(await stage.rows(schema.person)) == 4


async def test_someone_who_was_added_before_keeps_the_number(stage: Stage) -> None:
    def add(tx: Connection) -> None:
        number = accounts.take_person_no(tx, MAIN)
        person = Person(MAIN, number, UserCode("1001"), name="Ada", custom_id="E-7")
        people.add(tx, MAIN, person, NOW)

    await stage.store.writer.run(add)

    await stage.store.writer.record([fact("1002"), fact("1001")])

    rows = await stage.rows(schema.person)
    assert [(row.person_no, row.user_code) for row in rows] == [(1, "1001"), (2, "1002")]
    ada, nobody = await _told(stage, fact("1001")), await _told(stage, fact("1002"))
    assert ada["person"] == {"code": "1001", "custom_id": "E-7", "name": "Ada"}
    assert nobody["person"] == {"code": "1002", "custom_id": None, "name": None}


async def test_a_name_is_in_events_from_the_moment_that_it_is_given(stage: Stage) -> None:
    before, after = fact(), fact(wall_time="2026-06-20 17:00:00")
    await stage.store.writer.record([before])

    def name(tx: Connection) -> None:
        people.put(tx, MAIN, Person(MAIN, PersonNo(1), UserCode("1001"), name='Ada "A" Ω'))
        installation.bump(tx)

    await stage.store.writer.run(name)

    await stage.store.writer.record([after])

    assert (await _told(stage, before))["person"]["name"] is None
    assert (await _told(stage, after))["person"]["name"] == 'Ada "A" Ω'


async def test_one_group_may_hold_several_accounts_with_the_same_codes(stage: Stage) -> None:
    second = await _add_account(stage)
    mine, theirs = fact(), fact(account=second.no, serial="SN2")

    outcomes = await stage.store.writer.record([mine, theirs, mine, theirs])

    assert list(outcomes) == ["recorded", "recorded", "duplicate", "duplicate"]
    rows = await stage.rows(schema.person)
    assert [(row.account, row.person_no, row.user_code) for row in rows] == [
        *((1, 1, "1001"), (2, 1, "1001")),
    ]
    assert {(row.account, row.id) for row in await stage.rows(schema.event)} == {
        *((1, f"evt_{mine.punch.punch_id}"), (2, f"evt_{theirs.punch.punch_id}")),
    }
    assert await stage.read(lambda tx: punches.find(tx, second.no, mine.punch.punch_id)) is None


async def test_an_event_says_what_the_punch_said(stage: Stage) -> None:
    one = fact()
    await stage.store.writer.record([one])

    found = await stage.read(lambda tx: events.find(tx, MAIN, f"evt_{one.punch.punch_id}"))

    assert found is not None
    assert (found.key, found.type) == ("person:1001", "punch.recorded")
    assert (found.occurred_at, found.received_at) == (
        *(one.punch.at * 1000, one.punch.received_at),
    )
    data = json.loads(found.body)
    assert (data["punch_id"], data["direction"]) == (one.punch.punch_id, "check-in")
    assert data["device"] == {"id": "sn1", "serial": "SN1", "name": None, "site": None}


async def test_events_are_numbered_in_the_order_in_which_they_were_handed_over(
    stage: Stage,
) -> None:
    times = [f"2026-06-20 {hour:02d}:00:00" for hour in (17, 9, 12)]
    await stage.store.writer.record([fact(wall_time=time) for time in times])

    rows = await stage.rows(schema.event)

    bodies = [json.loads(row.body)["at_local"][11:13] for row in rows]
    assert bodies == ["17", "09", "12"]
    assert len({row.tx for row in rows}) == 1


async def test_a_punch_marks_every_day_that_it_may_change_with_the_touch_of_its_group(
    stage: Stage,
) -> None:
    await stage.store.writer.record([fact(dates=("2026-06-20", "2026-06-19")), fact("1002")])
    first = await stage.rows(schema.workday_stale)
    await stage.store.writer.record([fact(wall_time="2026-06-20 09:30:00")])
    second = await stage.rows(schema.workday_stale)

    assert [(row.date, row.person_no) for row in first] == [
        *(("2026-06-19", 1), ("2026-06-20", 1), ("2026-06-20", 2)),
    ]
    assert len({row.touch for row in first}) == 1
    changed = [row.touch != old.touch for row, old in zip(second, first, strict=True)]
    assert changed == [False, True, False]


async def test_a_group_of_every_size_is_written_whole(stage: Stage) -> None:
    # Statements for many rows come in a few sizes; these cross their edges.
    for number, size in enumerate((1, 2, 7, 8, 9, 31, 33, 129, 161)):
        facts = [
            fact(f"{number}-{each}", f"2026-06-{number + 1:02d} 08:{each % 60:02d}:00")
            for each in range(size)
        ]
        outcomes = await stage.store.writer.record(facts)
        assert list(outcomes) == ["recorded"] * size

    assert await stage.sizes(*caused()) == [381] * 4


@pytest.mark.parametrize("moment", MOMENTS)
async def test_I4_a_full_disk_at_any_statement_leaves_neither_punch_nor_event(
    stage: Stage, moment: str
) -> None:
    await stage.plant(MOMENTS[moment], when="1 = 1", is_row_at_fault=False)

    with pytest.raises(StoreUnavailable):
        await stage.store.writer.record([fact(), held()])

    assert await stage.sizes(*caused(), schema.quarantine) == [0] * 5
    await stage.unplant(MOMENTS[moment].split()[-1])
    assert list(await stage.store.writer.record([fact()])) == ["recorded"]
    assert await stage.sizes(*caused()) == [1] * 4
    assert [row.person_no for row in await stage.rows(schema.person)] == [1]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_I4_a_row_refused_at_any_statement_leaves_neither_punch_nor_event(
    stage: Stage, moment: str
) -> None:
    await stage.plant(MOMENTS[moment], when="1 = 1", is_row_at_fault=True)
    one = fact()

    assert list(await stage.store.writer.record([one])) == ["refused"]

    assert await stage.sizes(*caused()) == [0] * 4
    assert [row.raw for row in await stage.rows(schema.quarantine)] == [one.punch.raw]
    await stage.unplant(MOMENTS[moment].split()[-1])
    assert list(await stage.store.writer.record([one])) == ["recorded"]
    assert await stage.sizes(*caused()) == [1] * 4


@pytest.mark.parametrize("place", range(5))
async def test_I11_a_row_that_is_refused_at_any_place_touches_no_neighbour(
    stage: Stage, place: int
) -> None:
    await stage.plant("BEFORE INSERT ON punch", when="NEW.user_code = 'bad'", is_row_at_fault=True)
    facts = [fact("bad" if place == each else f"p{each}") for each in range(5)]

    outcomes = await stage.store.writer.record(facts)

    expected = ["recorded"] * 5
    expected[place] = "refused"
    assert list(outcomes) == expected
    stored = {row.user_code for row in await stage.rows(schema.punch)}
    assert stored == {f"p{each}" for each in range(5)} - {f"p{place}"}
    assert await stage.sizes(*caused()) == [4] * 4
    (item,) = await stage.rows(schema.quarantine)
    assert (item.raw, item.reason) == (facts[place].punch.raw, "unreadable_row")
    # Numbers of people have no gap: what was rolled back was never given.
    assert [row.person_no for row in await stage.rows(schema.person)] == [1, 2, 3, 4]


async def test_I11_a_whole_group_of_refused_rows_is_kept_in_quarantine(stage: Stage) -> None:
    await stage.plant("BEFORE INSERT ON event", when="1 = 1", is_row_at_fault=True)
    facts = [fact(f"p{each}") for each in range(6)]

    assert list(await stage.store.writer.record(facts)) == ["refused"] * 6

    kept = {row.raw for row in await stage.rows(schema.quarantine)}
    assert kept == {each.punch.raw for each in facts}
    assert await stage.sizes(*caused()) == [0] * 4


async def test_I11_callers_of_one_group_do_not_share_a_poisoned_row(stage: Stage) -> None:
    await stage.plant("BEFORE INSERT ON punch", when="NEW.user_code = 'bad'", is_row_at_fault=True)
    calls = [
        stage.store.writer.record([fact(code), fact(code, "2026-06-20 17:00:00")])
        for code in ("a", "bad", "b")
    ]

    outcomes = await stage.together(fact("first"), calls)

    assert [list(each) for each in outcomes] == [
        *(["recorded"] * 2, ["refused"] * 2, ["recorded"] * 2),
    ]


async def test_two_hundred_callers_with_the_same_punch_make_one_row_and_one_event(
    stage: Stage,
) -> None:
    outcomes = await asyncio.gather(*(stage.store.writer.record([fact()]) for _ in range(200)))

    flat = [outcome for each in outcomes for outcome in each]
    assert sorted(flat) == ["duplicate"] * 199 + ["recorded"]
    assert await stage.sizes(*caused()) == [1] * 4


async def test_a_person_whom_a_command_adds_meanwhile_is_found(stage: Stage) -> None:
    """The roster of a writer never says `unknown`."""
    await stage.store.writer.record([fact("1001")])
    await stage.store.writer.run(
        lambda tx: people.add(
            tx, MAIN, Person(MAIN, accounts.take_person_no(tx, MAIN), UserCode("1002")), NOW
        )
    )

    await stage.store.writer.record([fact("1002"), fact("1003")])

    rows = await stage.rows(schema.person)
    assert [(row.person_no, row.user_code) for row in rows] == [
        *((1, "1001"), (2, "1002"), (3, "1003")),
    ]
    assert {row.person_no for row in await stage.rows(schema.workday_stale)} == {1, 2, 3}


async def _told(stage: Stage, one: Fact) -> dict[str, dict[str, str | None]]:
    event_id = f"evt_{one.punch.punch_id}"
    found = await stage.read(lambda tx: events.find(tx, one.punch.account, event_id))
    assert found is not None
    told: dict[str, dict[str, str | None]] = json.loads(found.body)
    return told


async def _add_account(stage: Stage) -> Account:
    account = await stage.store.writer.run(lambda tx: accounts.add(tx, "account-2", None, NOW))
    assert account.no == AccountNo(2)
    assert await stage.read(workdays.count_stale) == 0
    return account
