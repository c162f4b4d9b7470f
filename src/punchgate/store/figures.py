"""Counts of the whole installation, for metrics; no account, because a metric names none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, and_, case, func, select

from punchgate.store import schema
from punchgate.store.workdays import count_stale

#: Of its own heartbeat interval: after one it is late, after three it is offline.
_OFFLINE_AFTER: Final = 3


@dataclass(frozen=True, slots=True)
class Figures:
    """How much there is of what."""

    stale_days: int
    unclaimed: int
    quarantine: Mapping[str, int]
    devices: Mapping[str, int]


def read(tx: Connection, now: int) -> Figures:
    """Count; `now` is in milliseconds."""
    item, unclaimed = schema.quarantine, schema.unclaimed
    held = dict.fromkeys(("open", "released", "dismissed"), 0)
    for state, count in tx.execute(select(item.c.state, func.count()).group_by(item.c.state)):
        held[state] = count
    return Figures(
        count_stale(tx),
        tx.execute(select(func.count()).select_from(unclaimed)).scalar_one(),
        held,
        _devices(tx, now),
    )


def _devices(tx: Connection, now: int) -> dict[str, int]:
    device, seen = schema.device, schema.presence
    quiet_ms, interval_ms = now - seen.c.last_seen_at, device.c.heartbeat_interval_s * 1000
    state = case(
        (seen.c.last_seen_at.is_(None), "never"),
        (quiet_ms <= interval_ms, "online"),
        (quiet_ms <= interval_ms * _OFFLINE_AFTER, "late"),
        else_="offline",
    )
    rows = tx.execute(
        select(state.label("state"), func.count().label("devices"))
        .select_from(
            device.outerjoin(
                seen,
                and_(seen.c.account == device.c.account, seen.c.device_id == device.c.device_id),
            )
        )
        .where(device.c.removed_at.is_(None))
        .group_by(state)
    )
    found = dict.fromkeys(("online", "late", "offline", "never"), 0)
    for row in rows:
        found[row.state] = row.devices
    return found
