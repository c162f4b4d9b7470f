"""Workdays as rows: which are stale, and how the others are kept, counted and paged.

A punch only marks the days that it touches (`record.py`); rules that change are `stale.py`. What a
day comes to is worked out in `workday_source.py`: for a reader, who writes nothing, or for the
worker that keeps rows current.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    delete,
    func,
    select,
)

from punchgate.domain.event_summary import Change, Reason, Stand
from punchgate.domain.ids import AccountNo, PersonNo
from punchgate.domain.workday import Workday
from punchgate.store import dialect, events, schema, summaries
from punchgate.store.database import slices
from punchgate.store.stale import (
    is_changing,
    list_changing,
    lock,
    mark_some,
    mark_stale,
    pass_on,
    unmarked,
)
from punchgate.store.workday_source import Computed, Key, compute, rules

__all__ = [
    "Computed",
    "Kept",
    "Key",
    "Stale",
    "compute",
    "count_stale",
    "counts",
    "is_any_stale",
    "keep",
    "list_changing",
    "list_kept",
    "list_of_date",
    "list_of_person",
    "list_stale",
    "lock",
    "mark_some",
    "mark_stale",
    "next_stale",
    "rules",
]

_DECODER: Final = msgspec.json.Decoder(Workday)
#: By what a mark is known again.
_MARK: Final = ("account", "date", "person_no", "touch")


class Stale(NamedTuple):
    """A day that waits to be computed; `touch` is what it was marked with.

    `reason` is why, where it was not a punch; a punch that comes meanwhile does not change it.
    """

    account: AccountNo
    date: str
    person_no: PersonNo
    touch: int
    reason: Reason | None = None

    @property
    def key(self) -> Key:
        """Whose day it is."""
        return Key(self.date, self.person_no)


class Kept(NamedTuple):
    """A workday as a row."""

    key: Key
    day: Workday
    version: int
    is_present: bool


def list_stale(
    tx: Connection,
    account: AccountNo,
    *,
    since: date,
    until: date,
    person_no: PersonNo | None = None,
) -> list[Key]:
    """List an account's stale days from `since` to `until`, both included: marked, or implied."""
    table = schema.workday_stale
    wanted = select(table.c.date, table.c.person_no).where(
        table.c.account == account,
        table.c.date >= since.isoformat(),
        table.c.date <= until.isoformat(),
    )
    if person_no is not None:
        wanted = wanted.where(table.c.person_no == person_no)
    marked = {Key(row.date, PersonNo(row.person_no)) for row in tx.execute(wanted)}
    return sorted(marked | unmarked(tx, account, since, until, person_no))


def next_stale(tx: Connection, *, limit: int) -> list[Stale]:
    """List stale days of one account and neighbouring dates, to be computed together.

    Accounts whose rules are changing are left out: their marks must stay until all are there.
    An exception to "the account comes second": the worker asks for all of them.
    """
    table, after = schema.workday_stale, 0
    # Account by account past them: their marks are many, and none of them is wanted.
    for skipped in (*list_changing(tx), None):
        wanted = select(table).where(table.c.account > after)
        if skipped is not None:
            wanted = wanted.where(table.c.account < skipped)
            after = skipped
        rows = tx.execute(
            wanted.order_by(table.c.account, table.c.date, table.c.person_no).limit(limit)
        )
        found = [
            Stale(AccountNo(row.account), row.date, PersonNo(row.person_no), row.touch, row.reason)
            for row in rows
        ]
        if found:
            return [each for each in found if each.account == found[0].account]
    return []


def is_any_stale(tx: Connection) -> bool:
    """Say whether the worker has anything to do, for whatever account."""
    marked = tx.execute(select(schema.workday_stale.c.account).limit(1)).first()
    return marked is not None or bool(list_changing(tx))


def count_stale(tx: Connection) -> int:
    """Count all stale days of the installation; where rules are changing, as far as is known."""
    marked = int(tx.execute(select(func.count()).select_from(schema.workday_stale)).scalar_one())
    change, counted = schema.workday_change, schema.workday_count
    ahead = select(func.coalesce(func.sum(counted.c.days), 0)).join_from(
        change,
        counted,
        and_(counted.c.account == change.c.account, counted.c.date >= change.c.date),
    )
    return marked + int(tx.execute(ahead).scalar_one())


def keep(
    tx: Connection,
    account: AccountNo,
    stale: Sequence[Stale],
    computed: Computed,
    now: int,
    *,
    default_zone: str,
) -> int:
    """Write days that were computed, tell the log of them, and say how many have changed.

    A version rises only when the result differs. A day that was touched again since it was read as
    stale is written and stays stale. `default_zone`, of accounts that have none, tells when a day
    has ended; a change after that is told.

    Concurrency: a day that is not stale any more is left alone. Another process has computed it
    since, perhaps from more punches, or its person was erased. While the account's rules are
    changing nothing is kept: it was computed by those before, or would take a trace away (`stale`).
    """
    lock(tx, account)
    if is_changing(tx, account):
        return 0
    keys = _still_stale(tx, account, computed)
    before = {
        (kept.key, kept.day.is_off_shift): kept for kept in list_kept(tx, account, keys, gone=True)
    }
    reasons = {each.key: each.reason or "late_punch" for each in stale}
    rows, counts = [], dict.fromkeys((key.date for key in keys), 0)
    changes: list[tuple[PersonNo, Change]] = []
    for key in keys:
        after = {day.is_off_shift: day for day in computed[key]}
        for is_off_shift in (False, True):
            old, day = before.get((key, is_off_shift)), after.get(is_off_shift)
            stood, stands = _stands(old, day)
            # A day that is gone keeps what it last was.
            shown = day or (old and old.day)
            if stood.day == stands.day or shown is None:
                continue
            counts[key.date] += int(stands.day is not None) - int(stood.day is not None)
            rows.append(_row(account, key, shown, stands, now))
            change = Change(key.date, is_off_shift, stood, stands, reasons[key])
            changes.append((key.person_no, change))
    # Nothing may be written before this: it locks the keys of the log.
    told = summaries.prepare(tx, account, changes, now=now, default_zone=default_zone)
    _put(tx, rows)
    _count(tx, account, counts)
    _settle(tx, stale)
    pass_on(tx, account, {Key(each.date, person): each.reason for person, each in changes}, keys)
    events.append(tx, account, told)
    return len(rows)


