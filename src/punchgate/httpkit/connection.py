"""One connection of a listener: where uvicorn's own protocol is not enough for what calls us.

Answers for whole answers in one write, for the bound of a head, and for how a connection ends: what
is refused before it has all arrived is refused in a way that the caller can hear. What is not HTTP
at all is answered here, because it belongs to no contract. Requests become ASGI in uvicorn.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from punchgate.httpkit import answers

#: Line and headers of a request, as the front allows them.
HEADERS_BYTES: Final = 16 * 1024
#: A caller who says no more has this long to hear his answer.
HEARING_S: Final = 5.0
#: Who goes on sending what is not wanted is listened to for so many times that long, and so far.
HEARINGS: Final = 6
HEARD_BYTES: Final = 64 * 1024 * 1024

_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


class Connection(HttpToolsProtocol):
    """Bounds the line and headers of a request, which httptools keeps however long they grow.

    What is counted are whole reads after the one that began the head, so that a pipelined request
    does not pay for the body before it; the bound is therefore exceeded by a read at most.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_in_head = False
        self._is_standing_in = False
        self._is_refused = False
        self._is_stopping = False
        self._read_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Begin, with a transport that writes and ends as ours do."""
        self._gathering = _Gathering(transport, self.loop, self._drain)
        super().connection_made(self._gathering)  # type: ignore[arg-type]  # is one
        # As after an answer: whoever asks nothing, or never says all of it, is not waited for.
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def data_received(self, data: bytes) -> None:
        """Read on; what is no HTTP, or has no end, is told so and hung up on."""
        self._read_bytes += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        is_too_long = self._is_in_head and self._read_bytes > HEADERS_BYTES
        if is_too_long and not self.transport.is_closing():
            self.send_400_response("The request line and headers are too long.")

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._is_in_head, self._read_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start the app with a request whose head is here."""
        if self._is_standing_in:
            self._is_in_head = self._is_standing_in = False
            return
        self._unset_keepalive_if_required()
        super().on_headers_complete()
        self._is_in_head = False
        # The app has not begun: it is started in the next turn of the loop.
        self.scope["extensions"] = _EXTENSIONS

    def connection_lost(self, exc: Exception | None) -> None:
        """End; nothing is waited for any more, which uvicorn forgets where the caller broke off."""
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what belongs to no contract, and hang up."""
        self._is_refused = True
        head = (*self.server_state.default_headers, *answers.COMMON, (b"connection", b"close"))
        self.transport.write(
            b"%b%bcontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n\r\n%b"
            % (
                STATUS_LINE[400],
                b"".join(b"%b: %b\r\n" % header for header in head),
                len(msg),
                msg.encode("ascii"),
            )
        )
        self.transport.close()

    def shutdown(self) -> None:
        """Finish what was read, then close; nobody is heard out any more."""
        self._is_stopping = True
        super().shutdown()

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio takes it so
        """Stay for the answer of a caller who has said all and shut his side."""
        request = self._latest
        if request is None or request.more_body or request.response_complete:
            # His answer may wait for the end of this turn, and is later than the end of all.
            self._gathering.flush()
            return False
        request.keep_alive = False
        # Nor is he waited for longer, for most who shut their side are gone.
        self.loop.call_later(HEARING_S, self.transport.close)
        return True

    @property
    def _latest(self) -> RequestResponseCycle | None:
        """The request that began last, None before the first: uvicorn's type leaves that out."""
        return self.cycle

    def _parse(self, data: bytes | memoryview) -> None:
        """Hand bytes to the parser, and stay in HTTP/1.1 with whoever asks for another protocol.

        At such a request llhttp stops, and leaves its body to the other protocol. Another one gets
        a head that says no more than how the body is framed, and goes on with the request that
        began: the first reads nothing behind one that is the last of its connection. Clients in
        Java ask so with the first request of a connection, whatever it carries.
        """
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as left:
                data = memoryview(data)[left.args[0] :]
            else:
                return
            framing = [b"%b: %b\r\n" % header for header in self.headers if header[0] in _FRAMING]
            self._is_standing_in = True
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(framing))

    def _should_upgrade(self) -> bool:
        """Say whether what the parser tells of a request is not for uvicorn; see `_parse`.

        Asked for a request that wants another protocol alone: its head is, its early end is not.
        """
        return not self._is_in_head

    def _drain(self) -> asyncio.BaseProtocol | None:
        """Give what takes the rest of a request that was answered before it was all there."""
        is_all_there = self._latest is None or not self._latest.more_body
        if (is_all_there and not self._is_refused) or self._is_stopping:
            return None
        self.flow.resume_reading()
        return _Draining(self, self.loop)


class _Gathering:
    """A transport that writes once per turn of the loop what was written to it in pieces.

    uvicorn writes head and body apart: two system calls, and a receiver that is woken for half an
    answer. Together they took a third of the time of a punch answered from memory.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        drain: Callable[[], asyncio.BaseProtocol | None],
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._drain = drain
        self._is_ending = False
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> None:
        """Take a piece; it goes out at the end of this turn."""
        if self._is_ending:
            return
        if not self._pieces:
            self._loop.call_soon(self.flush)
        self._pieces.append(piece)

    def close(self) -> None:
        """Write what waits, then close; but hear the caller out who has not said all.

        A socket that is closed with bytes unread resets the connection, and whoever writes before
        reading never sees the answer: he would send the same too large body again and again.
        """
        self.flush()
        drain = None if self.is_closing() else self._drain()
        if drain is None:
            self._transport.close()
            return
        self._is_ending = True
        self._transport.set_protocol(drain)
        self._transport.write_eof()

    def is_closing(self) -> bool:
        """Say whether nothing more will be written."""
        return self._is_ending or self._transport.is_closing()

    def flush(self) -> None:
        """Write what waits."""
        pieces, self._pieces = self._pieces, []
        if pieces:
            self._transport.write(b"".join(pieces))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _Draining(asyncio.Protocol):
    """Takes what still arrives of a request that was answered already, and forgets it."""

    def __init__(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        self._connection = connection
        self._loop = loop
        self._hearings = HEARINGS
        self._heard_bytes = self._known_bytes = 0
        self._timer = loop.call_later(HEARING_S, self._look)

    def data_received(self, data: bytes) -> None:
        self._heard_bytes += len(data)
        if self._heard_bytes > HEARD_BYTES:
            self._connection.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._connection.connection_lost(exc)

    def _look(self) -> None:
        """Hang up on who has fallen silent, and on who does not come to an end."""
        self._hearings -= 1
        if self._heard_bytes == self._known_bytes or not self._hearings:
            self._connection.transport.close()
            return
        self._known_bytes = self._heard_bytes
        self._timer = self._loop.call_later(HEARING_S, self._look)


def _write_whole(send: Any, status: int, lines: bytes, body: bytes) -> bool:
    """Write an answer that is all there as uvicorn's own `send` would in two steps; see `Whole`.

    What decides about the connection, or has to wait for it, is left to `send`. The request is
    found by its `send`: a scope that knew its request would be a circle, and what every request
    left would wait for the collector of garbage.
    """
    cycle: RequestResponseCycle = send.__self__
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
_EXTENSIONS: Final[Any] = {answers.WHOLE: _write_whole}
