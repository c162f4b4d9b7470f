"""What the outside may be told of a workday that changed after it had ended.

Answers for the body and the id of `summary.updated`. Which days have ended is `day_end.py`; which
have changed is known where they are kept.
"""

from datetime import date
from hashlib import sha256
from typing import Final, Literal, NamedTuple, get_args

from punchgate.domain.event import Event, person_json
from punchgate.domain.person import Person
from punchgate.domain.punch import ulid_text
from punchgate.domain.workday import Workday, hours_decimal, working_hours

Reason = Literal["late_punch", "policy_changed", "zone_changed", "erased", "adjustment"]
#: Why a day may have changed.
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)

#: The flag of a row of punches that lie in no shift, which is a row beside that of the shift.
OFF_SHIFT: Final = "off_shift"
_DAY_MS: Final = 86_400_000
_EPOCH: Final = date(1970, 1, 1).toordinal()


class Stand(NamedTuple):
    """A day as it stood or stands; `day` is None where it has no punch, version 0 never had one."""

    version: int
    day: Workday | None


class Change(NamedTuple):
    """A row of a person's date that came out differently."""

    date: str
    is_off_shift: bool
    before: Stand
    after: Stand
    reason: Reason


def summary_updated(change: Change, person: Person, *, account_name: str, now: int) -> Event:
    """Tell that a day is not any more what was told of it, and what it is now."""
    version, day = change.after
    first_in, last_out, worked_s = (
        (None, None, None) if day is None else (day.first_in, day.last_out, day.worked_s)
    )
    marks = (OFF_SHIFT,) if change.is_off_shift else ()
    flags = marks if day is None else (*day.flags, *marks)
    # A day without punches misses both.
    missing = ("in", "out") if day is None else day.missing
    return Event(
        id=_id(change, person, account_name),
        key=f"person:{person.code}",
        type="summary.updated",
        occurred_at=now,
        received_at=now,
        body=(
            f'{{"person":{person_json(person.code, person.custom_id, person.name)},'
            f'"date":"{change.date}","version":{version},"reason":"{change.reason}",'
            f'"first_in":{_wall(first_in)},"last_out":{_wall(last_out)},'
            f'{_worked(worked_s)},"status":"{_status(day)}",'
            f'"missing":{_names(missing)},"flags":{_names(flags)},"final":false,'
            f'"previous":{_previous(change.before)}}}'
        ),
    )


def tombstone(day: str, version: int) -> str:
    """Write what is left of the body when its person is erased."""
    return f'{{"date":"{day}","version":{version},"erased":true}}'


def _id(change: Change, person: Person, account_name: str) -> str:
    """Derive the id: the same for the same version of the same day, whenever it is computed."""
    named = [account_name, person.code, change.date, str(change.after.version)]
    if change.is_off_shift:
        named.append(OFF_SHIFT)
    digest = sha256("\x1f".join(named).encode()).digest()
    days = date.fromisoformat(change.date).toordinal() - _EPOCH
    return f"evt_{ulid_text(max(0, days * _DAY_MS), digest[:10])}"


def _previous(stand: Stand) -> str:
    version, day = stand
    worked = "null" if day is None or day.worked_s is None else str(day.worked_s)
    status = "null" if day is None else f'"{day.status}"'
    return f'{{"version":{version},"worked_seconds":{worked},"status":{status}}}'


def _status(day: Workday | None) -> str:
    return "incomplete" if day is None else day.status


def _worked(seconds: int | None) -> str:
    if seconds is None:
        return '"worked_seconds":null,"working_hours":null,"hours_decimal":null'
    return (
        f'"worked_seconds":{seconds},"working_hours":"{working_hours(seconds)}",'
        f'"hours_decimal":{hours_decimal(seconds)!r}'
    )


def _wall(text: str | None) -> str:
    return "null" if text is None else f'"{text.replace(" ", "T")}"'


def _names(names: tuple[str, ...]) -> str:
    return "[" + ",".join(f'"{name}"' for name in names) + "]"
