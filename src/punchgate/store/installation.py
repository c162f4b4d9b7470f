"""The one row that belongs to the installation: its revision, and the probe of `/readyz`.

The exception to "the account comes second": these functions speak of the whole installation.
"""

from sqlalchemy import Connection, select, update

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
