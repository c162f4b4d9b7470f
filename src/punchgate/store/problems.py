"""What an operator should look at, as rows: raised once, counted while it lasts, cleared."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, select, update

from punchgate.domain.ids import AccountNo
from punchgate.store import dialect, schema

_PROBLEM: Final = schema.problem


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to look at: what kind, of what (`endpoint:ep_…`), and a sentence.

    Instants are in milliseconds; `cleared_at` is None while it is open. `times` counts how often it
    was raised, `last_at` says when it was last.
    """

    kind: str
    subject: str
    detail: str
    raised_at: int
    last_at: int
    times: int
    cleared_at: int | None = None


def raise_(
    tx: Connection, account: AccountNo, kind: str, *, subject: str, detail: str, now: int
) -> bool:
    """Raise a problem, or count it once more; say whether it is new.

    A problem that was raised again has the later sentence, and keeps its beginning.
    """
    values = {"account": account, "kind": kind, "subject": subject}
    again = tx.execute(
        update(_PROBLEM)
        .where(*_open(account, kind, subject))
        .values(detail=detail, last_at=now, times=_PROBLEM.c.times + 1)
    )
    if again.rowcount:
        return False
    # Another process may have raised it since; then this one is not the first.
    made = tx.execute(
        dialect.insert(tx, _PROBLEM)
        .values(**values, detail=detail, raised_at=now, last_at=now, times=1)
        .on_conflict_do_nothing()
        .returning(_PROBLEM.c.no)
    )
    return made.one_or_none() is not None


def clear(tx: Connection, account: AccountNo, kind: str, *, subject: str, now: int) -> bool:
    """Close a problem; say whether it was open."""
    closed = tx.execute(
        update(_PROBLEM).where(*_open(account, kind, subject)).values(cleared_at=now)
    )
    return closed.rowcount == 1


def is_open(tx: Connection, account: AccountNo, kind: str, *, subject: str) -> bool:
    """Say whether a problem is open."""
    found = tx.execute(select(_PROBLEM.c.no).where(*_open(account, kind, subject)))
    return found.first() is not None


def list_subjects(tx: Connection, kind: str) -> set[tuple[AccountNo, str]]:
    """Give whom every account has an open problem of this kind with: upkeep goes through all."""
    found = tx.execute(
        select(_PROBLEM.c.account, _PROBLEM.c.subject).where(
            _PROBLEM.c.kind == kind, _PROBLEM.c.cleared_at.is_(None)
        )
    )
    return {(AccountNo(account), subject) for account, subject in found.all()}


def clear_all(tx: Connection, account: AccountNo, *, subject: str, now: int) -> None:
    """Close every problem of something that is gone."""
    tx.execute(
        update(_PROBLEM)
        .where(
            _PROBLEM.c.account == account,
            _PROBLEM.c.subject == subject,
            _PROBLEM.c.cleared_at.is_(None),
        )
        .values(cleared_at=now)
    )


def list_problems(
    tx: Connection, account: AccountNo, *, only_open: bool, limit: int
) -> list[Problem]:
    """List problems, those raised last first."""
    wanted = select(_PROBLEM).where(_PROBLEM.c.account == account)
    if only_open:
        wanted = wanted.where(_PROBLEM.c.cleared_at.is_(None))
    rows = tx.execute(wanted.order_by(_PROBLEM.c.no.desc()).limit(limit))
    return [
        Problem(
            row.kind,
            row.subject,
            row.detail,
            row.raised_at,
            row.last_at,
            row.times,
            row.cleared_at,
        )
        for row in rows
    ]


def _open(account: AccountNo, kind: str, subject: str) -> tuple[Any, ...]:
    return (
        _PROBLEM.c.account == account,
        _PROBLEM.c.kind == kind,
        _PROBLEM.c.subject == subject,
        _PROBLEM.c.cleared_at.is_(None),
    )
