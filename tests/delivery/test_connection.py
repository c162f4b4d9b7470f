"""One connection against a receiver that is a bare socket: which bytes belong to which request.

Real: sockets on loopback, both event loops. The receiver writes what a test says, when it says so:
early, late, twice, in pieces, never. Nothing here knows pools, names or TLS.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field

import pytest

from punchgate.delivery.connection import Connection, SendFailed
from punchgate.delivery.form import Answer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
REQUEST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
DEADLINE_S = 10.0


@dataclass
class Line:
    """A connection and the receiver's end of it."""

    connection: Connection
    peer: socket.socket
    left: list[Connection] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def hears(self, count: int = len(REQUEST)) -> bytes:
        """Wait until the receiver has so many bytes."""
        loop, heard = asyncio.get_running_loop(), b""
        async with asyncio.timeout(DEADLINE_S):
            while len(heard) < count:
                part = await loop.sock_recv(self.peer, count - len(heard))
                assert part, "closed before that"
                heard += part
        return heard

    def has_come(self) -> None:
        """Wait until what the receiver did last is known to the system, and to nobody else yet."""
        assert self.connection._readiness.poll(DEADLINE_S * 1_000)

    async def says(self, data: bytes) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.get_running_loop().sock_sendall(self.peer, data)

    async def is_closed(self) -> None:
        """Wait until our end is gone and the receiver sees that."""
        async with asyncio.timeout(DEADLINE_S):
            await self.gone.wait()
            try:
                while await asyncio.get_running_loop().sock_recv(self.peer, 65_536):
                    pass
            except ConnectionResetError:
                pass  # what we did not read was thrown back
        assert self.left == [self.connection]
        assert not self.connection.is_clean
        assert not self.connection.is_fit()

    def ask(
        self, request: bytes = REQUEST, limit_s: float = DEADLINE_S
    ) -> Coroutine[None, None, Answer]:
        until = asyncio.get_running_loop().time() + limit_s
        return self.connection.ask(request, until)

    async def answered(self, answer: bytes, request: bytes = REQUEST) -> Answer:
        """Ask, and answer when the request is there."""
        asked = asyncio.ensure_future(self.ask(request))
        assert await self.hears(len(request)) == request
        await self.says(answer)
        return await asked

    async def fails(self, answer: bytes, *, closes: bool = True) -> SendFailed:
        """Ask, answer, close; and give what went wrong."""
        asked = asyncio.ensure_future(self.ask())
        await self.hears()
        await self.says(answer)
        if closes:
            self.peer.close()
        with pytest.raises(SendFailed) as caught:
            await asked
        return caught.value


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)  # noqa: FBT003 (as the library has it)
        port = server.getsockname()[1]

        def left(connection: Connection) -> None:
            made.left.append(connection)
            made.gone.set()

        _, connection = await loop.create_connection(
            lambda: Connection(("http", "127.0.0.1", port), 0.0, 1_000, left), "127.0.0.1", port
        )
        peer, _ = await loop.sock_accept(server)
    peer.setblocking(False)  # noqa: FBT003 (the same)
    made = Line(connection, peer)
    try:
        yield made
    finally:
        connection.drop()
        await made.gone.wait()
        peer.close()


async def turn() -> None:
    """Let the loop look at its sockets, and whoever can run do so."""
    turned = asyncio.Event()
    asyncio.get_running_loop().call_later(0.005, turned.set)
    await turned.wait()


# What is kept.


async def test_a_connection_is_fit_for_one_request_after_another(line: Line) -> None:
    for number in range(20):
        assert line.connection.is_fit()
        answer = await line.answered(OK, b"request %d" % number)
        assert (answer.status, answer.body) == (200, b"ok")
    assert line.left == []


async def test_a_request_is_written_in_one_piece_however_large(line: Line) -> None:
    request = bytes(range(256)) * 8_192  # 2 MiB
    assert (await line.answered(OK, request)).body == b"ok"
    assert line.connection.is_fit()


async def test_an_answer_in_many_pieces_is_one(line: Line) -> None:
    asked = asyncio.ensure_future(line.ask())
    await line.hears()
    for byte in OK:
        await line.says(bytes((byte,)))
    assert (await asked).body == b"ok"
    assert line.connection.is_fit()


async def test_an_answer_before_the_whole_request_is_taken_and_ends_the_connection(
    line: Line,
) -> None:
    """The rest of the request may still be read, or be taken for another one."""
    request = b"x" * 16 * 1_048_576
    asked = asyncio.ensure_future(line.ask(request))
    await line.hears(1_000)
    await line.says(OK)
    assert (await asked).status == 200
    assert not line.connection.is_fit()
    await line.gone.wait()


@pytest.mark.parametrize(
    "answer",
    [
        OK.replace(b"1.1", b"1.0"),
        OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        OK + b"x",
        OK + POISON,
        OK.replace(b": 2", b": 5000") + b"x" * 4_998,  # longer than we read
    ],
    ids=["HTTP/1.0", "close", "a byte too many", "an answer too many", "cut"],
)
async def test_a_connection_is_closed_behind_an_answer_that_leaves_doubts(
    line: Line, answer: bytes
) -> None:
    assert (await line.answered(answer)).body[:2] == b"ok"
    assert not line.connection.is_fit()
    await line.is_closed()


async def test_an_answer_may_end_with_the_connection(line: Line) -> None:
    asked = asyncio.ensure_future(line.ask())
    await line.hears()
    await line.says(b"HTTP/1.1 200 OK\r\n\r\nall of ")
    await line.says(b"it")
    line.peer.shutdown(socket.SHUT_WR)
    assert (await asked).body == b"all of it"
    await line.is_closed()


