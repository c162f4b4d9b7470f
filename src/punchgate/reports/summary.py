"""The attendance summary: one row per person and day, newest day first, in pages.

Everything is read from one snapshot. Days that punches have touched and nobody has computed yet are
computed here: a report read after an acknowledgement includes the punch. Nothing is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Final

from punchgate.domain.ids import AccountNo, DeviceId, PersonNo
from punchgate.domain.person import Person
from punchgate.domain.workday import Workday
from punchgate.store import names, people, workdays
from punchgate.store.database import Connection, Database
from punchgate.store.workdays import Computed, Key

_DAY: Final = timedelta(days=1)
#: Rows of one date that are merged in memory; nobody has a million people at one place a day.
_WHOLE: Final = 1_000_000
#: Larger than every number of a person, small enough for its column.
_NOBODY: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked: dates from `since` to `until`, both included; one person or all; one page."""

    since: date
    until: date
    person_no: int | None
    custom_id: str | None
    page: int
    limit: int


@dataclass(frozen=True, slots=True)
class Row:
    """One person's day, with the text to show for each device of its activities."""

    person: Person
    day: Workday
    cameras: Mapping[DeviceId, str]


@dataclass(frozen=True, slots=True)
class Page:
    """One page, and how many rows there are in all."""

    total: int
    rows: tuple[Row, ...]


#: One row before its names are looked up.
_Found = tuple[PersonNo, Workday]


async def read(database: Database, account: AccountNo, query: Query) -> Page:
    """Read one page; who is asked for and not there has no rows.

    Errors:  StoreUnavailable.
    """
    return await database.read(partial(_read, account, query))


def _read(account: AccountNo, query: Query, tx: Connection) -> Page:
    if query.person_no is None and query.custom_id is None:
        total, found = _everyone(tx, account, query)
    else:
        person_no = PersonNo(min(query.person_no or 0, _NOBODY))
        if query.custom_id is not None:
            person = people.find_custom_id(tx, account, query.custom_id)
            person_no = person.no if person is not None else PersonNo(0)
        days = _one(tx, account, query, person_no)
        first = (query.page - 1) * query.limit
        total, found = len(days), days[first : first + query.limit]
    return Page(total, _named(tx, account, found))


def _everyone(tx: Connection, account: AccountNo, query: Query) -> tuple[int, list[_Found]]:
    """Count rows by date, then open only the dates that the page is on."""
    fresh = _fresh(tx, account, query)
    counts = workdays.counts(tx, account, since=query.since, until=query.until)
    changed = _by_date(tx, account, fresh)
    for day, (change, _) in changed.items():
        counts[day] = counts.get(day, 0) + change
    skip, want = (query.page - 1) * query.limit, query.limit
    found: list[_Found] = []
    for day in sorted(counts, reverse=True):
        if skip >= counts[day]:
            skip -= counts[day]
        elif want > 0:
            if day in changed:
                rows = _merged(tx, account, day, changed[day][1])[skip : skip + want]
            else:
                kept = workdays.list_of_date(tx, account, day, offset=skip, limit=want)
                rows = [(each.key.person_no, each.day) for each in kept]
            found += rows
            skip, want = 0, want - len(rows)
    return sum(counts.values()), found


def _fresh(tx: Connection, account: AccountNo, query: Query) -> Computed:
    """Compute what is stale in the range."""
    stale = workdays.list_stale(tx, account, since=query.since, until=query.until)
    return workdays.compute(tx, account, stale) if stale else {}


def _by_date(
    tx: Connection, account: AccountNo, fresh: Computed
) -> dict[str, tuple[int, dict[Key, Sequence[Workday]]]]:
    """Say for each date with fresh rows by how many rows it grows, and which rows they are."""
    found: dict[str, tuple[int, dict[Key, Sequence[Workday]]]] = {}
    for key, days in fresh.items():
        change, rows = found.get(key.date, (0, {}))
        rows[key] = days
        found[key.date] = (change + len(days), rows)
    for kept in workdays.list_kept(tx, account, list(fresh)):
        change, rows = found[kept.key.date]
        found[kept.key.date] = (change - 1, rows)
    return found


def _merged(
    tx: Connection, account: AccountNo, day: str, fresh: Mapping[Key, Sequence[Workday]]
) -> list[_Found]:
    """List a whole date, its fresh rows in the place of those that are kept."""
    kept = workdays.list_of_date(tx, account, day, offset=0, limit=_WHOLE)
    rows = [(each.key.person_no, each.day) for each in kept if each.key not in fresh]
    rows += [(key.person_no, one) for key, days in fresh.items() for one in days]
    return sorted(rows, key=lambda row: (row[0], row[1].is_off_shift))


def _one(tx: Connection, account: AccountNo, query: Query, person_no: PersonNo) -> list[_Found]:
    """List every row of one person in the range."""
    dates = [
        (query.since + number * _DAY).isoformat()
        for number in range((query.until - query.since).days + 1)
    ]
    stale = workdays.list_stale(
        tx, account, since=query.since, until=query.until, person_no=person_no
    )
    fresh = workdays.compute(tx, account, stale) if stale else {}
    days = [
        each.day
        for each in workdays.list_of_person(tx, account, person_no, dates)
        if each.key not in fresh
    ]
    days += [day for group in fresh.values() for day in group]
    # Newest first; the off-shift row of a date behind its shift row.
    days.sort(key=lambda day: day.is_off_shift)
    days.sort(key=lambda day: day.date, reverse=True)
    return [(person_no, day) for day in days]


def _named(tx: Connection, account: AccountNo, found: Sequence[_Found]) -> tuple[Row, ...]:
    known = names.people(tx, account, {person_no for person_no, _ in found})
    ids = {DeviceId(each.device_id) for _, day in found for each in day.activities}
    cameras = names.devices(tx, account, ids)
    return tuple(Row(known[person_no], day, cameras) for person_no, day in found)
