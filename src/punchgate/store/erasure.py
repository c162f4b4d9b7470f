"""Taking away what is kept of one person: the only deletion of punches besides retention.

The database itself refuses to delete or change what a device said, but for the user codes that
`removal` names inside the same transaction (migrations, triggers). Nothing here decides what an
erasure means; `usecases/people.py` does.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Table, bindparam, delete, func, insert, select, update

from punchgate.domain import event_summary
from punchgate.domain.ids import AccountNo, DeviceId, PersonNo, QuarantineId, UserCode
from punchgate.domain.person import Person
from punchgate.domain.punch import Transport
from punchgate.store import locks, schema, terminal_users, workdays
from punchgate.store.database import slices

_PUNCH: Final = schema.punch
_EVENT: Final = schema.event
_WORKDAY: Final = schema.workday
_COUNT: Final = schema.workday_count
_STALE: Final = schema.workday_stale
_QUARANTINE: Final = schema.quarantine
_REMOVAL: Final = schema.removal

#: Rows of one statement, so that neither its parameters nor its memory grow with the person's
#: history.
_SLICE: Final = 500
_HELD: Final = ("quarantine_id", "device_id", "transport", "raw")


class Held(NamedTuple):
    """The bytes of one quarantined item, and over what they came."""

    id: QuarantineId
    device_id: DeviceId
    transport: Transport
    raw: bytes


@dataclass(frozen=True, slots=True)
class Traces:
    """How much there is of a person."""

    punches: int
    events: int
    workdays: int


def count(tx: Connection, account: AccountNo, person: Person) -> Traces:
    """Count what `erase` would take away, events that it has blanked before left out."""
    punches = select(func.count()).where(*_punches(account, person.code))
    days = select(func.count()).where(*_of_person(_WORKDAY, account, person.no))
    return Traces(
        punches=int(tx.execute(punches).scalar_one()),
        events=len(_event_ids(tx, account, person.code)),
        workdays=int(tx.execute(days).scalar_one()),
    )


def hold(tx: Connection, account: AccountNo, code: UserCode) -> None:
    """Hold what is told and derived of a person until the commit; before anything else of it.

    A day that is being kept meanwhile, or a punch that is being stored, could tell the log of this
    person behind our back. The days come first, as they do where a day is kept.
    """
    workdays.lock(tx, account)
    locks.hold(tx, account, [f"person:{code}"])


def erase(tx: Connection, account: AccountNo, person: Person) -> None:
    """Take away a person's punches and days and blank their events; the caller holds them.

    The order matters: the permission comes before what it permits and goes last, so that it never
    outlives the transaction. On SQLite the freed bytes are zeroed (`secure_delete`); a copy stays
    in the write-ahead log until that is folded into the file and written over, or the server stops.
    """
    permission = {"account": account, "user_code": person.code}
    tx.execute(insert(_REMOVAL).values(permission))
    _blank_events(tx, account, person.code)
    tx.execute(delete(_PUNCH).where(*_punches(account, person.code)))
    _erase_days(tx, account, person.no)
    terminal_users.forget(tx, account, person.code)
    tx.execute(
        delete(_REMOVAL).where(_REMOVAL.c.account == account, _REMOVAL.c.user_code == person.code)
    )


def held(tx: Connection, account: AccountNo) -> Iterator[Held]:
    """Give everything that an account has in quarantine, in whatever state."""
    after = ""
    while True:
        rows = tx.execute(
            select(*(_QUARANTINE.c[name] for name in _HELD))
            .where(_QUARANTINE.c.account == account, _QUARANTINE.c.quarantine_id > after)
            .order_by(_QUARANTINE.c.quarantine_id)
            .limit(_SLICE)
        ).all()
        for row in rows:
            yield Held(
                QuarantineId(row.quarantine_id),
                DeviceId(row.device_id),
                row.transport,
                bytes(row.raw),
            )
        if len(rows) < _SLICE:
            return
        after = rows[-1].quarantine_id


def erase_held(tx: Connection, account: AccountNo, ids: Sequence[QuarantineId]) -> None:
    """Take items out of quarantine for good."""
    for some in slices(ids):
        tx.execute(
            delete(_QUARANTINE).where(
                _QUARANTINE.c.account == account, _QUARANTINE.c.quarantine_id.in_(some)
            )
        )


def _blank_events(tx: Connection, account: AccountNo, code: UserCode) -> None:
    blank = (
        update(_EVENT)
        .where(_EVENT.c.account == account, _EVENT.c.id == bindparam("_id"))
        .values(body=bindparam("_body"))
    )
    for some in slices(_event_ids(tx, account, code)):
        wanted = select(_EVENT.c.id, _EVENT.c.type, _EVENT.c.body).where(
            _EVENT.c.account == account, _EVENT.c.id.in_(some)
        )
        left = [{"_id": row.id, "_body": _tombstone(row)} for row in tx.execute(wanted)]
        tx.execute(blank, left)


def _tombstone(row: Any) -> str:
    """Give what is left of an event: it says what it was about, and nothing of the person."""
    if row.type == "summary.updated":
        told = json.loads(row.body)
        return event_summary.tombstone(told["date"], told["version"])
    # An event's id is `evt_` and its punch's.
    return json.dumps(
        {"punch_id": row.id.removeprefix("evt_"), "erased": True}, separators=(",", ":")
    )


def _event_ids(tx: Connection, account: AccountNo, code: UserCode) -> list[str]:
    found = tx.execute(
        select(_EVENT.c.id).where(
            _EVENT.c.account == account,
            _EVENT.c.key == f"person:{code}",
            _EVENT.c.body.not_like('%,"erased":true}'),
        )
    )
    return list(found.scalars())


def _erase_days(tx: Connection, account: AccountNo, no: PersonNo) -> None:
    present = tx.execute(
        select(_WORKDAY.c.date, func.count().label("days"))
        .where(*_of_person(_WORKDAY, account, no), _WORKDAY.c.is_present.is_(True))
        .group_by(_WORKDAY.c.date)
    ).all()
    for row in present:
        tx.execute(
            update(_COUNT)
            .where(_COUNT.c.account == account, _COUNT.c.date == row.date)
            .values(days=_COUNT.c.days - row.days)
        )
    tx.execute(delete(_WORKDAY).where(*_of_person(_WORKDAY, account, no)))
    tx.execute(delete(_STALE).where(*_of_person(_STALE, account, no)))


def _punches(account: AccountNo, code: UserCode) -> tuple[Any, ...]:
    return _PUNCH.c.account == account, _PUNCH.c.user_code == code


def _of_person(table: Table, account: AccountNo, no: PersonNo) -> tuple[Any, ...]:
    return table.c.account == account, table.c.person_no == no
