"""The attendance summary: pages that are put together are a computation from scratch.

Real: the store, the door, the rules. Invented: punches. Nothing may be written by a report.
"""

import random
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from punchgate.domain.ids import DeviceId, UserCode
from punchgate.domain.workday import Workday
from punchgate.reports import summary
from punchgate.reports.summary import Page, Query
from punchgate.store import schema
from punchgate.usecases import accounts, devices, people, policies, workdays
from tests import gateway, histories
from tests.gateway import MAIN, NOON, Gateway

SINCE, UNTIL = date(2026, 6, 1), date(2026, 6, 30)


@pytest.fixture(name="gate")
async def _gate(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path) as gate:
        await gate.add_device("SN1", id="gate", zone="UTC", name="Main gate")
        yield gate


async def _page(gate: Gateway, **changes: Any) -> Page:
    asked = {
        "since": SINCE,
        "until": UNTIL,
        "person_no": None,
        "custom_id": None,
        "page": 1,
        "limit": 1000,
    }
    return await summary.read(gate.context.database, MAIN, Query(**{**asked, **changes}))


async def _pages(gate: Gateway, limit: int, **changes: Any) -> list[Page]:
    """Read page after page until one is empty."""
    pages = [await _page(gate, page=1, limit=limit, **changes)]
    while pages[-1].rows:
        pages.append(await _page(gate, page=len(pages) + 1, limit=limit, **changes))
    return pages


def _seen(page: Page) -> list[tuple[str, int]]:
    return [(row.day.date, row.person.no) for row in page.rows]


async def _work(
    gate: Gateway, code: str, day: str, first: str = "09:00", last: str = "17:00"
) -> None:
    await gate.punch(
        "SN1",
        {"user_id": code, "att_time": f"{day} {first}:00", "att_state": 0},
        {"user_id": code, "att_time": f"{day} {last}:00", "att_state": 1},
    )


async def _set_rules(gate: Gateway, **rules: Any) -> None:
    stored = policies.StoredPolicy(date(2026, 1, 1), rules)
    await policies.set_policy(gate.context, MAIN, stored, actor="test", now=NOON)
    gate.context.directory._checked_at = float("-inf")


async def _tables(gate: Gateway) -> list[Any]:
    def work(tx: Connection) -> list[Any]:
        return [
            tx.execute(select(table).order_by(*table.primary_key.columns)).all()
            for table in (schema.workday, schema.workday_count, schema.workday_stale)
        ]

    return await gate.context.database.read(work)


async def test_nothing_is_an_empty_page(gate: Gateway) -> None:
    assert await _page(gate) == Page(0, ())


async def test_the_newest_day_comes_first_and_people_by_number_within_it(gate: Gateway) -> None:
    for day in ("2026-06-18", "2026-06-20", "2026-06-19"):
        for code in ("b", "a"):
            await _work(gate, code, day)

    page = await _page(gate)

    assert page.total == 6
    assert _seen(page) == [(f"2026-06-{day}", number) for day in (20, 19, 18) for number in (1, 2)]
    assert [row.person.code for row in page.rows[:2]] == ["b", "a"]
    assert {row.day.worked_s for row in page.rows} == {8 * 3600}


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7, 100])
@pytest.mark.parametrize("kept", ["all", "some", "none"])
async def test_pages_run_across_dates_without_a_gap_or_a_repeat(
    gate: Gateway, limit: int, kept: str
) -> None:
    people_of = {"2026-06-17": "abc", "2026-06-18": "b", "2026-06-20": "abcd"}
    for number, (day, codes) in enumerate(people_of.items()):
        for code in codes:
            await _work(gate, code, day)
        if kept == "all" or (kept == "some" and number == 1):
            await gate.catch_up()
    if kept == "some":
        await gate.punch("SN1", {"user_id": "b", "att_time": "2026-06-17 20:00:00", "att_state": 1})

    pages = await _pages(gate, limit)

    assert {page.total for page in pages} == {8}
    assert all(len(page.rows) <= limit for page in pages)
    rows = [each for page in pages for each in _seen(page)]
    assert rows == _seen(await _page(gate))
    assert len(rows) == len(set(rows)) == 8
    assert rows == sorted(rows, key=lambda row: (-int(row[0][-2:]), row[1]))


async def test_both_ends_of_the_range_are_included(gate: Gateway) -> None:
    for day in ("2026-06-09", "2026-06-10", "2026-06-12", "2026-06-13"):
        await _work(gate, "a", day)
    for computed in (False, True):
        if computed:
            await gate.catch_up()
        page = await _page(gate, since=date(2026, 6, 10), until=date(2026, 6, 12))
        assert (page.total, _seen(page)) == (2, [("2026-06-12", 1), ("2026-06-10", 1)])


