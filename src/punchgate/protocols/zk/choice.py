"""Which layout an attendance table has, by its size and by what its rows would say.

A terminal does not tell. A wrong guess would invent punches, so a table that fits nothing is
unknown: it is kept raw and an operator is told. A row that is no row in any layout (uninitialised
memory was seen) is refused the same way.

Source: docs/protocols/zk-4370.md, "Layout by size and plausibility"; tried on 18,000 generated logs
without one that was read wrongly.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from punchgate.protocols.zk import layouts, moment
from punchgate.protocols.zk.layouts import LAYOUT_40, LAYOUT_49, Layout, LayoutName
from punchgate.protocols.zk.records import FIRST_WALL_TIME

#: Fewer rows say too little: what is known of the terminal decides.
ENOUGH_ROWS: Final = 5
_ENDS: Final = 16
_SPREAD: Final = 32
_SHARE: Final = 0.75
_AHEAD: Final = timedelta(days=2)
_STATES: Final = frozenset({0, 1, 2, 3, 4, 5, 255})
#: The highest verify method that is believed in a row of layout 8A.
_METHOD_8A: Final = 30
#: Behind each row of 49; some terminals put it before the first row.
TAIL_BYTES: Final = LAYOUT_49.width - LAYOUT_40.width


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the terminal besides the table.

    Units:   `now` is its wall time. `count` is what its counters say; 0 means unknown.
    """

    now: datetime
    count: int = 0
    stored: LayoutName | None = None


class Choice(NamedTuple):
    """A layout, and how many bytes before the first row belong to none."""

    layout: LayoutName
    skip: int = 0


def choose(rows: bytes, known: Known) -> Choice | None:
    """Choose the layout of a table's rows; None where it is unknown.

    Shapes:  `rows` is without the table's head, at least one byte. The widths that divide it come
             first; then the nine bytes before the first row are looked for; then a cut last row.
    """
    found = _best(rows, known, 0)
    if found is not None:
        return Choice(found)
    if _is_tail(rows[:TAIL_BYTES]):
        found = _best(rows[TAIL_BYTES:], known, 0)
        if found is not None:
            return Choice(found, TAIL_BYTES)
    found = _best(rows, known, None)
    return None if found is None else Choice(found)


def is_believed(wall_time: datetime, now: datetime) -> bool:
    """Say whether something may have happened at a wall time."""
    return FIRST_WALL_TIME <= wall_time <= now + _AHEAD


def _best(rows: bytes, known: Known, rest: int | None) -> LayoutName | None:
    """Give the best layout that leaves so many bytes, any number for None."""
    candidates = [
        layout
        for layout in layouts.LAYOUTS.values()
        if len(rows) >= layout.width and (rest is None or _rest(rows, layout) == rest)
    ]
    ranked = [
        (not _is_count(rows, layout, known), -share, order, layout.name)
        for order, layout in enumerate(candidates)
        if (share := _share(rows, layout, known)) is not None
    ]
    return min(ranked)[3] if ranked else None


def _rest(rows: bytes, layout: Layout) -> int:
    rest = len(rows) % layout.width
    # With the nine bytes in front of each row the last one has none behind it.
    return 0 if layout is LAYOUT_49 and rest == LAYOUT_40.width else rest


def _is_count(rows: bytes, layout: Layout, known: Known) -> bool:
    return len(rows) // layout.width == known.count


def _is_counted(rows: bytes, layout: Layout, known: Known) -> bool:
    """Say whether size / count is this layout's width, and the terminal's own one cannot be it."""
    if known.stored is None:
        return _is_count(rows, layout, known)
    is_own_cut = _rest(rows, layouts.LAYOUTS[known.stored]) != 0
    return is_own_cut and _is_count(rows, layout, known) and _rest(rows, layout) == 0


def _share(rows: bytes, layout: Layout, known: Known) -> float | None:
    """Give the share of the rows that fit, None if the layout does not qualify."""
    fits = [_fit(row, layout, known.now) for row in _sample(rows, layout.width)]
    if len(rows) // layout.width < ENOUGH_ROWS:
        return _share_of_few(rows, fits, layout, known)
    share = _dated(fits)
    times = [fit.wall_time for fit in fits if fit.is_shaped and fit.wall_time is not None]
    forward = sum(later >= earlier for earlier, later in pairwise(times))
    goes_on = len(times) < 2 or forward / (len(times) - 1) >= _SHARE
    return share if share >= _SHARE and goes_on else None


def _share_of_few(rows: bytes, fits: list["_Fit"], layout: Layout, known: Known) -> float | None:
    """Judge a few rows: their layout is known, or given by the count; a date may be nonsense.

    A row has to name somebody then. Where a layout has no place for a name it needs a date, unless
    it is the terminal's own layout. The count decides where the own layout leaves bytes over.
    """
    is_own = layout.name == known.stored
    if not is_own and not _is_counted(rows, layout, known):
        return None
    if layout.name in {"16", "8A", "8B"}:
        fitting = [fit.is_shaped and (is_own or fit.wall_time is not None) for fit in fits]
    else:
        fitting = [fit.is_shaped and fit.is_named for fit in fits]
    share = sum(fitting) / len(fits)
    # Of two layouts of one width, the one with more dates.
    return share + _dated(fits) if share >= _SHARE else None


class _Fit(NamedTuple):
    #: Whether its codes, texts and zeros could be a row's.
    is_shaped: bool
    #: Its time, if that could be one.
    wall_time: datetime | None
    #: Whether a text in it names somebody.
    is_named: bool


def _dated(fits: list[_Fit]) -> float:
    return sum(fit.is_shaped and fit.wall_time is not None for fit in fits) / len(fits)


def _fit(row: bytes, layout: Layout, now: datetime) -> _Fit:
    fields = layout.fields(row)
    wall_time = moment.said(fields.packed[0]).wall_time()
    if wall_time is not None and not is_believed(wall_time, now):
        wall_time = None
    state, method = fields.states[0], fields.verifies[0]
    texts = [*(fields.ids or ()), *(fields.temperatures or ())]
    match layout.name:
        case "8A":
            is_shaped = state in _STATES and method <= _METHOD_8A
        case "8B":
            is_shaped = state in _STATES and row[3] == 0
        case "16":
            is_shaped = not _STATES.isdisjoint({state, method}) and row[10:12] == b"\0\0"
        case _:
            is_shaped = state in _STATES and all(map(_is_text, texts))
    is_named = isinstance(texts[0], bytes) and bool(_text(texts[0])) if texts else False
    return _Fit(is_shaped, wall_time, is_named)


def _is_text(field: bytes | int) -> bool:
    return isinstance(field, bytes) and all(0x20 <= byte < 0x7F for byte in _text(field))


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _is_tail(prefix: bytes) -> bool:
    """Say whether bytes are a mask and a temperature rather than the begin of a row."""
    text = _text(prefix[1:])
    is_padded = not any(prefix[1 + len(text) :])
    return len(prefix) == TAIL_BYTES and prefix[0] in {0, 1, 255} and is_padded and _is_text(text)


def _sample(rows: bytes, width: int) -> list[bytes]:
    """Give the first 16 rows, the last 16 and 32 spread between them, in their order."""
    count = len(rows) // width
    if count <= _ENDS + _SPREAD + _ENDS:
        chosen = list(range(count))
    else:
        between = count - 2 * _ENDS
        spread = [_ENDS + between * each // _SPREAD for each in range(_SPREAD)]
        chosen = [*range(_ENDS), *spread, *range(count - _ENDS, count)]
    return [rows[each * width : (each + 1) * width] for each in chosen]
