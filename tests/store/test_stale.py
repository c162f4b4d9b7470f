"""Rules that change: one row at once, marks in steps, whatever comes between. On both databases.

Real: the store, and the death of a process between steps. Invented: the punches. That what is read
and kept equals a computation from scratch is `tests/usecases/test_rule_changes.py`.
"""

import asyncio
import os
import random
import signal
import sys
from datetime import date, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert

from punchgate.domain.ids import AccountNo, PersonNo
from punchgate.store import accounts, schema, stale, workdays
from punchgate.store.workdays import Key
from tests.store import stage as stages
from tests.store.stage import MAIN, NOW, Stage, days, fact

FIRST = date(2026, 6, 1)
ALWAYS = date(2000, 1, 1)
#: A process that makes one step after the other, and says so after each.
STEPPING = """
import asyncio, sys
from punchgate.domain.ids import AccountNo
from punchgate.store import database, workdays
from punchgate.store.opening import open_store

async def main():
    where = database.address(sys.argv[1])
    async with open_store(where, is_serving=False, now=0) as store:
        while True:
            await store.writer.run(lambda tx: workdays.mark_some(tx, AccountNo(1), most=40))
            print("step", flush=True)

asyncio.run(main())
"""


async def _change(stage: Stage, since: date = ALWAYS, spread: int = 0) -> None:
    await stage.store.writer.run(lambda tx: workdays.mark_stale(tx, MAIN, since, spread=spread))


async def _step(stage: Stage, most: int = stale.MARKS) -> None:
    await stage.store.writer.run(lambda tx: workdays.mark_some(tx, MAIN, most=most))


async def _is_changing(stage: Stage) -> bool:
    return await stage.read(lambda tx: stale.is_changing(tx, MAIN))


async def _to_the_end(stage: Stage, most: int = stale.MARKS) -> int:
    """Make the steps that are left and say how many there were."""
    steps = 0
    while await _is_changing(stage):
        await _step(stage, most)
        steps += 1
    return steps


async def _marks(stage: Stage) -> dict[Key, int]:
    """Give the touch of every mark."""
    rows = await stage.rows(schema.workday_stale)
    return {Key(row.date, PersonNo(row.person_no)): row.touch for row in rows}


async def _have(stage: Stage, people: int, dates: int, first: date = FIRST) -> list[Key]:
    """Write rows of workdays, as if they had been computed."""
    keys = [
        Key(day, PersonNo(number))
        for day in days(first.isoformat(), dates)
        for number in range(1, people + 1)
    ]
    rest = {"is_off_shift": False, "is_present": True, "version": 1, "body": "{}"}
    rows = [{"account": MAIN, **key._asdict(), **rest, "computed_at": NOW} for key in keys]
    counted = [{"account": MAIN, "date": day, "days": people} for day in {k.date for k in keys}]

    def work(tx: Connection) -> None:
        tx.execute(insert(schema.workday), rows)
        tx.execute(insert(schema.workday_count), counted)

    await stage.store.writer.run(work)
    return keys


def _around(keys: list[Key], beside: int) -> set[Key]:
    return {
        Key((date.fromisoformat(key.date) + timedelta(days=step)).isoformat(), key.person_no)
        for key in keys
        for step in range(-beside, beside + 1)
    }


async def test_a_change_of_rules_writes_one_row_however_many_days_there_are(stage: Stage) -> None:
    await _have(stage, 50, 10)

    await _change(stage)

    assert await stage.sizes(schema.workday_change, schema.workday_stale) == [1, 0]
    assert await stage.read(workdays.count_stale) == 500
    assert await stage.read(workdays.is_any_stale)


async def test_no_step_marks_more_days_than_it_may_and_together_they_mark_all(
    stage: Stage,
) -> None:
    keys = await _have(stage, 300, 6)
    await _change(stage, spread=1)
    marked: list[int] = [0]

    while await _is_changing(stage):
        await _step(stage)
        marked.append(len(await _marks(stage)))

    grown = [after - before for before, after in pairwise(marked)]
    assert len(grown) > 4
    assert all(0 <= each <= stale.MARKS for each in grown)
    assert (await _marks(stage)).keys() == _around(keys, 2)
    assert await stage.read(workdays.list_changing) == []


@pytest.mark.parametrize(("spread", "beside"), [(0, 1), (1, 2), (3, 6)])
async def test_other_rules_take_along_the_dates_beside_every_day_even_without_rows(
    stage: Stage, spread: int, beside: int
) -> None:
    await _have(stage, 1, 1, date(2026, 6, 20))
    # Not computed yet, and so without a row.
    await stage.store.writer.record([fact(wall_time="2026-07-20 09:00:00")])

    await _change(stage, date(2026, 6, 20 + beside), spread)
    await _to_the_end(stage)

    marks, width = await _marks(stage), 2 * beside + 1
    assert [key.date for key in marks] == [
        *days(f"2026-06-{20 - beside}", width),
        *days(f"2026-07-{20 - beside}", width),
    ]
    assert len(set(marks.values())) == 1


