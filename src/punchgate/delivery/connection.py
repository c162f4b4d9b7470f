"""One connection to a receiver: a request goes out, its answer comes back, one at a time.

It answers for which bytes belong to which request. Three rules hold whatever a receiver sends:

- Bytes are an answer only from the moment a request was written to the end that the answer's own
  framing gives it. Bytes before or behind close the connection, so that no answer can wait in a
  queue to be taken for that of the next request.
- A connection is kept only after a whole answer to a request that was written whole, by a receiver
  that keeps it too. Every other end closes it: a failure, a cancellation, an answer that was cut.
- Nothing is written twice.

It does not decide where to connect, which connection to use, or what is an answer: that is the
sender's, the pool's and the reader's.
"""

import asyncio
import os
import select
import ssl
from collections.abc import Callable
from typing import Literal, TypeAlias, cast

from punchgate.delivery.form import Answer
from punchgate.delivery.reader import AnswerReader, line
from punchgate.domain.target import Scheme

#: Where a connection leads, before any name is resolved.
Place: TypeAlias = tuple[Scheme, str, int]

#: refused_address: no connection was made, or tried · timeout · connect: no connection, or closed
#: before an answer · tls: the receiver is not who it should be · broken: what came is no answer.
Kind = Literal["refused_address", "timeout", "connect", "tls", "broken"]


class SendFailed(Exception):
    """There is no answer.

    Shapes:  `kind` says why, in one of five words; `detail` is a line for the delivery log. Of an
             address that is not allowed it never says more than that. `was_sent` is False where
             there was no connection to send anything by.
    """

    def __init__(self, kind: Kind, detail: str, *, was_sent: bool = True) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail
        self.was_sent = was_sent


class Connection(asyncio.Protocol):
    """A connection that was made to an address that was checked.

    Concurrency:  one `ask` at a time.
    """

    def __init__(
        self,
        place: Place,
        opened_at: float,
        body_bytes: int,
        left: "Callable[[Connection], None]",
    ) -> None:
        """Prepare; `left` is called once, when a connection that was made is gone."""
        self.place = place
        self.opened_at = opened_at
        #: On the loop's clock.
        self.idle_since = 0.0
        self._left = left
        self.loop = asyncio.get_running_loop()
        self._reader = AnswerReader(body_bytes)
        self._waiter: asyncio.Future[Answer] | None = None
        self._is_clean = False
        self._spoke_unasked = False

    @property
    def is_clean(self) -> bool:
        """Whether it may be kept: every byte that came belonged to an answer that was taken."""
        return self._is_clean and not self._transport.is_closing()

    def is_fit(self) -> bool:
        """Say whether a request may be written: it is clean, and nothing waits to be read.

        The system is asked, because what came since the loop last looked would be read as the
        answer to the request: a second answer, or the end of a connection that was kept too long.
        """
        return self.is_clean and not self._readiness.poll(0)

    async def ask(self, request: bytes, until: float) -> Answer:
        """Write a request and give its answer; a connection that is not clean then is closed.

        Units:   `until` is on the loop's clock.
        Errors:  SendFailed; TimeoutError when there is no whole answer in time.
        """
        if not self.is_clean:
            self.drop()
            if self._spoke_unasked:
                raise SendFailed("broken", "the receiver spoke before it was asked")
            raise SendFailed("connect", "the receiver closed the connection")
        self._is_clean = False
        self._reader.begin()
        waiter: asyncio.Future[Answer] = self.loop.create_future()
        self._waiter = waiter
        timer = self.loop.call_at(until, self._expire)
        self._transport.write(request)
        try:
            return await waiter
        except asyncio.CancelledError:
            self._is_clean = False  # also where the answer came in the same moment
            raise
        finally:
            timer.cancel()
            self._waiter = None
            if not self._is_clean:
                self._transport.abort()
                _look_at(waiter)

    def close(self) -> None:
        """Close a connection that is idle, in good manners."""
        self._is_clean = False
        self._transport.close()

    def drop(self) -> None:
        """Close it at once; who waits for an answer hears that there is none."""
        self._is_clean = False
        self._transport.abort()

    # What the transport calls:

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; over TLS the receiver has shown by now who it is."""
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self._readiness = select.poll()
        descriptor = transport.get_extra_info("socket").fileno()
        self._readiness.register(descriptor, select.POLLIN | select.POLLRDHUP)
        self._is_clean = True

    def data_received(self, data: bytes) -> None:
        """Read on where somebody waits; what nobody waits for ends the connection."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            self._spoke_unasked = True
            self.drop()
        elif self._reader.feed(data):
            self._settle(waiter)
        elif self._reader.fault:
            self._fail(SendFailed("broken", self._reader.fault))

    def eof_received(self) -> None:
        """Take the receiver's last word; the transport closes itself then."""
        self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        self._end(error)
        self._is_clean = False
        self._reader.close()
        self._left(self)

    # The rest is ours:

    def _settle(self, waiter: asyncio.Future[Answer]) -> None:
        """Hand the answer over, and decide whether the connection is kept."""
        self._is_clean = (
            self._reader.may_follow
            and not self._transport.is_closing()
            and not self._transport.get_write_buffer_size()  # answered before it was asked whole
        )
        waiter.set_result(self._reader.answer())

    def _end(self, error: Exception | None) -> None:
        """Say what it means that nothing more will come."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            self._is_clean = False
        elif error is None and self._reader.end():
            self._settle(waiter)
        elif isinstance(error, ssl.SSLError):
            self._fail(SendFailed("tls", line(error)))
        elif self._reader.read_bytes:
            self._fail(SendFailed("broken", "the connection was closed in the middle of an answer"))
        elif error is None:
            why = "the receiver closed the connection without an answer"
            self._fail(SendFailed("connect", why))
        else:
            self._fail(SendFailed("connect", cause(error)))

    def _expire(self) -> None:
        self._fail(TimeoutError())

    def _fail(self, error: Exception) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
        self.drop()


def _look_at(waiter: asyncio.Future[Answer]) -> None:
    """See an error that came in the moment of a cancellation; asyncio complains of one unseen."""
    if waiter.done() and not waiter.cancelled():
        waiter.exception()


def cause(error: Exception) -> str:
    """Write an error of a connection as one short line: the system's own words, no address."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return line(error) or "the connection was lost"
