"""What the door has to ask of the punches that are there: what decides how a new one is read."""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from punchgate.domain import punch
from punchgate.domain.ids import AccountNo, DeviceId
from punchgate.store import schema

_PUNCH: Final = schema.punch


def instants(
    tx: Connection,
    account: AccountNo,
    device_id: DeviceId,
    *,
    since: datetime,
    until: datetime,
) -> list[int]:
    """List the instants of a device's punches in a range of wall times.

    `since` and `until` are wall times and half-open; the range keeps the read to a few pages,
    because ids begin with the wall time.
    """
    found = tx.execute(
        select(_PUNCH.c.at).where(
            _PUNCH.c.account == account,
            _PUNCH.c.punch_id >= punch.first_id_at(since),
            _PUNCH.c.punch_id < punch.first_id_at(until),
            _PUNCH.c.device_id == device_id,
        )
    )
    return list(found.scalars())
