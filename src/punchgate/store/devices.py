"""Devices as rows, also removed ones; and the serials that called and nobody has claimed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select, update

from punchgate.domain.codes import DEFAULT_DIRECTIONS
from punchgate.domain.device import Device, Engine
from punchgate.domain.ids import AccountNo, DeviceId, SerialNumber
from punchgate.store import schema

_DEVICE: Final = schema.device
_UNCLAIMED: Final = schema.unclaimed
_PRESENCE: Final = schema.presence


@dataclass(frozen=True, slots=True)
class Unclaimed:
    """A serial that called and that nobody has claimed; instants in milliseconds."""

    serial: SerialNumber
    engine: Engine
    address: str | None
    operation: str | None
    first_seen_at: int
    last_seen_at: int
    requests: int
    #: When the log last told of it.
    told_at: int | None = None


def add(tx: Connection, account: AccountNo, device: Device, now: int) -> None:
    """Write a new device."""
    tx.execute(insert(_DEVICE).values(account=account, created_at=now, **_values(device)))


def put(tx: Connection, account: AccountNo, device: Device) -> None:
    """Write a device over the row of its id; one that was removed is there again."""
    tx.execute(
        update(_DEVICE)
        .where(_DEVICE.c.account == account, _DEVICE.c.device_id == device.id)
        .values(removed_at=None, **_values(device))
    )


def remove(tx: Connection, account: AccountNo, device: Device, now: int) -> None:
    """Write that a device is removed; its row stays, because old punches name it."""
    tx.execute(
        update(_DEVICE)
        .where(_DEVICE.c.account == account, _DEVICE.c.device_id == device.id)
        .values(removed_at=now, version=device.version, token_hash=None)
    )
    # It goes without a word in the log; added again, it comes online with its next request.
    tx.execute(
        update(_PRESENCE)
        .where(_PRESENCE.c.account == account, _PRESENCE.c.device_id == device.id)
        .values(is_online=False, since=now)
    )


def find(tx: Connection, account: AccountNo, device_id: DeviceId) -> Device | None:
    """Give a device that is not removed, by our name for it."""
    row = tx.execute(
        select(_DEVICE).where(
            _DEVICE.c.account == account,
            _DEVICE.c.device_id == device_id,
            _DEVICE.c.removed_at.is_(None),
        )
    ).one_or_none()
    return None if row is None else _device(row)


def find_serial(tx: Connection, serial: SerialNumber) -> Device | None:
    """Give the device, of whatever account, that has this serial and is not removed.

    An exception to "the account comes second": the account follows from the device.
    """
    row = tx.execute(
        select(_DEVICE).where(_DEVICE.c.serial == serial, _DEVICE.c.removed_at.is_(None))
    ).one_or_none()
    return None if row is None else _device(row)


def find_removed(tx: Connection, account: AccountNo, serial: SerialNumber) -> Device | None:
    """Give the device of this account that had this serial last and was removed."""
    row = tx.execute(
        select(_DEVICE)
        .where(
            _DEVICE.c.account == account,
            _DEVICE.c.serial == serial,
            _DEVICE.c.removed_at.is_not(None),
        )
        .order_by(_DEVICE.c.removed_at.desc(), _DEVICE.c.device_id)
        .limit(1)
    ).one_or_none()
    return None if row is None else _device(row)


def find_removed_id(tx: Connection, account: AccountNo, device_id: DeviceId) -> Device | None:
    """Give the device of this account that had this name and was removed."""
    row = tx.execute(
        select(_DEVICE).where(
            _DEVICE.c.account == account,
            _DEVICE.c.device_id == device_id,
            _DEVICE.c.removed_at.is_not(None),
        )
    ).one_or_none()
    return None if row is None else _device(row)


def is_taken(tx: Connection, account: AccountNo, device_id: DeviceId) -> bool:
    """Say whether a name belongs to a device of this account, removed or not."""
    row = tx.execute(
        select(_DEVICE.c.device_id).where(
            _DEVICE.c.account == account, _DEVICE.c.device_id == device_id
        )
    ).one_or_none()
    return row is not None


def list_devices(
    tx: Connection, account: AccountNo, *, after: str, limit: int
) -> list[tuple[Device, int | None]]:
    """List the devices whose ids come after `after`, each with when it was last heard."""
    rows = tx.execute(
        select(_DEVICE, _PRESENCE.c.last_seen_at)
        .outerjoin(
            _PRESENCE,
            (_PRESENCE.c.account == _DEVICE.c.account)
            & (_PRESENCE.c.device_id == _DEVICE.c.device_id),
        )
        .where(
            _DEVICE.c.account == account,
            _DEVICE.c.removed_at.is_(None),
            _DEVICE.c.device_id > after,
        )
        .order_by(_DEVICE.c.device_id)
        .limit(limit)
    )
    return [(_device(row), row.last_seen_at) for row in rows]


def list_ids(tx: Connection, account: AccountNo, *, limit: int) -> list[DeviceId]:
    """List the ids of the devices of an account, for messages that say what there is."""
    rows = tx.execute(
        select(_DEVICE.c.device_id)
        .where(_DEVICE.c.account == account, _DEVICE.c.removed_at.is_(None))
        .order_by(_DEVICE.c.device_id)
        .limit(limit)
    )
    return [DeviceId(row.device_id) for row in rows]


def find_unclaimed(tx: Connection, serial: SerialNumber) -> Unclaimed | None:
    """Give what is known of a serial that nobody has claimed.

    Like the two below an exception to "the account comes second": nobody's serial has no account.
    """
    row = tx.execute(select(_UNCLAIMED).where(_UNCLAIMED.c.serial == serial)).one_or_none()
    return None if row is None else Unclaimed(**row._asdict())


def list_unclaimed(tx: Connection, *, limit: int) -> list[Unclaimed]:
    """List the serials that nobody has claimed, those heard last first."""
    rows = tx.execute(
        select(_UNCLAIMED)
        .order_by(_UNCLAIMED.c.last_seen_at.desc(), _UNCLAIMED.c.serial)
        .limit(limit)
    )
    return [Unclaimed(**row._asdict()) for row in rows]


def forget_unclaimed(tx: Connection, serial: SerialNumber) -> None:
    """Take a serial off the list of those that nobody has claimed."""
    tx.execute(delete(_UNCLAIMED).where(_UNCLAIMED.c.serial == serial))


def _values(device: Device) -> dict[str, Any]:
    directions = {
        code: name
        for code, name in device.directions.items()
        if DEFAULT_DIRECTIONS.get(code) != name
    }
    return {
        "device_id": device.id,
        "serial": device.serial,
        "name": device.name,
        "zone": device.zone,
        "site": device.site,
        "engine": device.engine,
        "token_hash": device.token_hash,
        "valid_until": None if device.valid_until is None else device.valid_until.isoformat(),
        "is_suspended": device.is_suspended,
        "direction_policy": device.direction_policy,
        "directions": _codes_text(directions),
        "verify_methods": _codes_text(device.verify_methods),
        "heartbeat_interval_s": device.heartbeat_interval_s,
        "poll_interval_s": device.poll_interval_s,
        "version": device.version,
    }


def _codes_text(codes: Mapping[int, str]) -> str | None:
    return json.dumps({str(code): codes[code] for code in sorted(codes)}) if codes else None


def _codes(text: str | None) -> dict[int, Any]:
    return {} if text is None else {int(code): name for code, name in json.loads(text).items()}


def _device(row: Row[Any]) -> Device:
    own = _codes(row.directions)
    return Device(
        account=AccountNo(row.account),
        id=DeviceId(row.device_id),
        serial=SerialNumber(row.serial),
        name=row.name,
        zone=row.zone,
        site=row.site,
        engine=row.engine,
        token_hash=None if row.token_hash is None else bytes(row.token_hash),
        valid_until=None if row.valid_until is None else date.fromisoformat(row.valid_until),
        is_suspended=row.is_suspended,
        direction_policy=row.direction_policy,
        directions={**DEFAULT_DIRECTIONS, **own} if own else DEFAULT_DIRECTIONS,
        verify_methods=_codes(row.verify_methods),
        heartbeat_interval_s=row.heartbeat_interval_s,
        poll_interval_s=row.poll_interval_s,
        version=row.version,
    )
