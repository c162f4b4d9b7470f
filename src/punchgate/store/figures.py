"""Counts of the whole installation, for metrics; no account, because a metric names none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Table, and_, case, func, select, text

from punchgate.domain.device import OFFLINE_AFTER
from punchgate.domain.endpoint import STATES as ENDPOINT_STATES
from punchgate.store import schema
from punchgate.store.replays import REPLAY_STATES
from punchgate.store.workdays import count_stale


@dataclass(frozen=True, slots=True)
class Figures:
    """How much there is of what."""

    stale_days: int
    unclaimed: int
    quarantine: Mapping[str, int]
    devices: Mapping[str, int]
    endpoints: Mapping[str, int]
    replays: Mapping[str, int]
    #: Age of the oldest event that an unfinished transaction holds back, in seconds.
    guard_s: float


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
        _by_state(tx, schema.endpoint, ENDPOINT_STATES, schema.endpoint.c.removed_at.is_(None)),
        _by_state(tx, schema.replay, REPLAY_STATES),
        _guard_s(tx, now),
    )


def _by_state(
    tx: Connection, table: Table, states: Sequence[str], *wanted: ColumnElement[bool]
) -> dict[str, int]:
    rows = tx.execute(select(table.c.state, func.count()).where(*wanted).group_by(table.c.state))
    return {**dict.fromkeys(states, 0), **{row[0]: row[1] for row in rows}}


def _guard_s(tx: Connection, now: int) -> float:
    """Say how long readers of the log have been held back; only those with an endpoint ask."""
    if tx.dialect.name == "sqlite":
        return 0.0
    oldest = tx.execute(
        text(
            "SELECT min(event.received_at) FROM (SELECT DISTINCT account FROM endpoint"
            " WHERE removed_at IS NULL) AS whose JOIN event ON event.account = whose.account"
            " AND event.tx >= CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS int8)"
        )
    ).scalar_one()
    return 0.0 if oldest is None else max(0.0, (now - oldest) / 1000)


def _devices(tx: Connection, now: int) -> dict[str, int]:
    device, seen = schema.device, schema.presence
    quiet_ms, interval_ms = now - seen.c.last_seen_at, device.c.heartbeat_interval_s * 1000
    state = case(
        (device.c.is_suspended, "paused"),
        (seen.c.last_seen_at.is_(None), "never"),
        (quiet_ms <= interval_ms, "online"),
        (quiet_ms <= interval_ms * OFFLINE_AFTER, "late"),
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
    found = dict.fromkeys(("online", "late", "offline", "never", "paused"), 0)
    for row in rows:
        found[row.state] = row.devices
    return found