# A second answer, before it is asked for.


async def test_an_answer_that_comes_while_nobody_asks_closes_the_connection(line: Line) -> None:
    await line.answered(OK)
    await line.says(POISON)
    await line.is_closed()


async def test_an_answer_that_waits_unread_is_not_taken_for_that_of_the_next_request(
    line: Line,
) -> None:
    """The loop has not looked at the socket since it came: only the system knows of it."""
    await line.answered(OK)
    assert line.connection.is_fit()
    line.peer.send(POISON)
    line.has_come()
    assert line.connection.is_clean
    assert not line.connection.is_fit()


async def test_an_answer_behind_an_answer_is_not_taken_for_that_of_the_next_request(
    line: Line,
) -> None:
    """It comes after the first was handed over and before that was noticed by who asked."""
    asked = asyncio.ensure_future(line.ask())
    await line.hears()
    await line.says(OK)
    asked.add_done_callback(lambda _: line.peer.send(POISON))
    assert (await asked).body == b"ok"
    await line.is_closed()


async def test_bytes_before_the_first_request_are_no_answer(line: Line) -> None:
    await line.says(POISON)
    await line.gone.wait()
    with pytest.raises(SendFailed) as caught:
        await line.ask()
    assert (caught.value.kind, caught.value.detail) == (
        "broken",
        "the receiver spoke before it was asked",
    )
    await line.is_closed()


async def test_a_blank_line_while_nobody_asks_closes_the_connection(line: Line) -> None:
    await line.answered(OK)
    await line.says(b"\r\n")
    await line.is_closed()


# How it ends otherwise.


async def test_a_connection_that_was_closed_while_idle_is_not_fit(line: Line) -> None:
    await line.answered(OK)
    line.peer.shutdown(socket.SHUT_WR)
    line.has_come()
    assert not line.connection.is_fit()  # before the loop has looked
    await line.is_closed()
    with pytest.raises(SendFailed) as caught:
        await line.ask()
    assert caught.value.kind == "connect"


@pytest.mark.parametrize("is_reset", [False, True])
async def test_a_connection_that_closes_as_we_write_is_a_connection_error(
    line: Line, *, is_reset: bool
) -> None:
    await line.answered(OK)
    asked = asyncio.ensure_future(line.ask())
    await line.hears()
    if is_reset:
        line.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    line.peer.close()
    with pytest.raises(SendFailed) as caught:
        await asked
    assert caught.value.kind == "connect"
    await line.gone.wait()


@pytest.mark.parametrize(
    "answer", [b"H", OK[:20], OK[:-1], b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200"]
)
async def test_a_connection_that_closes_in_the_middle_of_an_answer_is_broken(
    line: Line, answer: bytes
) -> None:
    failed = await line.fails(answer)
    assert (failed.kind, failed.detail) == (
        "broken",
        "the connection was closed in the middle of an answer",
    )
    await line.gone.wait()


async def test_a_reset_does_not_pass_for_the_end_of_an_answer(line: Line) -> None:
    asked = asyncio.ensure_future(line.ask())
    await line.hears()
    half = b"HTTP/1.1 200 OK\r\n\r\nhalf of "
    await line.says(half)
    async with asyncio.timeout(DEADLINE_S):
        while line.connection._reader.read_bytes < len(half):
            await turn()
    line.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    line.peer.close()
    with pytest.raises(SendFailed) as caught:
        await asked
    assert caught.value.kind == "broken"


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nX: ", OK[:-1]])
async def test_an_answer_that_does_not_end_in_time_closes_the_connection(
    line: Line, said: bytes
) -> None:
    asked = asyncio.ensure_future(line.ask(limit_s=0.05))
    await line.hears()
    await line.says(said)
    with pytest.raises(TimeoutError):
        await asked
    await line.is_closed()


async def test_a_request_that_nobody_reads_ends_in_time(line: Line) -> None:
    with pytest.raises(TimeoutError):
        await line.ask(b"x" * 16 * 1_048_576, limit_s=0.05)
    await line.gone.wait()


@pytest.mark.parametrize("said", [b"", OK[:-1], b"SSH-2.0-OpenSSH_9.2\r\n", OK])
async def test_a_request_that_is_cancelled_closes_its_connection(line: Line, said: bytes) -> None:
    """Also where its answer, or its failure, comes in the same moment."""
    asked = asyncio.ensure_future(line.ask())
    await line.hears()
    await line.says(said)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await line.is_closed()


async def test_a_cancellation_after_the_answer_closes_the_connection_too(line: Line) -> None:
    asked = asyncio.ensure_future(line.ask())
    await turn()
    line.connection.data_received(OK)  # handed over; who asked has not run yet
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await line.is_closed()


async def test_dropping_a_connection_tells_who_waits(line: Line) -> None:
    asked = asyncio.ensure_future(line.ask())
    await line.hears()
    line.connection.drop()
    with pytest.raises(SendFailed) as caught:
        await asked
    assert caught.value.kind == "connect"
    await line.is_closed()


async def test_no_answer_is_read_further_than_it_is_kept(line: Line) -> None:
    """A flood fills the buffers of the system, and then the receiver waits in vain."""
    asked = asyncio.ensure_future(line.ask())
    await line.hears()
    await line.says(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        await line.says(b"x" * 50_000_000)
    answer = await asked
    assert (len(answer.body), answer.is_cut) == (1_000, True)
    await line.gone.wait()