async def test_a_report_read_after_an_acknowledgement_includes_the_punch(gate: Gateway) -> None:
    await _work(gate, "a", "2026-06-20")
    await gate.catch_up()

    await gate.punch("SN1", {"user_id": "a", "att_time": "2026-06-20 18:00:00", "att_state": 1})
    await gate.punch("SN1", {"user_id": "b", "att_time": "2026-06-20 18:00:00", "att_state": 1})
    page = await _page(gate)

    assert page.total == 2
    assert [row.day.last_out for row in page.rows] == ["2026-06-20 18:00:00"] * 2
    assert [len(row.day.activities) for row in page.rows] == [3, 1]


async def test_what_is_stale_is_computed_for_the_reader_and_nothing_is_written(
    gate: Gateway,
) -> None:
    await _work(gate, "a", "2026-06-20")
    await gate.catch_up()
    await _work(gate, "b", "2026-06-20")
    before = await _tables(gate)

    page = await _page(gate)
    one = await _page(gate, person_no=2)

    assert (page.total, one.total) == (2, 1)
    assert await _tables(gate) == before


async def test_one_person_is_asked_for_by_number_or_by_own_id(gate: Gateway) -> None:
    for day in ("2026-06-18", "2026-06-19", "2026-06-20"):
        await _work(gate, "a", day)
        await _work(gate, "b", day)
    await gate.catch_up()
    await _work(gate, "b", "2026-06-21", "08:00", "09:00")
    changes = people.Changes(name="Bea", custom_id="E-7")
    await people.set_person(gate.context, MAIN, UserCode("b"), changes, actor="test", now=NOON)

    for question in ({"person_no": 2}, {"custom_id": "E-7"}):
        page = await _page(gate, **question)
        assert (page.total, _seen(page)) == (4, [(f"2026-06-{day}", 2) for day in (21, 20, 19, 18)])
        assert {row.person.name for row in page.rows} == {"Bea"}
        second = await _page(gate, **question, page=2, limit=3)
        assert (second.total, _seen(second)) == (4, [("2026-06-18", 2)])


@pytest.mark.parametrize(
    "question", [{"person_no": 9}, {"person_no": 2**40}, {"person_no": 0}, {"custom_id": "nobody"}]
)
async def test_who_is_not_there_has_no_rows(gate: Gateway, question: dict[str, Any]) -> None:
    await _work(gate, "a", "2026-06-20")

    assert await _page(gate, **question) == Page(0, ())


async def test_a_page_beyond_the_last_is_empty_and_says_the_total(gate: Gateway) -> None:
    await _work(gate, "a", "2026-06-20")

    for question in ({}, {"person_no": 1}):
        assert await _page(gate, page=2, limit=1, **question) == Page(1, ())
        assert await _page(gate, page=10**6, limit=1000, **question) == Page(1, ())


async def test_another_accounts_days_are_not_in_it(gate: Gateway) -> None:
    await _work(gate, "a", "2026-06-20")
    await gate.catch_up()
    other = await accounts.add(gate.context, "other", None, actor="test", now=NOON)
    asked = Query(SINCE, UNTIL, None, None, 1, 10)

    assert await summary.read(gate.context.database, other.no, asked) == Page(0, ())


async def test_devices_are_shown_by_name_even_when_they_are_gone(gate: Gateway) -> None:
    await gate.add_device("SN2", id="back", zone="UTC")
    await gate.punch("SN1", {"user_id": "a", "att_time": "2026-06-20 09:00:00"})
    await gate.punch("SN2", {"user_id": "a", "att_time": "2026-06-20 10:00:00"})
    await devices.remove(gate.context, MAIN, DeviceId("gate"), actor="test", now=NOON)

    (row,) = (await _page(gate)).rows

    shown = [row.cameras[DeviceId(each.device_id)] for each in row.day.activities]
    assert shown == ["Main gate", "SN2"]


async def test_an_erased_persons_rows_are_gone_from_totals_too(gate: Gateway) -> None:
    for code in ("a", "b"):
        await _work(gate, code, "2026-06-20")
    await gate.catch_up()
    await _work(gate, "a", "2026-06-21")

    await people.erase(gate.context, MAIN, UserCode("a"), actor="test", now=NOON)

    page = await _page(gate)
    assert (page.total, _seen(page)) == (1, [("2026-06-20", 2)])
    assert await _page(gate, person_no=1) == Page(0, ())


