"""Workday policies as rows: JSON as `domain/policy.py` reads it, each valid from a date on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select

from punchgate.domain import policy
from punchgate.domain.ids import AccountNo
from punchgate.store import schema

_POLICY: Final = schema.workday_policy

#: Stands in the column of the person for a policy of the whole account; people are counted from 1.
WHOLE_ACCOUNT: Final = 0


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """One policy of an account: its rules as they were given, and the first date that it is for."""

    valid_from: date
    rules: Mapping[str, Any]


def put(tx: Connection, account: AccountNo, stored: StoredPolicy, now: int) -> None:
    """Write the policy that an account has from a date on, over one of the same date."""
    valid_from = stored.valid_from.isoformat()
    tx.execute(
        delete(_POLICY).where(
            _POLICY.c.account == account,
            _POLICY.c.person_no == WHOLE_ACCOUNT,
            _POLICY.c.valid_from == valid_from,
        )
    )
    tx.execute(
        insert(_POLICY).values(
            account=account,
            person_no=WHOLE_ACCOUNT,
            valid_from=valid_from,
            body=json.dumps(stored.rules, ensure_ascii=False, sort_keys=True),
            created_at=now,
        )
    )


def list_policies(tx: Connection, account: AccountNo) -> list[StoredPolicy]:
    """List the policies of an account, the earliest first."""
    rows = tx.execute(
        select(_POLICY.c.valid_from, _POLICY.c.body)
        .where(_POLICY.c.account == account, _POLICY.c.person_no == WHOLE_ACCOUNT)
        .order_by(_POLICY.c.valid_from)
    )
    return [StoredPolicy(date.fromisoformat(row.valid_from), json.loads(row.body)) for row in rows]


def spread(tx: Connection, account: AccountNo) -> int:
    """Tell how many days beside its own date a punch can change by the policies of this account."""
    listed = list_policies(tx, account)
    return max((policy.spread(policy.parse(stored.rules)) for stored in listed), default=0)
