"""How SQLite means to answer the questions of the hot paths: by the primary keys, whole.

Real: the planner, on a store with rows and without statistics, which is how it runs. A surprise
here is ten million rows read for one punch.
"""

from collections.abc import AsyncIterator
from datetime import date, datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, event

from punchgate.domain.ids import DeviceId, PersonNo, UserCode
from punchgate.domain.punch import first_id_at
from punchgate.store import door, punches, record, workdays
from punchgate.store.workdays import Key
from tests.store import stage as stages
from tests.store.stage import MAIN, NOW, Stage, days, fact

DAY = date(2026, 6, 20)
MIDNIGHT = datetime.combine(DAY, datetime.min.time())


@pytest.fixture(name="stage")
async def _stage(sqlite_url: str) -> AsyncIterator[Stage]:
    async with stages.open_stage(sqlite_url) as stage:
        for day in days("2026-06-15", 8):
            facts = [fact(f"p{each}", f"{day} 09:00:00") for each in range(30)]
            await stage.store.writer.record(facts)
        stale = await stage.read(lambda tx: workdays.next_stale(tx, limit=1000))
        keys = [each.key for each in stale]
        computed = await stage.read(lambda tx: workdays.compute(tx, MAIN, keys))
        await stage.store.writer.run(
            lambda tx: workdays.keep(tx, MAIN, stale, computed, NOW, default_zone="UTC")
        )
        yield stage


def _plans(tx: Connection, ask: Any) -> list[str]:
    """Give the plan of every SELECT that `ask` sends, as SQLite explains it."""
    sent: list[tuple[str, Any]] = []

    def listen(*call: Any) -> None:
        sent.append((call[2], call[3]))

    event.listen(tx, "before_cursor_execute", listen)
    try:
        ask(tx)
    finally:
        event.remove(tx, "before_cursor_execute", listen)
    plans = []
    for statement, values in tuple(sent):
        if statement.lstrip().startswith(("SELECT", "WITH")):
            explained = tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            plans += [row[3] for row in explained]
    assert plans
    return plans


async def test_whether_a_punch_is_known_is_looked_up_by_its_whole_key(stage: Stage) -> None:
    known = "EXPLAIN QUERY PLAN " + record._KNOWN
    ids = f'["{fact().punch.punch_id}"]'

    plan = await stage.read(lambda tx: [row[3] for row in tx.exec_driver_sql(known, (1, ids))])

    assert any(
        line.startswith("SEARCH punch USING") and "(account=? AND punch_id=?)" in line
        for line in plan
    ), plan
    assert not any(line.startswith("SCAN punch") for line in plan)


async def test_a_day_is_loaded_as_a_range_of_ids_whoever_is_asked_for(stage: Stage) -> None:
    for people in (1, 30):
        keys = [Key("2026-06-20", PersonNo(1 + each)) for each in range(people)]
        plan = await stage.read(
            partial(_plans, ask=partial(workdays.compute, account=MAIN, keys=keys))
        )
        (line,) = [each for each in plan if " punch " in f"{each} "]
        assert "(account=? AND punch_id>? AND punch_id<?)" in line, line
        (line,) = [each for each in plan if " device " in f"{each} "]
        assert "(account=? AND device_id=?)" in line, line


async def test_a_page_of_a_date_walks_the_key_without_sorting(stage: Stage) -> None:
    plan = await stage.read(
        lambda tx: _plans(
            tx, lambda tx: workdays.list_of_date(tx, MAIN, "2026-06-20", offset=10, limit=10)
        )
    )

    assert plan == ["SEARCH workday USING PRIMARY KEY (account=? AND date=?)"]


async def test_the_counters_of_a_range_walk_the_key_without_sorting(stage: Stage) -> None:
    plan = await stage.read(
        lambda tx: _plans(tx, lambda tx: workdays.counts(tx, MAIN, since=DAY, until=DAY))
    )

    assert plan == ["SEARCH workday_count USING PRIMARY KEY (account=? AND date>? AND date<?)"]


async def test_one_persons_days_are_looked_up_date_by_date(stage: Stage) -> None:
    dates = list(days("2026-06-01", 30))

    plan = await stage.read(
        lambda tx: _plans(tx, lambda tx: workdays.list_of_person(tx, MAIN, PersonNo(3), dates))
    )

    assert plan == ["SEARCH workday USING PRIMARY KEY (account=? AND date=? AND person_no=?)"]


async def test_stale_days_of_a_range_are_a_range_of_the_key(stage: Stage) -> None:
    plan = await stage.read(
        lambda tx: _plans(tx, lambda tx: workdays.list_stale(tx, MAIN, since=DAY, until=DAY))
    )

    assert plan == [
        "SEARCH workday_stale USING PRIMARY KEY (account=? AND date>? AND date<?)",
        "SEARCH workday_change USING INTEGER PRIMARY KEY (rowid=?)",
    ]


async def test_the_next_stale_days_are_read_in_the_order_of_the_key(stage: Stage) -> None:
    plan = await stage.read(lambda tx: _plans(tx, lambda tx: workdays.next_stale(tx, limit=400)))

    assert plan == ["SCAN workday_change", "SEARCH workday_stale USING PRIMARY KEY (account>?)"]


async def test_a_step_of_a_change_of_rules_reads_on_from_its_place_without_sorting(
    stage: Stage,
) -> None:
    await stage.store.writer.run(lambda tx: workdays.mark_stale(tx, MAIN, DAY, spread=1))

    plan = await stage.store.writer.run(
        lambda tx: _plans(tx, lambda tx: workdays.mark_some(tx, MAIN))
    )

    where = "USING PRIMARY KEY (account=? AND (date,person_no)>(?,?))"
    assert [line for line in plan if " workday " in line] == [f"SEARCH workday {where}"]
    assert [line for line in plan if " workday_stale " in line] == [f"SEARCH workday_stale {where}"]
    assert not any("TEMP B-TREE" in line for line in plan), plan


async def test_a_page_of_punches_walks_the_key_without_sorting(stage: Stage) -> None:
    wanted = punches.Filter(user_code=UserCode("p3"), device_id=DeviceId("sn1"))
    after = first_id_at(MIDNIGHT)

    latest = await stage.read(
        lambda tx: _plans(tx, lambda tx: punches.list_latest(tx, MAIN, wanted, limit=10))
    )
    following = await stage.read(
        lambda tx: _plans(
            tx, lambda tx: punches.list_after(tx, MAIN, wanted, after=after, limit=10)
        )
    )

    assert len(latest) == 1, latest
    assert not any("TEMP B-TREE" in line for line in following), following
    assert any(line.startswith("SEARCH person USING INDEX") for line in following), following
    for plan in (latest, following):
        (line,) = [line for line in plan if " punch " in line]
        assert line.startswith("SEARCH punch USING INDEX"), plan


async def test_the_ambiguous_hour_asks_for_a_few_hours_of_ids(stage: Stage) -> None:
    plan = await stage.read(
        lambda tx: _plans(
            tx,
            lambda tx: door.instants(tx, MAIN, DeviceId("sn1"), since=MIDNIGHT, until=MIDNIGHT),
        )
    )

    assert len(plan) == 1, plan
    assert "(account=? AND punch_id>? AND punch_id<?)" in plan[0]
