"""Who delivers to which endpoint: leases, and the processes that share them.

An endpoint's cursor is leased by one process at a time. With each lease its `epoch` rises, by which
`cursors.py` tells a holder from a former one.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import Connection, delete, func, select, tuple_, update

from punchgate.domain.event import Position
from punchgate.domain.ids import AccountNo, EndpointId
from punchgate.store import dialect, schema

_CURSOR: Final = schema.cursor
_ENDPOINT: Final = schema.endpoint
_PROCESS: Final = schema.process

#: How long a lease lasts from its last renewal.
LEASE_MS: Final = 30_000


class Lease(NamedTuple):
    """The right to deliver to an endpoint, from a place on."""

    account: AccountNo
    endpoint_id: EndpointId
    epoch: int
    position: Position


#: A lease that a process holds, with its epoch.
Held: TypeAlias = tuple[AccountNo, EndpointId, int]


def attend(tx: Connection, owner: str) -> int:
    """Say that a process is alive, and give how many there are; those that fell silent are gone."""
    now = dialect.now(tx)
    tx.execute(delete(_PROCESS).where(_PROCESS.c.seen_at < now - LEASE_MS))
    upsert = dialect.insert(tx, _PROCESS).values(owner=owner, seen_at=now)
    tx.execute(upsert.on_conflict_do_update(index_elements=["owner"], set_={"seen_at": now}))
    return int(tx.execute(select(func.count()).select_from(_PROCESS)).scalar_one())


def count_processes(tx: Connection) -> int:
    """Count the processes that are alive."""
    is_alive = _PROCESS.c.seen_at >= dialect.now(tx) - LEASE_MS
    return int(tx.execute(select(func.count()).where(is_alive)).scalar_one())


def leave(tx: Connection, owner: str) -> None:
    """Give everything back that a process holds."""
    tx.execute(
        update(_CURSOR)
        .where(_CURSOR.c.lease_owner == owner)
        .values(lease_owner=None, lease_until=0)
    )
    tx.execute(delete(_PROCESS).where(_PROCESS.c.owner == owner))


def release_all(tx: Connection) -> None:
    """Give back what everybody holds: for who knows that everybody else is dead."""
    tx.execute(update(_CURSOR).values(lease_owner=None, lease_until=0))
    tx.execute(delete(_PROCESS))


def count_live(tx: Connection) -> int:
    """Count the endpoints that want to be delivered to."""
    wanted = select(func.count()).select_from(_ENDPOINT).where(*_live())
    return int(tx.execute(wanted).scalar_one())


def take(
    tx: Connection, owner: str, most: int, without: Collection[tuple[AccountNo, EndpointId]] = ()
) -> list[Lease]:
    """Lease up to `most` cursors that nobody holds; not those that the process cannot serve."""
    now = dialect.now(tx)
    free = tx.execute(
        select(_CURSOR)
        .join(
            _ENDPOINT,
            (_ENDPOINT.c.account == _CURSOR.c.account)
            & (_ENDPOINT.c.endpoint_id == _CURSOR.c.endpoint_id),
        )
        .where(
            *_live(),
            _CURSOR.c.lease_until < now,
            tuple_(_CURSOR.c.account, _CURSOR.c.endpoint_id).not_in(list(without)),
        )
        .order_by(_CURSOR.c.lease_until, _CURSOR.c.account, _CURSOR.c.endpoint_id)
        .limit(most)
        .with_for_update(skip_locked=True, of=_CURSOR)
    ).all()
    for row in free:
        tx.execute(
            update(_CURSOR)
            .where(_CURSOR.c.account == row.account, _CURSOR.c.endpoint_id == row.endpoint_id)
            .values(lease_owner=owner, lease_until=now + LEASE_MS, epoch=row.epoch + 1)
        )
    return [
        Lease(
            AccountNo(row.account),
            EndpointId(row.endpoint_id),
            row.epoch + 1,
            Position(row.generation, row.tx, row.seq, row.at),
        )
        for row in free
    ]


def renew(tx: Connection, owner: str) -> set[Held]:
    """Renew every lease of a process and give what it still holds, each with its epoch."""
    rows = tx.execute(
        update(_CURSOR)
        .where(_CURSOR.c.lease_owner == owner)
        .values(lease_until=dialect.now(tx) + LEASE_MS)
        .returning(_CURSOR.c.account, _CURSOR.c.endpoint_id, _CURSOR.c.epoch)
    ).all()
    return {(AccountNo(row.account), EndpointId(row.endpoint_id), row.epoch) for row in rows}


def give_back(tx: Connection, account: AccountNo, endpoint_id: EndpointId, epoch: int) -> None:
    """Give one lease back."""
    change(tx, account, endpoint_id, epoch, {"lease_owner": None, "lease_until": 0})


def change(
    tx: Connection,
    account: AccountNo,
    endpoint_id: EndpointId,
    epoch: int,
    values: Mapping[str, Any],
) -> bool:
    """Write to a cursor as the holder of this lease; False for one whose lease has gone on."""
    changed = tx.execute(
        update(_CURSOR)
        .where(
            _CURSOR.c.account == account,
            _CURSOR.c.endpoint_id == endpoint_id,
            _CURSOR.c.epoch == epoch,
        )
        .values(epoch=epoch, **values)
    )
    return bool(changed.rowcount)


def _live() -> tuple[Any, ...]:
    return _ENDPOINT.c.removed_at.is_(None), _ENDPOINT.c.state.in_(["active", "failing"])
