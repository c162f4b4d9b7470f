"""Days that wait to be computed, beyond those that a punch marks itself (`record.py`).

Answers for what rules that changed can move, and for what hangs on a day that came out otherwise.
The marks are read and taken away in `workdays.py`.

Other rules can move every day that an account has, more than one transaction could mark. So their
change writes one row, `workday_change`, and each later step marks what belongs to the next few days
and moves the place in that row behind them. While there is one,

- a reader takes what it implies for marked (`unmarked`);
- no day of the account is kept. Rows and marks are the traces of punches by which the days around
  them are found; none may go away before its turn, and none may come that older rules have made.

A second change is merged into the first: back to the earlier place, as wide as the wider of the
two, under a new `touch`. A change's own marks are no traces. Those of the one before it are: they
may stand in the place of a punch's (docs/decisions/0019-rules-that-change.md).
"""

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)

from punchgate.domain.event_summary import Reason
from punchgate.domain.ids import AccountNo, PersonNo
from punchgate.store import dialect, policies, schema
from punchgate.store.workday_source import Key

_WORKDAY: Final = schema.workday
_STALE: Final = schema.workday_stale
_CHANGE: Final = schema.workday_change

#: Marks of one step: a punch that comes meanwhile waits for no more than some hundredths of a
#: second.
MARKS: Final = 2_000
_BECAUSE: Final[Reason] = "policy_changed"
#: Before everybody's number.
_NOBODY: Final = PersonNo(0)
#: Beside an account's number, the key of the lock of its workdays; see `lock`.
_LOCK: Final = 0x776F726B


class _Change(NamedTuple):
    """A change of rules; `place` is the last day whose neighbours are marked."""

    place: Key
    beside: int
    touch: int


def lock(tx: Connection, account: AccountNo) -> None:
    """Hold an account's workdays until the commit: rows and counters are read, then written.

    SQLite has one writer, PostgreSQL any number of processes.
    """
    if tx.dialect.name != "sqlite":
        tx.execute(select(func.pg_advisory_xact_lock(_LOCK, account)))


def mark_stale(tx: Connection, account: AccountNo, since: date, *, spread: int) -> None:
    """Have the days that other rules from `since` on may change computed again.

    By the rules before and after, a punch is at most `spread` dates away from its own; by any, a
    near-duplicate can be one away. Each day takes those around it along, also those without a row.
    Here this is only noted; `mark_some` does it.
    """
    lock(tx, account)
    beside = max(1, 2 * spread)
    place = Key(_moved(since, -beside), _NOBODY)
    before = _find(tx, account)
    if before is not None:
        # Rows of the rules before the first change, days of those after the second: each of the
        # two is `spread` away at most, so that the wider is enough, however many changes follow.
        place, beside = min(place, before.place), max(beside, before.beside)
        tx.execute(delete(_CHANGE).where(_CHANGE.c.account == account))
    values = {"account": account, **place._asdict(), "beside": beside}
    tx.execute(insert(_CHANGE).values(**values, touch=secrets.randbits(62)))


