"""What workdays are computed from: an account's rules, and the punches within reach of a date.

Answers for loading enough and no more. Which days are stale and how rows are kept is `workdays.py`;
what a day's punches amount to is `domain/workday.py`.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import Connection, and_, select

from punchgate.domain import policy, punch, workday
from punchgate.domain.ids import AccountNo, PersonNo
from punchgate.domain.policy import Rules
from punchgate.domain.workday import DayPunch, Reach, Workday
from punchgate.store import policies, schema
from punchgate.store.database import slices

#: How far back a chain of sessions is followed before it is taken to begin there.
FARTHEST_DAYS: Final = 62
#: No clock is further from UTC; see `_certain`.
_WIDEST_OFFSET_S: Final = 14 * 3600
#: By plain calendar days, what lies further from a date's midnights says nothing about it: the
#: longest jump of a clock that is on duty, and more rest than a near-duplicate can bridge.
_MARGIN: Final = timedelta(hours=3)
_EPOCH: Final = date(1970, 1, 1).toordinal()


class Key(NamedTuple):
    """One person's date, in the order in which a report shows them within a date."""

    date: str
    person_no: PersonNo


Computed = Mapping[Key, Sequence[Workday]]


def rules(tx: Connection, account: AccountNo) -> Rules:
    """Give the rules by which an account's punches become days."""
    return policy.in_order(
        {each.valid_from: policy.parse(each.rules) for each in policies.list_policies(tx, account)}
    )


def compute(tx: Connection, account: AccountNo, keys: Collection[Key]) -> Computed:
    """Compute days from their punches; a key without a row of its own comes out empty."""
    by_rules = rules(tx, account)
    reach = workday.reach(by_rules)
    has_sessions = any(rule.attribution == "session" for rule in by_rules.policies())
    is_plain = not any(policy.spread(rule) for rule in by_rules.policies())
    found: dict[Key, list[Workday]] = {key: [] for key in keys}
    for window in _windows(keys, None if is_plain else reach):
        codes = _codes(tx, account, window.people)
        lines = _load(tx, account, codes, window.since, window.until)
        for code, person_no in codes.items():
            line = lines.get(person_no, [])
            if has_sessions:
                line = _certain(tx, account, (code, person_no), window, (line, by_rules))
            for day in workday.compute(line, by_rules):
                key = Key(day.date, person_no)
                if key in found:
                    found[key].append(day)
    return found


class _Window(NamedTuple):
    """A stretch of wall times whose punches are loaded together, from `since` up to `until`."""

    first: date
    since: datetime
    until: datetime
    people: list[PersonNo]


def _windows(keys: Collection[Key], reach: Reach | None) -> list[_Window]:
    """Lay the dates of the keys out in stretches; without a reach, dates hardly know each other."""
    by_date: dict[date, set[PersonNo]] = {}
    for key in keys:
        by_date.setdefault(date.fromisoformat(key.date), set()).add(key.person_no)
    windows: list[_Window] = []
    for day, people in sorted(by_date.items()):
        if reach is None:
            since, until = _moved(day, 0) - _MARGIN, _moved(day, 1) + _MARGIN
        else:
            since, until = _moved(day, -reach.before), _moved(day, reach.after + 1)
        if windows and since < windows[-1].until:
            last = windows.pop()
            people |= set(last.people)
            windows.append(_Window(last.first, last.since, until, sorted(people)))
        else:
            windows.append(_Window(day, since, until, sorted(people)))
    return windows


def _certain(
    tx: Connection,
    account: AccountNo,
    person: tuple[str, PersonNo],
    window: _Window,
    known: tuple[list[DayPunch], Rules],
) -> list[DayPunch]:
    """Load further back while a session from before the window could still decide its first day."""
    code, person_no = person
    line, by_rules = known
    since, days = window.since, 2
    # Every punch from this instant on is loaded, wherever on earth its clock stands.
    while days < FARTHEST_DAYS and not workday.is_enough(
        line, by_rules, since=_instant(since) + _WIDEST_OFFSET_S, day=window.first
    ):
        days *= 2
        since = _moved(window.since.date(), -days)
        line = _load(tx, account, {code: person_no}, since, window.until).get(person_no, [])
    return line


def _codes(tx: Connection, account: AccountNo, people: Sequence[PersonNo]) -> dict[str, PersonNo]:
    table = schema.person
    found: dict[str, PersonNo] = {}
    for part in slices(people):
        rows = tx.execute(
            select(table.c.user_code, table.c.person_no).where(
                table.c.account == account, table.c.person_no.in_(part)
            )
        )
        found |= {row.user_code: PersonNo(row.person_no) for row in rows}
    return found


def _load(
    tx: Connection,
    account: AccountNo,
    codes: Mapping[str, PersonNo],
    since: datetime,
    until: datetime,
) -> dict[PersonNo, list[DayPunch]]:
    """Load people's punches with wall times from `since` up to, not including, `until`."""
    table, device = schema.punch, schema.device
    found: dict[PersonNo, list[DayPunch]] = {}
    for part in slices(list(codes)):
        rows = tx.execute(
            select(
                table.c.user_code,
                table.c.punch_id,
                table.c.at,
                table.c.utc_offset_s,
                table.c.direction,
                table.c.device_id,
                table.c.flags,
                table.c.zone,
                device.c.direction_policy,
            )
            .outerjoin(
                device,
                and_(
                    device.c.account == table.c.account,
                    device.c.device_id == table.c.device_id,
                ),
            )
            .where(
                table.c.account == account,
                table.c.punch_id >= punch.first_id_at(since),
                table.c.punch_id < punch.first_id_at(until),
                table.c.user_code.in_(part),
            )
        )
        for row in rows:
            found.setdefault(codes[row.user_code], []).append(
                DayPunch(
                    row.punch_id,
                    row.at,
                    row.utc_offset_s,
                    row.direction,
                    row.device_id,
                    row.direction_policy or "as-reported",
                    tuple(row.flags.split()) if row.flags else (),
                    row.zone,
                )
            )
    return found


def _moved(day: date, days: int) -> datetime:
    """Give the midnight some days away, or near the end of the calendar: devices say those, too."""
    number = day.toordinal() + days
    return datetime.fromordinal(min(max(number, 2), date.max.toordinal() - 1))


def _instant(wall_time: datetime) -> int:
    return (wall_time.toordinal() - _EPOCH) * 86_400 + wall_time.hour * 3600
