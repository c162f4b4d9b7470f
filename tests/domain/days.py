"""Punches for workday tests, written as a person would note them down."""

from datetime import datetime

from punchgate.domain import localtime, policy, workday
from punchgate.domain.codes import Direction, DirectionPolicy
from punchgate.domain.policy import Rules
from punchgate.domain.workday import DayPunch, Workday

_DIRECTIONS: dict[str, Direction] = {
    "in": "check-in",
    "out": "check-out",
    "-": "unspecified",
    "break-in": "break-in",
    "break-out": "break-out",
    "ot-in": "overtime-in",
    "ot-out": "overtime-out",
}
_POLICIES: dict[str, DirectionPolicy] = {
    "alternate": "alternate",
    "first-last": "first-in-last-out",
    "always-in": "always-in",
    "always-out": "always-out",
}


def punches(text: str, zone: str = "UTC") -> list[DayPunch]:
    """Read lines of `DATE TIME DIRECTION [DEVICE] [POLICY]`."""
    read = []
    for number, line in enumerate(text.strip().splitlines()):
        day, time, direction, *rest = line.split()
        wall_time = datetime.fromisoformat(f"{day} {time}")
        resolved = localtime.resolve(wall_time, localtime.find_zone(zone))
        read.append(
            DayPunch(
                f"{number:026d}",
                resolved.instant,
                resolved.utc_offset_s,
                _DIRECTIONS[direction],
                rest[0] if rest else "gate",
                _POLICIES[rest[1]] if len(rest) > 1 else "as-reported",
                resolved.flags,
                zone,
            )
        )
    return read


def rules(**data: object) -> Rules:
    """Make rules of one policy, by its published keys."""
    return policy.always(policy.parse(data))


def computed(text: str, *, zone: str = "UTC", **data: object) -> list[Workday]:
    return workday.compute(punches(text, zone), rules(**data))


def sides(days: list[Workday]) -> list[str]:
    """List the sides of all activities, a near-duplicate's in brackets."""
    listed = [activity for day in days for activity in day.activities]
    return [f"({a.side})" if a.is_duplicate else str(a.side) for a in listed]
