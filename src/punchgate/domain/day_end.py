"""When a workday is over, so that a change of it is news.

Answers for one instant per date and policy, in the ordinary course. What a day amounts to is
`workday.py`; whether every device has been read past its end is not known here.
"""

from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

from punchgate.domain import localtime, policy
from punchgate.domain.policy import Rules

_DAY_S: Final = 86_400
_EPOCH: Final = date(1970, 1, 1).toordinal()
#: No policy lets a day reach further behind its date: a session lasts a week at most. Devices say
#: the last dates of the calendar, too, and those never end.
_FARTHEST_DAYS: Final = 9
_NEVER: Final = 1 << 60


def ends_at(day: date, rules: Rules, zone: ZoneInfo) -> int:
    """Give the instant from which on no punch that is made counts to a day any more.

    Units:  seconds since 1970-01-01 UTC. `zone` is the account's; a policy with a zone of its own
            goes by that.

    With `calendar` it is the midnight that ends the date, with `cutoff` the cutoff after it, with
    `session` the longest session after it, with `shift` that midnight or the last window's end.
    """
    if day.toordinal() + _FARTHEST_DAYS > date.max.toordinal():
        return _NEVER
    rule = rules.on(day)
    if rule.zone != policy.DEVICE_ZONE:
        zone = localtime.find_zone(rule.zone)
    midnight = _instant(day, _DAY_S, zone)
    match rule.attribution:
        case "calendar":
            return midnight
        case "cutoff":
            return _instant(day, _DAY_S + rule.cutoff_s, zone)
        case "session":
            return midnight + rule.max_session_s
    closes = [
        _instant(day, shift.ends_s, zone) + shift.after_s
        for shift in rule.shifts
        if shift.date == day
    ]
    return max([midnight, *closes])


def _instant(day: date, second: int, zone: ZoneInfo) -> int:
    """Give the instant of a wall time, in seconds since the midnight that begins a date."""
    wall_s = (day.toordinal() - _EPOCH) * _DAY_S + second
    return localtime.resolve(localtime.as_wall(wall_s), zone).instant