def counts(tx: Connection, account: AccountNo, *, since: date, until: date) -> dict[str, int]:
    """Give the number of rows of each date that has any, both ends included, newest first."""
    table = schema.workday_count
    rows = tx.execute(
        select(table.c.date, table.c.days)
        .where(
            table.c.account == account,
            table.c.date >= since.isoformat(),
            table.c.date <= until.isoformat(),
            table.c.days > 0,
        )
        .order_by(table.c.date.desc())
    )
    return {row.date: row.days for row in rows}


def list_of_date(
    tx: Connection, account: AccountNo, day: str, *, offset: int, limit: int
) -> list[Kept]:
    """List the rows of a date by person, some of them."""
    table = schema.workday
    rows = tx.execute(
        select(table)
        .where(table.c.account == account, table.c.date == day, table.c.is_present)
        .order_by(table.c.person_no, table.c.is_off_shift)
        .offset(offset)
        .limit(limit)
    )
    return [_kept(row) for row in rows]


def list_kept(
    tx: Connection, account: AccountNo, keys: Collection[Key], *, gone: bool = False
) -> list[Kept]:
    """List the rows of some keys, with `gone` those also that are not there any more."""
    table = schema.workday
    found = []
    for day, people in _by_date(keys):
        wanted = select(table).where(
            table.c.account == account, table.c.date == day, table.c.person_no.in_(people)
        )
        if not gone:
            wanted = wanted.where(table.c.is_present)
        found += [_kept(row) for row in tx.execute(wanted)]
    return found


def list_of_person(
    tx: Connection, account: AccountNo, person_no: PersonNo, dates: Sequence[str]
) -> list[Kept]:
    """List one person's rows of the given dates.

    A list of dates and not a range: each is one look-up by the whole key, where a range would read
    everybody's rows.
    """
    table = schema.workday
    rows = tx.execute(
        select(table).where(
            table.c.account == account,
            table.c.date.in_(dates),
            table.c.person_no == person_no,
            table.c.is_present,
        )
    )
    return [_kept(row) for row in rows]


def _settle(tx: Connection, stale: Sequence[Stale]) -> None:
    """Take marks away, but for those that were set anew since they were read."""
    table = schema.workday_stale
    if stale:
        gone = delete(table).where(*(table.c[name] == bindparam(f"_{name}") for name in _MARK))
        values = [{f"_{name}": getattr(each, name) for name in _MARK} for each in stale]
        tx.execute(gone, values)


def _still_stale(tx: Connection, account: AccountNo, keys: Collection[Key]) -> list[Key]:
    table = schema.workday_stale
    found = []
    for day, people in _by_date(keys):
        rows = tx.execute(
            select(table.c.person_no).where(
                table.c.account == account, table.c.date == day, table.c.person_no.in_(people)
            )
        )
        found += [Key(day, PersonNo(row.person_no)) for row in rows]
    return found


def _by_date(keys: Iterable[Key]) -> list[tuple[str, Sequence[PersonNo]]]:
    """Sort keys by date, in parts that one statement can bind."""
    by_date: dict[str, list[PersonNo]] = {}
    for key in keys:
        by_date.setdefault(key.date, []).append(key.person_no)
    return [(day, part) for day, people in by_date.items() for part in slices(people)]


def _stands(old: Kept | None, day: Workday | None) -> tuple[Stand, Stand]:
    """Say how a day stood where its row was `old`, and how it stands if it comes out as `day`."""
    stood = (
        Stand(0, None) if old is None else Stand(old.version, old.day if old.is_present else None)
    )
    return stood, Stand(stood.version + 1, day)


def _row(account: AccountNo, key: Key, day: Workday, stands: Stand, now: int) -> dict[str, Any]:
    return {
        "account": account,
        "date": key.date,
        "person_no": key.person_no,
        "is_off_shift": day.is_off_shift,
        "is_present": stands.day is not None,
        "version": stands.version,
        "body": msgspec.json.encode(day).decode(),
        "computed_at": now,
    }


def _put(tx: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    upsert = dialect.insert(tx, schema.workday)
    changed = {
        name: upsert.excluded[name] for name in ("is_present", "version", "body", "computed_at")
    }
    keys = ["account", "date", "person_no", "is_off_shift"]
    tx.execute(upsert.on_conflict_do_update(index_elements=keys, set_=changed), rows)


def _count(tx: Connection, account: AccountNo, counts: Mapping[str, int]) -> None:
    table = schema.workday_count
    rows = [
        {"account": account, "date": day, "days": change}
        for day, change in counts.items()
        if change
    ]
    if rows:
        upsert = dialect.insert(tx, table)
        tx.execute(
            upsert.on_conflict_do_update(
                index_elements=["account", "date"],
                set_={"days": table.c.days + upsert.excluded.days},
            ),
            rows,
        )


def _kept(row: Any) -> Kept:
    return Kept(
        Key(row.date, PersonNo(row.person_no)),
        _DECODER.decode(row.body),
        row.version,
        bool(row.is_present),
    )
