"""The one row that belongs to the installation: its revision, and the probe of `/readyz`.

The exception to "the account comes second": these functions speak of the whole installation.
"""

from sqlalchemy import Connection, select, update

from punchgate.store import schema
from punchgate.store.schema import installation


def bump(tx: Connection) -> None:
    """Say that what processes remember (account, device, key, person, policy) has changed."""
    tx.execute(update(installation).values(revision=installation.c.revision + 1))


def revision(tx: Connection) -> int:
    """Give the number that grows with every such change."""
    return int(tx.execute(select(installation.c.revision)).scalar_one())


def probe(tx: Connection, now: int) -> None:
    """Write something, so that whoever asks knows that a write reaches the disk."""
    tx.execute(update(installation).values(probed_at=now))


def has_sealed(tx: Connection) -> bool:
    """Say whether anything is kept that only the master key opens."""
    secrets = select(schema.endpoint.c.account).where(schema.endpoint.c.removed_at.is_(None))
    keys = select(schema.terminal.c.account).where(schema.terminal.c.comm_key.is_not(None))
    return any(tx.execute(wanted.limit(1)).first() is not None for wanted in (secrets, keys))


def generation(tx: Connection) -> int:
    """Give the number that rises when places in the log lose their meaning, as after a restore."""
    return int(tx.execute(select(installation.c.generation)).scalar_one())


def cursor_secret(tx: Connection) -> bytes:
    """Give the 32 random bytes that the cursors of the pull twin are signed with; never changes."""
    return bytes(tx.execute(select(installation.c.cursor_secret)).scalar_one())
