"""How the packets of a virtual terminal leave: whole, in pieces, slowly, lost, doubled, late.

Everything that a network can do to packets is here. What they say is `protocols/zk/terminal.py`'s.
"""

from collections.abc import Iterable
from random import Random
from typing import Final

from punchgate.netkit.line import Line, Pause
from punchgate.protocols.zk import packets
from punchgate.protocols.zk.packets import Packet
from punchgate.simulators.zk_faults import Faults

PacketLine = Line[Packet, Packet]

#: Where a frame is cut: mostly small pieces, down to one byte, and some that are not.
_PIECES: Final = (1, 1, 2, 3, 7, 12, 64, 536, 1_460, 9_000)
#: So many pieces, and then the rest; between them a moment, so that the peer reads them apart.
_PIECES_MAX: Final = 8
_BETWEEN_S: Final = 0.001
#: Frames that leave together are kept until there are so many bytes of them.
_MERGED_BYTES: Final = 256 * 1024
#: 100 bytes a second.
_SLOW_BYTES: Final = 10
_SLOW_S: Final = 0.1


class Post:
    """The way out of one session."""

    def __init__(
        self, line: PacketLine, faults: Faults, chance: Random, pause: Pause, *, is_udp: bool
    ) -> None:
        self._line = line
        self._faults = faults
        self._chance = chance
        self._pause = pause
        self._is_udp = is_udp
        self._merged = bytearray()
        self._overtaken: bytes | None = None

    async def send(self, packet: Packet, *, is_last: bool = True) -> None:
        """Send a packet; what is held back leaves with the last one.

        Errors:  Lost.
        """
        if self._is_udp:
            await self._send_datagram(packets.encode(packet), is_last=is_last)
        elif "merge" in self._faults:
            await self._merge(packets.frame(packet), is_last=is_last)
        else:
            await self._write(packets.frame(packet))

    async def send_together(self, several: Iterable[Packet]) -> None:
        """Send packets in one write; on UDP, one datagram after the other.

        Errors:  Lost.
        """
        if self._is_udp:
            for packet in several:
                await self.send(packet)
        else:
            await self._write(b"".join(packets.frame(packet) for packet in several))

    async def _merge(self, frame: bytes, *, is_last: bool) -> None:
        self._merged += frame
        if is_last or len(self._merged) >= _MERGED_BYTES:
            data, self._merged = bytes(self._merged), bytearray()
            await self._write(data)

    async def _write(self, data: bytes) -> None:
        if "slow" in self._faults:
            for start in range(0, len(data), _SLOW_BYTES):
                await self._line.write(data[start : start + _SLOW_BYTES])
                await self._pause(_SLOW_S)
        elif "split" in self._faults and not self._is_udp:
            for piece in self._pieces(data):
                await self._line.write(piece)
                await self._pause(_BETWEEN_S)
        elif data:
            await self._line.write(data)

    def _pieces(self, data: bytes) -> Iterable[bytes]:
        start = 0
        for _ in range(_PIECES_MAX):
            size = self._chance.choice(_PIECES)
            yield data[start : start + size]
            start += size
            if start >= len(data):
                return
        yield data[start:]

    async def _send_datagram(self, datagram: bytes, *, is_last: bool) -> None:
        if self._happens("udp-loss"):
            return
        copies = 2 if self._happens("udp-double") else 1
        late, self._overtaken = self._overtaken, None
        if late is None and not is_last and self._happens("udp-reorder"):
            self._overtaken = datagram
            return
        for _ in range(copies):
            await self._line.write(datagram)
        if late is not None:
            await self._line.write(late)
        if "slow" in self._faults:
            await self._pause(len(datagram) / _SLOW_BYTES * _SLOW_S)

    def _happens(self, name: str) -> bool:
        return self._chance.random() * 100 < self._faults.percents.get(name, 0)
