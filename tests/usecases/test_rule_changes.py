"""Rules that change while days are marked, computed, kept and read: always as if from scratch.

Real: both databases, the door, the worker's steps, the report. Invented: histories, each from its
seed, and who comes when.
"""

import random
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from punchgate.domain.codes import DirectionPolicy
from punchgate.domain.ids import AccountNo, DeviceId
from punchgate.domain.workday import Workday
from punchgate.reports import summary
from punchgate.reports.summary import Query
from punchgate.store import schema
from punchgate.store import workdays as rows
from punchgate.store.database import Connection
from punchgate.usecases import devices, policies, workdays
from punchgate.usecases.context import Context
from tests import gateway, histories
from tests.gateway import MAIN, NOON, Gateway

SINCE, UNTIL = date(2026, 6, 5), date(2026, 6, 18)
NAMES = [name for name in histories.RULES if name != "session"]
DIRECTIONS: tuple[DirectionPolicy, ...] = (
    *("as-reported", "alternate", "first-in-last-out", "always-in"),
)
Shown = list[tuple[int, Workday]]


async def _set_rules(gate: Gateway, name: str, since: date = date(2026, 1, 1)) -> None:
    stored = policies.StoredPolicy(since, histories.RULES[name])
    await policies.set_policy(gate.context, MAIN, stored, actor="test", now=NOON)
    # As if half a second had passed since the last request.
    gate.context.directory._checked_at = float("-inf")


async def _is_changing(gate: Gateway) -> bool:
    return bool(await gate.context.database.read(rows.list_changing))


async def _step(gate: Gateway, most: int) -> None:
    await gate.context.writer.run(lambda tx: rows.mark_some(tx, MAIN, most=most))


async def _read(gate: Gateway, since: date, until: date, person_no: int | None) -> Shown:
    asked = Query(since, until, person_no, None, page=1, limit=1000)
    page = await summary.read(gate.context.database, MAIN, asked)
    assert page.total == len(page.rows)
    return [(row.person.no, row.day) for row in page.rows]


async def _agrees(gate: Gateway, draw: random.Random) -> None:
    """Compare what is read, of everybody and of one, with the days computed from all punches."""
    scratch = await histories.from_scratch(gate)
    since, until = sorted((draw.randint(5, 18), draw.randint(5, 18)))
    for person_no in (None, draw.randint(1, 3)):
        first, last = date(2026, 6, since), date(2026, 6, until)
        expected = [
            row
            for day in sorted(scratch, reverse=True)
            if first.isoformat() <= day <= last.isoformat()
            for row in scratch[day]
            if person_no in (None, row[0])
        ]
        assert await _read(gate, first, last, person_no) == expected


async def _kept(gate: Gateway) -> dict[str, Shown]:
    """Give the present rows as they are kept; their counters say the same."""

    def work(tx: Connection) -> dict[str, Shown]:
        counts = rows.counts(tx, MAIN, since=date(1, 1, 1), until=date(9999, 12, 31))
        found: dict[str, Shown] = {
            day: [
                (kept.key.person_no, kept.day)
                for kept in rows.list_of_date(tx, MAIN, day, offset=0, limit=1000)
            ]
            for day in counts
        }
        assert {day: len(each) for day, each in found.items()} == counts
        return found

    return await gate.context.database.read(work)


