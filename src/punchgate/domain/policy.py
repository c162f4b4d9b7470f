"""The rules of a workday as data: what a policy may say, how it is read, and from when it holds.

A policy is checked here once, in words that name the key; `attribution.py`, `pairing.py` and
`workday.py` carry it out and find nothing left to doubt. Which account or person has which policy
is not known here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, NamedTuple, cast, get_args

from punchgate.domain import localtime
from punchgate.domain.fields import Fields

Attribution = Literal["calendar", "cutoff", "session", "shift"]
Pairing = Literal["first_last", "pairs"]
RoundingMode = Literal["down", "up", "nearest"]

#: How far around midnight a near-duplicate of one date may be looked for on the other.
MIDNIGHT_S: Final = 600
#: The value of `zone` that leaves each punch on the calendar of the device that took it.
DEVICE_ZONE: Final = "device"
#: The published keys, in the order in which they are written.
KEYS: Final = (
    "attribution",
    "cutoff",
    "max_session_h",
    "shifts",
    "pairing",
    "dedupe_s",
    "round",
    "round_total",
    "auto_break",
    "clip_to_shift_start",
    "late_grace_min",
    "early_grace_min",
    "ot",
    "zone",
)

#: The margins of a shift's window end here: the search for shifts goes a day further, not more.
_DAY_MIN: Final = 1440
_DAY_S: Final = 86_400
_WEEK_H: Final = 168


class Rounding(NamedTuple):
    """To which multiple of some seconds a figure is moved; a tie in `nearest` goes up."""

    mode: RoundingMode
    step_s: int


class Shift(NamedTuple):
    """One planned shift, by seconds of the wall clock since midnight of its date.

    An end that is not after the start is on the next day. The window reaches from `before_s` ahead
    of the start to `after_s` behind the end, both edges included.
    """

    date: date
    start_s: int
    end_s: int
    before_s: int = 3600
    after_s: int = 3600

    @property
    def ends_s(self) -> int:
        """Give the end in seconds since midnight of the date on which the shift starts."""
        return self.end_s if self.end_s > self.start_s else self.end_s + _DAY_S


class AutoBreak(NamedTuple):
    """A break that is taken off a day of strictly more than `after_s`.

    `credit_punched`: breaks that were punched reduce it. `cap`: it leaves at least `after_s`.
    """

    break_s: int
    after_s: int
    credit_punched: bool = False
    cap: bool = False


class Overtime(NamedTuple):
    """What counts as overtime: beyond `after_s`, not less than `min_s`, in whole `step_s`."""

    after_s: int
    min_s: int = 0
    #: 0 leaves it as it is.
    step_s: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one workday. The defaults are those of the published report."""

    attribution: Attribution = "calendar"
    cutoff_s: int = 0
    max_session_s: int = 16 * 3600
    shifts: tuple[Shift, ...] = ()
    pairing: Pairing = "first_last"
    #: A near-duplicate follows by less than this; 0 is off.
    dedupe_s: int = 60
    round_in: Rounding | None = None
    round_out: Rounding | None = None
    round_total: Rounding | None = None
    auto_break: AutoBreak | None = None
    clip_to_shift_start: bool = False
    late_grace_s: int = 0
    early_grace_s: int = 0
    overtime: Overtime | None = None
    #: `device`, or the IANA zone on whose calendar every punch counts.
    zone: str = DEVICE_ZONE


DEFAULT: Final = Policy()


@dataclass(frozen=True, slots=True)
class Rules:
    """Policies, each with the date from which it holds, oldest first; `in_order` sorts them."""

    versions: tuple[tuple[date, Policy], ...] = ()

    def on(self, day: date) -> Policy:
        """Give the policy of a day: the latest that holds by then, else the default."""
        for since, policy in reversed(self.versions):
            if since <= day:
                return policy
        return DEFAULT

    def policies(self) -> tuple[Policy, ...]:
        """List every policy that some day has."""
        listed = tuple(policy for _, policy in self.versions)
        holds_for_ever = bool(self.versions) and self.versions[0][0] == date.min
        return listed if holds_for_ever else (DEFAULT, *listed)


def always(policy: Policy) -> Rules:
    """Make rules of one policy that has held for ever."""
    return Rules(((date.min, policy),))


def in_order(versions: Mapping[date, Policy]) -> Rules:
    """Make rules of policies by the date from which each holds."""
    return Rules(tuple(sorted(versions.items(), key=lambda version: version[0])))