async def test_other_rules_leave_earlier_days_and_other_accounts_alone(stage: Stage) -> None:
    other = await stage.store.writer.run(lambda tx: accounts.add(tx, "account-2", None, NOW))
    await stage.store.writer.record([fact("p", account=other.no)])
    await _have(stage, 1, 10, date(2026, 6, 10))

    await _change(stage, date(2026, 6, 15), spread=1)
    await _to_the_end(stage)

    rows = await stage.rows(schema.workday_stale)
    assert [row.date for row in rows if row.account == MAIN] == list(days("2026-06-11", 11))
    assert [(row.date, row.reason) for row in rows if row.account != MAIN] == [("2026-06-20", None)]


async def test_the_smallest_step_gets_on(stage: Stage) -> None:
    keys = await _have(stage, 2, 3)
    await _change(stage, spread=1)

    assert await _to_the_end(stage, most=1) == len(keys) + 1

    assert (await _marks(stage)).keys() == _around(keys, 2)


async def test_marks_of_a_change_are_no_reason_for_more_of_them(stage: Stage) -> None:
    """Each step finds the marks of the one before ahead of its place."""
    await stage.store.writer.record([fact("a", "2026-06-10 09:00:00")])
    await _have(stage, 3, 2)
    await _change(stage, spread=2)

    await _to_the_end(stage, most=9)

    dates = {key.date for key in await _marks(stage)}
    assert (min(dates), max(dates)) == ("2026-05-28", "2026-06-14")


async def test_a_step_that_was_lost_is_done_again(stage: Stage) -> None:
    keys = await _have(stage, 5, 5)
    await _change(stage)
    await _step(stage, most=30)
    before = await stage.rows(schema.workday_change), await _marks(stage)

    def die(tx: Connection) -> None:
        workdays.mark_some(tx, MAIN, most=30)
        raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        await stage.store.writer.run(die)

    assert (await stage.rows(schema.workday_change), await _marks(stage)) == before
    await _to_the_end(stage, most=30)
    assert (await _marks(stage)).keys() == _around(keys, 1)


async def test_a_process_killed_between_steps_leaves_them_to_the_next(database_url: str) -> None:
    async with stages.open_stage(database_url) as stage:
        keys = await _have(stage, 20, 20)
        await _change(stage)
    source = Path(stale.__file__).parents[2]
    stepping = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", STEPPING, database_url),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(source)},
    )
    assert stepping.stdout is not None
    for _ in range(3):
        assert await stepping.stdout.readline() == b"step\n"
    stepping.send_signal(signal.SIGKILL)
    await stepping.communicate()

    async with stages.open_stage(database_url) as stage:
        assert len(await _marks(stage)) >= 3 * 13
        await _to_the_end(stage)
        assert (await _marks(stage)).keys() == _around(keys, 1)
        assert not await _is_changing(stage)


async def test_a_second_change_goes_back_and_is_as_wide_as_the_wider(stage: Stage) -> None:
    keys = await _have(stage, 4, 10)
    await _change(stage, spread=2)
    await _step(stage, most=9 * 20)
    ((_, place, number, beside, touch),) = await stage.rows(schema.workday_change)
    assert (place, number, beside) == ("2026-06-05", 4, 4)

    await _change(stage, date(2026, 6, 20), spread=0)
    ((_, *later, second),) = await stage.rows(schema.workday_change)
    assert later == ["2026-06-05", 4, 4]
    await _change(stage, date(2026, 6, 4), spread=1)
    ((_, *earlier, third),) = await stage.rows(schema.workday_change)
    assert earlier == ["2026-06-02", 0, 4]

    assert len({touch, second, third}) == 3
    await _to_the_end(stage)
    assert (await _marks(stage)).keys() >= _around(keys, 4)


async def test_a_punch_whose_mark_a_change_has_written_over_is_found_by_the_next(
    stage: Stage,
) -> None:
    """The mark is the only trace of that punch: its day has not been computed."""
    await _have(stage, 1, 3)
    await stage.store.writer.record([fact("a", f"{FIRST} 09:00:00")])
    await _change(stage)
    await _step(stage, most=3)
    assert len(set((await _marks(stage)).values())) == 1
    await stage.sql("DELETE FROM workday")

    await _change(stage, spread=3)
    await _to_the_end(stage)

    assert (await _marks(stage)).keys() >= _around([Key(FIRST.isoformat(), PersonNo(1))], 6)


