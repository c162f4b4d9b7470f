"""The punches of one person in their order, each with the side on which it counts.

Here the devices' direction policies are carried out and near-duplicates are found, before anything
is asked about days. Punches are never dropped, only marked; nor does it matter in which order they
are given, or how often.

Direction policies are judged per person, not per device: who goes in at the front and leaves at the
back, through two doors that alternate, went in and out. They need a stretch in which to begin anew:
that is the person's day by the policy in force (the local date; the date after the cutoff; the
shift whose window holds the punch, or else its local date), and with `session` as long as a session
lasts.

- `alternate`: `out` if the last counting punch of the stretch was an `in`, else `in`. Directions
  that other devices reported count for that; undirected punches do not.
- `first-in-last-out`: of the person's punches on such devices in the stretch the first is `in`, the
  last `out`. Those between are undirected, and no workday counts them; a lone punch is `in`.
- A punch that follows another counting one by less than `dedupe_s` takes over its side, and so is
  its near-duplicate: touching the reader twice flips nothing.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from punchgate.domain import attribution, codes, localtime, policy
from punchgate.domain.attribution import Clock, Located, Plan, Side
from punchgate.domain.codes import Direction, DirectionPolicy

_DAY_S: Final = 86_400
_STATEFUL: Final = frozenset({"alternate", "first-in-last-out"})


class DayPunch(NamedTuple):
    """What a workday asks of a stored punch.

    Units:  `at` is whole seconds since 1970-01-01 UTC, `utc_offset_s` the device's offset then.
            `zone` is the IANA name of the device's zone; without it, the times of a shift are read
            with the offset of the punch, which is wrong only where the clocks change in between.
    """

    punch_id: str
    at: int
    utc_offset_s: int
    direction: Direction
    device_id: str
    direction_policy: DirectionPolicy
    flags: tuple[str, ...]
    zone: str | None = None


class Entry(NamedTuple):
    """One punch on the line. `twin` is the entry of which it is a near-duplicate, by its index."""

    punch: DayPunch
    located: Located
    twin: int | None


_Item = tuple[DayPunch, Located]


def lay_out(punches: Iterable[DayPunch], plan: Plan) -> list[Entry]:
    """Put punches in order: by instant, `in` before others at the same instant, then by id."""
    once = {punch.punch_id: punch for punch in punches}
    line = [(punch, _locate(punch, plan)) for punch in once.values()]
    line.sort(key=_order)
    if not all(is_reported(punch) for punch, _ in line):
        line = _alternate(_first_and_last(line, plan), plan)
        line.sort(key=_order)
    return _mark_duplicates(line, plan)


def is_reported(punch: DayPunch) -> bool:
    """Say whether a punch has its side by itself, and not by those before it."""
    return punch.direction_policy not in _STATEFUL


def _locate(punch: DayPunch, plan: Plan) -> Located:
    at = punch.at
    wall = at + punch.utc_offset_s
    zone = plan.on(wall // _DAY_S).zone
    clock: Clock = punch.utc_offset_s
    if zone != policy.DEVICE_ZONE:
        clock = localtime.find_zone(zone)
        wall = at + localtime.offset_at(at, clock)
    elif punch.zone is not None:
        clock = localtime.find_zone(punch.zone)
    return Located(at, wall // _DAY_S, wall % _DAY_S, _own_side(punch), clock)


def _own_side(punch: DayPunch) -> Side | None:
    """Give the side that a punch has without looking at others."""
    match punch.direction_policy:
        case "as-reported":
            return codes.side(punch.direction)
        case "always-in":
            return "in"
        case "always-out":
            return "out"
        case _:
            return None


def _order(item: _Item) -> tuple[int, bool, str]:
    punch, located = item
    return (located.at, located.side != "in", punch.punch_id)


def _first_and_last(line: Sequence[_Item], plan: Plan) -> list[_Item]:
    """Carry out `first-in-last-out`."""
    stretches: dict[object, list[int]] = {}
    run_at: int | None = None
    for index, (punch, located) in enumerate(line):
        if punch.direction_policy != "first-in-last-out":
            continue
        rule = plan.on(located.day)
        stretch: object = None
        if rule.attribution == "session":
            if run_at is None or located.at - run_at > rule.max_session_s:
                run_at = located.at
            stretch = run_at
        else:
            stretch = attribution.place_alone(located, plan)
        stretches.setdefault(stretch, []).append(index)
    sided = list(line)
    for indexes in stretches.values():
        _side_ends(sided, indexes, plan)
    return sided


def _side_ends(line: list[_Item], indexes: Sequence[int], plan: Plan) -> None:
    """Make the first of a stretch `in` and the last `out`, each with those that repeat it."""
    touches: list[list[int]] = []
    for index in indexes:
        located = line[index][1]
        dedupe_s = plan.on(located.day).dedupe_s
        if touches and located.at - line[touches[-1][0]][1].at < dedupe_s:
            touches[-1].append(index)
        else:
            touches.append([index])
    for number, touch in enumerate(touches):
        side: Side | None = None
        if number == 0:
            side = "in"
        elif number == len(touches) - 1:
            side = "out"
        for index in touch:
            punch, located = line[index]
            line[index] = (punch, located._replace(side=side, is_between=side is None))


def _alternate(line: Sequence[_Item], plan: Plan) -> list[_Item]:
    """Carry out `alternate`."""
    sided: list[_Item] = []
    kept: dict[Side, Located] = {}
    last: Located | None = None
    for punch, found in line:
        located = found
        if punch.direction_policy == "alternate":
            located = located._replace(side=_turn(last, located, plan))
        sided.append((punch, located))
        if located.side is None:
            continue
        twin = kept.get(located.side)
        if twin is None or located.at - twin.at >= plan.on(located.day).dedupe_s:
            last = kept[located.side] = located
    return sided


def _turn(last: Located | None, located: Located, plan: Plan) -> Side:
    """Choose the side of an alternating punch after the last counting one."""
    if last is None:
        return "in"
    if located.at - last.at < plan.on(located.day).dedupe_s:
        return last.side or "in"
    return "out" if last.side == "in" and _continues(last, located, plan) else "in"


def _continues(last: Located, located: Located, plan: Plan) -> bool:
    """Say whether two punches are of one stretch."""
    rule = plan.on(located.day)
    if rule.attribution == "session":
        return located.at - last.at <= rule.max_session_s
    ends = [attribution.place_alone(each._replace(side=None), plan) for each in (last, located)]
    return ends[0] == ends[1]


def _mark_duplicates(line: Sequence[_Item], plan: Plan) -> list[Entry]:
    """Mark what follows the last kept punch of its side too soon; marked ones are not kept."""
    entries: list[Entry] = []
    kept: dict[Side | None, int] = {}
    for index, (punch, located) in enumerate(line):
        twin = kept.get(located.side)
        dedupe_s = plan.on(located.day).dedupe_s
        if twin is not None and located.at - line[twin][1].at >= dedupe_s:
            twin = None
        if twin is None:
            kept[located.side] = index
        entries.append(Entry(punch, located, twin))
    return entries
