"""People: named, changed, erased. A real store; the clock is an argument.

What an erasure leaves is asked of the tables and of the files themselves.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import func, select

from punchgate.domain.endpoint import ERASED, Condition, Filter, Selection
from punchgate.domain.error import AlreadyExists, Invalid, NotFound
from punchgate.domain.ids import AccountNo, EndpointId, UserCode
from punchgate.domain.person import Person
from punchgate.store import record_postgres, schema
from punchgate.store.roster import Roster
from punchgate.usecases import accounts, audit, endpoints, people, replays
from punchgate.usecases.people import Changes
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway
from tests.store.stage import fact

_CODE = UserCode("1001")


@pytest.fixture(name="gate")
async def _gate(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path) as gate:
        yield gate


async def _add(gate: Gateway, code: str, account: AccountNo = MAIN, **changes: Any) -> Person:
    return await people.add(gate.context, account, code, Changes(**changes), actor="test", now=NOON)


async def _set(gate: Gateway, code: str, **changes: str | None) -> Person:
    return await people.set_person(
        gate.context, MAIN, UserCode(code), Changes(**changes), actor="test", now=NOON
    )


async def _erase(gate: Gateway, code: str = _CODE) -> people.Traces:
    return await people.erase(gate.context, MAIN, UserCode(code), actor="test", now=NOON)


async def _add_endpoint(gate: Gateway, **changes: Any) -> EndpointId:
    new = endpoints.New(address="https://receiver.example/", changes=endpoints.Changes(**changes))
    return (await endpoints.add(gate.context, MAIN, new, actor="test", now=NOON)).endpoint.id


async def _rows(gate: Gateway, table: Any) -> list[Any]:
    return list(await gate.context.database.read(lambda tx: tx.execute(select(table)).all()))


async def _count(gate: Gateway, table: Any) -> int:
    question = select(func.count()).select_from(table)
    return int(await gate.context.database.read(lambda tx: tx.execute(question).scalar_one()))


async def _punch_in_and_out(gate: Gateway, code: str = _CODE, day: str = "2026-06-20") -> None:
    await gate.punch(
        "SN1",
        {"user_id": code, "att_time": f"{day} 09:00:00", "att_state": 0},
        {"user_id": code, "att_time": f"{day} 17:00:00", "att_state": 1},
    )


def _counts(traces: people.Traces) -> tuple[int, int, int, int]:
    return traces.punches, traces.quarantined, traces.workdays, traces.events


async def test_people_are_numbered_from_one_in_the_order_in_which_they_come(
    gate: Gateway,
) -> None:
    added = [await _add(gate, code) for code in ("b", "a", "0042", "42")]
    assert [person.no for person in added] == [1, 2, 3, 4]
    assert await people.list_people(gate.context, MAIN) == added


async def test_each_account_counts_for_itself(gate: Gateway) -> None:
    other = await accounts.add(gate.context, "other", actor="test", now=NOON)
    assert (await _add(gate, "1")).no == 1
    assert (await _add(gate, "1", other.no)).no == 1


async def test_a_person_is_kept_as_given(gate: Gateway) -> None:
    added = await _add(gate, "1001", name=" Rahul Sharma ", custom_id="STU-001", type="Student")
    assert added == Person(MAIN, added.no, _CODE, "Rahul Sharma", "STU-001", "Student")
    assert await people.get(gate.context, MAIN, _CODE) == added


@pytest.mark.parametrize("code", ["", " 1", "1 ", "a\tb", "x" * 65, "esc\x1b"])
async def test_a_code_that_will_not_do_is_refused(gate: Gateway, code: str) -> None:
    with pytest.raises(Invalid):
        await _add(gate, code)


@pytest.mark.parametrize(
    "changes",
    [{"name": "x" * 201}, {"custom_id": "x" * 65}, {"type": "x" * 65}, {"name": "a\x00b"}],
)
async def test_a_value_that_will_not_do_is_refused(gate: Gateway, changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        await _add(gate, "1", **changes)
    assert await _count(gate, schema.person) == 0


async def test_a_code_with_a_name_is_not_added_twice(gate: Gateway) -> None:
    await _add(gate, "1", name="A")
    with pytest.raises(AlreadyExists, match="person set"):
        await _add(gate, "1", name="B")


async def test_who_has_only_punched_so_far_can_be_added_and_keeps_the_number(
    gate: Gateway,
) -> None:
    await gate.add_device("SN1")
    await _punch_in_and_out(gate)
    punched = await people.get(gate.context, MAIN, _CODE)
    assert punched.name is None
    added = await _add(gate, "1001", name="Rahul")
    assert (added.no, added.name) == (punched.no, "Rahul")


async def test_an_own_id_belongs_to_one_person(gate: Gateway) -> None:
    await _add(gate, "1", custom_id="S1")
    with pytest.raises(AlreadyExists, match="S1"):
        await _add(gate, "2", custom_id="S1")
    await _add(gate, "2")
    with pytest.raises(AlreadyExists):
        await _set(gate, "2", custom_id="S1")
    assert (await _set(gate, "1", custom_id="S1")).custom_id == "S1"


async def test_two_accounts_may_give_the_same_own_id(gate: Gateway) -> None:
    other = await accounts.add(gate.context, "other", actor="test", now=NOON)
    await _add(gate, "1", custom_id="S1")
    assert (await _add(gate, "1", other.no, custom_id="S1")).custom_id == "S1"


async def test_an_empty_value_takes_it_away_and_what_was_not_given_stays(gate: Gateway) -> None:
    await _add(gate, "1", name="A", custom_id="S1", type="Student")
    changed = await _set(gate, "1", custom_id="")
    assert (changed.name, changed.custom_id, changed.type) == ("A", None, "Student")


async def test_setting_what_is_so_already_leaves_no_entry(gate: Gateway) -> None:
    await _add(gate, "1", name="A")
    await _set(gate, "1", name="A")
    entries = await audit.list_entries(gate.context, MAIN)
    assert [entry.action for entry in entries] == ["person.add"]


async def test_people_are_listed_in_pages(gate: Gateway) -> None:
    for number in range(5):
        await _add(gate, f"c{number}")
    first = await people.list_people(gate.context, MAIN, limit=2)
    rest = await people.list_people(gate.context, MAIN, after=first[-1].no)
    assert [person.code for person in (*first, *rest)] == ["c0", "c1", "c2", "c3", "c4"]


async def test_I12_a_person_of_another_account_is_not_there(gate: Gateway) -> None:
    other = await accounts.add(gate.context, "other", actor="test", now=NOON)
    await _add(gate, "1001", name="Rahul")
    with pytest.raises(NotFound) as theirs:
        await people.get(gate.context, other.no, _CODE)
    assert "Rahul" not in str(theirs.value)
    with pytest.raises(NotFound):
        await people.erase(gate.context, other.no, _CODE, actor="test", now=NOON)
    assert (await people.get(gate.context, MAIN, _CODE)).name == "Rahul"


async def test_erasing_someone_unknown_is_told(gate: Gateway) -> None:
    with pytest.raises(NotFound):
        await people.count_traces(gate.context, MAIN, _CODE)
    with pytest.raises(NotFound):
        await _erase(gate)


async def test_the_dry_run_counts_what_an_erasure_takes_and_takes_nothing(gate: Gateway) -> None:
    await gate.add_device("SN1")
    await _punch_in_and_out(gate)
    await gate.punch("SN1", {"user_id": "1001", "att_time": "2030-01-01 09:00:00"})
    await gate.catch_up()
    counted = await people.count_traces(gate.context, MAIN, _CODE)
    assert _counts(counted) == (2, 1, 1, 3)
    assert _counts(await people.count_traces(gate.context, MAIN, _CODE)) == (2, 1, 1, 3)
    assert _counts(await _erase(gate)) == (2, 1, 1, 3)


async def test_I2_erasing_takes_punches_days_quarantine_and_names_of_one_person(
    gate: Gateway,
) -> None:
    await gate.add_device("SN1")
    await _add(gate, "1001", name="Rahul", custom_id="S1", type="Student")
    await _punch_in_and_out(gate)
    await _punch_in_and_out(gate, "1002")
    for code in ("1001", "1002"):
        await gate.punch("SN1", {"user_id": code, "att_time": "2030-01-01 09:00:00"})
    await gate.catch_up()
    await _erase(gate)
    assert [row.user_code for row in await _rows(gate, schema.punch)] == ["1002", "1002"]
    assert [row.person_no for row in await _rows(gate, schema.workday)] == [2]
    (held,) = await _rows(gate, schema.quarantine)
    assert b"1002" in held.raw
    erased = await people.get(gate.context, MAIN, _CODE)
    assert (erased.no, erased.name, erased.custom_id, erased.type) == (1, None, None, None)


async def test_a_day_that_was_erased_is_not_counted_any_more(gate: Gateway) -> None:
    await gate.add_device("SN1")
    await _punch_in_and_out(gate)
    await _punch_in_and_out(gate, "1002")
    await gate.catch_up()
    await _erase(gate)
    (counted,) = await _rows(gate, schema.workday_count)
    assert counted.days == 1
    assert await _count(gate, schema.workday_stale) == 0


async def test_a_day_that_waits_to_be_computed_is_erased_too(gate: Gateway) -> None:
    await gate.add_device("SN1")
    await _punch_in_and_out(gate)
    await _erase(gate)
    await gate.catch_up()
    assert [row for row in await _rows(gate, schema.workday) if row.is_present] == []


async def test_an_event_of_an_erased_person_keeps_its_place_and_loses_its_text(
    gate: Gateway,
) -> None:
    await gate.add_device("SN1")
    await _punch_in_and_out(gate)
    await gate.catch_up()
    before = await _rows(gate, schema.event)
    await _erase(gate)
    after = await _rows(gate, schema.event)
    assert [(row.seq, row.id) for row in after] == [(row.seq, row.id) for row in before]
    (*punched, summed) = after
    assert summed.type == "summary.updated"
    assert summed.body == '{"date":"2026-06-20","version":1,"erased":true}'
    assert len(punched) == 2
    for row in punched:
        punch_id = row.id.removeprefix("evt_")
        assert row.body == f'{{"punch_id":"{punch_id}","erased":true}}'


async def test_a_second_erasure_changes_nothing(gate: Gateway) -> None:
    await gate.add_device("SN1")
    await _add(gate, "1001", name="Rahul")
    await _punch_in_and_out(gate)
    await _erase(gate)
    second = await _erase(gate)
    assert second.is_nothing
    actions = [entry.action for entry in await audit.list_entries(gate.context, MAIN)]
    assert actions.count("person.erase") == 1


async def test_the_number_of_an_erased_person_is_nobody_elses(gate: Gateway) -> None:
    await _add(gate, "1001", name="Rahul")
    await _erase(gate)
    assert (await _add(gate, "1002")).no == 2
    assert (await _add(gate, "1001", name="Again")).no == 1


async def test_who_punches_after_being_erased_is_stored_again_and_can_be_erased_again(
    gate: Gateway,
) -> None:
    await gate.add_device("SN1")
    await _punch_in_and_out(gate)
    await _erase(gate)
    await _punch_in_and_out(gate, day="2026-06-21")
    assert _counts(await _erase(gate))[0] >= 1
    assert await _count(gate, schema.punch) == 0


async def test_nothing_may_be_removed_once_the_erasure_is_over(gate: Gateway) -> None:
    await gate.add_device("SN1")
    await _punch_in_and_out(gate)
    await _erase(gate)
    assert await _count(gate, schema.removal) == 0


async def test_I8_no_audit_entry_and_no_event_names_an_erased_person(gate: Gateway) -> None:
    await gate.add_device("SN1")
    await _add(gate, "1001", name="Marked Name", custom_id="marked-id", type="Marked type")
    await _set(gate, "1001", name="Marked Other")
    (entry, *_) = await audit.list_entries(gate.context, MAIN)
    assert entry.after == {"has_name": True, "has_custom_id": True, "has_type": True}
    await _punch_in_and_out(gate)
    await gate.catch_up()
    assert "Marked Other" in (await _rows(gate, schema.event))[-1].body
    await _erase(gate)
    entries = repr(await _rows(gate, schema.audit))
    bodies = repr([row.body for row in await _rows(gate, schema.event)])
    for marked in ("Marked", "marked-id", "1001"):
        assert marked not in entries
        assert marked not in bodies


async def test_the_erasure_itself_is_audited_by_number_and_counts(gate: Gateway) -> None:
    await gate.add_device("SN1")
    await _punch_in_and_out(gate)
    await _erase(gate)
    entry = (await audit.list_entries(gate.context, MAIN))[0]
    assert (entry.action, entry.subject, entry.after) == ("person.erase", "person:1", None)
    assert entry.before == {
        "punches": 2,
        "quarantined": 0,
        "workdays": 0,
        "events": 2,
        "filters": 0,
    }


async def test_an_erased_person_is_named_by_no_filter_and_no_replay(gate: Gateway) -> None:
    await _add(gate, "1001", name="Rahul")
    fields = [Condition("person.name", "in", ("Rahul", "Meera"))]
    alone = await _add_endpoint(gate, people=["1001"])
    both = await _add_endpoint(gate, people=["1001", "1002"], fields=fields)
    other = await _add_endpoint(gate, people=["1002"])
    job = await replays.start(
        gate.context,
        MAIN,
        other,
        replays.New(Selection(since=0, filter=Filter(people=("1001",)))),
        actor="test",
        now=NOON,
    )
    assert (await people.count_traces(gate.context, MAIN, _CODE)).filters == 3
    assert (await _erase(gate)).filters == 3
    assert (await people.count_traces(gate.context, MAIN, _CODE)).filters == 0
    kept = {each.id: each for each in await endpoints.list_endpoints(gate.context, MAIN)}
    assert kept[alone].filter.people == (ERASED,)
    assert kept[both].filter.people == (ERASED, "1002")
    assert kept[both].filter.fields[0].values == (ERASED, "Meera")
    # Whoever delivers begins anew, for the third as well: what was read for it may name the person.
    assert [kept[each].version for each in (alone, both, other)] == [2, 2, 2]
    found = await replays.get(gate.context, MAIN, job.id)
    assert found.selection.filter.people == (ERASED,)
    # What is left can be set as before.
    changes = endpoints.Changes(rate=1.0)
    await endpoints.set_endpoint(gate.context, MAIN, alone, changes, actor="test", now=NOON)


async def test_who_is_only_named_by_a_filter_can_be_erased_without_the_master_key(
    gate: Gateway,
) -> None:
    await _add(gate, "1001")
    endpoint_id = await _add_endpoint(gate, people=["1001"])
    gate.context.vault.file.write_bytes(bytes(32))
    gate.context.vault._ciphers.clear()
    assert not (await _erase(gate)).is_nothing
    (kept,) = await endpoints.list_endpoints(gate.context, MAIN)
    assert (kept.id, kept.filter.people) == (endpoint_id, (ERASED,))
    assert (await _erase(gate)).is_nothing


async def test_I8_an_erasure_takes_what_was_being_stored_when_it_began(
    tmp_path: Path, postgresql_url: str
) -> None:
    """Another process commits a punch of the person in the middle of the erasure."""
    waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    async with gateway.open(tmp_path, postgresql_url) as gate:
        await _add(gate, "1001", name="Rahul")
        other = await asyncpg.connect(postgresql_url)
        try:
            async with other.transaction():
                await record_postgres.record(other, [fact("1001")], Roster(), 1)
                erasing = asyncio.ensure_future(
                    people.erase(gate.context, MAIN, _CODE, actor="test", now=NOON)
                )
                while not (erasing.done() or await other.fetchval(waits)):
                    pass
            await erasing
        finally:
            await other.close()

        def look(tx: Any) -> tuple[list[Any], list[Any]]:
            events = tx.execute(select(schema.event.c.body)).scalars()
            return list(events), list(tx.execute(select(schema.punch)))

        events, punches = await gate.context.database.read(look)
        assert not punches
        assert "Rahul" not in str(events)
