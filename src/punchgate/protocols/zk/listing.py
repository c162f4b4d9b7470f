"""Which table some captured bytes are, and its rows for a person to read.

Answers for telling attendance from people where nothing says which it is. The bytes of a table in a
conversation are put together here too.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from punchgate.protocols.zk import annotate, choice, layouts, records, tables, users
from punchgate.protocols.zk.annotate import Annotated
from punchgate.protocols.zk.choice import Choice, Known
from punchgate.protocols.zk.commands import Command
from punchgate.protocols.zk.packets import MAGIC, PACKET_HEAD, decode
from punchgate.wire.error import ProtocolError
from punchgate.wire.event import Unreadable

#: A title, and the rows by name.
Listing = tuple[str, Iterator[dict[str, object]]]

#: A real permission beside a finger slot's.
_PERMISSIONS: Final = frozenset({0, 1, 2, 3, 6, 7, 14, 15, 0x31})


def recognise(data: bytes, now: datetime) -> Listing | None:
    """Give the rows of a table, None where the bytes are packets or nothing that we know.

    Shapes:  with the head of a table or without; one row is enough. `now` is a wall time: rows lie
             before it.
    """
    if data.startswith(MAGIC) or _is_packet(data):
        return None
    head = tables.TABLE_HEAD.size
    has_head = len(data) > head and int.from_bytes(data[:head], "little") == len(data) - head
    rows = data[head:] if has_head else data
    return _users(rows) or _attendance(rows, now)


def tables_in(packets: Sequence[Annotated], now: datetime) -> Iterator[Listing]:
    """Give the tables that packets carried, put together from their parts."""
    held = bytearray()
    for each in packets:
        packet = each.packet
        if packet is None:
            continue
        if packet.command == Command.DATA:
            held += packet.data
        elif packet.command in {Command.FREE_DATA, Command.PREPARE_BUFFER, Command.EXIT}:
            yield from _table(bytes(held), now)
            held.clear()
    yield from _table(bytes(held), now)


def _table(data: bytes, now: datetime) -> Iterator[Listing]:
    found = recognise(data, now) if data else None
    if found is not None:
        yield found


def _is_packet(data: bytes) -> bool:
    try:
        decode(data)
    except ProtocolError:
        return False
    return len(data) >= PACKET_HEAD.size


def _users(rows: bytes) -> Listing | None:
    if not rows or all(len(rows) % width for width in users.WIDTHS):
        return None
    width = users.width_of(rows)
    if len(rows) % width:
        return None
    people = list(users.read_all(rows, count=len(rows) // width))
    if not all(_is_user(each) for each in people):
        return None
    title = f"{len(people)} users of {width} bytes"
    return title, (annotate.describe_user(each) for each in people)


def _is_user(user: users.User) -> bool:
    has_text = user.user_id.isprintable() and user.user_id not in {"", "0"}
    is_known = user.uid > 0 and user.permission in _PERMISSIONS
    return has_text and is_known and user.name.isprintable() and "\ufffd" not in user.name


def _attendance(rows: bytes, now: datetime) -> Listing | None:
    found = _layout(rows, now) if rows else None
    if found is None:
        return None
    slices = records.Reader(found.layout).slices(rows, skip=found.skip)
    title = f"attendance in rows of layout {found.layout}"
    return title, (annotate.describe(item) for each in slices for item in each.items)


def _layout(rows: bytes, now: datetime) -> Choice | None:
    found = choice.choose(rows, Known(now))
    for layout in layouts.LAYOUTS.values():
        if found is not None or len(rows) % layout.width:
            continue
        # Few rows: as if the counters said so; then their dates have to make sense.
        found = choice.choose(rows, Known(now, count=len(rows) // layout.width))
        items = [] if found is None else records.Reader(found.layout).read(rows)
        if any(isinstance(item, Unreadable) for item in items):
            found = None
    return found
