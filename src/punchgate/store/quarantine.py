"""Items in quarantine as rows: listed, looked at, decided. They come in through `record.py`."""

from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, select, tuple_, update

from punchgate.domain.ids import AccountNo, DeviceId, PunchId, QuarantineId, SerialNumber
from punchgate.domain.quarantine import Quarantined, QuarantineState
from punchgate.store import schema

_ITEM: Final = schema.quarantine
#: Items of one account; beyond it the oldest dismissed go. Open ones are never thrown away.
BOUND: Final = 100_000
_AHEAD: Final = (_ITEM.c.state == "open", _ITEM.c.reason == "future_time")


def find(tx: Connection, account: AccountNo, item_id: QuarantineId) -> Quarantined | None:
    """Give one item."""
    row = tx.execute(
        select(_ITEM).where(_ITEM.c.account == account, _ITEM.c.quarantine_id == item_id)
    ).one_or_none()
    return None if row is None else _item(row)


def list_items(
    tx: Connection, account: AccountNo, *, state: QuarantineState | None, limit: int
) -> list[Quarantined]:
    """List items, the latest arrival first."""
    wanted = select(_ITEM).where(_ITEM.c.account == account)
    if state is not None:
        wanted = wanted.where(_ITEM.c.state == state)
    order = (_ITEM.c.received_at.desc(), _ITEM.c.quarantine_id)
    return [_item(row) for row in tx.execute(wanted.order_by(*order).limit(limit))]


def list_ahead(
    tx: Connection, *, since: int, until: int, after: Quarantined | None, limit: int
) -> list[Quarantined]:
    """List what is held as ahead of our clock and arrived then, by that clock, in pages.

    An exception to "the account comes second", as `ahead` below: a clock is everybody's.
    """
    order = (_ITEM.c.account, _ITEM.c.quarantine_id)
    wanted = select(_ITEM).where(*_AHEAD, _ITEM.c.received_at.between(since, until))
    if after is not None:
        wanted = wanted.where(tuple_(*order) > (after.account, after.id))
    return [_item(row) for row in tx.execute(wanted.order_by(*order).limit(limit))]


def ahead(tx: Connection) -> dict[tuple[AccountNo, DeviceId], int]:
    """Count what is held as ahead of our clock, device by device.

    Terminals that we call are not in it: their clocks are looked at with every call.
    """
    whose = (_ITEM.c.account, _ITEM.c.device_id)
    wanted = select(*whose, func.count()).where(*_AHEAD, _ITEM.c.transport != "zk")
    return {
        (AccountNo(account), DeviceId(device_id)): count
        for account, device_id, count in tx.execute(wanted.group_by(*whose)).all()
    }


def find_of_punch(tx: Connection, account: AccountNo, punch_id: PunchId) -> Quarantined | None:
    """Give the item that a punch was before it was released."""
    row = tx.execute(
        select(_ITEM).where(_ITEM.c.account == account, _ITEM.c.punch_id == punch_id).limit(1)
    ).one_or_none()
    return None if row is None else _item(row)


def decide(tx: Connection, account: AccountNo, item: Quarantined) -> bool:
    """Write what was decided of an item; False when it is not open any more: the first stands."""
    decided = tx.execute(
        update(_ITEM)
        .where(
            _ITEM.c.account == account,
            _ITEM.c.quarantine_id == item.id,
            _ITEM.c.state == "open",
        )
        .values(
            state=item.state, decided_at=item.decided_at, note=item.note, punch_id=item.punch_id
        )
    )
    return decided.rowcount == 1


def prune(tx: Connection, bound: int = BOUND) -> dict[AccountNo, int]:
    """Throw away the oldest dismissed items of accounts that have too many; say whose and how many.

    An exception to "the account comes second": upkeep goes through all of them.
    """
    gone: dict[AccountNo, int] = {}
    over = select(_ITEM.c.account, func.count()).group_by(_ITEM.c.account)
    for account, count in tx.execute(over.having(func.count() > bound)).all():
        oldest = tx.execute(
            select(_ITEM.c.quarantine_id)
            .where(_ITEM.c.account == account, _ITEM.c.state == "dismissed")
            .order_by(_ITEM.c.received_at)
            .limit(min(count - bound, 1000))
        ).scalars()
        ids = list(oldest)
        if ids:
            tx.execute(
                delete(_ITEM).where(_ITEM.c.account == account, _ITEM.c.quarantine_id.in_(ids))
            )
            gone[AccountNo(account)] = len(ids)
    return gone


def _item(row: Row[Any]) -> Quarantined:
    return Quarantined(
        AccountNo(row.account),
        QuarantineId(row.quarantine_id),
        DeviceId(row.device_id),
        SerialNumber(row.serial),
        row.transport,
        row.received_at,
        row.reason,
        bytes(row.raw),
        row.codec,
        row.state,
        row.decided_at,
        row.note,
        None if row.punch_id is None else PunchId(row.punch_id),
    )
