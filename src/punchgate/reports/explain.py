"""One punch from its raw bytes to its endpoints: every step, with the reason for it.

Everything shown is read from the store or derived again from what is there; nothing is guessed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, Final

from punchgate.domain import codes, event, localtime, punch
from punchgate.domain.account import Account
from punchgate.domain.error import NotFound
from punchgate.domain.event import Entry
from punchgate.domain.ids import PersonNo, PunchId
from punchgate.domain.punch import Punch
from punchgate.domain.workday import Activity
from punchgate.reports import explain_deliveries
from punchgate.store import events, people, punches, quarantine, workdays
from punchgate.store.database import Connection, Database
from punchgate.store.workdays import Key

_DAYS_AROUND: Final = 1

_ZONES: Final[Mapping[str, str]] = {
    "device": "The text had no offset, so the device's own zone says which instant it was.",
    "account": "The text had no offset and the device no zone, so the account's zone counts.",
    "installation": "Neither text, device nor account named a zone: the installation's counts.",
    "offset": "The text said its offset from UTC; the wall time is that instant in the zone.",
    "epoch": "The text was Unix time; the wall time is that instant in the zone.",
}
_FLAGS: Final[Mapping[str, str]] = {
    "ambiguous_local_time": "The clocks were set back: this wall time came twice.",
    "fold_inferred": "The second pass, because the device had punched after the first already.",
    "nonexistent_local_time": "The clocks were set forward: moved on by the gap.",
    "late_upload": "It arrived more than a day after its instant.",
    "clock_skew": "It was held while our own clock was behind, and judged again by the right one.",
    "released": "An operator released it from quarantine.",
    "unknown_state": "The device's table does not know the direction code.",
    "unknown_input_type": "The table does not know the verify code.",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what is there, and why it is so."""

    title: str
    values: Mapping[str, Any]
    reason: str


@dataclass(frozen=True, slots=True)
class Story:
    """A punch's whole story, in order."""

    punch_id: PunchId
    steps: tuple[Step, ...]


async def explain(database: Database, account: Account, punch_id: PunchId) -> Story:
    """Tell the story of a punch.

    Errors:  NotFound.
    """
    return await database.read(partial(_explain, account, punch_id))


def as_data(story: Story) -> dict[str, Any]:
    """Give the story as plain values, for JSON."""
    return {
        "punch_id": story.punch_id,
        "steps": [
            {"title": step.title, **step.values, "reason": step.reason} for step in story.steps
        ],
    }


def _explain(account: Account, punch_id: PunchId, tx: Connection) -> Story:
    found = punches.find(tx, account.no, punch_id)
    if found is None:
        raise NotFound(f"There is no punch {punch_id!r} in the account {account.name!r}.")
    steps = [_bytes(found), _reading(found), _identity(found, account), _zone(found)]
    held = quarantine.find_of_punch(tx, account.no, punch_id)
    if held is not None:
        values = {
            "quarantine_id": held.id,
            "reason_then": held.reason,
            "released_at": _text(held.decided_at),
        }
        steps.append(Step("quarantine", values, "It was held first, and an operator released it."))
    steps.append(_workday(tx, found))
    entry = events.find(tx, found.account, f"evt_{found.punch_id}")
    steps.append(_event(entry))
    if entry is not None:
        steps += _deliveries(tx, found, entry)
    return Story(punch_id, tuple(steps))


def _bytes(found: Punch) -> Step:
    values = {
        "raw": found.raw.decode("utf-8", "backslashreplace"),
        "transport": found.transport,
        "received_at": _text(found.received_at),
        "serial": found.serial,
        "device_id": found.device_id,
    }
    return Step("bytes", values, "What the device sent, kept as it was; nothing may change it.")


