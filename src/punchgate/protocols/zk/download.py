"""Reading a whole table from a terminal: in parts, in one packet, or the old way.

Answers for getting the bytes and for knowing whether all of them came. What they mean is read in
`records.py`, `users.py` and `tables.py`. Memory grows with what arrives, never with what is
announced, and a table is there once: a second time only while it is handed over.
"""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from punchgate.protocols.zk import commands, tables
from punchgate.protocols.zk.client import Ask, Await, Conversation
from punchgate.protocols.zk.commands import Command, Reply
from punchgate.protocols.zk.dialogue import Refused
from punchgate.protocols.zk.packets import Packet
from punchgate.protocols.zk.tables import Table
from punchgate.wire.error import ProtocolError

#: More than a million rows of 49 bytes.
TABLE_LIMIT: Final = 64 * 1024 * 1024
#: A part whose packets did not all come is asked for again, so many times in all.
TRIES: Final = 3
#: How many times what was asked for may come before it is too much.
_EXCESS: Final = 3

#: How a table came: in parts, in one DATA packet, or by the plain command of old firmware.
Way = Literal["parts", "whole", "plain"]


class Download(NamedTuple):
    """A table as it came."""

    #: What says how long the rows are; shorter where not even that came.
    head: bytes
    #: Everything behind the head, whatever the head says.
    rows: bytes
    #: What was announced of both; a part of it may be missing.
    announced_bytes: int
    way: Way

    @property
    def has_come(self) -> bool:
        """Say whether as much came as was announced."""
        return len(self.head) + len(self.rows) == self.announced_bytes

    @property
    def is_complete(self) -> bool:
        """Say whether all came that was announced, and the head agrees."""
        if len(self.head) < tables.TABLE_HEAD.size:
            return not self.head and not self.announced_bytes
        said: int = tables.TABLE_HEAD.unpack(self.head)[0]
        return self.has_come and said == len(self.rows)


def _always(_size_bytes: int) -> None:
    return


class Came:
    """What came of a table so far: it is there although the rest may never come.

    `hold` is told how much is held before it grows, and may raise.
    """

    def __init__(self, hold: Callable[[int], None] = _always) -> None:
        self._hold = hold
        self._data = bytearray()
        #: None before anything was said of the table.
        self.announced_bytes: int | None = None
        self.way: Way = "parts"

    def __len__(self) -> int:
        return len(self._data)

    def add(self, data: bytes) -> None:
        """Put bytes behind those that came."""
        self._hold(len(self._data) + len(data))
        self._data += data

    def cut(self, size_bytes: int) -> None:
        """Forget everything behind the first so many bytes."""
        del self._data[size_bytes:]

    def announce(self, size_bytes: int, way: Way) -> None:
        """Note how much is to come."""
        self.announced_bytes, self.way = size_bytes, way

    def taken(self) -> Download:
        """Give it away."""
        size = tables.TABLE_HEAD.size
        # Through a view: one copy of what may be many megabytes, not two.
        with memoryview(self._data) as view:
            head, rows = bytes(view[:size]), bytes(view[size:])
        self._data.clear()
        return Download(head, rows, self.announced_bytes or 0, self.way)


def read(
    table: Table,
    *,
    part_bytes: int = tables.CHUNK_TCP,
    limit_bytes: int = TABLE_LIMIT,
    came: Came | None = None,
) -> Conversation[Download]:
    """Read a table, by PREPARE_BUFFER where the terminal knows it, and let go of it.

    Shapes:  `part_bytes` is 65,472 on TCP and 16,384 on UDP. The result may be incomplete. Rows
             that came the plain way are believed only if they fit a layout. A caller that keeps
             `came` has what came of a table that broke off.
    Errors:  Refused where neither way is known; ProtocolError for an answer without sense, after
             which the terminal is still to be told FREE_DATA; what `came` raises.
    """
    came = Came() if came is None else came
    yield from _fill(came, table, part_bytes, limit_bytes)
    yield Ask(Command.FREE_DATA)
    return came.taken()


def read_template(uid: int, finger: int) -> Conversation[bytes]:
    """Read one template; padding at its end is left on it.

    Errors:  Refused where the person has none.
    """
    data = uid.to_bytes(2, "little") + bytes((finger,))
    answer = yield Ask(Command.GET_USERTEMP, data)
    if answer.command not in {Command.DATA, Command.PREPARE_DATA}:
        raise Refused(Command.GET_USERTEMP, answer.command)
    if answer.command == Command.DATA:
        return answer.data
    template = Came()
    yield from _collect(template, answer, tables.CHUNK_TCP)
    found = template.taken()
    return found.head + found.rows


