"""A receiver of webhooks that does what a test tells it to, well or badly.

A real HTTP server on loopback, in the loop of whoever opens it (or in a process of its own, see
below). It keeps every request in the order of arrival and answers each with a behaviour:

    async with receiver.open() as r:
        r.script(Answer(503), Answer(429, {"Retry-After": "7"}), Hang())   # the first three
        r.otherwise = Answer(204)                                          # every one after them
        r.otherwise = lambda request: Answer(200, body=request.body)       # or what depends on it
        ... send to r.url("/hook") ...
        await r.received(5)                  # waits for the condition, with a deadline
        assert [request.body for request in r.requests] == [...]

Behaviours: `Answer` (whole; with `after` it waits for an event first, so nothing has to sleep),
`Hang` (never), `Trickle` (the body one byte at a time), `Flood` (a body of any size, made as it is
taken), `CutOff` (announces more than it sends), `Raw` (any bytes at all), `Drop` (closes at once).
A redirect is `Answer(302, {"Location": ...})`. `open(tls=...)` serves TLS, with whatever
certificate its context has; `tests/authority.py` makes good and bad ones.

As a benchmark's partner it can run alone and keep nothing but a count:
`python -m tests.receiver [--port N]` prints its port, answers 200 to everything, and prints what it
counted when its standard input ends.
"""

import argparse
import asyncio
import ssl
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypeAlias, cast

import httptools

from punchgate.domain.target import REFUSED_PORTS

#: How long a test waits for what it expects before it is a failure.
DEADLINE_S: Final = 60.0
_FLOOD: Final = b"x" * 65_536


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came; header names in lower case, the last of a name wins."""

    method: str
    #: Path and query, byte for byte.
    target: str
    headers: Mapping[str, str]
    body: bytes
    #: Which connection brought it: 1 is the first that was accepted.
    connection: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; with `after`, not before that is set."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    after: asyncio.Event | None = None


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer, ever; the connection stays open."""


@dataclass(frozen=True, slots=True)
class Trickle:
    """A good head, then the body one byte per interval."""

    body: bytes = b"x" * 3_600
    interval_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Flood:
    """A body of `size` bytes, made only as fast as it is taken; without a length it is chunked."""

    size: int
    announces_length: bool = True
    status: int = 200


@dataclass(frozen=True, slots=True)
class CutOff:
    """Announces `announced` bytes of body, sends these, and closes."""

    body: bytes = b"half"
    announced: int = 100


