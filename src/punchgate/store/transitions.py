"""What the log has been told of devices and strangers, beside what is so.

It stands in their rows (`is_online` and `since`, `told_at`): of several processes the one whose
UPDATE finds a thing unsaid is the one that says it. Whoever turns rows here appends the events in
the same transaction and has locked their keys before; `usecases/transitions.py` does.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, or_, select, update

from punchgate.domain.device import OFFLINE_AFTER, Device, offline_after_s
from punchgate.domain.event_device import Stranger, Transition, Was
from punchgate.domain.ids import AccountNo, DeviceId, SerialNumber
from punchgate.store import schema

_PRESENCE: Final = schema.presence
_UNCLAIMED: Final = schema.unclaimed
_DEVICE: Final = schema.device

#: How long the log is not told of the same serial again.
TELL_AGAIN_MS: Final = 24 * 3_600_000
#: What another process has heard by now is in the store this much later: two of its flushes.
SLACK_MS: Final = 2_000


def list_arrived(tx: Connection, now: int, *, limit: int) -> list[Transition]:
    """List devices that have been heard lately and that the log does not know as online."""
    alive_ms = _DEVICE.c.heartbeat_interval_s * (OFFLINE_AFTER * 1000)
    rows = tx.execute(
        _with_devices()
        .where(
            _PRESENCE.c.is_online.is_(False),
            _PRESENCE.c.last_seen_at > _PRESENCE.c.since,
            _PRESENCE.c.last_seen_at + alive_ms > now,
        )
        .limit(limit)
    )
    return [_transition(row) for row in rows]


def list_silent(tx: Connection, now: int, *, started_at: int, limit: int) -> list[Transition]:
    """List devices that the log knows as online and that have been silent for too long.

    `started_at` is since when the asking process has listened. Whoever could not reach it before
    gets one interval from then on.
    """
    alive_ms = _DEVICE.c.heartbeat_interval_s * (OFFLINE_AFTER * 1000)
    heard_by = now - SLACK_MS
    rows = tx.execute(
        _with_devices()
        .where(
            _PRESENCE.c.is_online.is_(True),
            _PRESENCE.c.last_seen_at + alive_ms <= heard_by,
            # In seconds: as many milliseconds as a month has are no 32-bit number.
            _DEVICE.c.heartbeat_interval_s <= (heard_by - started_at) // 1000,
        )
        .limit(limit)
    )
    return [_transition(row) for row in rows]


def turn_online(
    tx: Connection, account: AccountNo, found: Sequence[Transition]
) -> list[Transition]:
    """Write that devices are online, and give those of which nobody has written it before."""
    turned = _turn(
        tx,
        account,
        found,
        _PRESENCE.c.is_online.is_(False),
        {"is_online": True, "since": _PRESENCE.c.last_seen_at},
    )
    return [
        each._replace(since=row.since, last_seen_at=row.last_seen_at, address=row.address)
        for each, row in turned
    ]


def turn_offline(
    tx: Connection, account: AccountNo, found: Sequence[Transition], now: int
) -> list[Transition]:
    """Write that devices are offline, and give those of which nobody has written it before.

    One that was heard since it was listed stays online.
    """
    told: list[Transition] = []
    in_order = sorted(found, key=lambda each: (offline_after_s(each.device), each.device.id))
    for after_s, some in groupby(in_order, lambda each: offline_after_s(each.device)):
        after_ms = after_s * 1000
        is_due = and_(
            _PRESENCE.c.is_online.is_(True), _PRESENCE.c.last_seen_at <= now - after_ms - SLACK_MS
        )
        values = {"is_online": False, "since": _PRESENCE.c.last_seen_at + after_ms}
        turned = _turn(tx, account, list(some), is_due, values)
        told += [
            each._replace(since=row.since, last_seen_at=row.last_seen_at) for each, row in turned
        ]
    return told


def list_untold(tx: Connection, now: int, *, limit: int) -> list[SerialNumber]:
    """List strangers of whom the log has not been told for a day."""
    rows = tx.execute(
        select(_UNCLAIMED.c.serial)
        .where(_is_untold(now))
        .order_by(_UNCLAIMED.c.serial)
        .limit(limit)
    )
    return [SerialNumber(row.serial) for row in rows]


def mark_told(tx: Connection, serials: Sequence[SerialNumber], now: int) -> list[Stranger]:
    """Write that the log is told of strangers, and give those of whom nobody has written it."""
    chosen = _UNCLAIMED.c.serial.in_(serials)
    # In one order everywhere, so that two processes wait for each other instead of deadlocking.
    tx.execute(
        select(_UNCLAIMED.c.serial).where(chosen).order_by(_UNCLAIMED.c.serial).with_for_update()
    ).all()
    rows = tx.execute(
        update(_UNCLAIMED).where(chosen, _is_untold(now)).values(told_at=now).returning(_UNCLAIMED)
    ).all()
    strangers = [
        Stranger(SerialNumber(row.serial), row.engine, row.address, row.first_seen_at)
        for row in rows
    ]
    return sorted(strangers)


def _with_devices() -> Any:
    """Make the question for presence rows, in order, each with its device; removed ones are out."""
    on = and_(
        _DEVICE.c.account == _PRESENCE.c.account, _DEVICE.c.device_id == _PRESENCE.c.device_id
    )
    columns = (_DEVICE.c.serial, _DEVICE.c.name, _DEVICE.c.site, _DEVICE.c.heartbeat_interval_s)
    return (
        select(_PRESENCE, *columns)
        .join(_DEVICE, on)
        .where(_DEVICE.c.removed_at.is_(None))
        .order_by(_PRESENCE.c.account, _PRESENCE.c.device_id)
    )


def _transition(row: Row[Any]) -> Transition:
    """Make of a row what is to be told; its device is as much of one as an event shows."""
    device = Device(
        AccountNo(row.account),
        DeviceId(row.device_id),
        SerialNumber(row.serial),
        row.name,
        site=row.site,
        heartbeat_interval_s=row.heartbeat_interval_s,
    )
    was: Was = "online" if row.is_online else "offline" if row.since else "never"
    return Transition(device, row.since, row.last_seen_at, row.address, was)


def _turn(
    tx: Connection,
    account: AccountNo,
    found: Sequence[Transition],
    condition: Any,
    values: dict[str, Any],
) -> list[tuple[Transition, Row[Any]]]:
    """Change those that are still as the condition says, and give them with their new rows."""
    devices = {each.device.id: each for each in found}
    chosen = and_(_PRESENCE.c.account == account, _PRESENCE.c.device_id.in_(devices))
    # A flush writes its rows in this order, too: whoever meets it waits instead of deadlocking.
    tx.execute(
        select(_PRESENCE.c.device_id)
        .where(chosen)
        .order_by(_PRESENCE.c.device_id)
        .with_for_update()
    ).all()
    changed = tx.execute(
        update(_PRESENCE).where(chosen, condition).values(values).returning(_PRESENCE)
    ).all()
    return [(devices[row.device_id], row) for row in sorted(changed, key=lambda r: r.device_id)]


def _is_untold(now: int) -> Any:
    told = _UNCLAIMED.c.told_at
    return or_(told.is_(None), told <= now - TELL_AGAIN_MS)
