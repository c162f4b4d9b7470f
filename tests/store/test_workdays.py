"""Workdays as rows: stale, computed, kept with their versions, counted. On both databases.

Real: the store and the rules. Invented: the punches. That the rows equal a computation from scratch
whatever happened is `tests/usecases/test_workdays.py`.
"""

from datetime import date
from functools import partial

import pytest
from sqlalchemy import Connection, func, select, text

from punchgate.domain.ids import AccountNo, PersonNo, UserCode
from punchgate.domain.person import Person
from punchgate.store import accounts, erasure, policies, schema, workdays
from punchgate.store.policies import StoredPolicy
from punchgate.store.workdays import Computed, Key, Stale
from tests.store.stage import MAIN, NOW, Stage, days, fact

SATURDAY, SUNDAY = "2026-06-20", "2026-06-21"
ONE = PersonNo(1)


async def _read_stale(stage: Stage) -> tuple[list[Stale], Computed]:
    stale = await stage.read(lambda tx: workdays.next_stale(tx, limit=1000))
    account = stale[0].account if stale else MAIN
    keys = [each.key for each in stale]
    return stale, await stage.read(lambda tx: workdays.compute(tx, account, keys))


async def _keep(stage: Stage, stale: list[Stale], computed: Computed, now: int = NOW) -> int:
    account = stale[0].account if stale else MAIN
    return await stage.store.writer.run(
        lambda tx: workdays.keep(tx, account, stale, computed, now, default_zone="UTC")
    )


async def _refresh(stage: Stage, now: int = NOW) -> int:
    return await _keep(stage, *await _read_stale(stage), now)


async def _set_policy(stage: Stage, since: str = "2026-01-01", **rules: object) -> None:
    stored = StoredPolicy(date.fromisoformat(since), rules)

    def work(tx: Connection) -> None:
        policies.put(tx, MAIN, stored, NOW)
        workdays.mark_stale(tx, MAIN, stored.valid_from, spread=1)

    await stage.store.writer.run(work)
    await _mark_all(stage)


async def _mark(stage: Stage, since: date, spread: int = 1) -> None:
    await stage.store.writer.run(lambda tx: workdays.mark_stale(tx, MAIN, since, spread=spread))
    await _mark_all(stage)


async def _mark_all(stage: Stage) -> None:
    while await stage.read(workdays.list_changing):
        await stage.store.writer.run(lambda tx: workdays.mark_some(tx, MAIN))


async def _rows(stage: Stage) -> dict[tuple[str, int], tuple[int, bool]]:
    """Give version and presence by date and person."""
    rows = await stage.rows(schema.workday)
    return {(row.date, row.person_no): (row.version, bool(row.is_present)) for row in rows}


async def _counts(stage: Stage) -> dict[str, int]:
    """Give the counters, after a look that each equals the rows that it counts."""
    since, until = date(1, 1, 1), date(9999, 12, 31)
    counters = await stage.read(lambda tx: workdays.counts(tx, MAIN, since=since, until=until))
    table = schema.workday
    present = (
        select(table.c.date, func.count())
        .where(table.c.account == MAIN, table.c.is_present.is_(True))
        .group_by(table.c.date)
    )
    assert counters == await stage.read(lambda tx: {row[0]: row[1] for row in tx.execute(present)})
    return counters


async def test_a_day_is_kept_as_it_was_computed(stage: Stage) -> None:
    await stage.store.writer.record([fact(), fact(wall_time=f"{SATURDAY} 17:30:00", direction=1)])
    stale, computed = await _read_stale(stage)

    assert await _keep(stage, stale, computed) == 1

    (kept,) = await stage.read(
        lambda tx: workdays.list_of_date(tx, MAIN, SATURDAY, offset=0, limit=10)
    )
    assert [kept.day] == list(computed[Key(SATURDAY, ONE)])
    assert (kept.key, kept.version, kept.is_present) == (Key(SATURDAY, ONE), 1, True)
    assert kept.day.worked_s == 8 * 3600 + 1800
    assert await stage.read(workdays.count_stale) == 0


