"""Workdays kept current: whatever happened, the rows are what a computation from scratch gives.

Real: both databases, the door, the worker's pass. Invented: histories, each from its seed.
"""

import random
from datetime import date
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from punchgate.domain.workday import Workday
from punchgate.store import schema
from punchgate.store import workdays as rows
from punchgate.usecases import policies, workdays
from tests import gateway, histories
from tests.gateway import MAIN, NOON, Gateway


async def _kept(gate: Gateway) -> dict[str, list[tuple[int, Workday]]]:
    """Give the present rows as they are kept, after a look at their counters."""
    since, until = date(1, 1, 1), date(9999, 12, 31)
    counts = await gate.context.database.read(
        lambda tx: rows.counts(tx, MAIN, since=since, until=until)
    )
    found: dict[str, list[tuple[int, Workday]]] = {}
    for day, count in counts.items():
        kept = await gate.context.database.read(
            partial(rows.list_of_date, account=MAIN, day=day, offset=0, limit=1000)
        )
        assert len(kept) == count
        found[day] = [(each.key.person_no, each.day) for each in kept]
    return found


async def _versions(gate: Gateway) -> dict[tuple[str, int, bool], int]:
    table = schema.workday
    listed = await gate.context.database.read(lambda tx: tx.execute(select(table)).all())
    return {(row.date, row.person_no, row.is_off_shift): row.version for row in listed}


async def _set_rules(gate: Gateway, name: str, since: date = date(2026, 1, 1)) -> None:
    stored = policies.StoredPolicy(since, histories.RULES[name])
    await policies.set_policy(gate.context, MAIN, stored, actor="test", now=NOON)
    # As if half a second had passed since the last request.
    gate.context.directory._checked_at = float("-inf")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", histories.RULES)
async def test_rows_are_what_a_computation_from_scratch_gives(
    tmp_path: Path, database_url: str, name: str, seed: int
) -> None:
    draw = random.Random(seed)  # noqa: S311 (a history, no secret)
    items = histories.history(seed, name)
    async with gateway.open(tmp_path, database_url) as gate:
        await gate.add_device("SN1", zone="Europe/Berlin")
        await _set_rules(gate, name)
        for upload in histories.uploads(items, seed):
            await gate.punch("SN1", *upload)
            if draw.random() < 0.4:
                await workdays.refresh(gate.context, gate.clock)
        await gate.catch_up()

        assert await _kept(gate) == await histories.from_scratch(gate)

        versions = await _versions(gate)
        await gate.punch("SN1", *items)
        await gate.catch_up()
        assert await _versions(gate) == versions


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
async def test_rows_follow_the_rules_whenever_these_change(
    tmp_path: Path, database_url: str, seed: int
) -> None:
    draw = random.Random(seed + 100)  # noqa: S311 (a history, no secret)
    names = [name for name in histories.RULES if name != "session"]
    async with gateway.open(tmp_path, database_url) as gate:
        await gate.add_device("SN1", zone="Europe/Berlin")
        for number, upload in enumerate(histories.uploads(histories.history(seed, "any"), seed)):
            await gate.punch("SN1", *upload)
            if draw.random() < 0.3:
                await workdays.refresh(gate.context, gate.clock)
            if number % 4 == 3:
                since = draw.choice((date(2026, 1, 1), date(2026, 6, 10), date(2026, 6, 12)))
                await _set_rules(gate, draw.choice(names), since)
        await gate.catch_up()

        assert await _kept(gate) == await histories.from_scratch(gate)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", histories.RULES)
async def test_a_day_computed_alone_is_what_it_is_among_all_the_others(
    tmp_path: Path, name: str, seed: int
) -> None:
    """What is loaded for a single day must be enough for it."""
    async with gateway.open(tmp_path) as gate:
        await gate.add_device("SN1", zone="Europe/Berlin")
        await _set_rules(gate, name)
        await gate.punch("SN1", *histories.history(seed + 20, name))
        scratch = await histories.from_scratch(gate)
        stale = await gate.context.database.read(partial(rows.next_stale, limit=1000))
        for each in stale:
            alone = await gate.context.database.read(
                partial(rows.compute, account=MAIN, keys=[each.key])
            )
            whole = [day for number, day in scratch.get(each.date, []) if number == each.person_no]
            assert list(alone[each.key]) == whole, each


async def test_a_pass_computes_what_is_stale_and_rests_a_little(tmp_path: Path) -> None:
    async with gateway.open(tmp_path) as gate:
        assert await workdays.refresh(gate.context, gate.clock) == workdays.IDLE_S
        await gate.add_device("SN1")
        await gate.punch("SN1", {"user_id": "1", "att_time": "2026-06-20 09:00:00"})

        assert await workdays.refresh(gate.context, gate.clock) > 0
        assert await gate.context.database.read(rows.count_stale) == 0


@pytest.mark.parametrize(
    ("seconds", "punches", "rest"),
    [
        (0.2, 0, 0.1),
        (0.2, 60, 0.1),  # 300 a second: an ordinary morning
        (0.2, 61, 3.8),  # a burst: punches first, whoever asks for a day computes it
        (0.0, 1, 0.0),
    ],
)
def test_days_make_way_for_a_burst_of_punches(seconds: float, punches: int, rest: float) -> None:
    assert workdays.rest_s(seconds, punches) == pytest.approx(rest)


async def test_a_pass_computes_no_more_days_than_it_may(tmp_path: Path) -> None:
    async with gateway.open(tmp_path) as gate:
        await gate.add_device("SN1")
        await gate.punch(
            "SN1",
            *(
                {"user_id": f"p{each}", "att_time": "2026-06-20 09:00:00"}
                for each in range(workdays.PASS + 7)
            ),
        )

        await workdays.refresh(gate.context, gate.clock)

        assert await gate.context.database.read(rows.count_stale) == 7
