"""How deliveries went, as rows to look at: attempts, parked keys, dead letters, and the sum.

Reading only; what is written while delivering is `cursors.py`.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, func, select, true, tuple_

from punchgate.domain.endpoint import Filter
from punchgate.domain.event import Position
from punchgate.domain.ids import AccountNo, EndpointId
from punchgate.store import schema

_ATTEMPT: Final = schema.attempt
_DEAD: Final = schema.dead
_EVENT: Final = schema.event
_PARKED: Final = schema.parked

#: Entries behind a cursor that are looked at; what is wanted of a longer queue is told as "at
#: least". Fewer where a filter has to read each of them: a list of endpoints should not take long.
MOST_LAG: Final = 100_000
MOST_READ: Final = 10_000
#: The attempts that a pace is computed from: the latest ones.
_SAMPLE: Final = 1_000
_ACCEPTED: Final = "accepted"


@dataclass(frozen=True, slots=True)
class Tried:
    """One request to a receiver and what became of it; `at` in milliseconds."""

    no: int
    event_id: str
    n: int
    at: int
    outcome: str
    status: int | None
    ms: int
    error: str | None
    answer: str | None
    replay_id: str | None


@dataclass(frozen=True, slots=True)
class Parked:
    """A key whose delivery failed; instants in milliseconds, `due_at` None waits for a person."""

    key: str
    attempt: int
    first_failed_at: int
    due_at: int | None
    reason: str
    last_status: int | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Dead:
    """An event that an endpoint has refused to the end of its schedule; `at` in milliseconds."""

    event_id: str
    key: str
    reason: str
    status: int | None
    attempts: int
    at: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events an endpoint gets: by its filter, and by the types that its format has."""

    filter: Filter
    #: Empty: all.
    types: frozenset[str] = frozenset()

    @property
    def kinds(self) -> frozenset[str] | None:
        """The types that both let through; None: all."""
        events = frozenset(self.filter.events)
        if events and self.types:
            return events & self.types
        return events or self.types or None


class _Lag(NamedTuple):
    events: int
    oldest_at: int | None
    #: Whether the log was looked through to its end.
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an endpoint stands in its account's log.

    Units:   `accepted_per_s` is over the latest attempts, None where there are too few;
             `oldest_at` and `oldest_parked_at` are milliseconds.
    """

    #: Events behind the cursor that it wants; at least so many where that is not the whole.
    lag: int
    is_lag_whole: bool
    #: When the first of them was received.
    oldest_at: int | None
    parked: int
    oldest_parked_at: int | None
    dead: int
    accepted_per_s: float | None


def list_attempts(
    tx: Connection,
    account: AccountNo,
    endpoint_id: EndpointId,
    *,
    event_id: str | None,
    limit: int,
) -> list[Tried]:
    """List the latest attempts of an endpoint, or those of one event, the newest first."""
    wanted = select(_ATTEMPT).where(*_of(_ATTEMPT, account, endpoint_id))
    if event_id is not None:
        wanted = wanted.where(_ATTEMPT.c.event_id == event_id)
    rows = tx.execute(wanted.order_by(_ATTEMPT.c.no.desc()).limit(limit))
    return [
        Tried(
            row.no,
            row.event_id,
            row.n,
            row.at,
            row.outcome,
            row.status,
            row.ms,
            row.error,
            row.answer,
            row.replay_id,
        )
        for row in rows
    ]


def list_parked(
    tx: Connection, account: AccountNo, endpoint_id: EndpointId, *, limit: int
) -> list[Parked]:
    """List the parked keys of an endpoint, the one that has waited longest first."""
    rows = tx.execute(
        select(_PARKED)
        .where(*_of(_PARKED, account, endpoint_id))
        .order_by(_PARKED.c.first_failed_at, _PARKED.c.key)
        .limit(limit)
    )
    return [
        Parked(
            row.key,
            row.attempt,
            row.first_failed_at,
            row.due_at,
            row.reason,
            row.last_status,
            row.last_error,
        )
        for row in rows
    ]


def list_dead(
    tx: Connection, account: AccountNo, endpoint_id: EndpointId, *, limit: int
) -> list[Dead]:
    """List the dead letters of an endpoint, the latest first."""
    rows = tx.execute(
        select(_DEAD)
        .where(*_of(_DEAD, account, endpoint_id))
        .order_by(_DEAD.c.at.desc(), _DEAD.c.event_id)
        .limit(limit)
    )
    return [
        Dead(row.event_id, row.key, row.reason, row.status, row.attempts, row.at) for row in rows
    ]


def dead_among(
    tx: Connection, account: AccountNo, endpoint_id: EndpointId, event_ids: Iterable[str]
) -> Collection[str]:
    """Give those of some events, a window at most, that are dead letters of an endpoint."""
    rows = tx.execute(
        select(_DEAD.c.event_id).where(
            *_of(_DEAD, account, endpoint_id), _DEAD.c.event_id.in_(list(event_ids))
        )
    )
    return frozenset(row.event_id for row in rows)


def first_dead(tx: Connection, account: AccountNo, endpoint_id: EndpointId) -> Position | None:
    """Give the place before an endpoint's first dead letter; the generation is left at 0."""
    row = tx.execute(
        select(_EVENT.c.tx, _EVENT.c.seq, _EVENT.c.received_at)
        .join(_DEAD, (_DEAD.c.account == _EVENT.c.account) & (_DEAD.c.event_id == _EVENT.c.id))
        .where(*_of(_DEAD, account, endpoint_id))
        .order_by(_EVENT.c.tx, _EVENT.c.seq)
        .limit(1)
    ).one_or_none()
    return None if row is None else Position(0, row.tx, row.seq - 1, row.received_at)


