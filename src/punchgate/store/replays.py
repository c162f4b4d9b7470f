"""Replay jobs as rows: which part of the log, for which endpoint, and how far each has come."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

import msgspec
from sqlalchemy import Connection, Row, insert, select, update

from punchgate.domain.endpoint import Selection
from punchgate.domain.event import Position
from punchgate.domain.ids import AccountNo, EndpointId, ReplayId
from punchgate.store import schema

_REPLAY: Final = schema.replay

#: running: it is sent whenever somebody delivers · done: its end was reached · cancelled: an
#: operator's wish, or its endpoint was removed.
ReplayState = Literal["running", "done", "cancelled"]
REPLAY_STATES: Final[tuple[ReplayState, ...]] = get_args(ReplayState)


@dataclass(frozen=True, slots=True)
class Replay:
    """One job: everything behind `position`, up to `end`, that its selection picks.

    Units:   `rate` is events a second; instants are milliseconds since 1970-01-01 UTC.
    """

    account: AccountNo
    id: ReplayId
    endpoint_id: EndpointId
    selection: Selection
    position: Position
    end: Position
    rate: int
    state: ReplayState
    #: Events that were to be sent when it was made; `sent` and `failed` of them are dealt with.
    counted: int
    sent: int
    failed: int
    created_at: int
    created_by: str
    ended_at: int | None = None


def add(tx: Connection, account: AccountNo, replay: Replay) -> None:
    """Write a new job."""
    tx.execute(
        insert(_REPLAY).values(
            account=account,
            replay_id=replay.id,
            endpoint_id=replay.endpoint_id,
            selection=msgspec.json.encode(replay.selection).decode(),
            **replay.position._asdict(),
            **{f"end_{name}": value for name, value in replay.end._asdict().items()},
            rate=replay.rate,
            state=replay.state,
            counted=replay.counted,
            sent=replay.sent,
            failed=replay.failed,
            created_at=replay.created_at,
            created_by=replay.created_by,
            ended_at=replay.ended_at,
        )
    )


def find(tx: Connection, account: AccountNo, replay_id: ReplayId) -> Replay | None:
    """Give a job, ended or not."""
    row = tx.execute(select(_REPLAY).where(*_is(account, replay_id))).one_or_none()
    return None if row is None else _replay(row)


def list_replays(
    tx: Connection, account: AccountNo, endpoint_id: EndpointId | None, *, limit: int
) -> list[Replay]:
    """List the jobs of one endpoint, or of all, the newest first."""
    wanted = select(_REPLAY).where(_REPLAY.c.account == account)
    if endpoint_id is not None:
        wanted = wanted.where(_REPLAY.c.endpoint_id == endpoint_id)
    rows = tx.execute(
        wanted.order_by(_REPLAY.c.created_at.desc(), _REPLAY.c.replay_id).limit(limit)
    )
    return [_replay(row) for row in rows]


def next_running(tx: Connection, account: AccountNo, endpoint_id: EndpointId) -> Replay | None:
    """Give the job of an endpoint that has waited longest; they run one after the other."""
    row = tx.execute(
        select(_REPLAY)
        .where(
            _REPLAY.c.account == account,
            _REPLAY.c.endpoint_id == endpoint_id,
            _REPLAY.c.state == "running",
        )
        .order_by(_REPLAY.c.created_at, _REPLAY.c.replay_id)
        .limit(1)
    ).one_or_none()
    return None if row is None else _replay(row)


def advance(
    tx: Connection,
    account: AccountNo,
    replay_id: ReplayId,
    position: Position,
    *,
    sent: int,
    failed: int,
) -> bool:
    """Write how far a job has come and add to its numbers; false when it was ended meanwhile."""
    moved = tx.execute(
        update(_REPLAY)
        .where(*_is(account, replay_id), _REPLAY.c.state == "running")
        .values(sent=_REPLAY.c.sent + sent, failed=_REPLAY.c.failed + failed, **position._asdict())
    )
    return moved.rowcount == 1


def end(
    tx: Connection, account: AccountNo, replay_id: ReplayId, state: ReplayState, now: int
) -> bool:
    """End a job that runs, as `done` or `cancelled`; false when it had ended already."""
    ended = tx.execute(
        update(_REPLAY)
        .where(*_is(account, replay_id), _REPLAY.c.state == "running")
        .values(state=state, ended_at=now)
    )
    return ended.rowcount == 1


def cancel_all(tx: Connection, account: AccountNo, endpoint_id: EndpointId, now: int) -> None:
    """Cancel what runs for an endpoint that is removed."""
    tx.execute(
        update(_REPLAY)
        .where(
            _REPLAY.c.account == account,
            _REPLAY.c.endpoint_id == endpoint_id,
            _REPLAY.c.state == "running",
        )
        .values(state="cancelled", ended_at=now)
    )


def naming(
    tx: Connection, account: AccountNo, person: Mapping[str, str]
) -> list[tuple[ReplayId, Selection]]:
    """List the jobs that select a person, given by field, each with a selection that does not."""
    found: list[tuple[ReplayId, Selection]] = []
    for row in tx.execute(
        select(_REPLAY.c.replay_id, _REPLAY.c.selection).where(_REPLAY.c.account == account)
    ):
        before = msgspec.json.decode(row.selection, type=Selection)
        after = replace(before, filter=before.filter.forget(person))
        if after != before:
            found.append((ReplayId(row.replay_id), after))
    return found


def forget(tx: Connection, account: AccountNo, person: Mapping[str, str]) -> None:
    """Take a person out of what the jobs of an account select, ended ones too."""
    for replay_id, after in naming(tx, account, person):
        tx.execute(
            update(_REPLAY)
            .where(*_is(account, replay_id))
            .values(selection=msgspec.json.encode(after).decode())
        )


def _is(account: AccountNo, replay_id: ReplayId) -> tuple[Any, ...]:
    return _REPLAY.c.account == account, _REPLAY.c.replay_id == replay_id


def _replay(row: Row[Any]) -> Replay:
    return Replay(
        account=AccountNo(row.account),
        id=ReplayId(row.replay_id),
        endpoint_id=EndpointId(row.endpoint_id),
        selection=msgspec.json.decode(row.selection, type=Selection),
        position=Position(row.generation, row.tx, row.seq, row.at),
        end=Position(row.end_generation, row.end_tx, row.end_seq, row.end_at),
        rate=row.rate,
        state=row.state,
        counted=row.counted,
        sent=row.sent,
        failed=row.failed,
        created_at=row.created_at,
        created_by=row.created_by,
        ended_at=row.ended_at,
    )
