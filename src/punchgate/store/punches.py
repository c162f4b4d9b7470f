"""Punches as questions: one, or a page of them. Writing is `record.py`'s alone.

Pages walk the primary key. A punch id begins with the device's wall time, so a period is a range of
ids and no index by time is needed.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from punchgate.domain.ids import AccountNo, DeviceId, PunchId, UserCode
from punchgate.domain.punch import Punch, first_id_at
from punchgate.store import schema

_PUNCH: Final = schema.punch


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which punches are meant; `since` and `until` are wall times, half-open."""

    device_id: DeviceId | None = None
    user_code: UserCode | None = None
    since: datetime | None = None
    until: datetime | None = None


def find(tx: Connection, account: AccountNo, punch_id: PunchId) -> Punch | None:
    """Give one punch."""
    row = tx.execute(
        select(_PUNCH).where(_PUNCH.c.account == account, _PUNCH.c.punch_id == punch_id)
    ).one_or_none()
    return None if row is None else _punch(row)


def list_latest(tx: Connection, account: AccountNo, wanted: Filter, *, limit: int) -> list[Punch]:
    """List the latest punches by the device's wall time, newest first."""
    rows = tx.execute(
        select(_PUNCH)
        .where(*_conditions(account, wanted))
        .order_by(_PUNCH.c.punch_id.desc())
        .limit(limit)
    )
    return [_punch(row) for row in rows]


def list_after(
    tx: Connection, account: AccountNo, wanted: Filter, *, after: str, limit: int
) -> list[Punch]:
    """List the punches whose ids come after `after`, oldest wall time first."""
    rows = tx.execute(
        select(_PUNCH)
        .where(*_conditions(account, wanted), _PUNCH.c.punch_id > after)
        .order_by(_PUNCH.c.punch_id)
        .limit(limit)
    )
    return [_punch(row) for row in rows]


def _conditions(account: AccountNo, wanted: Filter) -> list[Any]:
    conditions: list[Any] = [_PUNCH.c.account == account]
    if wanted.since is not None:
        conditions.append(_PUNCH.c.punch_id >= first_id_at(wanted.since))
    if wanted.until is not None:
        conditions.append(_PUNCH.c.punch_id < first_id_at(wanted.until))
    if wanted.device_id is not None:
        conditions.append(_PUNCH.c.device_id == wanted.device_id)
    if wanted.user_code is not None:
        conditions.append(_PUNCH.c.user_code == wanted.user_code)
    return conditions


def _punch(row: Row[Any]) -> Punch:
    punch = Punch._make(row)
    return punch._replace(raw=bytes(punch.raw))