def _fill(came: Came, table: Table, part_bytes: int, limit_bytes: int) -> Conversation[None]:
    answer = yield Ask(Command.PREPARE_BUFFER, tables.request(table), is_table=True)
    if answer.command == Reply.ACK_OK:
        yield from _in_parts(came, answer, part_bytes, limit_bytes)
    elif answer.command in {Command.DATA, Command.PREPARE_DATA}:
        yield from _at_once(came, answer, "whole", limit_bytes)
    else:
        yield from _plainly(came, table, answer.command, limit_bytes)


def _plainly(came: Came, table: Table, refusal: int, limit_bytes: int) -> Conversation[None]:
    # The first refusal says more: it was of the question that newer firmware knows.
    refused = Refused(Command.PREPARE_BUFFER, refusal)
    if table is Table.TEMPLATES:
        raise refused
    answer = yield Ask(table, is_table=True)
    if answer.command not in {Command.DATA, Command.PREPARE_DATA, Reply.ACK_OK}:
        raise refused
    yield from _at_once(came, answer, "plain", limit_bytes)


def _at_once(came: Came, answer: Packet, way: Way, limit_bytes: int) -> Conversation[None]:
    if answer.command != Command.PREPARE_DATA:
        came.announce(len(answer.data), way)
        came.add(answer.data)
        return
    came.announce(_announced(answer), way)
    size, _ = yield from _collect(came, answer, limit_bytes)
    came.announce(size, way)


def _in_parts(came: Came, answer: Packet, part_bytes: int, limit_bytes: int) -> Conversation[None]:
    if len(answer.data) < 5:
        raise ProtocolError("The size of a table is missing.")
    announced = int.from_bytes(answer.data[1:5], "little")
    came.announce(announced, "parts")
    while len(came) < min(announced, limit_bytes):
        wanted = min(part_bytes, announced - len(came))
        size = yield from _part(came, wanted)
        if size < wanted:
            break


def _part(came: Came, wanted: int) -> Conversation[int]:
    """Read one part and give its size; it is short where the terminal has no more, or refuses."""
    offset = len(came)
    for _ in range(TRIES):
        request = tables.CHUNK_REQUEST.pack(offset, wanted)
        answer = yield Ask(Command.READ_BUFFER, request, expected_bytes=wanted)
        came.cut(offset)
        if answer.command == Command.DATA:
            size = came_bytes = len(answer.data)
            came.add(answer.data[:wanted])
        elif answer.command == Command.PREPARE_DATA:
            size, came_bytes = yield from _collect(came, answer, wanted)
        else:
            return 0
        if size > wanted:
            raise ProtocolError("A part of a table is longer than was asked for.")
        if came_bytes == size:
            return size
    # Of a part with a gap, or with something twice, nothing is known to stand in its place.
    came.cut(offset)
    return 0


class _Collected(NamedTuple):
    announced_bytes: int
    #: A datagram may come twice: then more came than was announced.
    came_bytes: int


def _collect(came: Came, prepare: Packet, limit_bytes: int) -> Conversation[_Collected]:
    """Take the DATA packets behind PREPARE_DATA up to the acknowledgement that ends them.

    PREPARE_DATA once more means that the request was sent again and all of it comes anew.
    """
    size, begin, came_bytes = _announced(prepare), len(came), 0
    while True:
        held = len(came) - begin
        left = max(min(size, limit_bytes) - held, 0)
        packet = yield Await(expected_bytes=left, is_table=True)
        match packet.command:
            case Command.DATA:
                came_bytes += len(packet.data)
                if came_bytes > _EXCESS * limit_bytes:
                    raise ProtocolError("More data came than was asked for.")
                came.add(packet.data[: limit_bytes - held])
            case Command.PREPARE_DATA:
                size, came_bytes = _announced(packet), 0
                came.cut(begin)
            case Reply.ACK_OK:
                return _Collected(size, came_bytes)
            case code:
                raise ProtocolError(f"{commands.name(code)} came in the middle of data.")


def _announced(prepare: Packet) -> int:
    if len(prepare.data) < 4:
        raise ProtocolError("PREPARE_DATA does not say how much comes.")
    return int.from_bytes(prepare.data[:4], "little")
