"""Workday policies: the rules by which an account's punches become days, each valid from a date on.

Punches are never touched by a policy; a new one only makes the days from its date on worth
computing again. What the rules mean is `domain/policy.py` and `domain/workday.py`.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from punchgate.domain import policy
from punchgate.domain.ids import AccountNo
from punchgate.store import policies, workdays
from punchgate.store.database import Connection
from punchgate.store.policies import StoredPolicy
from punchgate.usecases import audit
from punchgate.usecases.audit import Entry
from punchgate.usecases.context import Context

__all__ = ["StoredPolicy", "list_policies", "set_policy"]


async def set_policy(
    context: Context,
    account: AccountNo,
    new: StoredPolicy,
    *,
    actor: str,
    now: int,
) -> StoredPolicy:
    """Give an account other rules from a date on; the days since then are computed again.

    Errors:     Invalid when the rules cannot be read.
    Repeating:  the same rules from the same date change nothing.
    """
    policy.parse(new.rules)

    def work(tx: Connection) -> StoredPolicy:
        before = _from(policies.list_policies(tx, account), new.valid_from)
        if before == new.rules:
            return new
        spread = policies.spread(tx, account)
        policies.put(tx, account, new, now)
        spread = max(spread, policies.spread(tx, account))
        workdays.mark_stale(tx, account, new.valid_from, spread=spread)
        subject = f"policy:{new.valid_from.isoformat()}"
        audit.note(tx, account, Entry(now, actor, "policy.set", subject, before, new.rules))
        return new

    return await context.writer.run(work)


async def list_policies(context: Context, account: AccountNo) -> Sequence[StoredPolicy]:
    """List the policies of an account, the earliest first; none means the defaults."""
    return await context.database.read(lambda tx: policies.list_policies(tx, account))


def _from(known: Sequence[StoredPolicy], valid_from: date) -> Mapping[str, Any] | None:
    return next((stored.rules for stored in known if stored.valid_from == valid_from), None)
