"""The event log: append, and read in an order in which nothing is skipped.

On SQLite there is one writer, so numbers are commit order. PostgreSQL hands numbers out before the
commit: a reader that trusts them skips what commits late. There a place in the log is `(tx, seq)`,
nothing of a transaction that may still run is read, and whoever appends holds a lock on each key
from his first statement on, so that per key the order of the log is the order of the commits
(docs/decisions/0008-one-log.md).
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    and_,
    func,
    literal_column,
    select,
    text,
    tuple_,
)

from punchgate.domain.event import Entry, Event, Position
from punchgate.domain.ids import AccountNo
from punchgate.store import dialect, installation, locks, schema

_EVENT: Final = schema.event
_COLUMNS: Final = [
    _EVENT.c[name]
    for name in ("tx", "seq", "received_at", "id", "key", "type", "occurred_at", "body")
]
#: The account for SQLite's eyes only as a value: by its index it would find all of an account's
#: entries, and sort them.
_PLAIN_ACCOUNT: Final[ColumnElement[int]] = literal_column("+event.account", Integer)
#: Entries that one read looks at, wanted or not, so that no read takes long.
SPAN: Final = 20_000
#: How far before its time a position of an older generation is found again: it repeats rather than
#: skips.
_OVERLAP_MS: Final = 60_000
#: How far times of the log may be out of order.
_DISORDER_MS: Final = 300_000


class Window(NamedTuple):
    """Some entries in order, and how far the log was looked through for them."""

    entries: Sequence[Entry]
    #: Every wanted entry up to here is in `entries`, or was before the place it was read from.
    reached: Position
    #: Whether there was nothing behind it at that moment.
    is_end: bool


def append(tx: Connection, account: AccountNo, events: Sequence[Event]) -> None:
    """Append to the log; an id that is there already stays as it is.

    The keys are locked here, so nothing may have been written in this transaction before, unless
    the caller has called `locks.hold` for all of them first.
    """
    if not events:
        return
    locks.hold(tx, account, {event.key for event in events})
    tx.execute(
        dialect.insert(tx, _EVENT).on_conflict_do_nothing(index_elements=["account", "id"]),
        [{"account": account, **event._asdict()} for event in events],
    )


def find(tx: Connection, account: AccountNo, event_id: str) -> Entry | None:
    """Give one entry of the log."""
    wanted = select(*_COLUMNS).where(_EVENT.c.account == account, _EVENT.c.id == event_id)
    found = _entries(tx.execute(wanted), installation.generation(tx))
    return found[0] if found else None


def read(
    tx: Connection,
    account: AccountNo,
    after: Position,
    *,
    limit: int,
    until: Position | None = None,
    keys: Collection[str] | None = None,
) -> Window:
    """Read on from a place: at most `limit` entries, of some keys alone where they are given.

    At most `SPAN` entries are looked at; a window may be empty and not the end.
    """
    after = resolve(tx, account, after)
    if tx.dialect.name == "sqlite":
        return _read_sqlite(tx, account, after, limit, until, keys)
    return _read_postgres(tx, account, after, limit, until, keys)


def start_of(tx: Connection, account: AccountNo, received_at: int) -> Position:
    """Give the place before the first entry that was received at a moment or later.

    The log has no index by time: it is in order of time but for clocks that were set back, so it is
    bisected to a little before the moment and read on from there.
    """
    place = _bisect(tx, account, received_at - _DISORDER_MS)
    while True:
        window = read(tx, account, place, limit=1_000)
        for entry in window.entries:
            if entry.received_at >= received_at:
                before = entry.position
                return before._replace(seq=before.seq - 1)
        place = window.reached
        if window.is_end:
            return place


def end_of(tx: Connection, account: AccountNo) -> Position:
    """Give the place behind everything that can be read now."""
    generation = installation.generation(tx)
    wanted = (
        select(_EVENT.c.tx, _EVENT.c.seq, _EVENT.c.received_at)
        .where(_EVENT.c.account == account, *_visible(tx))
        .order_by(_EVENT.c.tx.desc(), _EVENT.c.seq.desc())
        .limit(1)
    )
    if tx.dialect.name == "sqlite":
        # Whose the last entry is does not matter, and asking would walk back over all others.
        wanted = (
            select(_EVENT.c.tx, _EVENT.c.seq, _EVENT.c.received_at)
            .order_by(_EVENT.c.seq.desc())
            .limit(1)
        )
    last = tx.execute(wanted).one_or_none()
    if last is None:
        return Position(generation, 0, 0, 0)
    return Position(generation, last.tx, last.seq, last.received_at)


def resolve(tx: Connection, account: AccountNo, position: Position) -> Position:
    """Find a position of an older generation again, by its time; any other is given back."""
    generation = installation.generation(tx)
    if position.generation == generation:
        return position
    return start_of(tx, account, position.at - _OVERLAP_MS)


def with_news(tx: Connection, ends: dict[AccountNo, Position]) -> list[AccountNo]:
    """Say which accounts have entries behind a place of each; one question for all of them."""
    if not ends:
        return []
    if tx.dialect.name == "sqlite":
        lowest = min(end.seq for end in ends.values())
        rows = tx.execute(
            select(_EVENT.c.account, func.max(_EVENT.c.seq).label("seq"))
            .where(_EVENT.c.seq > lowest)
            .group_by(_EVENT.c.account)
        )
        found = {AccountNo(row.account): row.seq for row in rows}
        return [account for account, end in ends.items() if found.get(account, 0) > end.seq]
    rows = tx.execute(
        text(
            "SELECT e.account FROM unnest(CAST(:accounts AS int4[]), CAST(:txs AS int8[]),"
            " CAST(:seqs AS int8[])) AS e (account, tx, seq) WHERE EXISTS (SELECT 1 FROM event"
            " WHERE event.account = e.account AND (event.tx, event.seq) > (e.tx, e.seq)"
            " AND event.tx < CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS int8))"
        ),
        {
            "accounts": list(ends),
            "txs": [end.tx for end in ends.values()],
            "seqs": [end.seq for end in ends.values()],
        },
    )
    return [AccountNo(row.account) for row in rows]


def _read_sqlite(
    tx: Connection,
    account: AccountNo,
    after: Position,
    limit: int,
    until: Position | None,
    keys: Collection[str] | None,
) -> Window:
    last = end_of(tx, account)
    end = last if until is None else min(until, last)
    stop = min(after.seq + SPAN, end.seq)
    rows = tx.execute(
        select(*_COLUMNS)
        .where(
            _EVENT.c.seq > after.seq,
            _EVENT.c.seq <= stop,
            _PLAIN_ACCOUNT == account,  # noqa: SIM300 (a column)
            *_of_keys(keys),
        )
        .order_by(_EVENT.c.seq)
        .limit(limit)
    )
    entries = _entries(rows, after.generation)
    if len(entries) == limit:
        return Window(entries, entries[-1].position, is_end=False)
    at = end.at if stop == end.seq else entries[-1].received_at if entries else after.at
    reached = Position(after.generation, 0, max(stop, after.seq), at)
    return Window(entries, reached, is_end=stop >= end.seq)


def _read_postgres(
    tx: Connection,
    account: AccountNo,
    after: Position,
    limit: int,
    until: Position | None,
    keys: Collection[str] | None,
) -> Window:
    place = tuple_(_EVENT.c.tx, _EVENT.c.seq)
    wanted = [_EVENT.c.account == account, place > tuple_(after.tx, after.seq), *_visible(tx)]
    if until is not None:
        wanted.append(place <= tuple_(until.tx, until.seq))
    looked_at = SPAN if keys is not None else limit
    span = (
        select(*_COLUMNS).where(and_(*wanted)).order_by(_EVENT.c.tx, _EVENT.c.seq).limit(looked_at)
    )
    if keys is None:
        entries = _entries(tx.execute(span), after.generation)
        reached = entries[-1].position if entries else after
        return Window(entries, reached, is_end=len(entries) < limit)
    part = span.subquery()
    rows = tx.execute(
        select(part).where(part.c.key.in_(keys)).order_by(part.c.tx, part.c.seq).limit(limit)
    )
    entries = _entries(rows, after.generation)
    if len(entries) == limit:
        return Window(entries, entries[-1].position, is_end=False)
    last = tx.execute(
        select(part.c.tx, part.c.seq, part.c.received_at, func.count().over().label("looked_at"))
        .order_by(part.c.tx.desc(), part.c.seq.desc())
        .limit(1)
    ).one_or_none()
    if last is None:
        return Window(entries, after, is_end=True)
    reached = Position(after.generation, last.tx, last.seq, last.received_at)
    return Window(entries, reached, is_end=last.looked_at < SPAN)


def _bisect(tx: Connection, account: AccountNo, received_at: int) -> Position:
    """Give a place with nothing before it from a moment on, if times only ever rise."""
    generation = installation.generation(tx)
    last = end_of(tx, account)

    def is_before(number: int, seq: int) -> bool:
        """Say whether what stands behind a place is older than the moment."""
        row = tx.execute(
            select(_EVENT.c.received_at)
            .where(*_behind(tx, account, number, seq))
            .order_by(*_order(tx))
            .limit(1)
        ).one_or_none()
        return row is not None and row.received_at < received_at

    number = _first(0, last.tx, lambda middle: is_before(middle, -1)) if last.tx else 0
    # The last transaction that begins too early may hold the entry; then its numbers decide.
    number = max(0, number - 1)
    seq = _first(0, last.seq + 1, lambda middle: is_before(number, middle))
    return Position(generation, number, max(0, seq - 1), received_at)


def _first(low: int, high: int, is_before: Callable[[int], bool]) -> int:
    """Give the first number from `low` to `high` for which `is_before` is false."""
    while low < high:
        middle = (low + high) // 2
        if is_before(middle):
            low = middle + 1
        else:
            high = middle
    return low


def _behind(tx: Connection, account: AccountNo, number: int, seq: int) -> tuple[Any, ...]:
    if tx.dialect.name == "sqlite":
        return (_EVENT.c.seq > seq,)
    place = tuple_(_EVENT.c.tx, _EVENT.c.seq)
    return _EVENT.c.account == account, place > tuple_(number, seq), *_visible(tx)


def _of_keys(keys: Collection[str] | None) -> tuple[Any, ...]:
    return () if keys is None else (_EVENT.c.key.in_(keys),)


def _order(tx: Connection) -> tuple[Any, ...]:
    # On SQLite `tx` is 0 everywhere, and naming it would cost the order of the key.
    return (_EVENT.c.seq,) if tx.dialect.name == "sqlite" else (_EVENT.c.tx, _EVENT.c.seq)


def _visible(tx: Connection) -> tuple[Any, ...]:
    """Keep to entries of transactions that have ended, and all below which have."""
    if tx.dialect.name == "sqlite":
        return ()
    oldest = "CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS int8)"
    return (_EVENT.c.tx < literal_column(oldest),)


def _entries(rows: Iterable[Any], generation: int) -> list[Entry]:
    """Make entries of rows of `_COLUMNS`; by place, because names cost more than the read."""
    return [
        Entry(Position(generation, tx, seq, at), name, key, kind, occurred_at, at, body)
        for tx, seq, at, name, key, kind, occurred_at, body in rows
    ]
