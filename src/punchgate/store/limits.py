"""Windows of counted requests as rows: one per key and name.

They are in the store so that a restart gives nothing back and several processes count together.
"""

from typing import Final, NamedTuple

from sqlalchemy import Connection, select, text

from punchgate.domain.ids import AccountNo, KeyId
from punchgate.store.schema import rate_window

# One statement, so that two processes cannot both take the last request of a window. A window that
# begins after now was written before the clock was set back; it would last too long.
_TAKE: Final = text("""
    INSERT INTO rate_window (account, key_id, name, started_at, used)
    VALUES (:account, :key_id, :name, :now, 1)
    ON CONFLICT (account, key_id, name) DO UPDATE SET
        started_at = CASE
            WHEN rate_window.started_at > :ended_at AND rate_window.started_at <= :now
            THEN rate_window.started_at ELSE excluded.started_at END,
        used = CASE
            WHEN rate_window.started_at > :ended_at AND rate_window.started_at <= :now
            THEN rate_window.used + 1 ELSE 1 END
    WHERE rate_window.used < :quota
        OR rate_window.started_at <= :ended_at OR rate_window.started_at > :now
    RETURNING started_at, used
""")


class Counted(NamedTuple):
    """A window: when it began, in milliseconds, and how many requests of it are used."""

    started_at: int
    used: int


class Rate(NamedTuple):
    """How many requests a window holds, and how long it is, in milliseconds."""

    quota: int
    window_ms: int


def take(
    tx: Connection, account: AccountNo, key_id: KeyId, name: str, rate: Rate, now: int
) -> Counted | None:
    """Count one request and give the window that it fell into; None when nothing is left of it.

    A window begins with the first request after the last one ended.
    """
    row = tx.execute(
        _TAKE,
        {
            "account": account,
            "key_id": key_id,
            "name": name,
            "now": now,
            "ended_at": now - rate.window_ms,
            "quota": rate.quota,
        },
    ).one_or_none()
    return None if row is None else Counted(row.started_at, row.used)


def find(tx: Connection, account: AccountNo, key_id: KeyId, name: str) -> Counted | None:
    """Give the last window of a key, or None when it never sent a counted request."""
    row = tx.execute(
        select(rate_window.c.started_at, rate_window.c.used).where(
            rate_window.c.account == account,
            rate_window.c.key_id == key_id,
            rate_window.c.name == name,
        )
    ).one_or_none()
    return None if row is None else Counted(row.started_at, row.used)
