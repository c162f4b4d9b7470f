"""The statements of one group on PostgreSQL: the twin of `record.py`, one statement per table.

Runs inside the writer's transaction and commits nothing. Several processes may write at once, so
the first statement locks the keys of the group, in ascending order: log order per key is then
commit order, and two groups cannot deadlock over the same rows (docs/decisions/0008-one-log.md).
Taking those locks assigns no transaction id.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from asyncpg import Connection

from punchgate.domain import event
from punchgate.domain.ids import AccountNo, PersonNo
from punchgate.store import schema
from punchgate.store.fact import Fact, Held, Outcome
from punchgate.store.locks import lock_key
from punchgate.store.roster import Roster, Seat

_TYPES: Final = {
    "INTEGER": "int4",
    "BIGINT": "int8",
    "TEXT": "text",
    "VARCHAR": "text",
    "FLOAT": "float8",
    "BOOLEAN": "bool",
    "BLOB": "bytea",
}


def _type(column: Any) -> str:
    return _TYPES[str(column.type).split("(", maxsplit=1)[0]]


def _unnest(table: Any, columns: Sequence[str], tail: str) -> str:
    arrays = ",".join(
        f"${place}::{_type(table.c[name])}[]" for place, name in enumerate(columns, start=1)
    )
    names = ",".join(columns)
    return f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays}) {tail}"


_PUNCH: Final = _unnest(
    schema.punch,
    [column.name for column in schema.punch.columns],
    "ON CONFLICT (account, punch_id) DO NOTHING RETURNING account, punch_id",
)
_EVENT: Final = _unnest(
    schema.event, ["account", "id", "key", "type", "occurred_at", "received_at", "body"], ""
)
_PERSON: Final = _unnest(schema.person, ["account", "person_no", "user_code", "created_at"], "")
_STALE: Final = _unnest(
    schema.workday_stale,
    ["account", "date", "person_no", "touch"],
    "ON CONFLICT (account, date, person_no) DO UPDATE SET touch = excluded.touch",
)
_HELD: Final = _unnest(
    schema.quarantine,
    [*Held._fields, "state"],
    "ON CONFLICT (account, quarantine_id) DO NOTHING",
)
_LOCK: Final = "SELECT pg_advisory_xact_lock(key) FROM unnest($1::int8[]) AS key"
_SEATS: Final = (
    "SELECT user_code, person_no, custom_id, name FROM person"
    " WHERE account = $1 AND user_code = ANY($2::text[])"
)


async def record(
    db: Connection, facts: Sequence[Fact], roster: Roster, touch: int
) -> list[Outcome]:
    """Write what is new of a group and say of each fact whether it was; see `record.record`.

    Errors:  asyncpg.PostgresError, as it comes.
    """
    locks = {lock_key(fact.punch.account, f"person:{fact.punch.user_code}") for fact in facts}
    await db.execute(_LOCK, sorted(locks))
    roster.forget_unless(await db.fetchval("SELECT revision FROM installation"))
    outcomes: list[Outcome] = ["duplicate"] * len(facts)
    first: dict[tuple[AccountNo, str], int] = {}
    for index, fact in enumerate(facts):
        first.setdefault((fact.punch.account, fact.punch.punch_id), index)
    # In order of the unique key, so that two groups with the same punches wait instead of
    # deadlocking.
    order = sorted(first)
    rows = await db.fetch(_PUNCH, *_columns([facts[first[key]].punch for key in order]))
    fresh = {(AccountNo(row["account"]), str(row["punch_id"])) for row in rows}
    new = []
    for key, index in first.items():
        if key in fresh:
            outcomes[index] = "recorded"
            new.append(facts[index])
    if not new:
        return outcomes
    await _seat(db, new, roster)
    events: list[tuple[Any, ...]] = []
    stale: set[tuple[Any, ...]] = set()
    for punch, device_json, dates in new:
        account = punch.account
        seat = roster.seats[account, punch.user_code]
        entry = event.punch_recorded(punch, person=seat.json, device=device_json)
        events.append((account, *entry))
        for date in dates:
            stale.add((account, date, seat.no))
    await db.execute(_EVENT, *_columns(events))
    await db.execute(_STALE, *_columns([(*key, touch) for key in sorted(stale)]))
    return outcomes


async def hold(db: Connection, items: Iterable[Held]) -> None:
    """Put items into quarantine; one that is there already stays as it is."""
    rows = {item[:2]: (*item, "open") for item in items}
    if rows:
        await db.execute(_HELD, *_columns([rows[key] for key in sorted(rows)]))


async def _seat(db: Connection, new: Sequence[Fact], roster: Roster) -> None:
    """See to it that everyone who punched has a person, and that the roster knows them."""
    missing: dict[AccountNo, dict[str, int]] = {}
    for fact in new:
        punch = fact.punch
        if (punch.account, punch.user_code) not in roster.seats:
            missing.setdefault(punch.account, {}).setdefault(punch.user_code, punch.received_at)
    for account, codes in sorted(missing.items()):
        for row in await db.fetch(_SEATS, account, list(codes)):
            code = row["user_code"]
            json = event.person_json(code, row["custom_id"], row["name"])
            roster.seats[account, code] = Seat(row["person_no"], json)
            del codes[code]
        if not codes:
            continue
        # The row lock on the account is taken after the advisory ones, by everybody: no circle.
        upper = await db.fetchval(
            "UPDATE account SET next_person = next_person + $1 WHERE no = $2 RETURNING next_person",
            len(codes),
            account,
        )
        rows = []
        for no, (code, created_at) in enumerate(codes.items(), start=upper - len(codes)):
            roster.seats[account, code] = Seat(PersonNo(no), event.person_json(code, None, None))
            rows.append((account, no, code, created_at))
        await db.execute(_PERSON, *_columns(rows))


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True))
