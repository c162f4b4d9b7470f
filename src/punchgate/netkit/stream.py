"""A stream codec over TCP: dial or accept, hear events, say messages, end in good order.

Each wait has a deadline, a read is bounded, nothing is read that nobody asked for, and each message
is one write of its own. It does not know what is said: codecs are handed in, and so is the pause
between frames, because intervals belong to whoever runs the whole.

The promises of a line stand in `line.py`.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, Generic, TypeVar

from punchgate.netkit.error import Lost, Silent, Unreachable
from punchgate.netkit.line import IN_A_ROW, Limits, Pause
from punchgate.netkit.talks import Talks
from punchgate.wire.codec import StreamCodec
from punchgate.wire.error import ProtocolError

In = TypeVar("In")
Out = TypeVar("Out")

# On, with no time to linger: closing throws away what is unsent and resets the connection.
_RESET: Final = struct.pack("ii", 1, 0)
#: A peer that lost its power is as quiet as one that only listens: the kernel asks it after a
#: minute, and gives the connection up after another. Linux's names; a system without them has its
#: own intervals.
_KEEPALIVE: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}


class StreamLine(Generic[In, Out]):
    """A `Line` over one connection, and the codec that reads and writes it."""

    def __init__(
        self,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        codec: StreamCodec[In, Out],
        limits: Limits,
        pause: Pause,
    ) -> None:
        self._reader, self._writer = streams
        self._codec = codec
        self._limits = limits
        self._pause = pause
        # Frames are taken apart as they are heard: thousands of them may have come in one read.
        self._events: Iterator[In] = iter(())
        self._heard = 0
        self._broken: ProtocolError | None = None
        self._has_ended = False
        # Held for the write and the gap after it: a second speaker's frame keeps its distance too.
        self._turn = asyncio.Lock()
        _set_options(self._writer.get_extra_info("socket"))

    @property
    def peer(self) -> str:
        """Give the address of the other side, without its port."""
        name = self._writer.get_extra_info("peername")
        return str(name[0]) if name else "?"

    async def hear(self, *, within_s: float | None = None) -> In | None:
        """Give the next event, or None."""
        self._heard += 1
        if not self._heard % IN_A_ROW:
            await self._pause(0)
        try:
            async with asyncio.timeout(self._limits.idle_s if within_s is None else within_s):
                while (event := self._next()) is None and not self._has_ended:
                    await self._read()
        except TimeoutError:
            raise Silent("nothing was said in time") from None
        return event

    async def say(self, message: Out) -> None:
        """Send one message as one write."""
        await self.write(self._codec.send(message))

    async def write(self, data: bytes) -> None:
        """Send bytes as they are, as one write."""
        async with self._turn:
            if self._writer.is_closing():
                # A reset closed it: uvloop's transports take nothing then, and say RuntimeError.
                raise Lost("the connection is closed")
            with _loss():
                self._writer.write(data)
                async with asyncio.timeout(self._limits.write_s):
                    await self._writer.drain()
            if self._limits.frame_gap_s:
                await self._pause(self._limits.frame_gap_s)

    async def close(self) -> None:
        """Say goodbye: what was written is sent, within `close_s`."""
        self._writer.close()
        try:
            async with asyncio.timeout(self._limits.close_s):
                await self._writer.wait_closed()
        except (TimeoutError, OSError):
            # The peer does not take our last bytes, or is gone: there is nobody to wait for.
            self._writer.transport.abort()

    def reset(self) -> None:
        """End the connection with a reset; one that is ending is only cut short."""
        if not self._writer.is_closing():
            # Else the socket may be gone, and its number another connection's.
            connection = self._writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._writer.transport.abort()

    async def _read(self) -> None:
        with _loss():
            data = await self._reader.read(self._limits.read_bytes)
        self._codec.feed(data)
        self._events = self._codec.events()
        self._has_ended = not data

    def _next(self) -> In | None:
        """Give an event of what was read; ProtocolError, also every later time."""
        if self._broken is not None:
            raise self._broken
        try:
            return next(self._events, None)
        except ProtocolError as error:
            self._broken = error
            raise


class Listener:
    """A port that takes calls; made by `listen`."""

    def __init__(self, server: asyncio.Server, talks: Talks) -> None:
        self._server = server
        self.talks = talks

    @property
    def port(self) -> int:
        """Give the port: the one that was asked for, or the free one that was found for 0."""
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self, *, within_s: float = 5.0) -> None:
        """Take no more calls, cancel the conversations, and wait until they have ended."""
        self._server.close()
        await self.talks.close(within_s=within_s)


async def listen(
    address: tuple[str, int],
    talk: Callable[[StreamLine[In, Out]], Awaitable[None]],
    codec: Callable[[], StreamCodec[In, Out]],
    *,
    pause: Pause,
    limits: Limits | None = None,
) -> Listener:
    """Take calls on an address; each has a codec of its own and is one call of `talk`.

    A conversation that ends with Lost, Silent or ProtocolError is over and nothing more; its line
    is closed whatever happened. One call too many is closed before a byte is read.

    Errors:  OSError when the address cannot be had.
    """
    bounds = limits or Limits()
    talks = Talks(bounds)

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = StreamLine((reader, writer), codec(), bounds, pause)
        if talks.has_room(line.peer):
            talks.begin(talk, line)
        else:
            writer.close()

    host, port = address
    server = await asyncio.start_server(accept, host, port, limit=bounds.read_bytes)
    return Listener(server, talks)


async def dial(
    address: tuple[str, int],
    codec: StreamCodec[In, Out],
    *,
    pause: Pause,
    within_s: float = 5.0,
    limits: Limits | None = None,
) -> StreamLine[In, Out]:
    """Call somebody.

    Errors:  Unreachable: refused, no route, no such name, or nobody answered in time.
    """
    bounds = limits or Limits()
    host, port = address
    try:
        async with asyncio.timeout(within_s):
            streams = await asyncio.open_connection(host, port, limit=bounds.read_bytes)
    except TimeoutError:
        raise Unreachable(f"{host}:{port} did not answer within {within_s:g} s") from None
    except OSError as error:
        raise Unreachable(f"{host}:{port}: {error.strerror or error}") from error
    return StreamLine(streams, codec, bounds, pause)


def _set_options(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        option = getattr(socket, name, None)
        if option is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


@contextmanager
def _loss() -> Iterator[None]:
    """Turn what sockets raise into Lost."""
    try:
        yield
    except TimeoutError:
        raise Lost("the peer is there no more") from None
    except OSError as error:
        raise Lost(str(error.strerror or error)) from error
