"""When devices were last heard from, and which serials call that nobody has claimed.

Both are written in batches: never a row per heartbeat. No account comes second here, because a
batch holds devices of several accounts, and strangers have none. What the log is told of it is
`transitions.py`.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, delete, select

from punchgate.domain.device import Engine
from punchgate.domain.ids import AccountNo, DeviceId, SerialNumber
from punchgate.store import dialect, schema

_PRESENCE: Final = schema.presence
_UNCLAIMED: Final = schema.unclaimed

#: Unclaimed serials that are remembered; a stranger cannot fill the disk by inventing them.
MOST_UNCLAIMED: Final = 10_000
#: How long an unclaimed serial is listed after it was last heard.
UNCLAIMED_MS: Final = 24 * 3_600_000


class Seen(NamedTuple):
    """A claimed device was heard at a moment (milliseconds), from an address."""

    account: AccountNo
    device_id: DeviceId
    last_seen_at: int
    address: str | None


class Call(NamedTuple):
    """What a serial that nobody has claimed did since the last batch; one per serial."""

    serial: SerialNumber
    engine: Engine
    address: str | None
    operation: str
    first_seen_at: int
    last_seen_at: int
    requests: int


def write(tx: Connection, seen: Sequence[Seen], calls: Sequence[Call], now: int) -> None:
    """Write one batch, at most one item per device and per serial."""
    if seen:
        _write_seen(tx, seen)
    if calls:
        _write_calls(tx, calls, now)


def _write_seen(tx: Connection, seen: Sequence[Seen]) -> None:
    statement = dialect.insert(tx, _PRESENCE)
    new = statement.excluded
    tx.execute(
        statement.on_conflict_do_update(
            index_elements=[_PRESENCE.c.account, _PRESENCE.c.device_id],
            set_={"last_seen_at": new.last_seen_at, "address": new.address},
            # Two processes may flush in any order; the later moment stands.
            where=_PRESENCE.c.last_seen_at < new.last_seen_at,
        ),
        [item._asdict() for item in seen],
    )


def _write_calls(tx: Connection, calls: Sequence[Call], now: int) -> None:
    tx.execute(delete(_UNCLAIMED).where(_UNCLAIMED.c.last_seen_at < now - UNCLAIMED_MS))
    statement = dialect.insert(tx, _UNCLAIMED)
    new = statement.excluded
    upsert = statement.on_conflict_do_update(
        index_elements=[_UNCLAIMED.c.serial],
        set_={
            "engine": new.engine,
            "address": new.address,
            "operation": new.operation,
            "last_seen_at": new.last_seen_at,
            "requests": _UNCLAIMED.c.requests + new.requests,
        },
    )
    rows = _with_room(tx, calls)
    if rows:
        tx.execute(upsert, [item._asdict() for item in rows])


def _with_room(tx: Connection, calls: Sequence[Call]) -> list[Call]:
    """Give those that are on the list already, and new ones while there is room."""
    # A serial that was claimed since it called is no stranger any more.
    claimed = select(schema.device.c.serial).where(schema.device.c.removed_at.is_(None))
    known_there = set(tx.execute(select(_UNCLAIMED.c.serial)).scalars())
    serials = [item.serial for item in calls]
    claimed_now = set()
    for start in range(0, len(serials), 500):
        some = serials[start : start + 500]
        claimed_now |= set(tx.execute(claimed.where(schema.device.c.serial.in_(some))).scalars())
    strangers = [item for item in calls if item.serial not in claimed_now]
    room = MOST_UNCLAIMED - len(known_there)
    known = [item for item in strangers if item.serial in known_there]
    new = [item for item in strangers if item.serial not in known_there]
    return known + new[: max(0, room)]
