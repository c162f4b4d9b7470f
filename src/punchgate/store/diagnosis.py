"""What `doctor` asks of the whole installation; no account, because it speaks of all of them."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Select, func, select

from punchgate.store import schema

#: The database's own word for a file without damage.
INTACT: Final = "ok"


@dataclass(frozen=True, slots=True)
class Findings:
    """What somebody may want to look at."""

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
    return Findings(
        integrity=_integrity(tx),
        quarantined=_count(tx, select(func.count()).where(held.c.state == "open")),
        unclaimed=_count(tx, select(func.count()).select_from(schema.unclaimed)),
        stale=_count(tx, select(func.count()).select_from(schema.workday_stale)),
        problems=_count(tx, select(func.count()).where(schema.problem.c.cleared_at.is_(None))),
    )


def _integrity(tx: Connection) -> str:
    if tx.dialect.name != "sqlite":
        return INTACT
    return str(tx.exec_driver_sql("PRAGMA quick_check(1)").scalar_one())


def _count(tx: Connection, question: Select[int]) -> int:
    return int(tx.execute(question).scalar_one())
