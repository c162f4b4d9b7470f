"""How far an endpoint has come, and what is written when it got further.

Everything that the holder of a lease (`leases.py`) learns goes into one transaction, and only while
its `epoch` is still the cursor's: a holder that was frozen for longer than its lease can write
nothing any more.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Connection,
    Dialect,
    Row,
    delete,
    func,
    insert,
    not_,
    select,
    update,
)

from punchgate.domain.endpoint import Health
from punchgate.domain.event import Position
from punchgate.domain.ids import AccountNo, EndpointId
from punchgate.store import dialect, leases, problems, schema
from punchgate.store.database import slices
from punchgate.store.insert_sqlite import Insert

#: The one key of an endpoint that gets everything in strict order.
ALL: Final = "*"

_ENDPOINT: Final = schema.endpoint
_PARKED: Final = schema.parked
_DEAD: Final = schema.dead
_ATTEMPT: Final = schema.attempt


class Parked(NamedTuple):
    """A key that failed: its events behind `after` wait, those before it are done with.

    `due_at` is None while an operator is waited for; `attempt` counts the failures of its head.
    """

    key: str
    after: Position
    attempt: int
    first_failed_at: int
    due_at: int | None
    #: `refused`, or `endpoint` where the key only waits for its endpoint.
    reason: str
    last_status: int | None = None
    last_error: str | None = None


class Tried(NamedTuple):
    """One attempt, as it is kept."""

    event_id: str
    n: int
    at: int
    outcome: str
    status: int | None
    ms: int
    error: str | None
    answer: str | None
    replay_id: str | None = None


_COLUMNS: Final = ("account", "endpoint_id", *Tried._fields)
_ATTEMPTS: Final = Insert("attempt", _COLUMNS)


class Buried(NamedTuple):
    """An event that the receiver refused to the end."""

    event_id: str
    key: str
    reason: str
    status: int | None
    attempts: int
    at: int


class Settlement(NamedTuple):
    """What a holder has learned since its last one."""

    position: Position | None = None
    tried: Sequence[Tried] = ()
    parked: Sequence[Parked] = ()
    freed: Sequence[str] = ()
    buried: Sequence[Buried] = ()
    #: Dead letters that a replay has brought home.
    revived: Sequence[str] = ()
    health: Health | None = None
    #: Of the endpoint that fares so: it says nothing of one that an operator has changed since.
    version: int = 0


def settle(
    tx: Connection,
    account: AccountNo,
    endpoint_id: EndpointId,
    epoch: int,
    learned: Settlement,
    now: int,
) -> bool:
    """Write what was learned, all of it or, for a holder whose lease has gone on, nothing.

    What an operator should know becomes a problem here: a failing endpoint, a dead letter, a key
    that waits for somebody, an event that no request could be made of.

    Concurrency: False when the epoch is another one by now.
    """
    place = {} if learned.position is None else _columns(learned.position)
    if not leases.change(tx, account, endpoint_id, epoch, place):
        return False
    whose = {"account": account, "endpoint_id": endpoint_id}
    if learned.tried:
        _note_attempts(tx, [(account, endpoint_id, *item) for item in learned.tried])
    _park(tx, whose, learned.parked)
    _free(tx, account, endpoint_id, learned.freed)
    _bury(tx, whose, learned.buried)
    _revive(tx, account, endpoint_id, learned.revived, now)
    subject = f"endpoint:{endpoint_id}"
    for item in learned.buried:
        problems.raise_(tx, account, "dead_letters", subject=subject, detail=item.reason, now=now)
    unsent = next((item for item in learned.tried if item.outcome == "unsent"), None)
    if unsent is not None:
        detail = f"No request could be made of {unsent.event_id} ({unsent.error})."
        problems.raise_(tx, account, "render_failed", subject=subject, detail=detail, now=now)
    if any(item.due_at is None for item in learned.parked):
        detail = "What was refused to the end of the schedule waits for you: resume the endpoint."
        problems.raise_(tx, account, "keys_held", subject=subject, detail=detail, now=now)
    health = learned.health
    if health is not None and _note_health(tx, account, endpoint_id, health, learned.version):
        _tell(tx, account, subject, health)
    return True


def list_parked(tx: Connection, account: AccountNo, endpoint_id: EndpointId) -> list[Parked]:
    """List the keys that wait at an endpoint."""
    rows = tx.execute(
        select(_PARKED).where(_PARKED.c.account == account, _PARKED.c.endpoint_id == endpoint_id)
    )
    return [_parked(row) for row in rows]


def find_parked(tx: Connection, account: AccountNo, key: str) -> dict[EndpointId, Parked]:
    """Find a key where it waits, at endpoints in strict order as part of everything."""
    rows = tx.execute(
        select(_PARKED).where(_PARKED.c.account == account, _PARKED.c.key.in_((key, ALL)))
    )
    return {EndpointId(row.endpoint_id): _parked(row) for row in rows}


def release_held(tx: Connection, account: AccountNo, endpoint_id: EndpointId, now: int) -> int:
    """Have the keys of an endpoint tried now; give how many did not have their turn yet.

    Those that waited for an operator begin anew with the schedule; the others go on in it.
    """
    of_endpoint = (_PARKED.c.account == account, _PARKED.c.endpoint_id == endpoint_id)
    held = update(_PARKED).where(*of_endpoint, _PARKED.c.due_at.is_(None))
    released = tx.execute(held.values(due_at=now, attempt=0)).rowcount
    waiting = update(_PARKED).where(*of_endpoint, _PARKED.c.due_at > now)
    released += tx.execute(waiting.values(due_at=now)).rowcount
    subject = f"endpoint:{endpoint_id}"
    for kind in ("keys_held", "render_failed"):
        problems.clear(tx, account, kind, subject=subject, now=now)
    return released


def last_before(tx: Connection, at: int) -> int:
    """Give the number of the last attempt before a moment; attempts are in the order of time."""
    low, high = 0, int(tx.execute(select(func.coalesce(func.max(_ATTEMPT.c.no), 0))).scalar_one())
    while low < high:
        middle = (low + high + 1) // 2
        found = tx.execute(
            select(_ATTEMPT.c.at)
            .where(_ATTEMPT.c.no <= middle)
            .order_by(_ATTEMPT.c.no.desc())
            .limit(1)
        ).scalar_one_or_none()
        if found is None or found < at:
            low = middle
        else:
            high = middle - 1
    return low


def prune(tx: Connection, *, last: int, is_accepted: bool, most: int) -> int:
    """Forget attempts up to a number, those that were accepted or the others; give how many."""
    kind = _ATTEMPT.c.outcome == "accepted"
    some = (
        select(_ATTEMPT.c.no)
        .where(_ATTEMPT.c.no <= last, kind if is_accepted else not_(kind))
        .order_by(_ATTEMPT.c.no)
        .limit(most)
    )
    return tx.execute(delete(_ATTEMPT).where(_ATTEMPT.c.no.in_(some))).rowcount


def _note_attempts(tx: Connection, rows: list[tuple[Any, ...]]) -> None:
    """Write attempts in the driver's own words.

    One is written for every delivery, and SQLAlchemy's look at each value costs more than writing.
    """
    if tx.dialect.name == "sqlite":
        for text, values in _ATTEMPTS.statements(rows):
            tx.exec_driver_sql(text, values)
    else:
        tx.exec_driver_sql(_note_attempt(tx.dialect), rows)


@cache
def _note_attempt(spoken: Dialect) -> str:
    wanted = insert(_ATTEMPT).values(dict.fromkeys(_COLUMNS)).inline()
    return str(wanted.compile(dialect=spoken))


def _parked(row: Row[Any]) -> Parked:
    return Parked(
        row.key,
        Position(row.generation, row.tx, row.seq, row.at),
        row.attempt,
        row.first_failed_at,
        row.due_at,
        row.reason,
        row.last_status,
        row.last_error,
    )


def _columns(position: Position) -> dict[str, int]:
    return position._asdict()


def _park(tx: Connection, whose: dict[str, Any], parked: Sequence[Parked]) -> None:
    if not parked:
        return
    upsert = dialect.insert(tx, _PARKED)
    changed = {
        column.name: upsert.excluded[column.name]
        for column in _PARKED.columns
        if not column.primary_key
    }
    rows = []
    for item in parked:
        row = {**whose, **item._asdict(), **_columns(item.after)}
        del row["after"]
        rows.append(row)
    tx.execute(
        upsert.on_conflict_do_update(
            index_elements=["account", "endpoint_id", "key"], set_=changed
        ),
        rows,
    )


def _free(tx: Connection, account: AccountNo, endpoint_id: EndpointId, keys: Iterable[str]) -> None:
    for some in slices(list(keys)):
        tx.execute(
            delete(_PARKED).where(
                _PARKED.c.account == account,
                _PARKED.c.endpoint_id == endpoint_id,
                _PARKED.c.key.in_(some),
            )
        )


def _bury(tx: Connection, whose: dict[str, Any], buried: Sequence[Buried]) -> None:
    if not buried:
        return
    upsert = dialect.insert(tx, _DEAD)
    changed = {name: upsert.excluded[name] for name in ("reason", "status", "attempts", "at")}
    tx.execute(
        upsert.on_conflict_do_update(
            index_elements=["account", "endpoint_id", "event_id"], set_=changed
        ),
        [{**whose, **item._asdict()} for item in buried],
    )


def _revive(
    tx: Connection,
    account: AccountNo,
    endpoint_id: EndpointId,
    event_ids: Sequence[str],
    now: int,
) -> None:
    """Take dead letters off the list that a replay has brought home; with the last the problem."""
    for some in slices(event_ids):
        tx.execute(
            delete(_DEAD).where(
                _DEAD.c.account == account,
                _DEAD.c.endpoint_id == endpoint_id,
                _DEAD.c.event_id.in_(some),
            )
        )
    left = select(_DEAD.c.event_id).where(
        _DEAD.c.account == account, _DEAD.c.endpoint_id == endpoint_id
    )
    if event_ids and tx.execute(left.limit(1)).one_or_none() is None:
        subject = f"endpoint:{endpoint_id}"
        problems.clear(tx, account, "dead_letters", subject=subject, now=now)


def _note_health(
    tx: Connection, account: AccountNo, endpoint_id: EndpointId, health: Health, version: int
) -> bool:
    """Write how an endpoint fares; False where what an operator has decided meanwhile stands."""
    noted = tx.execute(
        update(_ENDPOINT)
        .where(
            _ENDPOINT.c.account == account,
            _ENDPOINT.c.endpoint_id == endpoint_id,
            _ENDPOINT.c.state != "paused",
            _ENDPOINT.c.version == version,
        )
        .values(
            state=health.state,
            state_since=health.since,
            state_reason=health.reason,
            retry_at=health.retry_at,
            failures=health.failures,
        )
    )
    return bool(noted.rowcount)


def _tell(tx: Connection, account: AccountNo, subject: str, health: Health) -> None:
    """Keep the problems of an endpoint's state true to it."""
    for state in ("failing", "disabled"):
        kind = f"endpoint_{state}"
        if health.state == state:
            problems.raise_(
                tx,
                account,
                kind,
                subject=subject,
                detail=health.reason or "",
                now=health.since,
            )
        else:
            problems.clear(tx, account, kind, subject=subject, now=health.since)
