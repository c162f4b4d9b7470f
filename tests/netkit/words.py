"""A codec small enough to see through: words that end with a new line; `?` is no word.

`talking` is the other half of most tests: a listener and a line to it, on real sockets.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

from punchgate.netkit import stream
from punchgate.netkit.line import Limits
from punchgate.netkit.stream import StreamLine
from punchgate.wire.error import ProtocolError

WordLine = StreamLine[str, str]
LOOPBACK = ("127.0.0.1", 0)


class Words:
    """A `StreamCodec[str, str]`."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> None:
        self._held += data

    def events(self) -> Iterator[str]:
        while b"\n" in self._held:
            word, _, self._held = self._held.partition(b"\n")
            if word == b"?":
                raise ProtocolError("not a word")
            yield word.decode()

    def send(self, message: str) -> bytes:
        if "\n" in message:
            raise ValueError("a word has one line")
        return message.encode() + b"\n"


class Pauses:
    """Takes no time, and notes how much was asked for."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)


@asynccontextmanager
async def talking(
    talk: Callable[[WordLine], Awaitable[None]],
    *,
    limits: Limits | None = None,
    pause: Pauses | None = None,
) -> AsyncIterator[tuple[stream.Listener, WordLine]]:
    """Listen with `talk`, dial, and give both ends; the limits hold at the listener."""
    pauses = pause or Pauses()
    listener = await stream.listen(LOOPBACK, talk, Words, pause=pauses, limits=limits)
    try:
        line = await stream.dial((LOOPBACK[0], listener.port), Words(), pause=pauses)
        try:
            yield listener, line
        finally:
            await line.close()
    finally:
        await listener.close()
