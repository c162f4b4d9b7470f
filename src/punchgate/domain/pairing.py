"""From the punches of one day to its spans, and from the spans to seconds.

Rules: docs/reference/workday.md R7 to R10, §4 and §5; the order of the steps is R9. To which day a
punch belongs and which ones count was settled before; texts and rows are made in `workday.py`.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from punchgate.domain.attribution import Side, Window
from punchgate.domain.policy import AutoBreak, Overtime, Policy, Rounding
from punchgate.domain.timeline import Entry

_DAY_S: Final = 86_400


class Counted(NamedTuple):
    """One punch that counts in the day, and the shift that holds it."""

    entry: Entry
    window: Window | None


class Paired(NamedTuple):
    """What the punches of a day make: its ends, its closed spans, and the breaks between them.

    A span is an `in` and its `out`, a break an `out` and the `in` that ended it.
    """

    first_in: Counted | None
    last_out: Counted | None
    spans: tuple[tuple[Counted, Counted], ...]
    breaks: tuple[tuple[Counted, Counted], ...]
    missing: tuple[Side, ...]


class Figures(NamedTuple):
    """The seconds of a day after all rules; `worked_s` is None where no span is closed.

    `exact_s` is what they would be without any rounding. A figure that the policy does not ask for
    is None.
    """

    worked_s: int | None
    exact_s: int | None
    auto_break_s: int | None
    punched_break_s: int | None
    overtime_s: int | None


def pair(counted: Sequence[Counted], policy: Policy) -> Paired:
    """Pair the punches of a day, given in their order, near-duplicates left out."""
    asked = [each for each in counted if not each.entry.located.is_between]
    return _pairs(asked) if policy.pairing == "pairs" else _first_last(asked)


def figures(paired: Paired, policy: Policy) -> Figures:
    """Count the seconds of a day."""
    worked_s, break_s, punched_s = _count(paired, policy, policy.round_in, policy.round_out)
    exact_s = worked_s
    if policy.round_in is not None or policy.round_out is not None:
        exact_s = _count(paired, policy, None, None)[0]
    if worked_s is not None and policy.round_total is not None:
        worked_s = rounded(worked_s, policy.round_total)
    return Figures(
        worked_s,
        exact_s,
        break_s if policy.auto_break is not None else None,
        punched_s if policy.pairing == "pairs" else None,
        _overtime(worked_s or 0, policy.overtime) if policy.overtime is not None else None,
    )


def rounded(seconds: int, rule: Rounding) -> int:
    """Move a number of seconds to a multiple of the rule's step; a tie in `nearest` goes up."""
    step = rule.step_s
    if rule.mode == "down":
        return seconds // step * step
    if rule.mode == "up":
        return -(-seconds // step) * step
    return (2 * seconds + step) // (2 * step) * step


def _first_last(counted: Sequence[Counted]) -> Paired:
    """Take the first in and the last out; what lies between is not looked at."""
    sides = [each.entry.located.side for each in counted]
    first = _first_of(sides, "in")
    if first is None:
        first = _first_of(sides, None)
    wanted: Side | None = "out" if first is None or "out" in sides else None
    last = _last_of(sides, wanted, -1 if first is None else first)
    first_in = None if first is None else counted[first]
    last_out = None if last is None else counted[last]
    spans = () if first_in is None or last_out is None else ((first_in, last_out),)
    return Paired(first_in, last_out, spans, (), _missing(first_in is None, last_out is None))


def _first_of(sides: Sequence[Side | None], wanted: Side | None) -> int | None:
    return next((index for index, side in enumerate(sides) if side == wanted), None)


def _last_of(sides: Sequence[Side | None], wanted: Side | None, after: int) -> int | None:
    indexes = range(len(sides) - 1, after, -1)
    return next((index for index in indexes if sides[index] == wanted), None)


def _pairs(counted: Sequence[Counted]) -> Paired:
    """Walk the day in order: an `in` opens, the next `out` closes."""
    sides = _walked_sides(counted)
    spans: list[tuple[Counted, Counted]] = []
    breaks: list[tuple[Counted, Counted]] = []
    opened: Counted | None = None
    closed: Counted | None = None
    lacks_in = lacks_out = False
    for each, side in zip(counted, sides, strict=True):
        if side == "in":
            if opened is not None:
                lacks_out = True
            elif closed is not None:
                breaks.append((closed, each))
            opened = each
        elif opened is None:
            lacks_in = True
        else:
            spans.append((opened, each))
            opened, closed = None, each
    first = _first_of(sides, "in")
    last = _last_of(sides, "out", -1 if first is None else first)
    return Paired(
        None if first is None else counted[first],
        None if last is None else counted[last],
        tuple(spans),
        tuple(breaks),
        _missing(lacks_in, lacks_out or opened is not None),
    )


def _walked_sides(counted: Sequence[Counted]) -> list[Side]:
    """Give undirected punches a side: in turns if all are, else each is an `out`."""
    sides = [each.entry.located.side for each in counted]
    if any(sides):
        return [side or "out" for side in sides]
    return ["out" if index % 2 else "in" for index in range(len(sides))]


def _missing(lacks_in: bool, lacks_out: bool) -> tuple[Side, ...]:  # noqa: FBT001 (one of each)
    if lacks_in:
        return ("in", "out") if lacks_out else ("in",)
    return ("out",) if lacks_out else ()


def _count(
    paired: Paired, policy: Policy, round_in: Rounding | None, round_out: Rounding | None
) -> tuple[int | None, int, int]:
    """Give the worked time less the automatic break, that break, and the punched breaks."""
    punched_s = sum(
        max(0, _instant(end, round_in) - _instant(start, round_out)) for start, end in paired.breaks
    )
    if not paired.spans:
        return None, 0, punched_s
    worked_s = 0
    for start, end in paired.spans:
        begin = _instant(start, round_in)
        if policy.clip_to_shift_start and start.window is not None:
            begin = max(begin, start.window.start)
        worked_s += max(0, _instant(end, round_out) - begin)
    if policy.auto_break is None:
        return worked_s, 0, punched_s
    break_s = _break(worked_s, punched_s, policy.auto_break)
    return worked_s - break_s, break_s, punched_s


def _instant(counted: Counted, rule: Rounding | None) -> int:
    """Give the instant of a punch, rounded on the wall clock of its day."""
    located = counted.entry.located
    if rule is None:
        return located.at
    return located.at + rounded(located.second_of_day, rule) - located.second_of_day


def _break(worked_s: int, punched_s: int, auto: AutoBreak) -> int:
    if worked_s <= auto.after_s:
        return 0
    break_s = max(0, auto.break_s - punched_s) if auto.credit_punched else auto.break_s
    return min(break_s, worked_s - auto.after_s if auto.cap else worked_s)


def _overtime(worked_s: int, rule: Overtime) -> int:
    beyond_s = worked_s - rule.after_s
    if beyond_s <= 0 or beyond_s < rule.min_s:
        return 0
    return beyond_s // rule.step_s * rule.step_s if rule.step_s else beyond_s