async def test_a_punch_after_the_cutoff_of_its_night_counts_on_the_date_before(
    gate: Gateway,
) -> None:
    await _set_rules(gate, attribution="cutoff", cutoff="04:00")
    await gate.punch("SN1", {"user_id": "a", "att_time": "2026-06-20 20:00:00", "att_state": 0})
    await gate.catch_up()

    await gate.punch("SN1", {"user_id": "a", "att_time": "2026-06-21 02:00:00", "att_state": 1})

    page = await _page(gate)
    assert (page.total, _seen(page)) == (1, [("2026-06-20", 1)])
    assert page.rows[0].day.worked_s == 6 * 3600
    assert await _page(gate, since=date(2026, 6, 21), until=date(2026, 6, 21)) == Page(0, ())


async def test_a_session_counts_on_the_date_on_which_it_began_whichever_date_is_asked(
    gate: Gateway,
) -> None:
    await _set_rules(gate, attribution="session", max_session_h=16)
    out = {"user_id": "a", "att_time": "2026-06-21 06:00:00", "att_state": 1}
    await gate.punch("SN1", out)
    await gate.catch_up()
    assert _seen(await _page(gate)) == [("2026-06-21", 1)]

    await gate.punch("SN1", {"user_id": "a", "att_time": "2026-06-20 22:00:00", "att_state": 0})

    for _ in range(2):
        assert _seen(await _page(gate)) == [("2026-06-20", 1)]
        assert await _page(gate, since=date(2026, 6, 21)) == Page(0, ())
        assert _seen(await _page(gate, until=date(2026, 6, 20))) == [("2026-06-20", 1)]
        await gate.catch_up()


async def test_a_row_that_vanishes_into_a_repeat_before_midnight_is_gone(gate: Gateway) -> None:
    """The later half of a double touch across midnight belongs to the date of the first half."""
    await gate.punch("SN1", {"user_id": "a", "att_time": "2026-06-21 00:00:10", "att_state": 1})
    await gate.catch_up()
    assert _seen(await _page(gate)) == [("2026-06-21", 1)]

    await gate.punch("SN1", {"user_id": "a", "att_time": "2026-06-20 23:59:40", "att_state": 1})

    for _ in range(2):
        page = await _page(gate)
        assert (page.total, _seen(page)) == (1, [("2026-06-20", 1)])
        assert [each.is_duplicate for each in page.rows[0].day.activities] == [False, True]
        await gate.catch_up()


async def test_an_off_shift_row_stands_behind_the_shift_row_of_its_date(gate: Gateway) -> None:
    shift = {"date": "2026-06-20", "start": "09:00", "end": "17:00"}
    await _set_rules(gate, attribution="shift", shifts=[shift])
    await _work(gate, "a", "2026-06-20")
    await _work(gate, "a", "2026-06-20", "03:00", "04:00")
    await _work(gate, "b", "2026-06-20", "03:00", "04:00")

    for _ in range(2):
        page = await _page(gate)
        assert page.total == 3
        assert [(row.person.no, row.day.is_off_shift) for row in page.rows] == [
            *((1, False), (1, True), (2, True)),
        ]
        one = await _page(gate, person_no=1)
        assert [row.day.is_off_shift for row in one.rows] == [False, True]
        assert [row.day.is_off_shift for row in (await _page(gate, page=2, limit=1)).rows] == [True]
        await gate.catch_up()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", histories.RULES)
async def test_pages_put_together_are_a_computation_from_scratch(
    gate: Gateway, name: str, seed: int
) -> None:
    draw = random.Random(seed)  # noqa: S311 (a history, no secret)
    await _set_rules(gate, **histories.RULES[name])
    for upload in histories.uploads(histories.history(seed + 50, name), seed):
        await gate.punch("SN1", *upload)
        if draw.random() < 0.3:
            await workdays.refresh(gate.context, gate.clock)
        if draw.random() < 0.2:
            await _agrees(gate, draw)
    await _agrees(gate, draw)
    await gate.catch_up()
    await _agrees(gate, draw)


async def _agrees(gate: Gateway, draw: random.Random) -> None:
    """Compare a random question with the days computed from all punches."""
    scratch = await histories.from_scratch(gate)
    first, last = sorted((draw.randint(7, 16), draw.randint(7, 16)))
    since, until = date(2026, 6, first), date(2026, 6, last)
    person_no = draw.choice((None, None, 1, 2))
    expected: list[tuple[int, Workday]] = [
        row
        for day in sorted(scratch, reverse=True)
        if since.isoformat() <= day <= until.isoformat()
        for row in scratch[day]
        if person_no in (None, row[0])
    ]

    pages = await _pages(gate, draw.randint(1, 6), since=since, until=until, person_no=person_no)

    assert {page.total for page in pages} == {len(expected)}
    assert [(row.person.no, row.day) for page in pages for row in page.rows] == expected