async def test_a_version_rises_only_when_the_result_differs(stage: Stage) -> None:
    one = fact()
    await stage.store.writer.record([one])
    await _refresh(stage)
    touched = "INSERT INTO workday_stale (account, date, person_no, touch) VALUES "
    await stage.sql(f"{touched} (1, '{SATURDAY}', 1, 5)")

    assert await _refresh(stage, NOW + 1) == 0
    assert await _rows(stage) == {(SATURDAY, 1): (1, True)}
    (row,) = await stage.rows(schema.workday)
    assert row.computed_at == NOW

    await stage.store.writer.record([fact(wall_time=f"{SATURDAY} 17:00:00", direction=1)])
    assert await _refresh(stage, NOW + 2) == 1
    assert await _rows(stage) == {(SATURDAY, 1): (2, True)}
    (row,) = await stage.rows(schema.workday)
    assert row.computed_at == NOW + 2


async def test_a_whole_log_uploaded_again_makes_nothing_stale(stage: Stage) -> None:
    log = [fact("p", f"{day} 09:00:00") for day in days(SATURDAY, 5)]
    await stage.store.writer.record(log)
    await _refresh(stage)

    await stage.store.writer.record(log)

    assert await stage.read(workdays.count_stale) == 0
    assert {version for version, _ in (await _rows(stage)).values()} == {1}


async def test_a_row_whose_punch_moved_away_keeps_its_version_and_is_counted_no_more(
    stage: Stage,
) -> None:
    await stage.store.writer.record([fact(wall_time=f"{SUNDAY} 01:30:00", direction=1)])
    await _refresh(stage)
    assert await _counts(stage) == {SUNDAY: 1}

    await _set_policy(stage, attribution="cutoff", cutoff="04:00")
    await _refresh(stage)

    assert await _rows(stage) == {(SATURDAY, 1): (1, True), (SUNDAY, 1): (2, False)}
    assert await _counts(stage) == {SATURDAY: 1}
    listed = await stage.read(
        lambda tx: workdays.list_kept(tx, MAIN, [Key(SUNDAY, ONE), Key(SATURDAY, ONE)])
    )
    assert [kept.key for kept in listed] == [Key(SATURDAY, ONE)]

    await _set_policy(stage, attribution="calendar")
    await _refresh(stage)

    assert await _rows(stage) == {(SATURDAY, 1): (2, False), (SUNDAY, 1): (3, True)}
    assert await _counts(stage) == {SUNDAY: 1}


async def test_a_row_that_stays_away_is_not_written_again(stage: Stage) -> None:
    await stage.store.writer.record([fact(wall_time=f"{SUNDAY} 01:30:00", direction=1)])
    await _refresh(stage)
    await _set_policy(stage, attribution="cutoff", cutoff="04:00")
    await _refresh(stage)
    before = await _rows(stage)

    await _set_policy(stage, attribution="cutoff", cutoff="04:00")

    assert await _refresh(stage) == 0
    assert await _rows(stage) == before


async def test_a_day_touched_while_it_was_computed_stays_stale(stage: Stage) -> None:
    await stage.store.writer.record([fact()])
    stale, computed = await _read_stale(stage)
    await stage.store.writer.record([fact(wall_time=f"{SATURDAY} 17:00:00", direction=1)])

    await _keep(stage, stale, computed)

    assert await stage.read(workdays.count_stale) == 1
    await _refresh(stage)
    (kept,) = await stage.read(lambda tx: workdays.list_kept(tx, MAIN, [Key(SATURDAY, ONE)]))
    assert (kept.day.status, kept.version) == ("complete", 2)