def spread(policy: Policy) -> int:
    """Tell how many days beside that of its own wall time a punch can change; 0 is its date alone.

    With `session` it takes part in two in a row: an `in` that comes late can keep the next one from
    opening, and so take away the `out` behind that. Nobody is followed who goes in for days without
    ever resting longer than a session lasts. Near-duplicates around midnight, for `MIDNIGHT_S` at
    most, are not meant here.
    """
    moved_s = 0
    match policy.attribution:
        case "session":
            moved_s = 2 * policy.max_session_s
        case "shift":
            ends = [shift.ends_s + shift.after_s - _DAY_S for shift in policy.shifts]
            moved_s = max([1, *ends])
        case "cutoff":
            moved_s = 1
        case "calendar":
            moved_s = policy.dedupe_s - MIDNIGHT_S
    beside = 0 if policy.zone == DEVICE_ZONE else 1
    return max(0, -(-moved_s // _DAY_S)) + beside


def parse(data: Mapping[str, object]) -> Policy:
    """Read a policy from its published form; a key that is absent or null has its default.

    Errors:  Invalid, in a sentence that names the key, says what stands there and what would do;
             a key that is not in `KEYS` is an error too.
    """
    fields = Fields(data)
    fields.refuse_unknown(*KEYS)
    attribution = fields.choice("attribution", get_args(Attribution), DEFAULT.attribution)
    sides = fields.find_object("round") or Fields({})
    sides.refuse_unknown("in", "out")
    return Policy(
        attribution=cast("Attribution", attribution),
        cutoff_s=fields.clock("cutoff", None if attribution == "cutoff" else "00:00"),
        max_session_s=fields.hours("max_session_h", 16, maximum=_WEEK_H),
        shifts=tuple(_shift(item) for item in fields.objects("shifts")),
        pairing=cast("Pairing", fields.choice("pairing", get_args(Pairing), DEFAULT.pairing)),
        dedupe_s=fields.whole("dedupe_s", DEFAULT.dedupe_s, maximum=86_400),
        round_in=_rounding(sides.find_object("in")),
        round_out=_rounding(sides.find_object("out")),
        round_total=_rounding(fields.find_object("round_total")),
        auto_break=_auto_break(fields.find_object("auto_break")),
        clip_to_shift_start=fields.flag("clip_to_shift_start"),
        late_grace_s=fields.whole("late_grace_min", 0, maximum=_DAY_MIN) * 60,
        early_grace_s=fields.whole("early_grace_min", 0, maximum=_DAY_MIN) * 60,
        overtime=_overtime(fields.find_object("ot")),
        zone=_zone(fields.text("zone", DEVICE_ZONE)),
    )


def as_data(policy: Policy) -> dict[str, object]:
    """Write a policy in its published form, every key included; `parse` reads the same back."""
    sides = {"in": policy.round_in, "out": policy.round_out}
    rounded = {side: _rounding_data(rule) for side, rule in sides.items() if rule is not None}
    return {
        "attribution": policy.attribution,
        "cutoff": _clock_text(policy.cutoff_s),
        "max_session_h": _in_hours(policy.max_session_s),
        "shifts": [_shift_data(shift) for shift in policy.shifts],
        "pairing": policy.pairing,
        "dedupe_s": policy.dedupe_s,
        "round": rounded or None,
        "round_total": policy.round_total and _rounding_data(policy.round_total),
        "auto_break": policy.auto_break and _auto_break_data(policy.auto_break),
        "clip_to_shift_start": policy.clip_to_shift_start,
        "late_grace_min": policy.late_grace_s // 60,
        "early_grace_min": policy.early_grace_s // 60,
        "ot": policy.overtime and _overtime_data(policy.overtime),
        "zone": policy.zone,
    }


def _shift(fields: Fields) -> Shift:
    fields.refuse_unknown("date", "start", "end", "before_min", "after_min")
    return Shift(
        fields.date("date"),
        fields.clock("start"),
        fields.clock("end"),
        fields.whole("before_min", 60, maximum=_DAY_MIN) * 60,
        fields.whole("after_min", 60, maximum=_DAY_MIN) * 60,
    )


def _rounding(fields: Fields | None) -> Rounding | None:
    if fields is None:
        return None
    fields.refuse_unknown("mode", "min")
    mode = cast("RoundingMode", fields.choice("mode", get_args(RoundingMode)))
    return Rounding(mode, fields.whole("min", None, minimum=1, maximum=_DAY_MIN) * 60)


def _auto_break(fields: Fields | None) -> AutoBreak | None:
    if fields is None:
        return None
    fields.refuse_unknown("min", "after_h", "credit_punched", "cap")
    return AutoBreak(
        fields.whole("min", None, maximum=_DAY_MIN) * 60,
        fields.hours("after_h", None, maximum=_WEEK_H),
        credit_punched=fields.flag("credit_punched"),
        cap=fields.flag("cap"),
    )


def _overtime(fields: Fields | None) -> Overtime | None:
    if fields is None:
        return None
    fields.refuse_unknown("after_h", "min_min", "round_down_min")
    return Overtime(
        fields.hours("after_h", None, maximum=_WEEK_H),
        fields.whole("min_min", 0, maximum=_DAY_MIN) * 60,
        fields.whole("round_down_min", 0, maximum=_DAY_MIN) * 60,
    )


def _zone(name: str) -> str:
    if name != DEVICE_ZONE:
        localtime.find_zone(name)
    return name


def _shift_data(shift: Shift) -> dict[str, object]:
    return {
        "date": shift.date.isoformat(),
        "start": _clock_text(shift.start_s),
        "end": _clock_text(shift.end_s),
        "before_min": shift.before_s // 60,
        "after_min": shift.after_s // 60,
    }


def _rounding_data(rounding: Rounding) -> dict[str, object]:
    return {"mode": rounding.mode, "min": rounding.step_s // 60}


def _auto_break_data(auto: AutoBreak) -> dict[str, object]:
    return {
        "min": auto.break_s // 60,
        "after_h": _in_hours(auto.after_s),
        "credit_punched": auto.credit_punched,
        "cap": auto.cap,
    }


def _overtime_data(overtime: Overtime) -> dict[str, object]:
    return {
        "after_h": _in_hours(overtime.after_s),
        "min_min": overtime.min_s // 60,
        "round_down_min": overtime.step_s // 60,
    }


def _in_hours(seconds: int) -> float:
    whole, rest = divmod(seconds, 3600)
    return seconds / 3600 if rest else whole


def _clock_text(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}"
