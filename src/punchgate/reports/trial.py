"""The workday rules tried on cases: punches and a policy in, the days they make out.

A case is written as docs/how-to/try-a-policy.md shows; its expectation, if it has one, is compared
field by field. Nothing is read from the store, nothing is printed here, and no clock is asked:
a punch from before 2000 is left out as in quarantine, one that lies ahead of us is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from punchgate.domain import localtime, policy, quarantine, workday
from punchgate.domain.codes import Direction
from punchgate.domain.error import Invalid
from punchgate.domain.fields import Fields
from punchgate.domain.policy import Policy
from punchgate.domain.punch import derive_id
from punchgate.domain.workday import DayPunch, Workday

#: A case names sides, not codes; these are the plainest directions that have them.
_DIRECTIONS: Final[Mapping[str | None, tuple[int | None, Direction]]] = {
    "in": (0, "check-in"),
    "out": (1, "check-out"),
    None: (None, "unspecified"),
}
_WALL_TEXT_LENGTH: Final = len("YYYY-MM-DD HH:MM:SS")


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of one case; `is_equal` is None when it expects nothing."""

    id: str
    title: str
    #: None for a case that cannot be read, which is never as expected.
    computed: Mapping[str, object] | None
    expected: Mapping[str, object] | None
    is_equal: bool | None


def run(case: Mapping[str, object]) -> Trial:
    """Compute one case and compare it with its expectation.

    Errors:  Invalid, in a sentence that names the case and the field.
    """
    fields = Fields(case)
    name = fields.text("id")
    try:
        rule, zone = _policy(fields)
        punches = _punches(fields.objects("punches"), zone)
        expected = fields.find_object("expect")
        title = fields.text("title", name)
    except Invalid as error:
        raise Invalid(f"Case {name}: {error}") from error
    computed = as_expectation(workday.compute(punches, policy.always(rule)))
    wanted = None if expected is None else expected.data
    return Trial(name, title, computed, wanted, None if wanted is None else wanted == computed)


def unreadable(case: Mapping[str, object]) -> Trial:
    """Say of a case that `run` refuses that it has no result; it has an id."""
    expected, name = case.get("expect"), str(case["id"])
    wanted = expected if isinstance(expected, Mapping) else None
    return Trial(name, name, None, wanted, None if expected is None else False)


def as_expectation(days: list[Workday]) -> dict[str, object]:
    """Write computed days in the form in which a case expects them."""
    return {
        "days": [_day(each) for each in days],
        "duplicates_dropped": sum(each.duplicates for each in days),
    }


def _policy(fields: Fields) -> tuple[Policy, ZoneInfo]:
    data = dict((fields.find_object("policy") or Fields({})).data)
    # In a case the zone of the devices stands among the rules; no policy has such a key.
    zone = Fields({"tz": data.pop("tz", None)}, "policy.").text("tz", "UTC")
    return policy.parse(data), localtime.find_zone(zone)


def _punches(items: list[Fields], zone: ZoneInfo) -> list[DayPunch]:
    """Resolve the punches as the door would: in order, per device, the first of equal ones."""
    found: dict[str, DayPunch] = {}
    by_device: dict[str, list[int]] = {}
    for item in items:
        item.refuse_unknown("at", "dir", "dev", "fold")
        device = item.text("dev", "device")
        side = item.choice("dir", ("in", "out")) if item.data.get("dir") is not None else None
        code, direction = _DIRECTIONS[side]
        wall_time = _wall_time(item)
        if wall_time.isoformat(" ") < quarantine.FIRST_WALL_TIME:
            continue
        punch_id = derive_id("main", device, "1", wall_time, wall_time.isoformat(" "), code)
        if punch_id in found:
            continue
        fold = None if item.data.get("fold") is None else item.whole("fold", None, maximum=1)
        made = by_device.setdefault(device, [])
        resolved = localtime.resolve(wall_time, zone, fold=fold, made=made)
        made.append(resolved.instant)
        found[punch_id] = DayPunch(
            punch_id,
            resolved.instant,
            resolved.utc_offset_s,
            direction,
            device,
            "as-reported",
            resolved.flags,
            zone.key,
        )
    return list(found.values())


def _wall_time(item: Fields) -> datetime:
    text = item.text("at")
    try:
        wall_time = datetime.fromisoformat(text)
    except ValueError:
        wall_time = None
    # Other ISO forms are times too, with a fraction or an offset, but not what a clock face shows.
    if wall_time is None or len(text) != _WALL_TEXT_LENGTH or wall_time.isoformat(" ") != text:
        raise item.bad("at", "a wall time, written YYYY-MM-DD HH:MM:SS")
    return wall_time


def _day(day: Workday) -> dict[str, object]:
    written: dict[str, object] = {
        "date": f"off-shift:{day.date}" if day.is_off_shift else day.date,
        "first_in": day.first_in,
        "last_out": day.last_out,
        "worked_seconds": day.worked_s,
    }
    if day.worked_s is not None:
        written["working_hours"] = workday.working_hours(day.worked_s)
        written["hours_decimal"] = workday.hours_decimal(day.worked_s)
    figures = {
        "late_min": day.late_min,
        "early_min": day.early_min,
        "auto_break_s": day.auto_break_s,
        "punched_break_s": day.punched_break_s,
        "overtime_s": day.overtime_s,
    }
    written |= {key: value for key, value in figures.items() if value is not None}
    written["status"] = day.status
    if day.missing:
        written["missing"] = list(day.missing)
    if day.flags:
        written["flags"] = list(day.flags)
    return written
