"""Reading a whole table from a terminal: in parts, in one packet, or the old way.

Answers for getting the bytes and for knowing whether all of them came. What they mean is read in
`records.py`, `users.py` and `tables.py`. Memory grows with what arrives, never with what is
announced, and a table is there once: a second time only while it is handed over.

Datagrams get lost and overtake each other, and nothing in them says which of a part's they are: a
row of two halves would be a punch that nobody made. Over UDP a part is therefore one datagram, and
what only comes in many is believed when it came the same three times.
"""

import zlib
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
#: How many times in a row a table of many datagrams has to come the same: two may change places at
#: the same place twice.
ALIKE: Final = 3
_READINGS: Final = 10
#: How many times what was asked for may come before it is too much.
_EXCESS: Final = 3

#: What a question for a table is answered with when it has not to be asked for in parts.
_PLAIN_ANSWERS: Final = frozenset({Command.DATA, Command.PREPARE_DATA, Reply.ACK_OK})

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

    @property
    def is_agreed(self) -> bool:
        """Say whether the head says what is behind it."""
        head = tables.TABLE_HEAD.size
        said = int.from_bytes(self._data[:head], "little")
        return len(self) >= head and said == len(self) - head

    def add(self, data: bytes) -> None:
        """Put bytes behind those that came."""
        self._hold(len(self._data) + len(data))
        self._data += data

    def cut(self, size_bytes: int) -> None:
        """Forget everything behind the first so many bytes."""
        del self._data[size_bytes:]

    def anew(self) -> "Came":
        """Give another one, held the same way, that is empty."""
        return Came(self._hold)

    def take_over(self, other: "Came") -> None:
        """Have what another one has."""
        self._data = other._data  # noqa: SLF001 (of its own kind)

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

    Shapes:  `part_bytes` is `CHUNK_TCP`, or `CHUNK_UDP` over a line that loses packets. The result
             may be incomplete. Rows that came the plain way are believed only if they fit a layout.
             A caller that keeps `came` has what came of a table that broke off.
    Errors:  Refused where neither way is known; ProtocolError for an answer without sense, after
             which the terminal is still to be told FREE_DATA; what `came` raises.
    """
    came = Came() if came is None else came
    yield from _fill(came, table, _Limits(limit_bytes, part_bytes))
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


class _Limits(NamedTuple):
    table_bytes: int
    part_bytes: int

    @property
    def is_in_order(self) -> bool:
        return self.part_bytes > tables.CHUNK_UDP


def _fill(came: Came, table: Table, limits: _Limits) -> Conversation[None]:
    ask = Ask(Command.PREPARE_BUFFER, tables.request(table), is_table=True)
    answer = yield ask
    if answer.command == Reply.ACK_OK:
        yield from _in_parts(came, answer, limits)
    elif answer.command in {Command.DATA, Command.PREPARE_DATA}:
        came.way = "whole"
        yield from _at_once(came, ask, answer, limits)
    else:
        yield from _plainly(came, table, answer.command, limits)


def _plainly(came: Came, table: Table, refusal: int, limits: _Limits) -> Conversation[None]:
    # The first refusal says more: it was of the question that newer firmware knows.
    refused = Refused(Command.PREPARE_BUFFER, refusal)
    if table is Table.TEMPLATES:
        raise refused
    came.way = "plain"
    ask = Ask(table, is_table=True)
    answer = yield ask
    if answer.command not in _PLAIN_ANSWERS:
        raise refused
    yield from _at_once(came, ask, answer, limits)


def _at_once(came: Came, ask: Ask, answer: Packet, limits: _Limits) -> Conversation[None]:
    if answer.command == Command.PREPARE_DATA:
        came.announced_bytes = _announced(answer)
    if not limits.is_in_order:
        yield from _alike(came, ask, answer, limits.table_bytes)
        return
    found = yield from _taken(came, answer, limits.table_bytes)
    came.announced_bytes = found.announced_bytes


def _alike(came: Came, ask: Ask, answer: Packet, limit_bytes: int) -> Conversation[None]:
    """Read a table of many datagrams until it came the same several times in a row.

    Errors:  ProtocolError where it does not; nothing of it is there then.
    """
    before: _Collected | None = None
    alike = 0
    for _ in range(_READINGS):
        # Of its own: what breaks off has gaps that nobody knows of.
        again = came.anew()
        found = yield from _taken(again, answer, limit_bytes)
        alike = alike + 1 if found == before else 1
        if alike == ALIKE or (found.packets == 1 and again.is_agreed):
            came.take_over(again)
            came.announced_bytes = found.announced_bytes
            return
        before = found
        answer = yield ask
        if answer.command not in _PLAIN_ANSWERS:
            break
    raise ProtocolError("Datagrams of a table get lost, or change places.")


def _taken(came: Came, answer: Packet, limit_bytes: int) -> Conversation["_Collected"]:
    """Take what an answer begins with: one packet, or all behind PREPARE_DATA."""
    if answer.command == Command.PREPARE_DATA:
        return (yield from _collect(came, answer, limit_bytes))
    came.add(answer.data)
    size = len(answer.data)
    return _Collected(size, size, zlib.crc32(answer.data), packets=1)


def _in_parts(came: Came, answer: Packet, limits: _Limits) -> Conversation[None]:
    if len(answer.data) < 5:
        raise ProtocolError("The size of a table is missing.")
    announced = int.from_bytes(answer.data[1:5], "little")
    came.announced_bytes = announced
    while len(came) < min(announced, limits.table_bytes):
        wanted = min(limits.part_bytes, announced - len(came))
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
            size, came_bytes, *_ = yield from _collect(came, answer, wanted)
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
    #: Of what came, in the order in which it came.
    checksum: int
    packets: int


def _collect(came: Came, prepare: Packet, limit_bytes: int) -> Conversation[_Collected]:
    """Take the DATA packets behind PREPARE_DATA up to the acknowledgement that ends them.

    PREPARE_DATA once more means that the request was sent again and all of it comes anew.
    """
    size, begin = _announced(prepare), len(came)
    came_bytes = checksum = count = 0
    while True:
        held = len(came) - begin
        left = max(min(size, limit_bytes) - held, 0)
        packet = yield Await(expected_bytes=left, is_table=True)
        match packet.command:
            case Command.DATA:
                came_bytes += len(packet.data)
                count += 1
                checksum = zlib.crc32(packet.data, checksum)
                if came_bytes > _EXCESS * limit_bytes:
                    raise ProtocolError("More data came than was asked for.")
                came.add(packet.data[: limit_bytes - held])
            case Command.PREPARE_DATA:
                size, came_bytes, checksum, count = _announced(packet), 0, 0, 0
                came.cut(begin)
            case Reply.ACK_OK:
                return _Collected(size, came_bytes, checksum, count)
            case code:
                raise ProtocolError(f"{commands.name(code)} came in the middle of data.")


def _announced(prepare: Packet) -> int:
    if len(prepare.data) < 4:
        raise ProtocolError("PREPARE_DATA does not say how much comes.")
    return int.from_bytes(prepare.data[:4], "little")
