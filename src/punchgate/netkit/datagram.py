"""A codec over UDP: the same lines as `stream.py` has, one datagram a message.

A line is a peer's address. A datagram of a new address opens one; it ends with its conversation.
Datagrams get lost, doubled and out of order: asking again is the business of who asks. Nothing is
sent again here.
"""

import asyncio
import functools
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from punchgate.netkit.error import Lost, Silent, Unreachable
from punchgate.netkit.line import IN_A_ROW, Limits, Pause
from punchgate.netkit.talks import Talks
from punchgate.wire.codec import StreamCodec
from punchgate.wire.error import ProtocolError

In = TypeVar("In")
Out = TypeVar("Out")
_Address = tuple[str, int]


class DatagramLine(Generic[In, Out]):
    """A `Line` to one address, over a socket that may be shared with other lines."""

    def __init__(
        self,
        socket: "_Socket",
        peer: _Address,
        codec: StreamCodec[In, Out],
        limits: Limits,
        pause: Pause,
    ) -> None:
        self._socket = socket
        self._to = peer
        self._codec = codec
        self._limits = limits
        self._pause = pause
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._arrived = asyncio.Event()
        self._events: deque[In] = deque()
        self._heard = 0
        self._trouble: Exception | None = None
        self._turn = asyncio.Lock()
        #: Called when the line is over.
        self.ended: Callable[[], None] = lambda: None

    @property
    def peer(self) -> str:
        """Give the address of the other side, without its port."""
        return self._to[0]

    async def hear(self, *, within_s: float | None = None) -> In | None:
        """Give the next event; a peer on UDP does not close, so it is never None."""
        try:
            async with asyncio.timeout(self._limits.idle_s if within_s is None else within_s):
                while not self._events and self._trouble is None:
                    await self._read()
        except TimeoutError:
            raise Silent("nothing was said in time") from None
        if self._events:
            self._heard += 1
            if not self._heard % IN_A_ROW:
                await self._pause(0)
            return self._events.popleft()
        trouble, self._trouble = self._trouble, None
        raise trouble or Lost("closed")

    async def say(self, message: Out) -> None:
        """Send one message as one datagram."""
        await self.write(self._codec.send(message))

    async def write(self, data: bytes) -> None:
        """Send bytes as they are, as one datagram."""
        async with self._turn:
            try:
                async with asyncio.timeout(self._limits.write_s):
                    await self._socket.has_room.wait()
            except TimeoutError:
                raise Lost("no datagram leaves any more") from None
            self._socket.send(data, self._to)
            if self._limits.frame_gap_s:
                await self._pause(self._limits.frame_gap_s)

    async def close(self) -> None:
        """Forget the peer: UDP has no goodbye."""
        self.reset()

    def reset(self) -> None:
        """Forget the peer at once."""
        self.fail(Lost("closed"))
        self.ended()

    def take(self, data: bytes) -> None:
        """Keep a datagram until it is heard; drop it when too many wait."""
        limits, size = self._limits, self._waiting_bytes + len(data)
        if len(self._waiting) < limits.waiting_max and size <= limits.waiting_bytes:
            self._waiting.append(data)
            self._waiting_bytes = size
            self._arrived.set()

    def fail(self, trouble: Exception) -> None:
        """Let the conversation end with this."""
        self._trouble = trouble
        self._arrived.set()

    async def _read(self) -> None:
        await self._arrived.wait()
        try:
            while self._waiting:
                data = self._waiting.popleft()
                self._waiting_bytes -= len(data)
                self._codec.feed(data)
                for event in self._codec.events():
                    self._events.append(event)
        except ProtocolError as error:
            self._trouble = error
        self._arrived.clear()


