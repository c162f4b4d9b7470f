"""The statements of one group on SQLite: punches, then people, events and stale workdays of the new ones, quarantine.

Runs inside the writer's transaction and commits nothing. There is exactly one writing process on a SQLite file, so what is
looked up here stays true until the commit. The twin for PostgreSQL is `record_postgres.py`; one suite runs on both.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from punchgate.domain import event
from punchgate.domain.event import Event
from punchgate.domain.ids import AccountNo, PersonNo
from punchgate.store import schema
from punchgate.store.fact import Fact, Held, Outcome
from punchgate.store.roster import Roster, Seat

#: Rows of one INSERT. One statement for many rows lets go of the interpreter once instead of once per row, which is what
#: the event loop beside it needs; a handful of sizes keeps the prepared statements few.
_CHUNKS: Final = (128, 32, 8, 1)


def _insert(table: str, columns: Sequence[str], tail: str = "") -> dict[int, str]:
    row = "(" + ",".join("?" * len(columns)) + ")"
    head = f"INSERT INTO {table} ({','.join(columns)}) VALUES "
    return {size: head + ",".join([row] * size) + tail for size in _CHUNKS}


_PUNCH: Final = _insert("punch", [column.name for column in schema.punch.columns])
_EVENT: Final = _insert(
    "event", ["account", "id", "key", "type", "occurred_at", "received_at", "body"]
)
_PERSON: Final = _insert("person", ["account", "person_no", "user_code", "created_at"])
_STALE: Final = _insert(
    "workday_stale",
    ["account", "date", "person_no", "touch"],
    " ON CONFLICT (account, date, person_no) DO UPDATE SET touch = excluded.touch",
)
_HELD: Final = _insert(
    "quarantine", [*Held._fields, "state"], " ON CONFLICT (account, quarantine_id) DO NOTHING"
)
_KNOWN: Final = (
    "SELECT punch_id FROM punch WHERE account = ? AND punch_id IN (SELECT value FROM json_each(?))"
)
_SEATS: Final = (
    "SELECT user_code, person_no, custom_id, name FROM person"
    " WHERE account = ? AND user_code IN (SELECT value FROM json_each(?))"
)


def record(
    db: sqlite3.Connection, facts: Sequence[Fact], roster: Roster, touch: int
) -> list[Outcome]:
    """Write what is new of a group and say of each fact whether it was.

    Shapes:  one outcome per fact, in their order; of two equal punches in a group the first is recorded.
    Units:   `touch` is a number that no other group uses; it marks the workdays made stale.
    Errors:  sqlite3.Error, as it comes: the caller decides whose fault it is.
    """
    revision = db.execute("SELECT revision FROM installation").fetchone()[0]
    roster.forget_unless(revision)
    outcomes: list[Outcome] = ["duplicate"] * len(facts)
    fresh: dict[tuple[AccountNo, str], int] = {}
    for index, fact in enumerate(facts):
        punch = fact.punch
        fresh.setdefault((punch.account, punch.punch_id), index)
    _drop_known(db, fresh)
    if not fresh:
        return outcomes
    new = [facts[index] for index in fresh.values()]
    for index in fresh.values():
        outcomes[index] = "recorded"
    _seat(db, new, roster)
    events: list[tuple[Any, ...]] = []
    stale: dict[tuple[Any, ...], int] = {}
    for punch, device_json, dates in new:
        account = punch.account
        seat = roster.seats[account, punch.user_code]
        entry = event.punch_recorded(punch, person=seat.json, device=device_json)
        events.append((account, *entry))
        for date in dates:
            stale[account, date, seat.no] = touch
    _write(db, _PUNCH, [fact.punch for fact in new])
    _write(db, _EVENT, events)
    _write(db, _STALE, [(*key, touch) for key in stale])
    return outcomes


def hold(db: sqlite3.Connection, items: Iterable[Held]) -> None:
    """Put items into quarantine; one that is there already stays as it is."""
    _write(db, _HELD, [(*item, "open") for item in items])


def append(db: sqlite3.Connection, account: AccountNo, entry: Event) -> None:
    """Append one entry to the event log."""
    db.execute(_EVENT[1], (account, *entry))


def _drop_known(db: sqlite3.Connection, fresh: dict[tuple[AccountNo, str], int]) -> None:
    wanted: dict[AccountNo, list[str]] = {}
    for account, punch_id in fresh:
        wanted.setdefault(account, []).append(punch_id)
    for account, ids in wanted.items():
        for (punch_id,) in db.execute(_KNOWN, (account, json.dumps(ids))):
            del fresh[account, punch_id]


def _seat(db: sqlite3.Connection, new: Sequence[Fact], roster: Roster) -> None:
    """See to it that everyone who punched has a person, and that the roster knows them."""
    missing: dict[AccountNo, dict[str, int]] = {}
    for fact in new:
        punch = fact.punch
        if (punch.account, punch.user_code) not in roster.seats:
            missing.setdefault(punch.account, {}).setdefault(punch.user_code, punch.received_at)
    for account, codes in missing.items():
        found = db.execute(_SEATS, (account, json.dumps(list(codes)))).fetchall()
        for code, no, custom_id, name in found:
            roster.seats[account, code] = Seat(no, event.person_json(code, custom_id, name))
            del codes[code]
        if not codes:
            continue
        # All rows are fetched: a statement that is not run to its end would be in the way of the commit.
        ((first,),) = db.execute(
            "UPDATE account SET next_person = next_person + ? WHERE no = ?"
            " RETURNING next_person - ?",
            (len(codes), account, len(codes)),
        ).fetchall()
        rows = []
        for no, (code, created_at) in enumerate(codes.items(), start=first):
            roster.seats[account, code] = Seat(PersonNo(no), event.person_json(code, None, None))
            rows.append((account, no, code, created_at))
        _write(db, _PERSON, rows)


def _write(
    db: sqlite3.Connection, statements: dict[int, str], rows: Sequence[tuple[Any, ...]]
) -> None:
    start = 0
    for size in _CHUNKS:
        while len(rows) - start >= size:
            chunk = rows[start : start + size]
            db.execute(statements[size], [value for row in chunk for value in row])
            start += size
