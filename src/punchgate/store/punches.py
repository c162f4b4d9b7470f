"""Punches as questions: one, or a page of them. Writing is `record.py`'s alone.

Pages walk the primary key. A punch id begins with the device's wall time, so a period is a range of
ids and no index by time is needed.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, func, select

from punchgate.domain.codes import CodeTable, Direction, VerifyMethod
from punchgate.domain.ids import AccountNo, DeviceId, PersonNo, PunchId, SerialNumber, UserCode
from punchgate.domain.punch import Punch, Transport, first_id_at
from punchgate.store import schema

_PUNCH: Final = schema.punch
_PERSON: Final = schema.person


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which punches are meant; `since` and `until` are wall times, half-open."""

    device_id: DeviceId | None = None
    user_code: UserCode | None = None
    since: datetime | None = None
    until: datetime | None = None


class Span(NamedTuple):
    """Which punches of some devices a log shows; `since` and `until` are wall times, half-open."""

    devices: tuple[DeviceId, ...]
    since: datetime | None = None
    until: datetime | None = None
    user_code: UserCode | None = None
    #: How the wall time begins.
    beginning: str | None = None


class Line(NamedTuple):
    """What a log shows of a punch, and no more: a log has a hundred thousand of them."""

    punch_id: PunchId
    device_id: DeviceId
    user_code: UserCode
    wall_time: str
    direction_code: int | None
    direction: Direction
    verify_code: int | None
    verify: VerifyMethod
    code_table: CodeTable


class Exported(NamedTuple):
    """A punch beside its person, as an export tells it, in the order of its columns."""

    punch_id: PunchId
    user_code: UserCode
    person_no: PersonNo | None
    name: str | None
    custom_id: str | None
    device_id: DeviceId
    serial: SerialNumber
    wall_time: str
    at: int
    zone: str
    utc_offset_s: int
    received_at: int
    direction: Direction
    direction_code: int | None
    verify: VerifyMethod
    verify_code: int | None
    transport: Transport
    latitude: float | None
    longitude: float | None
    accuracy_m: float | None
    temperature_c: float | None
    mask: bool | None
    work_code: str | None
    flags: str


_LINE: Final = tuple(_PUNCH.c[name] for name in Line._fields)
_OF_PERSON: Final = ("person_no", "name", "custom_id")
_OF_PUNCH: Final = tuple(
    _PUNCH.c[name] for name in ("account", *Exported._fields) if name not in _OF_PERSON
)


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
) -> list[Exported]:
    """List the punches whose ids come after `after`, oldest wall time first."""
    # The page is cut before its people are looked up: a planner that thinks the tables small would
    # look up those of every page that follows.
    page = (
        select(*_OF_PUNCH)
        .where(*_conditions(account, wanted), _PUNCH.c.punch_id > after)
        .order_by(_PUNCH.c.punch_id)
        .limit(limit)
        .subquery()
    )
    is_their_own = (_PERSON.c.account == page.c.account) & (_PERSON.c.user_code == page.c.user_code)
    columns = [(_PERSON if name in _OF_PERSON else page).c[name] for name in Exported._fields]
    rows = tx.execute(select(*columns).select_from(page.outerjoin(_PERSON, is_their_own)))
    # A join promises no order, and mostly keeps it: then this costs next to nothing.
    return sorted(Exported._make(row) for row in rows)


def list_lines(
    tx: Connection, account: AccountNo, span: Span, *, before: PunchId | None, limit: int
) -> list[Line]:
    """List the lines whose ids come before `before`, newest wall time first."""
    conditions = _conditions(
        account, Filter(user_code=span.user_code, since=span.since, until=span.until)
    )
    if len(span.devices) == 1:
        conditions.append(_PUNCH.c.device_id == span.devices[0])
    else:
        conditions.append(_PUNCH.c.device_id.in_(span.devices))
    if span.beginning is not None:
        # Compared as it is cut: a database may order texts by the rules of some language.
        cut = func.substr(_PUNCH.c.wall_time, 1, len(span.beginning))
        conditions.append(cut == span.beginning)
    if before is not None:
        conditions.append(_PUNCH.c.punch_id < before)
    rows = tx.execute(
        select(*_LINE).where(*conditions).order_by(_PUNCH.c.punch_id.desc()).limit(limit)
    )
    return [Line._make(row) for row in rows]


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