def _reading(found: Punch) -> Step:
    values = {
        "user_code": found.user_code,
        "time_text": found.time_text,
        "direction_code": found.direction_code,
        "direction": found.direction,
        "verify_code": found.verify_code,
        "verify": found.verify,
        "code_table": found.code_table,
    }
    why = f"Codes are named by the device's own tables, else by those of {found.code_table}."
    return Step("reading", values, " ".join([why, *_flag_reasons(found, _FLAGS)]))


def _identity(found: Punch, account: Account) -> Step:
    wall_time = datetime.fromisoformat(found.wall_time)
    derived = punch.derive_id(
        account.name,
        found.serial,
        found.user_code,
        wall_time,
        found.wall_time,
        found.direction_code,
    )
    code = codes.UNSPECIFIED_CODE if found.direction_code is None else found.direction_code
    values = {
        "punch_id": found.punch_id,
        "derived_again": derived,
        "is_equal": derived == found.punch_id,
        "texts": [account.name, found.serial, found.user_code, found.wall_time, str(code)],
    }
    why = (
        "The id is the wall time and a hash of these five texts: sent again, it is the same punch."
    )
    return Step("identity", values, why)


def _zone(found: Punch) -> Step:
    values = {
        "wall_time": found.wall_time,
        "zone": found.zone,
        "zone_source": found.zone_source,
        "utc_offset": event.offset_text(found.utc_offset_s),
        "at": _text(found.at * 1000),
        "zone_data": localtime.ZONE_DATA_VERSION,
        "flags": found.flags.split(),
    }
    return Step("zone", values, _ZONES[found.zone_source])


def _workday(tx: Connection, found: Punch) -> Step:
    person = people.find(tx, found.account, found.user_code)
    number = PersonNo(0) if person is None else person.no
    shown = localtime.as_wall(found.at + found.utc_offset_s).date()
    # A released punch may have the first or the last date that there is.
    first = max(shown.toordinal() - _DAYS_AROUND, date.min.toordinal())
    last = min(shown.toordinal() + _DAYS_AROUND, date.max.toordinal())
    dates = [date.fromordinal(each).isoformat() for each in range(first, last + 1)]
    computed = workdays.compute(tx, found.account, [Key(each, number) for each in dates])
    for key, days in computed.items():
        for day in days:
            for activity in day.activities:
                if activity.punch_id == found.punch_id:
                    values = {
                        "person_no": number,
                        "date": key.date,
                        "counts_as": activity.side or "undirected",
                        "is_duplicate": activity.is_duplicate,
                        "first_in": day.first_in,
                        "last_out": day.last_out,
                        "worked_s": day.worked_s,
                        "status": day.status,
                    }
                    why = _why_this_day(activity, is_own=key.date == shown.isoformat())
                    return Step("workday", values, why)
    return Step("workday", {"person_no": number}, "No day within reach lists it.")


def _why_this_day(activity: Activity, *, is_own: bool) -> str:
    day = "its own date" if is_own else "another date than its own, by the attribution in force"
    if activity.is_duplicate:
        return f"Listed on {day}; it repeats a punch just before it and does not count."
    return f"Counted on {day}."


def _event(entry: Entry | None) -> Step:
    if entry is None:
        return Step("event", {}, "There is no entry in the log; `punchgate doctor` should look.")
    values = {
        "event_id": entry.id,
        "seq": entry.position.seq,
        "key": entry.key,
        "data": json.loads(entry.body),
    }
    return Step("event", values, "Written in the same transaction as the punch.")


def _deliveries(tx: Connection, found: Punch, entry: Entry) -> list[Step]:
    """Give a step for each endpoint."""
    told = explain_deliveries.tell(tx, found.account, entry)
    if not told:
        return [Step("delivery", {}, "There is no endpoint, so nobody is told.")]
    return [Step("delivery", values, reason) for values, reason in told]


def _flag_reasons(found: Punch, reasons: Mapping[str, str]) -> list[str]:
    return [reasons[flag] for flag in found.flags.split() if flag in reasons]


def _text(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