def standing(
    tx: Connection, account: AccountNo, endpoint_id: EndpointId, cursor: Position, wanted: Wanted
) -> Standing:
    """Sum up how an endpoint stands; `cursor` is one of the present generation."""
    parked, oldest_parked_at = tx.execute(
        select(func.count(), func.min(_PARKED.c.first_failed_at)).where(
            *_of(_PARKED, account, endpoint_id)
        )
    ).one()
    dead = tx.execute(select(func.count()).where(*_of(_DEAD, account, endpoint_id))).scalar_one()
    lag = _lag(tx, _behind(tx, account, cursor), wanted)
    return Standing(
        lag.events,
        lag.is_whole,
        lag.oldest_at,
        parked,
        oldest_parked_at,
        dead,
        _pace(tx, account, endpoint_id),
    )


def _behind(tx: Connection, account: AccountNo, cursor: Position) -> Select[Any]:
    """Ask for the entries behind a cursor, in their order."""
    place: ColumnElement[bool] = _EVENT.c.seq > cursor.seq
    order: tuple[ColumnElement[int], ...] = (_EVENT.c.seq,)
    if tx.dialect.name != "sqlite":
        order = (_EVENT.c.tx, _EVENT.c.seq)
        place = tuple_(*order) > tuple_(cursor.tx, cursor.seq)
    columns = (_EVENT.c.received_at, _EVENT.c.type, _EVENT.c.body)
    return select(*columns).where(_EVENT.c.account == account, place).order_by(*order)


def _lag(tx: Connection, behind: Select[Any], wanted: Wanted) -> _Lag:
    kinds = wanted.kinds
    if wanted.filter.needs_data:
        times, looked_at = [], 0
        for row in tx.execute(behind.limit(MOST_READ)):
            looked_at += 1
            if (kinds is None or row.type in kinds) and wanted.filter.passes(
                row.type, msgspec.json.decode(row.body)
            ):
                times.append(row.received_at)
        return _Lag(len(times), min(times, default=None), looked_at < MOST_READ)
    part = behind.with_only_columns(_EVENT.c.received_at, _EVENT.c.type).limit(MOST_LAG).subquery()
    passes = true() if kinds is None else part.c.type.in_(kinds)
    looked_at, events, oldest_at = tx.execute(
        select(
            func.count(),
            func.count().filter(passes),
            func.min(part.c.received_at).filter(passes),
        ).select_from(part)
    ).one()
    return _Lag(events, oldest_at, looked_at < MOST_LAG)


def _pace(tx: Connection, account: AccountNo, endpoint_id: EndpointId) -> float | None:
    latest = tx.execute(
        select(_ATTEMPT.c.at, _ATTEMPT.c.outcome)
        .where(*_of(_ATTEMPT, account, endpoint_id))
        .order_by(_ATTEMPT.c.no.desc())
        .limit(_SAMPLE)
    ).all()
    moments: list[int] = [row.at for row in latest if row.outcome == _ACCEPTED]
    if len(moments) < 2 or moments[0] <= moments[-1]:
        return None
    return round((len(moments) - 1) * 1000 / (moments[0] - moments[-1]), 1)


def _of(table: Any, account: AccountNo, endpoint_id: EndpointId) -> tuple[Any, ...]:
    return table.c.account == account, table.c.endpoint_id == endpoint_id
