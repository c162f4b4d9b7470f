"""Who is on a terminal, as it said last. What is kept in one's row beside that stays with it.

Whoever writes the list of a terminal holds its row: two lists that come at once are written one
after the other, and none for a terminal that is gone.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

from punchgate.domain.ids import AccountNo, DeviceId, UserCode
from punchgate.store import schema

_USER: Final = schema.terminal_user
_TERMINAL: Final = schema.terminal


class Row(NamedTuple):
    """Somebody on a terminal, in its own numbers."""

    uid: int
    user_code: str
    name: str
    privilege: int
    card: int


def list_users(tx: Connection, account: AccountNo, device_id: DeviceId) -> list[Row]:
    """List who was on a terminal when it was asked last, in its order."""
    rows = tx.execute(
        select(*(_USER.c[name] for name in Row._fields))
        .where(*_of(account, device_id))
        .order_by(_USER.c.place)
    )
    return [Row._make(row) for row in rows]


def put_all(tx: Connection, account: AccountNo, device_id: DeviceId, users: Sequence[Row]) -> None:
    """Write who is on a terminal over what stood there."""
    is_there = _hold(tx, account, device_id)
    tx.execute(delete(_USER).where(*_of(account, device_id)))
    values = [
        {"account": account, "device_id": device_id, "place": place, **user._asdict()}
        for place, user in enumerate(users)
    ]
    if values and is_there:
        tx.execute(insert(_USER), values)


def put(tx: Connection, account: AccountNo, device_id: DeviceId, user: Row) -> None:
    """Write one of them: over the row of the same code, else behind the others."""
    if not _hold(tx, account, device_id):
        return
    written = tx.execute(
        update(_USER)
        .where(*_of(account, device_id), _USER.c.user_code == user.user_code)
        .values(user._asdict())
    )
    if written.rowcount:
        return
    last = select(func.coalesce(func.max(_USER.c.place), -1)).where(*_of(account, device_id))
    tx.execute(
        insert(_USER).values(
            account=account,
            device_id=device_id,
            place=int(tx.execute(last).scalar_one()) + 1,
            **user._asdict(),
        )
    )


def remove(tx: Connection, account: AccountNo, device_id: DeviceId, code: UserCode) -> None:
    """Take one of them off."""
    tx.execute(delete(_USER).where(*_of(account, device_id), _USER.c.user_code == code))


def forget(tx: Connection, account: AccountNo, code: UserCode) -> None:
    """Take away what is kept of somebody on whatever terminal."""
    tx.execute(delete(_USER).where(_USER.c.account == account, _USER.c.user_code == code))


def _hold(tx: Connection, account: AccountNo, device_id: DeviceId) -> bool:
    """Keep other writers of a list waiting until the transaction ends; False without a terminal."""
    found = tx.execute(
        select(_TERMINAL.c.device_id)
        .where(_TERMINAL.c.account == account, _TERMINAL.c.device_id == device_id)
        .with_for_update()
    )
    return found.one_or_none() is not None


def _of(account: AccountNo, device_id: DeviceId) -> tuple[Any, ...]:
    return _USER.c.account == account, _USER.c.device_id == device_id