async def test_a_slower_process_does_not_write_over_what_a_quicker_one_has_kept(
    stage: Stage,
) -> None:
    await stage.store.writer.record([fact()])
    slow = await _read_stale(stage)
    await stage.store.writer.record([fact(wall_time=f"{SATURDAY} 17:00:00", direction=1)])
    await _refresh(stage)

    assert await _keep(stage, *slow) == 0

    (kept,) = await stage.read(lambda tx: workdays.list_kept(tx, MAIN, [Key(SATURDAY, ONE)]))
    assert (kept.day.status, kept.version) == ("complete", 1)
    assert await _counts(stage) == {SATURDAY: 1}


async def test_two_processes_that_keep_the_same_day_count_it_once(stage: Stage) -> None:
    await stage.store.writer.record([fact(), fact("1002")])
    same = await _read_stale(stage)

    assert [await _keep(stage, *same), await _keep(stage, *same)] == [2, 0]

    assert await _counts(stage) == {SATURDAY: 2}


async def test_rules_set_twice_while_a_day_is_computed_leave_it_stale(stage: Stage) -> None:
    await stage.store.writer.record([fact(wall_time=f"{SUNDAY} 01:30:00", direction=1)])
    await _refresh(stage)
    await _set_policy(stage, attribution="cutoff", cutoff="01:00")
    between = await _read_stale(stage)
    await _set_policy(stage, attribution="cutoff", cutoff="04:00")

    await _keep(stage, *between)
    await _refresh(stage)

    assert await _counts(stage) == {SATURDAY: 1}


async def test_an_erased_person_does_not_come_back_with_a_day_computed_before(
    stage: Stage,
) -> None:
    await stage.store.writer.record([fact(), fact("1002")])
    before = await _read_stale(stage)
    erased = Person(MAIN, ONE, UserCode("1001"))
    await stage.store.writer.run(lambda tx: erasure.erase(tx, MAIN, erased))

    await _keep(stage, *before)

    assert await _rows(stage) == {(SATURDAY, 2): (1, True)}
    assert await _counts(stage) == {SATURDAY: 1}


async def test_erasing_takes_a_persons_days_out_of_the_counters(stage: Stage) -> None:
    facts = [fact(code, f"{day} 09:00:00") for day in days(SATURDAY, 3) for code in ("a", "b")]
    await stage.store.writer.record(facts)
    await _refresh(stage)
    await stage.store.writer.record([fact("a", f"{SATURDAY} 19:00:00")])

    await stage.store.writer.run(
        lambda tx: erasure.erase(tx, MAIN, Person(MAIN, ONE, UserCode("a")))
    )

    assert await _counts(stage) == dict.fromkeys(days(SATURDAY, 3), 1)
    assert await stage.read(workdays.count_stale) == 0


@pytest.mark.parametrize("wall_time", ["0001-01-01 00:00:30", "9999-12-31 23:59:30"])
async def test_the_ends_of_the_calendar_hold_nothing_up(stage: Stage, wall_time: str) -> None:
    """An operator may release what a broken clock has said."""
    await stage.store.writer.record([fact("odd", wall_time), fact("1001")])
    await _refresh(stage)

    await _mark(stage, date(1, 1, 2))
    await _refresh(stage)

    assert await stage.read(workdays.count_stale) == 0
    assert (SATURDAY, 2) in await _rows(stage)


async def test_the_next_stale_days_are_those_of_one_account(stage: Stage) -> None:
    other = await stage.store.writer.run(lambda tx: accounts.add(tx, "account-2", None, NOW))
    await stage.store.writer.record(
        [fact("a"), fact("b"), fact("a", f"{SUNDAY} 09:00:00"), fact("a", account=other.no)]
    )

    found = await stage.read(lambda tx: workdays.next_stale(tx, limit=100))
    few = await stage.read(lambda tx: workdays.next_stale(tx, limit=2))

    assert {each.account for each in found} == {AccountNo(1)}
    assert [(each.date, each.person_no) for each in found] == [
        *((SATURDAY, 1), (SATURDAY, 2), (SUNDAY, 1)),
    ]
    assert few == found[:2]
    assert await stage.read(workdays.count_stale) == 4