def mark_some(tx: Connection, account: AccountNo, *, most: int = MARKS) -> None:
    """Mark what a change of rules has made stale, `most` days at most; none where there is none.

    Repeating: the place moves with the marks, so that a step that was lost is done again.
    """
    lock(tx, account)
    change = _find(tx, account)
    if change is None:
        return
    limit = max(1, most // (2 * change.beside + 1))
    traces = _next_traces(tx, account, change, limit)
    marks = dict.fromkeys(_around(traces, change.beside), _BECAUSE)
    _put(tx, account, marks, change.touch, renewed=["touch", "reason"])
    mine = _CHANGE.c.account == account
    if len(traces) < limit:
        tx.execute(delete(_CHANGE).where(mine))
    else:
        tx.execute(update(_CHANGE).where(mine).values(traces[-1]._asdict()))


def list_changing(tx: Connection) -> list[AccountNo]:
    """List the accounts of whose rules a change is not marked to its end."""
    found = tx.execute(select(_CHANGE.c.account).order_by(_CHANGE.c.account))
    return [AccountNo(no) for no in found.scalars()]


def is_changing(tx: Connection, account: AccountNo) -> bool:
    """Say whether a change of an account's rules is not marked to its end."""
    return _find(tx, account) is not None


def unmarked(
    tx: Connection, account: AccountNo, since: date, until: date, person_no: PersonNo | None
) -> set[Key]:
    """Give the days of a range that a change of rules has made stale and no mark says so yet.

    Perhaps more: a day that is computed in vain comes out as it is kept.
    """
    change = _find(tx, account)
    if change is None:
        return set()
    reached, beside = date.fromisoformat(change.place.date), change.beside
    if person_no is not None:
        # To look for their days among everybody's costs more than to compute one in vain.
        first = max(since.toordinal(), reached.toordinal() - beside)
        return {Key(day, person_no) for day in _dates(first, until.toordinal())}
    earliest = max(_moved(since, -beside), change.place.date)
    latest = _moved(until, beside)
    near = _STALE.c.touch != change.touch, _STALE.c.date.between(earliest, latest)
    traces = _keys(tx, account, _WORKDAY, _WORKDAY.c.date.between(earliest, latest))
    around = _around([*traces, *_keys(tx, account, _STALE, *near)], beside)
    return {key for key in around if since.isoformat() <= key.date <= until.isoformat()}


def pass_on(
    tx: Connection, account: AccountNo, changed: Mapping[Key, Reason], computed: Collection[Key]
) -> None:
    """Mark what may hang on days that changed, but for those computed together with them.

    By sessions, a late punch can turn all that follow of a device whose punches alternate, for as
    long as the person does not rest. So it goes from day to day until one comes out as it was.
    """
    spread = policies.spread(tx, account) if changed else 0
    around: dict[Key, Reason] = {}
    for key, reason in changed.items():
        around |= dict.fromkeys(_around([key], spread), reason)
    reasons = {key: around[key] for key in around.keys() - set(computed)}
    _put(tx, account, reasons, secrets.randbits(62), renewed=["touch"])


def _find(tx: Connection, account: AccountNo) -> _Change | None:
    row = tx.execute(select(_CHANGE).where(_CHANGE.c.account == account)).one_or_none()
    if row is None:
        return None
    return _Change(Key(row.date, PersonNo(row.person_no)), row.beside, row.touch)


def _next_traces(tx: Connection, account: AccountNo, change: _Change, limit: int) -> list[Key]:
    """Give the next traces of punches behind a change's place, in their order."""
    rows = _keys(tx, account, _WORKDAY, _place(_WORKDAY) > change.place, limit=limit)
    behind = [_place(_STALE) > change.place, _STALE.c.touch != change.touch]
    if len(rows) == limit:
        # Behind these lie the change's own marks, thousands of them, and they are no traces.
        behind.append(_place(_STALE) <= rows[-1])
    return sorted({*rows, *_keys(tx, account, _STALE, *behind, limit=limit)})[:limit]


def _keys(
    tx: Connection,
    account: AccountNo,
    table: Table,
    *wanted: ColumnElement[bool],
    limit: int | None = None,
) -> list[Key]:
    columns = table.c.date, table.c.person_no
    rows = tx.execute(
        select(*columns)
        .distinct()
        .where(table.c.account == account, *wanted)
        .order_by(*columns)
        .limit(limit)
    )
    return [Key(row.date, PersonNo(row.person_no)) for row in rows]


def _place(table: Table) -> Any:
    return tuple_(table.c.date, table.c.person_no)


def _put(
    tx: Connection,
    account: AccountNo,
    reasons: Mapping[Key, Reason],
    touch: int,
    *,
    renewed: Sequence[str],
) -> None:
    """Write marks; of those that are there already, only what is `renewed` changes."""
    rows = [
        {"account": account, **key._asdict(), "touch": touch, "reason": reasons[key]}
        for key in sorted(reasons)
    ]
    if rows:
        upsert = dialect.insert(tx, _STALE)
        tx.execute(
            upsert.on_conflict_do_update(
                index_elements=["account", "date", "person_no"],
                set_={name: upsert.excluded[name] for name in renewed},
                where=_STALE.c.touch != upsert.excluded.touch,
            ),
            rows,
        )


def _around(keys: Iterable[Key], beside: int) -> set[Key]:
    """Give days with those of the same people up to some dates away."""
    dates: dict[str, list[str]] = {}
    found: set[Key] = set()
    for key in keys:
        if key.date not in dates:
            number = date.fromisoformat(key.date).toordinal()
            dates[key.date] = _dates(number - beside, number + beside)
        found.update(Key(day, key.person_no) for day in dates[key.date])
    return found


def _dates(first: int, last: int) -> list[str]:
    """Write the dates of some ordinals, those outside the calendar left out."""
    within = range(max(1, first), min(last, date.max.toordinal()) + 1)
    return [date.fromordinal(number).isoformat() for number in within]


def _moved(day: date, days: int) -> str:
    number = min(max(1, day.toordinal() + days), date.max.toordinal())
    return date.fromordinal(number).isoformat()