@dataclass(frozen=True, slots=True)
class Raw:
    """These bytes instead of an answer; then the connection is closed, unless it is kept."""

    data: bytes
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection is closed without a byte."""


Behaviour: TypeAlias = Answer | Hang | Trickle | Flood | CutOff | Raw | Drop
Chooser: TypeAlias = Callable[[Request], Behaviour]

OK: Final = Answer()


class Receiver:
    """What a test holds: what came, and what comes back."""

    def __init__(self, *, keeps_requests: bool = True) -> None:
        self.requests: list[Request] = []
        #: Requests so far, also where they are not kept.
        self.count = 0
        #: Connections accepted so far.
        self.connections = 0
        #: Bytes of floods handed to the system.
        self.flooded = 0
        self.otherwise: Behaviour | Chooser = OK
        self.port = 0
        self.scheme = "http"
        self._keeps_requests = keeps_requests
        self._script: deque[Behaviour] = deque()
        #: Nobody listens any more.
        self.is_over = False
        self._lines: set[_Line] = set()
        self._changed = asyncio.Event()

    @property
    def open_connections(self) -> int:
        return len(self._lines)

    def url(self, target: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{target}"

    def script(self, *behaviours: Behaviour) -> None:
        """Answer the next requests with these, in this order; then `otherwise` holds."""
        self._script.extend(behaviours)

    async def received(self, count: int) -> list[Request]:
        """Wait until there are so many requests, and give them."""
        await self.until(lambda: self.count >= count, f"{count} requests")
        return self.requests

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something that changes with a request or a connection."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            state = f"{self.count} requests, {self.open_connections} open connections"
            raise AssertionError(f"waited in vain for {what}: there are {state}") from None

    def hang_up(self) -> None:
        """Close every connection, as a receiver that restarts does."""
        for line in list(self._lines):
            line.close()

    def joined(self, line: "_Line") -> int:
        """Count a connection in and number it."""
        self.connections += 1
        self._lines.add(line)
        self._changed.set()
        return self.connections

    def left(self, line: "_Line") -> None:
        """Count a connection out."""
        self._lines.discard(line)
        self._changed.set()

    def behave(self, request: Request) -> Behaviour:
        """Note a request and say what it gets."""
        self.count += 1
        if self._keeps_requests:
            self.requests.append(request)
        self._changed.set()
        if self._script:
            return self._script.popleft()
        chosen = self.otherwise
        return chosen(request) if callable(chosen) else chosen


class _Line(asyncio.Protocol):
    """One connection: requests in, behaviours out, one at a time."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._parser = httptools.HttpRequestParser(self)
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self._number = self._receiver.joined(self)
        if self._receiver.is_over:
            self.close()  # it was accepted just before the end

    def connection_lost(self, _error: Exception | None) -> None:
        for task in self._tasks:
            task.cancel()
        self._receiver.left(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def close(self) -> None:
        """Close when all is sent; at the end, at once."""
        if self._receiver.is_over:
            self._transport.abort()
        else:
            self._transport.close()

    # What the parser calls:

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, part: bytes) -> None:
        self._body += part

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        target = self._target.decode("latin-1")
        request = Request(method, target, self._headers, self._body, self._number)
        self._begin()
        self._answer(self._receiver.behave(request))

    def _begin(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body = b""

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def _answer(self, behaviour: Behaviour) -> None:
        match behaviour:
            case Answer(after=None):
                self._write(_whole(behaviour))
            case Answer(after=asyncio.Event() as event):
                self._begin_task(self._answer_after(behaviour, event))
            case Trickle():
                self._begin_task(self._trickle(behaviour))
            case Flood():
                self._begin_task(self._flood(behaviour))
            case CutOff() | Raw() | Drop():
                self._break(behaviour)

    def _begin_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _break(self, behaviour: CutOff | Raw | Drop) -> None:
        match behaviour:
            case CutOff(body, announced):
                self._write(_head(200, {"Content-Length": str(announced)}) + body)
            case Raw(data):
                self._write(data)
        if not (isinstance(behaviour, Raw) and behaviour.is_kept):
            self._transport.close()

    async def _answer_after(self, answer: Answer, event: asyncio.Event) -> None:
        await event.wait()
        self._write(_whole(answer))

    async def _trickle(self, behaviour: Trickle) -> None:
        self._write(_head(200, {"Content-Length": str(len(behaviour.body))}))
        for byte in behaviour.body:
            passed = asyncio.Event()
            self._loop.call_later(behaviour.interval_s, passed.set)
            await passed.wait()
            self._write(bytes((byte,)))

    async def _flood(self, behaviour: Flood) -> None:
        announces = behaviour.announces_length
        length = {"Content-Length": str(behaviour.size)}
        framing = length if announces else {"Transfer-Encoding": "chunked"}
        self._write(_head(behaviour.status, framing))
        left = behaviour.size
        while left and not self._transport.is_closing():
            await self._may_write.wait()
            part = _FLOOD[:left]
            left -= len(part)
            self._receiver.flooded += len(part)
            self._write(part if announces else b"%x\r\n%b\r\n" % (len(part), part))
        if not announces:
            self._write(b"0\r\n\r\n")


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unheard Of"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {text}" for name, text in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


_WHOLE_OK: Final = _head(200, {"Content-Length": "0"})


def _whole(answer: Answer) -> bytes:
    if answer is OK:
        return _WHOLE_OK
    head = _head(answer.status, {"Content-Length": str(len(answer.body)), **answer.headers})
    return head + answer.body


@asynccontextmanager
async def open(  # noqa: A001 (reads as receiver.open)
    *,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    keeps_requests: bool = True,
) -> AsyncIterator[Receiver]:
    """Listen on a loopback address while the block lasts."""
    receiver = Receiver(keeps_requests=keeps_requests)
    server = await _listen(receiver, tls, host, port)
    receiver.port = server.sockets[0].getsockname()[1]
    receiver.scheme = "http" if tls is None else "https"
    try:
        yield receiver
    finally:
        receiver.is_over = True
        await _accept_nobody_more(server)
        server.close()
        receiver.hang_up()
        await receiver.until(lambda: receiver.open_connections == 0, "the last to leave")
        await server.wait_closed()


async def _accept_nobody_more(server: asyncio.Server) -> None:
    """Stop accepting, and have whom the loop has accepted already become a connection.

    A server that closes first lets them fall: asyncio then makes a transport that nobody gets.
    """
    for listening in server.sockets:
        asyncio.get_running_loop().remove_reader(listening.fileno())
    for _ in range(2):
        await asyncio.sleep(0)  # noqa: TID251 (a turn of the loop each)


async def _listen(
    receiver: Receiver, tls: ssl.SSLContext | None, host: str, port: int
) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    while True:
        server = await loop.create_server(lambda: _Line(receiver), host, port, ssl=tls, backlog=512)
        if port or server.sockets[0].getsockname()[1] not in REFUSED_PORTS:
            return server
        server.close()  # the system gave one of the few that no receiver may have


async def _serve(port: int) -> None:
    async with open(port=port, keeps_requests=False) as receiver:
        print(receiver.port, flush=True)  # noqa: T201 (its answer to whoever started it)
        await asyncio.to_thread(sys.stdin.read)
        print(receiver.count, flush=True)  # noqa: T201 (the same)


def _main() -> None:
    import uvloop  # noqa: PLC0415 (a test that imports this module does not need it)

    parser = argparse.ArgumentParser(description="A receiver that answers 200 and counts.")
    parser.add_argument("--port", type=int, default=0)
    uvloop.run(_serve(parser.parse_args().port))


if __name__ == "__main__":
    _main()
