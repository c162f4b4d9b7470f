"""What became of one event at every endpoint of its account, as far as it is kept.

Reading only, and nothing is decided here. Secrets are not read: the story of a punch can be told
without the master key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, select

from punchgate.domain.endpoint import Filter, State
from punchgate.domain.event import Entry, Position
from punchgate.domain.ids import AccountNo, EndpointId
from punchgate.store import cursors, events, schema
from punchgate.store.cursors import Buried, Parked, Tried

_ENDPOINT: Final = schema.endpoint
_CURSOR: Final = schema.cursor
_ATTEMPT: Final = schema.attempt
_DEAD: Final = schema.dead
_PLACE: Final = (_CURSOR.c.generation, _CURSOR.c.tx, _CURSOR.c.seq, _CURSOR.c.at)

#: Attempts that are read of one event, at all endpoints together.
_MOST: Final = 10_000
#: How far the clocks of servers may be apart.
_DISORDER_MS: Final = 300_000


@dataclass(frozen=True, slots=True)
class Fate:
    """One event at one endpoint; instants in milliseconds."""

    endpoint_id: EndpointId
    address: str
    filter: Filter
    state: State
    created_at: int
    #: How far it has come; None once it was removed.
    cursor: Position | None
    #: Requests with the event, the first one first.
    tried: Sequence[Tried]
    dead: Buried | None
    #: The event's key, where it waits, whether for this event or for one before it.
    parked: Parked | None


def list_fates(tx: Connection, account: AccountNo, entry: Entry) -> list[Fate]:
    """List what is kept of an event, by endpoint, in the order in which they were made.

    A removed endpoint is among them for as long as its attempts are kept.
    """
    tried = _tried(tx, account, entry)
    dead = _dead(tx, account, entry.id)
    parked = _parked(tx, account, entry.key)
    rows = tx.execute(
        select(_ENDPOINT, *(column.label(f"at_{column.name}") for column in _PLACE))
        .outerjoin(
            _CURSOR,
            (_CURSOR.c.account == _ENDPOINT.c.account)
            & (_CURSOR.c.endpoint_id == _ENDPOINT.c.endpoint_id),
        )
        .where(_ENDPOINT.c.account == account)
        .order_by(_ENDPOINT.c.created_at, _ENDPOINT.c.endpoint_id)
    ).all()
    return [
        Fate(
            EndpointId(row.endpoint_id),
            row.address,
            msgspec.json.decode(row.filter, type=Filter),
            row.state,
            row.created_at,
            _place(tx, account, row),
            tried.get(row.endpoint_id, ()),
            dead.get(row.endpoint_id),
            parked.get(row.endpoint_id),
        )
        for row in rows
        if row.removed_at is None or row.endpoint_id in tried
    ]


def _place(tx: Connection, account: AccountNo, row: Row[Any]) -> Position | None:
    if row.at_seq is None:
        return None
    found = Position(row.at_generation, row.at_tx, row.at_seq, row.at_at)
    return events.resolve(tx, account, found)


def _tried(tx: Connection, account: AccountNo, entry: Entry) -> dict[str, list[Tried]]:
    # There is no index by event: one insert more for each delivery is too dear for a question that
    # is asked this rarely. No attempt is older than its event, and they are in the order of time.
    before = cursors.last_before(tx, entry.received_at - _DISORDER_MS)
    rows = tx.execute(
        select(_ATTEMPT)
        .where(
            _ATTEMPT.c.account == account,
            _ATTEMPT.c.no > before,
            _ATTEMPT.c.event_id == entry.id,
        )
        .order_by(_ATTEMPT.c.no)
        .limit(_MOST)
    )
    found: dict[str, list[Tried]] = {}
    for row in rows:
        item = Tried(*(getattr(row, name) for name in Tried._fields))
        found.setdefault(row.endpoint_id, []).append(item)
    return found


def _dead(tx: Connection, account: AccountNo, event_id: str) -> dict[str, Buried]:
    rows = tx.execute(select(_DEAD).where(_DEAD.c.account == account, _DEAD.c.event_id == event_id))
    return {
        row.endpoint_id: Buried(*(getattr(row, name) for name in Buried._fields)) for row in rows
    }


def _parked(tx: Connection, account: AccountNo, key: str) -> dict[str, Parked]:
    return {
        endpoint_id: item._replace(after=events.resolve(tx, account, item.after))
        for endpoint_id, item in cursors.find_parked(tx, account, key).items()
    }
