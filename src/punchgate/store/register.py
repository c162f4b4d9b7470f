"""Devices in the order of their registration, each with where it is called if we call it.

What is secret stays out: whether there is a comm key is said, and not which. The rows themselves
are `devices.py` and `terminals.py`.
"""

from collections.abc import Collection
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, Select, func, select

from punchgate.domain.device import Engine
from punchgate.domain.ids import AccountNo, DeviceId
from punchgate.domain.terminal import Known
from punchgate.store import schema

_ACCOUNT: Final = schema.account
_DEVICE: Final = schema.device
_TERMINAL: Final = schema.terminal
_PRESENCE: Final = schema.presence
#: A terminal that was registered again counts from then.
_REGISTERED_AT: Final = func.coalesce(_TERMINAL.c.created_at, _DEVICE.c.created_at)


class Registered(NamedTuple):
    """One device as it is registered; instants in milliseconds since 1970-01-01 UTC.

    Where it is called is None for a device that calls us, or that we cannot call yet.
    """

    device_id: DeviceId
    name: str | None
    engine: Engine
    created_at: int
    updated_at: int | None
    host: str | None
    port: int | None
    timeout_s: float | None
    has_comm_key: bool


class State(NamedTuple):
    """What was last heard of a device; None where that is unknown."""

    #: IANA zone of its clock; None is the installation's.
    zone: str | None
    is_online: bool
    #: Milliseconds since 1970-01-01 UTC.
    last_seen_at: int | None
    last_error: str | None
    clock_skew_s: int | None
    records: int | None


def list_registered(
    tx: Connection,
    account: AccountNo,
    *,
    only: Collection[DeviceId] | None = None,
    engine: Engine | None = None,
    limit: int,
) -> list[Registered]:
    """List devices in the order in which they were registered; `only` and `engine` narrow it."""
    wanted = _select(account).order_by(_REGISTERED_AT, _DEVICE.c.device_id).limit(limit)
    if only is not None:
        wanted = wanted.where(_DEVICE.c.device_id.in_(only))
    if engine is not None:
        wanted = wanted.where(_DEVICE.c.engine == engine)
    return [_registered(row) for row in tx.execute(wanted)]


def find(tx: Connection, account: AccountNo, device_id: DeviceId) -> Registered | None:
    """Give one device."""
    row = tx.execute(_select(account).where(_DEVICE.c.device_id == device_id)).one_or_none()
    return None if row is None else _registered(row)


def find_state(tx: Connection, account: AccountNo, device_id: DeviceId) -> State | None:
    """Give what was last heard of a device."""
    row = tx.execute(
        select(
            func.coalesce(_DEVICE.c.zone, _ACCOUNT.c.zone).label("zone"),
            _PRESENCE.c.is_online,
            _PRESENCE.c.last_seen_at,
            _TERMINAL.c.last_error,
            _TERMINAL.c.known,
        )
        .join(_ACCOUNT, _ACCOUNT.c.no == _DEVICE.c.account)
        .outerjoin(
            _PRESENCE,
            (_PRESENCE.c.account == _DEVICE.c.account)
            & (_PRESENCE.c.device_id == _DEVICE.c.device_id),
        )
        .outerjoin(_TERMINAL, _is_terminal())
        .where(*_is_there(account), _DEVICE.c.device_id == device_id)
    ).one_or_none()
    if row is None:
        return None
    known = Known() if row.known is None else msgspec.json.decode(row.known, type=Known)
    return State(
        row.zone,
        bool(row.is_online),
        row.last_seen_at,
        row.last_error,
        known.clock_skew_s,
        known.records,
    )


def _select(account: AccountNo) -> Select[Any]:
    return (
        select(
            _DEVICE.c.device_id,
            _DEVICE.c.name,
            _DEVICE.c.engine,
            _REGISTERED_AT.label("created_at"),
            _TERMINAL.c.updated_at,
            _TERMINAL.c.host,
            _TERMINAL.c.port,
            _TERMINAL.c.timeout_s,
            _TERMINAL.c.comm_key.is_not(None).label("has_comm_key"),
        )
        .outerjoin(_TERMINAL, _is_terminal())
        .where(*_is_there(account))
    )


def _is_terminal() -> Any:
    return (_TERMINAL.c.account == _DEVICE.c.account) & (
        _TERMINAL.c.device_id == _DEVICE.c.device_id
    )


def _is_there(account: AccountNo) -> tuple[Any, ...]:
    return _DEVICE.c.account == account, _DEVICE.c.removed_at.is_(None)


def _registered(row: Row[Any]) -> Registered:
    return Registered._make(row)._replace(has_comm_key=bool(row.has_comm_key))
