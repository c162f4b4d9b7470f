"""What `doctor` asks of the whole installation; no account, because it speaks of all of them."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Select, func, select

from punchgate.store import schema
from punchgate.store.workdays import count_stale

#: The database's own word for a file without damage.
INTACT: Final = "ok"
_MENDED: Final = (3, 51, 3)


@dataclass(frozen=True, slots=True)
class Findings:
    """What somebody may want to look at."""

    #: `SQLite 3.51.3`, `PostgreSQL 15.18`.
    database: str
    #: A SQLite in which two checkpointers race, and may damage the file. We have one.
    has_race: bool
    #: `ok`, or the database's first complaint.
    integrity: str
    quarantined: int
    unclaimed: int
    stale: int
    #: Of all accounts, what somebody should look at.
    problems: int


def examine(tx: Connection) -> Findings:
    """Check the file and count what waits for somebody."""
    held = schema.quarantine
    is_sqlite = tx.dialect.name == "sqlite"
    version = tx.dialect.server_version_info or ()
    number = ".".join(map(str, version))
    return Findings(
        database=f"{'SQLite' if is_sqlite else 'PostgreSQL'} {number}",
        has_race=is_sqlite and version < _MENDED,
        integrity=_integrity(tx),
        quarantined=_count(tx, select(func.count()).where(held.c.state == "open")),
        unclaimed=_count(tx, select(func.count()).select_from(schema.unclaimed)),
        stale=count_stale(tx),
        problems=_count(tx, select(func.count()).where(schema.problem.c.cleared_at.is_(None))),
    )


def _integrity(tx: Connection) -> str:
    if tx.dialect.name != "sqlite":
        return INTACT
    return str(tx.exec_driver_sql("PRAGMA quick_check(1)").scalar_one())


def _count(tx: Connection, question: Select[int]) -> int:
    return int(tx.execute(question).scalar_one())
