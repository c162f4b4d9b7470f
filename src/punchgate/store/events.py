"""The event log, as far as it is read today: the entry of one fact."""

from sqlalchemy import Connection, select

from punchgate.domain.event import Event
from punchgate.domain.ids import AccountNo
from punchgate.store import schema


def find(tx: Connection, account: AccountNo, event_id: str) -> tuple[int, Event] | None:
    """Give an entry of the log and its number."""
    table = schema.event
    row = tx.execute(
        select(table).where(table.c.account == account, table.c.id == event_id)
    ).one_or_none()
    if row is None:
        return None
    entry = Event(row.id, row.key, row.type, row.occurred_at, row.received_at, row.body)
    return row.seq, entry
