"""Punches as a terminal's log shows them: a few fields of each, newest first, of some devices.

Questions only; what of it is served, and how, is not decided here. The walk is along the primary
key, whatever the scope: a scope of a few devices passes over the rows of the others.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, func, select

from punchgate.domain.codes import Direction, VerifyMethod
from punchgate.domain.ids import AccountNo, DeviceId, PunchId, SerialNumber, UserCode
from punchgate.store import schema
from punchgate.store.database import slices

_PUNCH: Final = schema.punch
_DEVICE: Final = schema.device
#: Rows of one statement: a few milliseconds, between which an event loop can turn to others.
SLICE: Final = 1_000
_COLUMNS: Final = [
    _PUNCH.c[name] for name in ("punch_id", "user_code", "wall_time", "direction", "verify")
]


class Seen(NamedTuple):
    """One punch, as much of it as a terminal shows; `wall_time` is `YYYY-MM-DD HH:MM:SS`."""

    punch_id: PunchId
    user_code: UserCode
    wall_time: str
    direction: Direction
    verify: VerifyMethod


def devices_of(
    tx: Connection,
    account: AccountNo,
    *,
    device_id: DeviceId | None = None,
    site: str | None = None,
) -> list[tuple[DeviceId, SerialNumber]]:
    """List devices by name or by site, removed ones too: their punches are still there."""
    wanted = select(_DEVICE.c.device_id, _DEVICE.c.serial).where(_DEVICE.c.account == account)
    if device_id is not None:
        wanted = wanted.where(_DEVICE.c.device_id == device_id)
    if site is not None:
        wanted = wanted.where(_DEVICE.c.site == site)
    rows = tx.execute(wanted.order_by(_DEVICE.c.device_id))
    return [(DeviceId(row.device_id), SerialNumber(row.serial)) for row in rows]


def nth_newest(tx: Connection, account: AccountNo, number: int) -> PunchId | None:
    """Give the punch that has so many newer ones in the account, None where there is none."""
    found = tx.execute(
        select(_PUNCH.c.punch_id)
        .where(_PUNCH.c.account == account)
        .order_by(_PUNCH.c.punch_id.desc())
        .offset(number)
        .limit(1)
    ).scalar_one_or_none()
    return None if found is None else PunchId(found)


def walk(
    tx: Connection,
    account: AccountNo,
    devices: Collection[DeviceId] | None,
    *,
    down_to: PunchId | None,
    limit: int,
) -> Iterator[Sequence[Seen]]:
    """Give the newest punches by the device's wall time, newest first, in slices.

    Shapes:  `devices` None means all of the account; `down_to` is the last one that is looked at.
    """
    lowest = [] if down_to is None else [_PUNCH.c.punch_id >= down_to]
    behind: list[Any] = []
    left = limit
    while left > 0:
        rows = tx.execute(
            select(*_COLUMNS)
            .where(_PUNCH.c.account == account, *_of(devices), *lowest, *behind)
            .order_by(_PUNCH.c.punch_id.desc())
            .limit(min(SLICE, left))
        )
        some = [Seen._make(row) for row in rows]
        if some:
            yield some
        if len(some) < SLICE:
            return
        left -= len(some)
        behind = [_PUNCH.c.punch_id < some[-1].punch_id]


def find(
    tx: Connection,
    account: AccountNo,
    punch_ids: Sequence[PunchId],
    devices: Collection[DeviceId] | None,
) -> list[Seen]:
    """Give those of these punches that are of the devices, in the order of their ids."""
    found: list[Seen] = []
    for some in slices(sorted(punch_ids)):
        rows = tx.execute(
            select(*_COLUMNS)
            .where(_PUNCH.c.account == account, _PUNCH.c.punch_id.in_(some), *_of(devices))
            .order_by(_PUNCH.c.punch_id)
        )
        found += [Seen._make(row) for row in rows]
    return found


def count_before(
    tx: Connection,
    account: AccountNo,
    punch_id: PunchId,
    devices: Collection[DeviceId] | None,
    *,
    among: int,
) -> int:
    """Count the punches of the devices older than one, among so many that come before it."""
    older = (
        select(_PUNCH.c.device_id)
        .where(_PUNCH.c.account == account, _PUNCH.c.punch_id < punch_id)
        .order_by(_PUNCH.c.punch_id.desc())
        .limit(among)
        .subquery()
    )
    wanted = select(func.count()).select_from(older)
    if devices is not None:
        wanted = wanted.where(older.c.device_id.in_(sorted(devices)))
    return int(tx.execute(wanted).scalar_one())


def _of(devices: Collection[DeviceId] | None) -> tuple[Any, ...]:
    return () if devices is None else (_PUNCH.c.device_id.in_(sorted(devices)),)
