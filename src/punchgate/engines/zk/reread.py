"""The kept bytes of one row, read again: what `registry.READERS` has for this transport.

A row does not say which layout it has; its length does, but for eight bytes. What it does not say
itself is taken from what the terminal said last: its layout, what comes first in 16 bytes, and whom
a row number stands for.
"""

from typing import Final

from punchgate.domain.terminal import Hints
from punchgate.protocols.zk import events, layouts, records
from punchgate.protocols.zk.commands import LiveEvent
from punchgate.protocols.zk.layouts import LayoutName
from punchgate.wire.event import Reading, Unreadable

NAME: Final = "zk/1"

_BY_WIDTH: Final[dict[int, LayoutName]] = {
    layout.width: layout.name for layout in layouts.LAYOUTS.values() if layout.width != 8
}


def read_bytes(raw: bytes, hints: Hints) -> Reading | Unreadable:
    """Read a row of the log or of a live event, whatever its time."""
    layout = _layout(raw, hints)
    if layout is not None:
        reader = records.Reader(layout, users=hints.codes, order16=hints.order16, since=None)
        return reader.read(raw)[0]
    for seen in events.read(LiveEvent.ATTENDANCE, raw, users=hints.codes):
        if isinstance(seen, Reading | Unreadable):
            return seen
    return Unreadable(raw, "unreadable_row", f"{len(raw)} bytes are no row that we know.")


def _layout(raw: bytes, hints: Hints) -> LayoutName | None:
    if len(raw) != 8:
        return _BY_WIDTH.get(len(raw))
    if hints.layout == "8A":
        return "8A"
    # Layout 8B has a zero where 8A has a part of its time, which is zero for no year in use.
    return "8B" if hints.layout == "8B" or raw[3] == 0 else "8A"
