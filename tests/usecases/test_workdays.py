"""Workdays kept current: whatever happened, the rows are what a computation from scratch gives.

Real: both databases, the door, the worker's pass. Invented: histories, each from its seed.
"""

import random
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from punchgate.domain.codes import DirectionPolicy
from punchgate.domain.ids import DeviceId, QuarantineId
from punchgate.domain.workday import Workday
from punchgate.store import schema
from punchgate.store import workdays as rows
from punchgate.usecases import devices, policies, quarantine, workdays
from tests import gateway, histories
from tests.gateway import MAIN, NOON, Gateway
from tests.metrics import counted


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
    await _set_policy(gate, since, histories.RULES[name])


async def _set_policy(gate: Gateway, since: date, rules: Mapping[str, Any]) -> None:
    stored = policies.StoredPolicy(since, rules)
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


IN, OUT = 0, 1
SESSION: dict[str, object] = {"attribution": "session"}
LONG: dict[str, object] = {**SESSION, "max_session_h": 48}


@pytest.mark.parametrize(
    ("rules", "then", "early", "late"),
    [
        # The late `in` keeps the next from opening, and the `out` behind that is of its own date.
        (SESSION, SESSION, [("11 10:00", IN), ("12 01:00", OUT)], [("10 20:00", IN)]),
        (LONG, LONG, [("12 01:00", OUT)], [("10 02:00", IN)]),
        (LONG, {}, [("10 02:00", IN), ("12 01:00", OUT)], []),
        # On the devices' calendar the session was of the 10th, and its `out` is of the 12th.
        ({**SESSION, "zone": "UTC"}, {}, [("11 08:00", IN), ("12 00:00", OUT)], []),
    ],
)
async def test_a_day_further_off_than_the_neighbour_follows_too(
    tmp_path: Path,
    rules: dict[str, object],
    then: dict[str, object],
    early: list[tuple[str, int]],
    late: list[tuple[str, int]],
) -> None:
    async with gateway.open(tmp_path) as gate:
        await gate.add_device("SN1", zone="Pacific/Auckland")
        await _set_policy(gate, date(2026, 1, 1), rules)
        for punches in (early, late):
            for time, state in punches:
                item = {"user_id": "1", "att_time": f"2026-06-{time}:00", "att_state": state}
                await gate.punch("SN1", item)
            await gate.catch_up()
        await _set_policy(gate, date(2026, 1, 1), then)
        await gate.catch_up()

        assert await _kept(gate) == await histories.from_scratch(gate)


async def test_a_late_punch_that_turns_a_whole_week_is_followed_through_it(
    tmp_path: Path, database_url: str
) -> None:
    """By sessions a terminal that alternates goes on over the night: each rest is shorter."""
    async with gateway.open(tmp_path, database_url) as gate:
        await gate.add_device("SN1", direction_policy="alternate")
        await _set_policy(gate, date(2026, 1, 1), SESSION)
        times = [f"2026-06-{day} {time}:00" for day in range(10, 19) for time in ("08:00", "17:00")]
        for part in (times[1:], times[:1]):
            await gate.punch("SN1", *({"user_id": "1", "att_time": time} for time in part))
            await gate.catch_up()

        kept = await _kept(gate)
        assert kept == await histories.from_scratch(gate)
        assert [day.worked_s for ((_, day),) in kept.values()] == [9 * 3600] * 9


#: Weeks around both clock changes of Europe, and one that begins behind us and ends ahead of us.
WEEKS = (datetime(2026, 3, 26), datetime(2025, 10, 23), datetime(2026, 6, 17))  # noqa: DTZ001 (a device's clock)
#: Rules: those that keep a punch near its date, and sessions.
SCENES: tuple[list[Mapping[str, Any]], ...] = (
    [histories.RULES[name] for name in histories.RULES if name != "session"],
    [SESSION, LONG, {**SESSION, "zone": "Pacific/Auckland"}, {}],
)
DIRECTIONS: tuple[DirectionPolicy, ...] = (
    *("as-reported", "alternate", "first-in-last-out", "always-in"),
)


async def _change_rules(gate: Gateway, draw: random.Random, scene: int, since: date) -> None:
    changes = devices.Changes(direction_policy=draw.choice(DIRECTIONS))
    device = DeviceId("sn2")
    await devices.set_device(gate.context, MAIN, device, changes, actor="test", now=NOON)
    await _set_policy(gate, since, draw.choice(SCENES[scene]))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(24))
async def test_rows_follow_whatever_happens(tmp_path: Path, seed: int) -> None:
    """Late punches, other rules and directions, releases; and the clocks change meanwhile."""
    draw = random.Random(seed)  # noqa: S311 (a history, no secret)
    start = WEEKS[seed % 3]
    async with gateway.open(tmp_path) as gate:
        await gate.add_device("SN1", zone="Europe/Berlin")
        await gate.add_device("SN2", zone=draw.choice(("America/New_York", "Pacific/Auckland")))
        await _change_rules(gate, draw, seed % 2, date(2020, 1, 1))
        is_open: dict[QuarantineId, bool] = {}
        for upload in histories.uploads(histories.forgetful(seed, start), seed, most=3):
            for serial, part in (("SN1", upload[::2]), ("SN2", upload[1::2])):
                receipts = await gate.punch(serial, *part)
                for each in receipts:
                    if each.quarantine_id is not None:
                        is_open.setdefault(each.quarantine_id, True)
            if draw.random() < 0.5:
                await gate.catch_up()
            if draw.random() < 0.1:
                since = start.date() + timedelta(days=draw.randint(-2, 4))
                await _change_rules(gate, draw, seed % 2, since)
            held = next((each for each in is_open if is_open[each]), None)
            if held is not None and draw.random() < 0.4:
                await quarantine.release(gate.context, MAIN, held, actor="test", now=NOON)
                is_open[held] = False
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

        before = counted("punchgate_summary_updates_total")
        assert await workdays.refresh(gate.context, gate.clock) > 0
        assert await gate.context.database.read(rows.count_stale) == 0
        assert counted("punchgate_summary_updates_total") == before + 1


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
