"""Which changes of kept days the log is told: those that came after the day had ended.

Answers for who and when, a few reads for a whole batch. What has changed comes from `workdays.py`,
which also appends what is prepared here; how it reads is `domain/event_summary.py`.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

from sqlalchemy import Connection, select

from punchgate.domain import day_end, event_summary, localtime
from punchgate.domain.event import Event
from punchgate.domain.event_summary import Change
from punchgate.domain.ids import AccountNo, PersonNo
from punchgate.store import locks, people, schema, workday_source

_ACCOUNT: Final = schema.account


def prepare(
    tx: Connection,
    account: AccountNo,
    changes: Sequence[tuple[PersonNo, Change]],
    *,
    now: int,
    default_zone: str,
) -> list[Event]:
    """Make the events of changed days and lock their keys; nothing is written yet.

    A day ends by its policy and on the account's clock; `default_zone` is that of an account that
    has none. `now` is in milliseconds.
    """
    if not changes:
        return []
    named = tx.execute(
        select(_ACCOUNT.c.name, _ACCOUNT.c.zone).where(_ACCOUNT.c.no == account)
    ).one()
    rules = workday_source.rules(tx, account)
    zone = localtime.find_zone(named.zone or default_zone)
    ended = {
        day
        for day in {change.date for _, change in changes}
        if day_end.ends_at(date.fromisoformat(day), rules, zone) * 1000 <= now
    }
    told = [(no, change) for no, change in changes if change.date in ended]
    if not told:
        return []
    known = people.find_numbers(tx, account, {no for no, _ in told})
    made = [
        event_summary.summary_updated(change, known[no], account_name=named.name, now=now)
        for no, change in told
    ]
    locks.hold(tx, account, {event.key for event in made})
    return made
