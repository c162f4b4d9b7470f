"""Packets of the pull protocol, in TCP frames and in datagrams, with their checksum.

Answers for where a packet begins and ends and whether it arrived whole. What it means is read in
`dialogue.py` (the client) and `terminal.py` (the terminal).
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from punchgate.protocols.zk import commands
from punchgate.wire.buffer import Buffer
from punchgate.wire.error import ProtocolError

MAGIC: Final = b"\x50\x50\x82\x7d"
FRAME_HEAD: Final = struct.Struct("<4sI")
PACKET_HEAD: Final = struct.Struct("<HHHH")

#: 64 KiB of data behind the head: a chunk of a table is at most 65,472.
FRAME_LIMIT: Final = 65_544
#: While a table is expected: a terminal may put a whole one into a single frame.
TABLE_FRAME_LIMIT: Final = 16 * 1024 * 1024
#: What may arrive in one read on top of a frame that is not complete yet.
READ_LIMIT: Final = 256 * 1024
#: Data of one datagram from a terminal.
DATAGRAM_DATA: Final = 1_024
#: What UDP can carry at all.
DATAGRAM_LIMIT: Final = 65_507

#: The reply number after it is 0: every client in use wraps there.
LAST_REPLY_NUMBER: Final = 65_534


class Packet(NamedTuple):
    """One request, answer or event.

    Layout (little-endian):

        0         2          4         6              8
        | command | checksum | session | reply number | data, 0 .. n
          u16       u16        u16       u16

    Codes:   `command` is a `Command` or a `Reply`; any number may arrive. `session` also carries
             the state (STATE_RRQ) and the event's code (REG_EVENT): match answers by `reply`.
    Source:  docs/protocols/zk-4370.md, "Framing"; 23 packets of two real terminals agree.
    """

    command: int
    session: int
    reply: int
    data: bytes = b""

    def __str__(self) -> str:
        """Say which packet this is, without its data: that may hold a key or a password."""
        return f"{commands.name(self.command)} reply {self.reply}, {len(self.data)} bytes"


def checksum(command: int, session: int, reply: int, data: bytes) -> int:
    """Give the checksum of a packet: one's complement of the folded sum of its 16-bit words.

    A number read as digits of base 65,536 leaves the sum of its digits when divided by 65,535, so
    one division does the folding. Only a sum of zero folds to zero.
    """
    total = command + session + reply + int.from_bytes(data, "little")
    folded = total % 0xFFFF or (0xFFFF if total else 0)
    return 0xFFFF - folded


def encode(packet: Packet) -> bytes:
    """Give the payload of a packet, as it stands in a frame or a datagram.

    Errors:  ValueError for a number that does not fit into 16 bits.
    """
    command, session, reply, data = packet
    if not (0 <= command <= 0xFFFF and 0 <= session <= 0xFFFF and 0 <= reply <= 0xFFFF):
        raise ValueError(f"A number of {packet} does not fit into 16 bits.")
    return PACKET_HEAD.pack(command, checksum(*packet), session, reply) + data


def decode(payload: bytes) -> Packet:
    """Read a payload.

    Errors:  ProtocolError if it is shorter than its head or its checksum is wrong.
    """
    if len(payload) < PACKET_HEAD.size:
        raise ProtocolError(f"A packet of {len(payload)} bytes is shorter than its head.")
    command, said, session, reply = PACKET_HEAD.unpack_from(payload)
    packet = Packet(command, session, reply, payload[PACKET_HEAD.size :])
    if checksum(*packet) != said:
        raise ProtocolError("The checksum of a packet is wrong.")
    return packet


def frame(packet: Packet) -> bytes:
    """Give a packet as a TCP frame: magic, u32 length, payload."""
    payload = encode(packet)
    return FRAME_HEAD.pack(MAGIC, len(payload)) + payload


class TcpCodec:
    """Packets in a TCP stream; a `StreamCodec[Packet, Packet]` for both roles.

    A wrong magic, length or checksum ends the stream: there is no finding the next frame.
    """

    def __init__(self, *, limit: int = FRAME_LIMIT) -> None:
        self._limit = limit
        self._buffer = Buffer(FRAME_HEAD.size + limit + READ_LIMIT)
        self._is_closed = False
        self._failure: str | None = None

    @property
    def held_bytes(self) -> int:
        """Say how much has arrived and is not read."""
        return len(self._buffer)

    def allow(self, limit: int) -> None:
        """Set the longest payload from here on; for a table it is `TABLE_FRAME_LIMIT`."""
        self._limit = limit
        self._buffer.limit = FRAME_HEAD.size + limit + READ_LIMIT

    def feed(self, data: bytes) -> None:
        """Store what was read; `b""` says that the peer has closed."""
        if self._failure is not None:
            return
        if data:
            self._buffer.append(data)
        else:
            self._is_closed = True

    def events(self) -> Iterator[Packet]:
        """Give the complete packets.

        Errors:  ProtocolError for a wrong magic, length or checksum, for a stream that ends inside
                 a frame, and for a peer that sends faster than it is read.
        """
        while True:
            try:
                packet = self._next()
            except ProtocolError as error:
                self._failure = str(error)
                self._buffer.clear()
                raise
            if packet is None:
                return
            yield packet

    def send(self, message: Packet) -> bytes:
        """Give the frame of a packet."""
        return frame(message)

    def _next(self) -> Packet | None:
        if self._failure is not None:
            raise ProtocolError(self._failure)
        head = self._buffer.peek(FRAME_HEAD.size)
        # Judged as far as it goes: a stranger's first byte is enough to hang up.
        if not MAGIC.startswith(head[:4]):
            raise ProtocolError("A frame does not begin with the magic.")
        if len(head) == FRAME_HEAD.size:
            length = self._length(head)
            if len(self._buffer) >= FRAME_HEAD.size + length:
                self._buffer.skip(FRAME_HEAD.size)
                return decode(self._buffer.take(length))
        if self._buffer.is_over:
            raise ProtocolError("More was sent than may wait.")
        if self._is_closed and head:
            raise ProtocolError("The stream ends inside a frame.")
        return None

    def _length(self, head: bytes) -> int:
        length: int = FRAME_HEAD.unpack(head)[1]
        if length < PACKET_HEAD.size:
            raise ProtocolError(f"A frame announces {length} bytes, fewer than a head.")
        if length > self._limit:
            raise ProtocolError(f"A frame announces {length} bytes; {self._limit} are allowed.")
        return length


class DatagramCodec:
    """Packets in datagrams, fed one at a time; a `StreamCodec[Packet, Packet]` for both roles.

    A datagram that is no packet, or whose checksum is wrong, is dropped and counted: anybody can
    send one, and the next is not damaged by it. `events` raises nothing.
    """

    def __init__(self, *, limit: int = DATAGRAM_LIMIT, waiting: int = 1_024) -> None:
        self._limit = limit
        self._waiting_limit = waiting
        self._waiting: list[Packet] = []
        self.dropped = 0

    @property
    def held_bytes(self) -> int:
        """Say how much has arrived and is not read."""
        return sum(PACKET_HEAD.size + len(packet.data) for packet in self._waiting)

    def feed(self, data: bytes) -> None:
        """Store one datagram; an empty one is no packet."""
        if len(data) > self._limit or len(self._waiting) >= self._waiting_limit:
            self.dropped += 1
            return
        try:
            self._waiting.append(decode(data))
        except ProtocolError:
            self.dropped += 1

    def events(self) -> Iterator[Packet]:
        """Give the packets that arrived."""
        while self._waiting:
            yield self._waiting.pop(0)

    def send(self, message: Packet) -> bytes:
        """Give the datagram of a packet.

        Errors:  ValueError where UDP cannot carry it.
        """
        payload = encode(message)
        if len(payload) > self._limit:
            raise ValueError(f"{message} does not fit into a datagram.")
        return payload
