"""A listener: uvicorn with uvloop's loop and httptools' parser, started and stopped by us.

uvicorn's own signal handling, its trust in forwarding headers and its logging stay out of it: the
first belongs to `app.py`, the second to `source.py`, the third to `telemetry.py`. What is not HTTP
at all is answered here, because it belongs to no contract.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from punchgate.httpkit import answers
from punchgate.httpkit.edge import App

#: Line and headers of a request, as the front allows them.
HEADERS_BYTES: Final = 16 * 1024
KEEP_ALIVE_S: Final = 75
STOP_S: Final = 25


@dataclass(frozen=True, slots=True)
class Address:
    """Where a listener listens: `127.0.0.1:8080`, `[::1]:8080`; port 0 is any free one."""

    host: str
    port: int

    @classmethod
    def read(cls, text: str) -> "Address":
        """Read `HOST:PORT`; ValueError says what is wrong with it."""
        host, _, port = text.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65_535:
            raise ValueError(
                f"{text!r} is not an address; write HOST:PORT, such as 127.0.0.1:8080."
            )
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class _Gathering:
    """A transport that writes once per turn of the loop what was written to it in pieces.

    uvicorn writes head and body apart: two system calls, and a receiver that is woken for half an
    answer. Together they took a third of the time of a punch answered from memory.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> None:
        """Take a piece; it goes out at the end of this turn."""
        if not self._pieces:
            self._loop.call_soon(self._flush)
        self._pieces.append(piece)

    def close(self) -> None:
        """Write what waits, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        pieces, self._pieces = self._pieces, []
        if pieces:
            self._transport.write(b"".join(pieces))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _Protocol(HttpToolsProtocol):
    """Bounds the line and headers of a request, which httptools keeps however long they grow.

    What is counted are whole reads after the one that began the head, so that a pipelined request
    does not pay for the body before it; the bound is therefore exceeded by a read at most.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_in_head = False
        self._read_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(_Gathering(transport, self.loop))  # type: ignore[arg-type]  # is one

    def on_message_begin(self) -> None:
        self._is_in_head, self._read_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        super().on_headers_complete()
        # The app has not begun: it is started in the next turn of the loop.
        self.scope["extensions"] = {answers.WHOLE: partial(_write_whole, self.cycle)}  # type: ignore[dict-item]  # an extension is what we say

    def data_received(self, data: bytes) -> None:
        self._read_bytes += len(data)
        super().data_received(data)
        is_too_long = self._is_in_head and self._read_bytes > HEADERS_BYTES
        if is_too_long and not self.transport.is_closing():
            self.send_400_response("The request line and headers are too long.")


def _write_whole(cycle: RequestResponseCycle, status: int, lines: bytes, body: bytes) -> bool:
    """Write an answer that is all there as uvicorn's own `send` would in two steps; see `Whole`.

    What decides about the connection, or has to wait for it, is left to `send`.
    """
    if cycle.disconnected or cycle.flow.write_paused or not cycle.keep_alive:
        return False
    if b"\r\nconnection: " in lines:
        return False
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    date = _DATE.lines(cycle.default_headers)
    cycle.transport.write(b"%b%b%b\r\n%b" % (STATUS_LINE[status], date, lines, body))
    cycle.message_event.set()
    cycle.on_response()
    return True


class _Date:
    """The headers that uvicorn puts before all others, which change once a second."""

    def __init__(self) -> None:
        self._of: list[tuple[bytes, bytes]] = []
        self._lines = b""

    def lines(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Give the lines of a list of headers; the same list is not written twice."""
        if headers is not self._of:
            self._of = headers
            self._lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        return self._lines


_DATE: Final = _Date()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def listen(app: App, address: Address) -> AsyncIterator[Address]:
    """Serve an app until the block ends, then finish what was read; yields where it listens."""
    bound = socket.create_server(
        (address.host, address.port),
        family=socket.AF_INET6 if ":" in address.host else socket.AF_INET,
        backlog=4096,
    )
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[bound]), name=f"http {address}")
    # uvicorn has no other way to say that it listens.
    while not server.started and not task.done():  # noqa: ASYNC110 (above)
        await asyncio.sleep(0.001)  # noqa: TID251 (above)
    if task.done():
        await task
    name: Any = bound.getsockname()
    try:
        yield Address(name[0], name[1])
    finally:
        server.should_exit = True
        await task
