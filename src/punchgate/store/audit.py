"""Who changed what: appended in the transaction of the change, never altered afterwards.

What stands in `before` and `after` is the use case's decision; nothing secret and nothing that
erasing a person would have to find again may enter.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select

from punchgate.domain.ids import AccountNo
from punchgate.store import schema

_AUDIT: Final = schema.audit


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of a `subject` (`device:main-gate`): its values `before` and `after`.

    `before` is None for what was made, `after` for what was taken away. `at` is in milliseconds.
    """

    at: int
    actor: str
    action: str
    subject: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


def append(tx: Connection, account: AccountNo, entry: Entry) -> None:
    """Write one entry."""
    tx.execute(
        insert(_AUDIT).values(
            account=account,
            at=entry.at,
            actor=entry.actor,
            action=entry.action,
            subject=entry.subject,
            before=_text(entry.before),
            after=_text(entry.after),
        )
    )


def list_entries(tx: Connection, account: AccountNo, *, limit: int) -> list[Entry]:
    """List the latest entries of an account, newest first."""
    rows = tx.execute(
        select(_AUDIT).where(_AUDIT.c.account == account).order_by(_AUDIT.c.no.desc()).limit(limit)
    )
    return [_entry(row) for row in rows]


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        at=row.at,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        before=None if row.before is None else json.loads(row.before),
        after=None if row.after is None else json.loads(row.after),
    )


def _text(values: Mapping[str, Any] | None) -> str | None:
    return None if values is None else json.dumps(values, ensure_ascii=False, sort_keys=True)