class _Socket(asyncio.DatagramProtocol):
    """One socket: where what arrives goes, and whether more may be sent."""

    def __init__(
        self, arrived: Callable[[bytes, _Address], None], failed: Callable[[Exception], None]
    ) -> None:
        self._arrived = arrived
        self._failed = failed
        self._transport: asyncio.DatagramTransport | None = None
        self._is_connected = False
        self.has_room = asyncio.Event()
        self.has_room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport is of no class of asyncio's: the shape is what counts.
        datagrams: Any = transport
        self._transport = datagrams
        self._is_connected = transport.get_extra_info("peername") is not None

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._arrived(data, (addr[0], addr[1]))

    def error_received(self, exc: Exception) -> None:
        self._failed(exc)

    def pause_writing(self) -> None:
        self.has_room.clear()

    def resume_writing(self) -> None:
        self.has_room.set()

    @property
    def port(self) -> int:
        if self._transport is None:
            return 0
        return int(self._transport.get_extra_info("sockname")[1])

    def send(self, data: bytes, to: _Address) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, None if self._is_connected else to)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Listener(Generic[In, Out]):
    """A port that takes datagrams; made by `listen`."""

    def __init__(
        self,
        talk: Callable[[DatagramLine[In, Out]], Awaitable[None]],
        codec: Callable[[], StreamCodec[In, Out]],
        limits: Limits,
        pause: Pause,
    ) -> None:
        self._talk = talk
        self._codec = codec
        self._limits = limits
        self._pause = pause
        self._lines: dict[_Address, DatagramLine[In, Out]] = {}
        self.talks = Talks(limits)
        # An error of a shared socket says nothing about which peer is gone: each has its deadline.
        self.socket = _Socket(self._arrived, lambda _: None)

    @property
    def port(self) -> int:
        """Give the port: the one that was asked for, or the free one that was found for 0."""
        return self.socket.port

    async def close(self, *, within_s: float = 5.0) -> None:
        """Take no more, cancel the conversations, and wait until they have ended."""
        await self.talks.close(within_s=within_s)
        self.socket.close()

    def _arrived(self, data: bytes, sender: _Address) -> None:
        line = self._lines.get(sender)
        if line is None and self.talks.has_room(sender[0]):
            line = DatagramLine(self.socket, sender, self._codec(), self._limits, self._pause)
            line.ended = functools.partial(self._forget, sender, line)
            self._lines[sender] = line
            self.talks.begin(self._talk, line)
        if line is not None:
            line.take(data)

    def _forget(self, sender: _Address, line: DatagramLine[In, Out]) -> None:
        # The same address may have begun anew while this line was ending.
        if self._lines.get(sender) is line:
            del self._lines[sender]


async def listen(
    address: _Address,
    talk: Callable[[DatagramLine[In, Out]], Awaitable[None]],
    codec: Callable[[], StreamCodec[In, Out]],
    *,
    pause: Pause,
    limits: Limits | None = None,
) -> Listener[In, Out]:
    """Take datagrams on an address; each peer has a codec and one call of `talk` of its own.

    Errors:  OSError when the address cannot be had.
    """
    listener = Listener(talk, codec, limits or Limits(), pause)
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: listener.socket, local_addr=address)
    return listener


async def dial(
    address: _Address,
    codec: StreamCodec[In, Out],
    *,
    pause: Pause,
    limits: Limits | None = None,
) -> DatagramLine[In, Out]:
    """Open a line to an address; nothing is sent, so nobody has answered yet.

    Errors:  Unreachable: no route, no such name.
    """
    lines: list[DatagramLine[In, Out]] = []
    socket = _Socket(
        # Connected: the kernel lets datagrams of this one peer through, and tells when it is gone.
        lambda data, _: lines[0].take(data),
        lambda error: lines[0].fail(Lost(str(error))),
    )
    lines.append(DatagramLine(socket, address, codec, limits or Limits(), pause))
    lines[0].ended = socket.close
    try:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: socket, remote_addr=address)
    except OSError as error:
        host, port = address
        raise Unreachable(f"{host}:{port}: {error.strerror or error}") from error
    return lines[0]
