"""Marks on days that wait to be computed, beyond those that a punch sets itself (`record.py`).

What rules that changed can move is marked here, and what hangs on a day that came out otherwise.
The marks are read and taken away in `workdays.py`.
"""

import secrets
from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

from sqlalchemy import Connection, Text, cast, func, literal, select, union
from sqlalchemy.types import Date

from punchgate.domain.event_summary import Reason
from punchgate.domain.ids import AccountNo
from punchgate.store import dialect, policies, schema
from punchgate.store.workday_source import Key


def mark_stale(
    tx: Connection, account: AccountNo, since: date, *, reason: Reason, spread: int
) -> None:
    """Have the days that other rules from `since` on may change computed again.

    By those a punch is at most `spread` dates away, and by any a near-duplicate can be one away:
    each day takes those beside it along, also those that have no row.
    """
    beside = max(1, spread)
    first = date.fromordinal(max(1, since.toordinal() - beside)).isoformat()
    touched = union(
        *(
            select(day.c.date, day.c.person_no).where(day.c.account == account, day.c.date >= first)
            for day in (schema.workday, schema.workday_stale)
        )
    ).subquery()
    touch = secrets.randbits(62)
    around = union(
        *(
            select(
                literal(account).label("account"),
                _beside(tx, touched.c.date, step).label("date"),
                touched.c.person_no,
                literal(touch).label("touch"),
                literal(reason).label("reason"),
            )
            for step in range(-beside, beside + 1)
        )
    ).subquery()
    upsert = dialect.insert(tx, schema.workday_stale).from_select(
        ["account", "date", "person_no", "touch", "reason"],
        # The calendar has ends. And after a bare SELECT, SQLite takes ON CONFLICT for a join's ON.
        select(around).where(func.length(around.c.date) == len("YYYY-MM-DD")),
    )
    tx.execute(
        upsert.on_conflict_do_update(
            index_elements=["account", "date", "person_no"],
            set_={"touch": upsert.excluded.touch, "reason": upsert.excluded.reason},
        )
    )


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
        number = date.fromisoformat(key.date).toordinal()
        for day in range(max(1, number - spread), min(number + spread, date.max.toordinal()) + 1):
            around[Key(date.fromordinal(day).isoformat(), key.person_no)] = reason
    touch = secrets.randbits(62)
    rows = [
        {"account": account, **key._asdict(), "touch": touch, "reason": around[key]}
        for key in sorted(around.keys() - set(computed))
    ]
    if rows:
        upsert = dialect.insert(tx, schema.workday_stale)
        tx.execute(
            upsert.on_conflict_do_update(
                index_elements=["account", "date", "person_no"],
                set_={"touch": upsert.excluded.touch},
            ),
            rows,
        )


def _beside(tx: Connection, day: Any, step: int) -> Any:
    """Give the SQL of the date `step` days away; no ten characters outside the calendar."""
    if tx.dialect.name == "sqlite":
        return func.date(day, f"{step:+d} day")
    return cast(cast(day, Date) + step, Text)