async def test_stale_days_are_listed_by_range_and_person(stage: Stage) -> None:
    await stage.store.writer.record(
        [fact(code, f"{day} 09:00:00") for day in days(SATURDAY, 4) for code in ("a", "b")]
    )

    everyone, second = [
        await stage.read(
            partial(
                workdays.list_stale,
                account=MAIN,
                since=date(2026, 6, 21),
                until=date(2026, 6, 22),
                person_no=person,
            )
        )
        for person in (None, PersonNo(2))
    ]

    assert [(each.date, each.person_no) for each in everyone] == [
        *(("2026-06-21", 1), ("2026-06-21", 2), ("2026-06-22", 1), ("2026-06-22", 2)),
    ]
    assert [(each.date, each.person_no) for each in second] == [
        *(("2026-06-21", 2), ("2026-06-22", 2)),
    ]


async def test_rows_of_a_date_come_by_person_in_parts(stage: Stage) -> None:
    await stage.store.writer.record([fact(f"p{each}") for each in range(25)])
    await _refresh(stage)

    parts = [
        await stage.read(
            partial(workdays.list_of_date, account=MAIN, day=SATURDAY, offset=offset, limit=10)
        )
        for offset in (0, 10, 20, 30)
    ]

    assert [len(part) for part in parts] == [10, 10, 5, 0]
    numbers = [kept.key.person_no for part in parts for kept in part]
    assert numbers == sorted(numbers) == list(range(1, 26))


async def test_a_chain_of_sessions_is_followed_as_far_back_as_it_began(stage: Stage) -> None:
    """Ins every nine hours and never an out: which of them opens a session hangs on the first."""
    await _set_policy(stage, attribution="session", max_session_h=16)
    first = date(2026, 6, 1).toordinal()
    hours = [9 * step for step in range(40)]
    facts = [
        fact("p", f"{date.fromordinal(first + hour // 24)} {hour % 24:02d}:00:00") for hour in hours
    ]
    await stage.store.writer.record(facts)
    everything = [Key(day, ONE) for day in days("2026-05-30", 20)]
    whole = await stage.read(lambda tx: workdays.compute(tx, MAIN, everything))

    for key in everything:
        alone = await stage.read(partial(workdays.compute, account=MAIN, keys=[key]))
        assert alone[key] == whole[key], key
    assert sum(len(day.activities) for rows in whole.values() for day in rows) == 40


async def test_days_far_apart_are_computed_as_if_each_were_alone(stage: Stage) -> None:
    facts = [
        fact(code, f"{day} {hour:02d}:00:00", direction=hour // 12)
        for code in ("a", "b")
        for day in ("2026-01-05", "2026-01-06", "2026-01-09", "2026-05-01")
        for hour in (8, 16)
    ]
    await stage.store.writer.record(facts)
    keys = [
        Key(day, PersonNo(number))
        for number, day in [(1, "2026-01-05"), (2, "2026-01-06"), (1, "2026-01-09")]
    ]
    keys += [Key("2026-05-01", PersonNo(2)), Key("2026-05-02", ONE), Key("2026-05-01", PersonNo(9))]

    together = await stage.read(lambda tx: workdays.compute(tx, MAIN, keys))

    assert list(together) == keys
    assert [len(rows) for rows in together.values()] == [1, 1, 1, 1, 0, 0]
    for key in keys:
        alone = await stage.read(partial(workdays.compute, account=MAIN, keys=[key]))
        assert alone[key] == together[key]


async def test_counters_that_fell_to_nothing_name_no_date(stage: Stage) -> None:
    await stage.sql(f"INSERT INTO workday_count VALUES (1, '{SATURDAY}', 0)")
    await stage.sql(f"INSERT INTO workday_count VALUES (1, '{SUNDAY}', 2)")

    found = await stage.read(
        lambda tx: workdays.counts(tx, MAIN, since=date(2026, 6, 1), until=date(2026, 6, 30))
    )

    assert found == {SUNDAY: 2}
    assert (
        await stage.read(
            lambda tx: tx.execute(text("SELECT sum(days) FROM workday_count")).scalar_one()
        )
        == 2
    )
