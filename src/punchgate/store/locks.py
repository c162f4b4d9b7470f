"""The locks that order the log on PostgreSQL; on SQLite, one writer orders it.

A transaction that appends holds a lock on each key it tells of, from its first statement on. So per
key the order of the log is the order of the commits, and two that tell of the same keys take turns
instead of deadlocking (docs/decisions/0008-one-log.md).
"""

from collections.abc import Iterable
from zlib import crc32

from sqlalchemy import Connection, text

from punchgate.domain.ids import AccountNo


def lock_key(account: AccountNo, key: str) -> int:
    """Give the number of the advisory lock that orders what is written about a key of the log."""
    return (account << 32) | crc32(key.encode())


def hold(tx: Connection, account: AccountNo, keys: Iterable[str]) -> None:
    """Hold keys until the commit; the first statement of a transaction that appends.

    Taking these locks assigns no transaction number, which is the point: the number that orders the
    log is drawn while they are held.
    """
    if tx.dialect.name == "postgresql":
        numbers = sorted({lock_key(account, key) for key in keys})
        tx.execute(
            text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS int8[])) AS key"),
            {"keys": numbers},
        )
