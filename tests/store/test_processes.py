"""Several processes on one PostgreSQL: unique keys and locks keep them apart, no memory does.

Real: two stores with connections of their own, as two servers have. Invented: the facts.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial

import pytest
from sqlalchemy import func, select

from punchgate.store import schema, workdays
from punchgate.store.workdays import Stale
from tests.store import stage as stages
from tests.store.stage import MAIN, NOW, Stage, caused, days, fact

Pair = tuple[Stage, Stage]


@pytest.fixture(name="pair")
async def _pair(postgresql_url: str) -> AsyncIterator[Pair]:
    async with (
        stages.open_stage(postgresql_url) as one,
        stages.open_stage(postgresql_url) as other,
    ):
        yield one, other


async def test_I3_the_same_punches_sent_to_two_processes_at_once_are_there_once(
    pair: Pair,
) -> None:
    facts = [fact(f"p{each % 7}", f"2026-06-20 09:{each:02d}:00") for each in range(40)]
    calls = [
        stage.store.writer.record(order[start : start + 5])
        for start in range(0, 40, 5)
        for stage, order in zip(pair, (facts, facts[::-1]), strict=True)
    ]

    outcomes = [outcome for each in await asyncio.gather(*calls) for outcome in each]

    assert (outcomes.count("recorded"), outcomes.count("duplicate")) == (40, 40)
    assert await pair[0].sizes(*caused()) == [40, 40, 7, 7]
    numbers = [row.person_no for row in await pair[0].rows(schema.person)]
    assert numbers == list(range(1, 8))


async def test_the_log_has_a_persons_events_in_the_order_of_their_commits(pair: Pair) -> None:
    """Each caller sends its next punch when the last was acknowledged, to either process."""

    async def send(code: str) -> None:
        for number in range(12):
            one = fact(code, f"2026-06-20 09:{number:02d}:00")
            assert list(await pair[number % 2].store.writer.record([one])) == ["recorded"]

    await asyncio.gather(*(send(f"p{each}") for each in range(4)))

    rows = sorted(await pair[0].rows(schema.event), key=lambda row: (row.tx, row.seq))
    for each in range(4):
        mine = [json.loads(row.body)["at_local"] for row in rows if row.key == f"person:p{each}"]
        assert mine == sorted(mine)
        assert len(mine) == 12


async def test_days_kept_by_two_processes_at_once_are_counted_once(pair: Pair) -> None:
    one, other = pair
    dates = list(days("2026-06-01", 10))
    for round_ in range(3):
        facts = [fact(f"p{each}", f"{day} 0{round_}:00:00") for day in dates for each in range(5)]
        await one.store.writer.record(facts)
        stale = await one.read(partial(workdays.next_stale, limit=1000))
        changed = await asyncio.gather(*(_keep(stage, stale) for stage in (one, other, one)))
        assert sorted(changed) == [0, 0, 50]

    counted = {row.date: row.days for row in await one.rows(schema.workday_count)}
    assert counted == dict.fromkeys(dates, 5)
    present = select(func.count()).select_from(schema.workday)
    assert await one.read(lambda tx: tx.execute(present).scalar_one()) == 50
    assert {row.version for row in await one.rows(schema.workday)} == {3}


async def _keep(stage: Stage, stale: list[Stale]) -> int:
    keys = [each.key for each in stale]
    computed = await stage.read(partial(workdays.compute, account=MAIN, keys=keys))
    work = partial(
        workdays.keep, account=MAIN, stale=stale, computed=computed, now=NOW, default_zone="UTC"
    )
    return await stage.store.writer.run(work)
