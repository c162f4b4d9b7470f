"""Which table some captured bytes are, and its rows for a person to read.

Answers for telling attendance from people, fingers, operations, counters and live events where
nothing says which it is. The bytes of a table in a conversation are put together here too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Final

from punchgate.protocols.zk import annotate, choice, events, layouts, records, tables, users
from punchgate.protocols.zk.annotate import Annotated
from punchgate.protocols.zk.choice import Choice, Known
from punchgate.protocols.zk.commands import Command, LiveEvent
from punchgate.protocols.zk.packets import MAGIC, PACKET_HEAD, decode
from punchgate.wire.error import ProtocolError
from punchgate.wire.event import Reading, Unreadable

#: A title, and the rows by name.
Listing = tuple[str, Iterator[dict[str, object]]]

#: Lengths of GET_FREE_SIZES that say enough to be known again.
_COUNTER_BYTES: Final = (80, 92, 112)
#: What stands in front of the counters.
_BEFORE_COUNTERS: Final = 16
#: The live event of attendance that was seen on real terminals.
_EVENT_BYTES: Final = 32
_FINGERS: Final = range(10)
_FLAGS: Final = (0, 1, 3)

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
    return (
        _users(rows)
        or _operations(rows, now)
        or _templates(rows)
        or _attendance(rows, now)
        or _counters(data)
        or _events(data)
    )


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
    # In a long row enough else has to fit: its name may be in another encoding.
    is_name = len(user.row) == users.USER_72.size or "\ufffd" not in user.name
    return has_text and is_known and is_name and user.name.isprintable()


def _operations(rows: bytes, now: datetime) -> Listing | None:
    """Give operations: rows of 16 as attendance may have, but what is the person there is zero."""
    width = tables.OPERATION_ROW.size
    found = list(tables.read_operations(rows))
    is_whole = bool(found) and not len(rows) % width
    if not is_whole or any(rows[at : at + 2] != b"\0\0" for at in range(0, len(rows), width)):
        return None
    times = [each.said.wall_time() for each in found]
    are_dated = all(at is not None and choice.is_believed(at, now) for at in times)
    if not are_dated or not any(each.operation for each in found):
        return None
    return f"{len(found)} operations", (annotate.describe_operation(each) for each in found)


def _templates(rows: bytes) -> Listing | None:
    found = list(tables.read_templates(rows))
    size = sum(len(tables.write_template(each)) for each in found)
    is_one = all(each.uid and each.finger in _FINGERS and each.flag in _FLAGS for each in found)
    if not found or size != len(rows) or not is_one:
        return None
    return f"{len(found)} templates", (annotate.describe_template(each) for each in found)


def _counters(data: bytes) -> Listing | None:
    sizes = tables.read_free_sizes(data)
    is_one = len(data) in _COUNTER_BYTES and not any(data[:_BEFORE_COUNTERS])
    capacity = sizes.user_capacity
    if not is_one or not capacity or sizes.users + sizes.users_free != capacity:
        return None
    return "counters", iter([asdict(sizes)])


def _events(data: bytes) -> Listing | None:
    if not data or len(data) % _EVENT_BYTES:
        return None
    found = events.read(LiveEvent.ATTENDANCE, data)
    items = [item for item in found if isinstance(item, Reading)]
    if len(items) * _EVENT_BYTES != len(data):
        return None
    return f"{len(items)} live events", (annotate.describe(item) for item in items)


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
        if found is not None and not _is_readable(rows, found):
            found = None
    return found


def _is_readable(rows: bytes, found: Choice) -> bool:
    slices = records.Reader(found.layout).slices(rows, skip=found.skip)
    return not any(isinstance(item, Unreadable) for each in slices for item in each.items)
