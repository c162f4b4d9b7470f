"""What the door has to ask of the punches that are there: what decides how a new one is read."""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select

from punchgate.domain import punch
from punchgate.domain.ids import AccountNo, DeviceId
from punchgate.store import schema

_PUNCH: Final = schema.punch


def latest_at(
    tx: Connection,
    account: AccountNo,
    device_id: DeviceId,
    *,
    since: datetime,
    until: datetime,
    before: int,
) -> int | None:
    """Give the latest instant, below `before`, of a device's punches in a range of wall times.

    `since` and `until` are wall times and half-open; the range keeps the read to a few pages,
    because ids begin with the wall time.
    """
    latest = tx.execute(
        select(func.max(_PUNCH.c.at)).where(
            _PUNCH.c.account == account,
            _PUNCH.c.punch_id >= punch.first_id_at(since),
            _PUNCH.c.punch_id < punch.first_id_at(until),
            _PUNCH.c.device_id == device_id,
            _PUNCH.c.at < before,
        )
    ).scalar_one()
    return None if latest is None else int(latest)