async def test_nothing_of_an_account_is_kept_while_its_rules_are_changing(stage: Stage) -> None:
    await stage.store.writer.record([fact(), fact("1002")])
    before = await stage.read(lambda tx: workdays.next_stale(tx, limit=100))
    computed = await stage.read(lambda tx: workdays.compute(tx, MAIN, [k.key for k in before]))

    def keep(tx: Connection) -> int:
        return workdays.keep(tx, MAIN, before, computed, NOW, default_zone="UTC")

    await _change(stage)
    assert await stage.store.writer.run(keep) == 0
    assert await stage.sizes(schema.workday, schema.workday_stale) == [0, 2]

    await _to_the_end(stage)
    # By now another change has touched them: they are written, and stay stale.
    assert await stage.store.writer.run(keep) == 2
    assert (await _marks(stage)).keys() == _around([each.key for each in before], 1)


@pytest.mark.parametrize("changing", [(1,), (2,), (3,), (1, 3), (1, 2), (2, 3)])
async def test_the_days_of_other_accounts_go_on_meanwhile(
    stage: Stage, changing: tuple[int, ...]
) -> None:
    def add(tx: Connection) -> None:
        for number in (2, 3):
            accounts.add(tx, f"account-{number}", None, NOW)

    await stage.store.writer.run(add)
    await stage.store.writer.record([fact(account=AccountNo(each)) for each in (1, 2, 3)])

    def change(tx: Connection) -> None:
        for each in changing:
            workdays.mark_stale(tx, AccountNo(each), ALWAYS, spread=0)

    await stage.store.writer.run(change)

    assert await stage.read(workdays.list_changing) == list(changing)
    found = await stage.read(lambda tx: workdays.next_stale(tx, limit=100))
    assert [each.account for each in found] == [min({1, 2, 3} - set(changing))]


async def test_where_every_account_is_changing_nothing_is_next(stage: Stage) -> None:
    await stage.store.writer.record([fact()])
    await _change(stage)

    assert await stage.read(lambda tx: workdays.next_stale(tx, limit=100)) == []
    assert await stage.read(workdays.is_any_stale)


async def test_a_change_without_any_day_is_over_with_the_first_step(stage: Stage) -> None:
    await _change(stage)

    assert await _to_the_end(stage) == 1

    assert not await stage.read(workdays.is_any_stale)


@pytest.mark.parametrize("seed", range(4))
async def test_a_reader_takes_for_stale_whatever_will_be_marked(stage: Stage, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 (a history, no secret)
    await _have(stage, 3, 6)
    late = [f"2026-06-{draw.randint(8, 25):02d} 09:00:00" for _ in range(4)]
    await stage.store.writer.record([fact(draw.choice("abc"), each) for each in late])
    since = FIRST + timedelta(days=draw.randint(-5, 15))
    await _change(stage, since, spread=draw.randint(0, 2))
    seen: list[tuple[str, str, PersonNo | None, list[Key]]] = []

    while await _is_changing(stage):
        first = FIRST + timedelta(days=draw.randint(-6, 25))
        last = first + timedelta(days=draw.randint(0, 10))
        for person in (None, *map(PersonNo, range(1, 5))):
            ask = partial(
                workdays.list_stale, account=MAIN, since=first, until=last, person_no=person
            )
            seen.append((first.isoformat(), last.isoformat(), person, await stage.read(ask)))
        await _step(stage, most=draw.choice((5, 15)))

    marked = set(await _marks(stage))
    for since_date, until_date, person, listed in seen:
        assert listed == sorted(set(listed))
        assert {key for key in marked if _is_of(key, since_date, until_date, person)} <= set(listed)
        assert all(_is_of(key, since_date, until_date, person) for key in listed)


def _is_of(key: Key, since: str, until: str, person: PersonNo | None) -> bool:
    return since <= key.date <= until and person in (None, key.person_no)


@pytest.mark.parametrize("day", [date.min, date.max])
async def test_a_range_at_an_end_of_the_calendar_can_be_asked_for(stage: Stage, day: date) -> None:
    await stage.store.writer.record([fact("odd", f"{day} 12:00:30")])
    await _change(stage, date.min, spread=2)

    for person in (None, PersonNo(1)):
        ask = partial(workdays.list_stale, account=MAIN, since=day, until=day, person_no=person)
        assert await stage.read(ask) == [Key(day.isoformat(), PersonNo(1))]
    await _to_the_end(stage)
    assert len(await _marks(stage)) == 5
