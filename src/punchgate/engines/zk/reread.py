"""The kept bytes of one row, read again: what `registry.READERS` has for this transport.

A row does not say which layout it has; its length does, but for eight bytes. What only the terminal
could add is missing: whom a row number stands for.
"""

from typing import Final

from punchgate.protocols.zk import events, layouts, records
from punchgate.protocols.zk.commands import LiveEvent
from punchgate.protocols.zk.layouts import LayoutName
from punchgate.wire.event import Reading, Unreadable

NAME: Final = "zk/1"

_BY_WIDTH: Final[dict[int, LayoutName]] = {
    layout.width: layout.name for layout in layouts.LAYOUTS.values() if layout.width != 8
}


def read_bytes(raw: bytes) -> Reading | Unreadable:
    """Read a row of the log or of a live event, whatever its time."""
    layout: LayoutName | None = _BY_WIDTH.get(len(raw))
    if len(raw) == 8:
        # Layout 8B has a zero where 8A has a part of its time, which is zero for no year in use.
        layout = "8B" if raw[3] == 0 else "8A"
    if layout is not None:
        return records.Reader(layout, since=None).read(raw)[0]
    for seen in events.read(LiveEvent.ATTENDANCE, raw):
        if isinstance(seen, Reading | Unreadable):
            return seen
    return Unreadable(raw, "unreadable_row", f"{len(raw)} bytes are no row that we know.")
