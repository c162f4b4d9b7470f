"""The statements of one group on SQLite: punches, then what the new ones cause, and quarantine.

Runs inside the writer's transaction and commits nothing. There is exactly one writing process on a
SQLite file, so what is looked up here stays true until the commit. The twin for PostgreSQL is
`record_postgres.py`; one suite runs on both.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from punchgate.domain import event
from punchgate.domain.ids import AccountNo, PersonNo
from punchgate.domain.punch import Punch
from punchgate.store.fact import Fact, Held, Outcome
from punchgate.store.insert_sqlite import Insert
from punchgate.store.roster import Roster, Seat

_PUNCH: Final = Insert("punch", Punch._fields)
_EVENT: Final = Insert(
    "event", ["account", "id", "key", "type", "occurred_at", "received_at", "body"]
)
_PERSON: Final = Insert("person", ["account", "person_no", "user_code", "created_at"])
_STALE: Final = Insert(
    "workday_stale",
    ["account", "date", "person_no", "touch"],
    " ON CONFLICT (account, date, person_no) DO UPDATE SET touch = excluded.touch",
)
_HELD: Final = Insert(
    "quarantine", [*Held._fields, "state"], " ON CONFLICT (account, quarantine_id) DO NOTHING"
)
#: One question and not two: each lets go of the interpreter.
_KNOWN: Final = (
    "SELECT revision, NULL FROM installation UNION ALL SELECT NULL, punch_id FROM punch"
    " WHERE account = ? AND punch_id IN (SELECT value FROM json_each(?))"
)
_SEATS: Final = (
    "SELECT user_code, person_no, custom_id, name FROM person"
    " WHERE account = ? AND user_code IN (SELECT value FROM json_each(?))"
)


def record(
    db: sqlite3.Connection, facts: Sequence[Fact], roster: Roster, touch: int
) -> list[Outcome]:
    """Write what is new of a group and say of each fact whether it was.

    Shapes:  one outcome per fact, in their order; of two equal punches in a group the first is
             recorded.
    Units:   `touch` is a number that no other group uses; it marks the workdays made stale.
    Errors:  sqlite3.Error, as it comes: the caller decides whose fault it is.
    """
    outcomes: list[Outcome] = ["duplicate"] * len(facts)
    fresh: dict[tuple[AccountNo, str], int] = {}
    for index, fact in enumerate(facts):
        punch = fact.punch
        fresh.setdefault((punch.account, punch.punch_id), index)
    roster.forget_unless(_drop_known(db, fresh))
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


def _drop_known(db: sqlite3.Connection, fresh: dict[tuple[AccountNo, str], int]) -> int:
    """Take out what is stored already, and give the installation's revision."""
    wanted: dict[AccountNo, list[str]] = {}
    for account, punch_id in fresh:
        wanted.setdefault(account, []).append(punch_id)
    now = 0
    for account, ids in wanted.items():
        # Ids are of our own alphabet: no quoting.
        listed = '["' + '","'.join(ids) + '"]'
        for revision, punch_id in db.execute(_KNOWN, (account, listed)).fetchall():
            if punch_id is None:
                now = revision
            else:
                del fresh[account, punch_id]
    return now


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
        # All rows are fetched: a statement that is not run to its end would be in the way of the
        # commit.
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


def _write(db: sqlite3.Connection, insert: Insert, rows: Sequence[tuple[Any, ...]]) -> None:
    for text, values in insert.statements(rows):
        db.execute(text, values)
