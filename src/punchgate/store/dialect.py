"""What the two databases spell differently and several modules need: upserts, and their clock."""

from typing import Any

from sqlalchemy import Connection, Table, literal_column
from sqlalchemy.dialects import postgresql, sqlite


def insert(tx: Connection, table: Table) -> Any:
    """Begin an INSERT that may meet a row: the same by two classes without a common base."""
    return (sqlite if tx.dialect.name == "sqlite" else postgresql).insert(table)


def now(tx: Connection) -> Any:
    """Give the database's clock in milliseconds: leases of several hosts need one clock."""
    if tx.dialect.name == "sqlite":
        return literal_column("CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)")
    return literal_column("CAST(extract(epoch FROM clock_timestamp()) * 1000 AS int8)")
