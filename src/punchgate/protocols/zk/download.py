"""Reading a whole table from a terminal: in parts, in one packet, or the old way.

Answers for getting the bytes and for knowing whether all of them came. What they mean is read in
`records.py`, `users.py` and `tables.py`. Memory grows with what arrives, never with what is
announced.
"""

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

    #: With the head that says how long the rows are.
    data: bytes
    #: What was announced; a part of it may be missing.
    announced_bytes: int
    way: Way

    @property
    def rows(self) -> bytes:
        """Give everything behind the head, whatever the head says."""
        return self.data[tables.TABLE_HEAD.size :]

    @property
    def is_complete(self) -> bool:
        """Say whether all came that was announced, and the head agrees."""
        if len(self.data) < tables.TABLE_HEAD.size:
            return not self.data and not self.announced_bytes
        said: int = tables.TABLE_HEAD.unpack_from(self.data)[0]
        return len(self.data) == self.announced_bytes and said == len(self.rows)


def read(
    table: Table, *, part_bytes: int = tables.CHUNK_TCP, limit_bytes: int = TABLE_LIMIT
) -> Conversation[Download]:
    """Read a table, by PREPARE_BUFFER where the terminal knows it, and let go of it.

    Shapes:  `part_bytes` is 65,472 on TCP and 16,384 on UDP. The result may be incomplete. Rows
             that came the plain way are believed only if they fit a layout.
    Errors:  Refused where neither way is known; ProtocolError for an answer without sense, after
             which the terminal is still to be told FREE_DATA.
    """
    answer = yield Ask(Command.PREPARE_BUFFER, tables.request(table), is_table=True)
    if answer.command == Reply.ACK_OK:
        found = yield from _in_parts(answer, part_bytes, limit_bytes)
    elif answer.command == Command.DATA:
        found = Download(answer.data, len(answer.data), "whole")
    elif answer.command == Command.PREPARE_DATA:
        data, size, _ = yield from _collect(answer, limit_bytes)
        found = Download(data, size, "whole")
    else:
        found = yield from _plainly(table, answer.command, limit_bytes)
    yield Ask(Command.FREE_DATA)
    return found


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
    template, _, _ = yield from _collect(answer, tables.CHUNK_TCP)
    return template


def _plainly(table: Table, refusal: int, limit_bytes: int) -> Conversation[Download]:
    if table is Table.TEMPLATES:
        raise Refused(Command.PREPARE_BUFFER, refusal)
    answer = yield Ask(table, is_table=True)
    if answer.command == Command.PREPARE_DATA:
        data, size, _ = yield from _collect(answer, limit_bytes)
        return Download(data, size, "plain")
    if answer.command in {Command.DATA, Reply.ACK_OK}:
        return Download(answer.data, len(answer.data), "plain")
    # The first refusal says more: it was of the question that newer firmware knows.
    raise Refused(Command.PREPARE_BUFFER, refusal)


def _in_parts(answer: Packet, part_bytes: int, limit_bytes: int) -> Conversation[Download]:
    if len(answer.data) < 5:
        raise ProtocolError("The size of a table is missing.")
    announced = int.from_bytes(answer.data[1:5], "little")
    data = bytearray()
    while len(data) < min(announced, limit_bytes):
        wanted = min(part_bytes, announced - len(data))
        part = yield from _part(len(data), wanted)
        data += part
        if len(part) < wanted:
            break
    return Download(bytes(data), announced, "parts")


def _part(offset: int, wanted: int) -> Conversation[bytes]:
    """Read one part; it is short where the terminal has no more, or refuses."""
    for _ in range(TRIES):
        request = tables.CHUNK_REQUEST.pack(offset, wanted)
        answer = yield Ask(Command.READ_BUFFER, request, expected_bytes=wanted)
        if answer.command == Command.DATA:
            data, size, came = answer.data, len(answer.data), len(answer.data)
        elif answer.command == Command.PREPARE_DATA:
            data, size, came = yield from _collect(answer, wanted)
        else:
            return b""
        if size > wanted:
            raise ProtocolError("A part of a table is longer than was asked for.")
        if came == size:
            return data
    # Of a part with a gap, or with something twice, nothing is known to stand in its place.
    return b""


class _Collected(NamedTuple):
    data: bytes
    announced_bytes: int
    #: A datagram may come twice: then more came than was announced.
    came_bytes: int


def _collect(prepare: Packet, limit_bytes: int) -> Conversation[_Collected]:
    """Take the DATA packets behind PREPARE_DATA up to the acknowledgement that ends them.

    PREPARE_DATA once more means that the request was sent again and all of it comes anew.
    """
    size = _announced(prepare)
    data = bytearray()
    came = 0
    while True:
        left = max(min(size, limit_bytes) - len(data), 0)
        packet = yield Await(expected_bytes=left, is_table=True)
        match packet.command:
            case Command.DATA:
                came += len(packet.data)
                if came > _EXCESS * limit_bytes:
                    raise ProtocolError("More data came than was asked for.")
                data += packet.data[: limit_bytes - len(data)]
            case Command.PREPARE_DATA:
                size, came = _announced(packet), 0
                data.clear()
            case Reply.ACK_OK:
                return _Collected(bytes(data), size, came)
            case code:
                raise ProtocolError(f"{commands.name(code)} came in the middle of data.")


def _announced(prepare: Packet) -> int:
    if len(prepare.data) < 4:
        raise ProtocolError("PREPARE_DATA does not say how much comes.")
    return int.from_bytes(prepare.data[:4], "little")