class _SlowWorker:
    """Another process, whose reading, computing and writing lie apart."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._work: Callable[[Connection], int] | None = None

    async def go_on(self) -> None:
        """Read and compute, or write what was computed before."""
        if self._work is not None:
            await self._context.writer.run(self._work)
            self._work = None
            return
        stale = await self._context.database.read(lambda tx: rows.next_stale(tx, limit=7))
        keys = [each.key for each in stale]
        computed = await self._context.database.read(lambda tx: rows.compute(tx, MAIN, keys))
        self._work = lambda tx: rows.keep(tx, MAIN, stale, computed, NOON, default_zone="UTC")


async def _something(gate: Gateway, slow: _SlowWorker, draw: random.Random) -> None:
    match draw.choice(("rules", "rules", "device", "step", "step", "pass", "slow", "slow")):
        case "rules":
            since = draw.choice((date(2026, 1, 1), date(2026, 6, 10), date(2026, 6, 12)))
            await _set_rules(gate, draw.choice(NAMES), since)
        case "device":
            changes = devices.Changes(direction_policy=draw.choice(DIRECTIONS))
            device = DeviceId("sn1")
            await devices.set_device(gate.context, MAIN, device, changes, actor="test", now=NOON)
        case "step":
            await _step(gate, draw.choice((1, 10, 40)))
        case "pass":
            await workdays.refresh(gate.context, gate.clock)
        case "slow":
            await slow.go_on()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
async def test_what_is_read_is_a_computation_from_scratch_at_every_moment(
    tmp_path: Path, database_url: str, seed: int
) -> None:
    draw = random.Random(seed)  # noqa: S311 (a history, no secret)
    async with gateway.open(tmp_path, database_url) as gate:
        await gate.add_device("SN1", zone="Europe/Berlin")
        slow = _SlowWorker(gate.context)
        was_changing = 0
        for upload in histories.uploads(histories.history(seed, "any"), seed):
            await gate.punch("SN1", *upload)
            for _ in range(draw.randint(0, 3)):
                await _something(gate, slow, draw)
                await _agrees(gate, draw)
                was_changing += await _is_changing(gate)
        assert was_changing > 2
        await gate.catch_up()
        await slow.go_on()
        await gate.catch_up()

        assert await _kept(gate) == await histories.from_scratch(gate)


async def test_a_report_read_right_after_a_change_shows_days_by_the_new_rules(
    tmp_path: Path, database_url: str
) -> None:
    async with gateway.open(tmp_path, database_url) as gate:
        await gate.add_device("SN1")
        night = {"user_id": "a", "att_time": "2026-06-12 01:30:00", "att_state": 1}
        await gate.punch("SN1", night)
        await gate.catch_up()
        assert [day.date for _, day in await _read(gate, SINCE, UNTIL, None)] == ["2026-06-12"]
        before = await gate.context.database.read(_everything)

        await _set_rules(gate, "cutoff")

        for person in (None, 1):
            shown = await _read(gate, SINCE, UNTIL, person)
            assert [day.date for _, day in shown] == ["2026-06-11"]
            assert await _read(gate, date(2026, 6, 12), UNTIL, person) == []
        # Nothing was marked, computed or written for that.
        assert await gate.context.database.read(_everything) == before
        assert await _is_changing(gate)


def _everything(tx: Connection) -> list[object]:
    return [
        tx.execute(select(table).order_by(*table.primary_key.columns)).all()
        for table in (schema.workday, schema.workday_count, schema.workday_stale)
    ]


async def test_a_pass_takes_one_step_of_a_change_and_computes_for_other_accounts(
    tmp_path: Path,
) -> None:
    async with gateway.open(tmp_path) as gate:
        await gate.add_device("SN1")
        people = [{"user_id": f"p{each}", "att_time": "2026-06-10 09:00:00"} for each in range(900)]
        await gate.punch("SN1", *people)
        await _set_rules(gate, "cutoff")
        other = {"account": 2, "date": "2026-06-10", "person_no": 1, "touch": 1}
        await gate.context.writer.run(
            lambda tx: tx.execute(insert(schema.workday_stale).values(other))
        )

        passes = 0
        while await _is_changing(gate):
            assert await workdays.refresh(gate.context, gate.clock) > 0
            passes += 1
            marked = await gate.context.database.read(_marked)
            assert marked.keys() == {MAIN}
            assert marked[MAIN] >= 900

        # Of five marks each, two thousand at a time.
        assert passes == 3


def _marked(tx: Connection) -> Counter[AccountNo]:
    return Counter(tx.execute(select(schema.workday_stale.c.account)).scalars())
