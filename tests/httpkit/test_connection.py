"""One connection: heads without an end, other protocols, bodies that nobody wants, shut sides.

Real: the listener, its sockets, the store behind it. Who writes before he reads does so in a thread
of his own, as a blocking client does.
"""

import asyncio
import gc
import json
import socket
import struct
from collections.abc import Callable
from dataclasses import replace

import pytest

from punchgate.httpkit import connection, server
from tests.httpkit.conftest import BODY, LIMIT_S, Listening, is_closed, read_answer

OK = b'{"ok":true}'
UPGRADE = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ")


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/attendance/v1/punch HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST /api/attendance/v1/punch HTTP/1.1\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
    ],
)
async def test_what_is_no_http_is_told_so_and_hung_up_on(listening: Listening, data: bytes) -> None:
    async with listening.connect() as (reader, writer), asyncio.timeout(LIMIT_S):
        writer.write(data)
        status, headers, content = await read_answer(reader)
        assert (status, headers["connection"]) == (400, "close")
        assert headers["x-content-type-options"] == "nosniff"
        assert b"Traceback" not in content
        assert await is_closed(reader)


@pytest.mark.parametrize("line", [b"GET /", b"GET / HTTP/1.1\r\nX-Long: "])
async def test_a_head_without_an_end_is_cut_off(listening: Listening, line: bytes) -> None:
    async with listening.connect() as (reader, writer), asyncio.timeout(LIMIT_S):
        writer.write(line)
        answer = asyncio.ensure_future(read_answer(reader))
        sent = 0
        while not answer.done() and sent < 1_000:
            writer.write(b"x" * 8_192)
            sent += 1
            await asyncio.wait([answer], timeout=0.01)
        assert sent < 1_000
        # What we sent after it was closed may have cut its answer off.
        if not isinstance(answer.exception(), ConnectionError | asyncio.IncompleteReadError):
            status, headers, content = answer.result()
            assert (status, headers["connection"]) == (400, "close")
            assert content == b"The request line and headers are too long."


async def test_a_head_of_many_reads_is_taken_while_it_is_within_its_bound(
    listening: Listening,
) -> None:
    head = listening.head("X-Long: " + "x" * 12_000, operation="heartbeat", method="GET")
    async with listening.connect() as (reader, writer), asyncio.timeout(LIMIT_S):
        for start in range(0, len(head), 1_000):
            writer.write(head[start : start + 1_000])
            await writer.drain()
        assert (await read_answer(reader))[0] == 200


async def test_a_large_body_before_it_does_not_count_as_a_head(listening: Listening) -> None:
    large = BODY.ljust(200_000)
    async with listening.connect() as (reader, writer), asyncio.timeout(LIMIT_S):
        second = listening.head(operation="heartbeat", method="GET")
        writer.write(listening.head(f"Content-Length: {len(large)}") + large + second[:40])
        assert (await read_answer(reader))[0] == 200
        writer.write(second[40:])
        assert (await read_answer(reader))[0] == 200


def write_then_read(address: tuple[str, int], head: bytes, body: bytes) -> bytes:
    """Do as a plain client does, which looks for an answer when it has written everything."""
    with socket.create_connection(address, timeout=LIMIT_S) as plain:
        plain.sendall(head)
        plain.sendall(body)
        answer = b""
        while part := plain.recv(65_536):
            answer += part
        return answer


async def go_on(writer: asyncio.StreamWriter, data: bytes, *, silence_s: float = 0) -> None:
    """Write the same again and again, with silence before each time."""
    never = asyncio.get_running_loop().create_future()
    while True:
        await asyncio.wait([never], timeout=silence_s)
        writer.write(data)
        await writer.drain()


@pytest.mark.parametrize("framing", ["Content-Length: 8000000", "Transfer-Encoding: chunked"])
async def test_who_writes_before_he_reads_hears_that_his_body_is_too_large(
    listening: Listening, framing: str
) -> None:
    body = b" " * 8_000_000 if "Length" in framing else b"100000\r\n%b\r\n" % (b" " * 2**20) * 8
    where = (listening.address.host, listening.address.port)
    answer = await asyncio.to_thread(write_then_read, where, listening.head(framing), body)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "body_too_large"


async def test_who_writes_before_he_reads_hears_that_his_head_is_too_long(
    listening: Listening,
) -> None:
    where = (listening.address.host, listening.address.port)
    head = listening.head().removesuffix(b"\r\n") + b"X-Long: "
    answer = await asyncio.to_thread(write_then_read, where, head, b"x" * 8_000_000)
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(("name", "value"), [("HEARING_S", 0.01), ("HEARD_BYTES", 2**20)])
async def test_who_does_not_come_to_an_end_is_not_heard_for_ever(
    listening: Listening, monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    monkeypatch.setattr(connection, name, value)
    async with listening.connect() as (reader, writer), asyncio.timeout(LIMIT_S):
        writer.write(listening.head("Content-Length: 10737418240"))
        assert (await read_answer(reader))[0] == 413
        with pytest.raises(ConnectionError):
            await go_on(writer, b" " * 65_536)


async def test_who_falls_silent_after_a_refusal_is_hung_up_on(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEARING_S", 0.01)
    monkeypatch.setattr(connection, "HEARINGS", 1_000_000_000)
    async with listening.connect() as (reader, writer), asyncio.timeout(LIMIT_S):
        writer.write(listening.head("Content-Length: 2000000"))
        assert (await read_answer(reader))[0] == 413
        assert await is_closed(reader)
        # Only a word of ours shows it, and each is one that is heard: so there is silence between.
        with pytest.raises(ConnectionError):
            await go_on(writer, b" ", silence_s=0.1)


@pytest.mark.parametrize("operation", ["punch", "nothing"])
async def test_a_stop_hears_nobody_out(
    listening: Listening, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    monkeypatch.setattr(connection, "HEARING_S", 3_600.0)
    monkeypatch.setattr(server, "STOP_S", 3_600)
    async with asyncio.timeout(LIMIT_S):
        async with server.listen(listening.app, server.Address("127.0.0.1", 0)) as address:
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(listening.head("Content-Length: 2000000", operation=operation) + b"{")
            assert (await read_answer(reader))[0] == {"punch": 413, "nothing": 404}[operation]
        assert await is_closed(reader)
        writer.close()


@pytest.mark.parametrize("end", ["", "Connection: close"])
async def test_who_shuts_his_side_hears_his_answer(listening: Listening, end: str) -> None:
    head = listening.head(f"Content-Length: {len(BODY)}", *([end] if end else []))
    async with listening.connect() as (reader, writer), asyncio.timeout(LIMIT_S):
        writer.write(head + BODY)
        writer.write_eof()
        status, headers, content = await read_answer(reader)
        assert (status, headers["connection"], content) == (200, "close", OK)
        assert await is_closed(reader)


async def test_who_shuts_his_side_hears_what_was_answered_in_the_same_turn(
    listening: Listening,
) -> None:
    heartbeat = listening.head(operation="heartbeat", method="GET")
    for _ in range(50):
        async with listening.connect() as (reader, writer), asyncio.timeout(LIMIT_S):
            writer.write(heartbeat)
            writer.write_eof()
            assert (await read_answer(reader))[0] == 200
            assert await is_closed(reader)


async def test_who_shuts_his_side_hears_every_answer(listening: Listening) -> None:
    heartbeat = listening.head(operation="heartbeat", method="GET")
    async with listening.connect() as (reader, writer), asyncio.timeout(LIMIT_S):
        writer.write(heartbeat * 5)
        writer.write_eof()
        assert [(await read_answer(reader))[0] for _ in range(5)] == [200] * 5
        assert await is_closed(reader)


async def test_who_shuts_his_side_too_early_is_hung_up_on(listening: Listening) -> None:
    for begun in (b"", listening.head("Content-Length: 100") + b"{", listening.head()[:40]):
        async with listening.connect() as (reader, writer), asyncio.timeout(LIMIT_S):
            writer.write(begun)
            writer.write_eof()
            assert await is_closed(reader)


@pytest.mark.parametrize("is_apart", [False, True])
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_who_asks_for_another_protocol_is_answered_in_this_one(
    listening: Listening, *, is_apart: bool, is_chunked: bool
) -> None:
    framing, body = f"Content-Length: {len(BODY)}", BODY
    if is_chunked:
        framing, body = "Transfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    head = listening.head(*UPGRADE, framing)
    async with listening.connect() as (reader, writer), asyncio.timeout(LIMIT_S):
        for status in ("recorded", "duplicate"):
            writer.write(head if is_apart else head + body)
            if is_apart:
                await writer.drain()
                # Its answer says that the head before it was read apart.
                async with listening.connect() as (other, asking):
                    asking.write(listening.head(operation="heartbeat", method="GET"))
                    assert (await read_answer(other))[0] == 200
                writer.write(body)
            answer, headers, content = await read_answer(reader)
            assert (answer, headers["punch-status"], content) == (200, status, OK)


@pytest.mark.parametrize("last", ["HTTP/1.0", "Connection: Upgrade, close"])
@pytest.mark.parametrize("length", [0, len(BODY)])
async def test_who_asks_for_another_protocol_with_his_last_request_is_answered(
    listening: Listening, last: str, length: int
) -> None:
    head = listening.head("Connection: Upgrade", "Upgrade: h2c", f"Content-Length: {length}")
    if last == "HTTP/1.0":
        head = head.replace(b"HTTP/1.1", b"HTTP/1.0")
    else:
        head = head.replace(b"Connection: Upgrade", last.encode())
    async with listening.connect() as (reader, writer), asyncio.timeout(LIMIT_S):
        writer.write(head + BODY[:length])
        status, headers, _ = await read_answer(reader)
        assert (status, headers["connection"]) == (200 if length else 400, "close")
        assert await is_closed(reader)


async def test_many_who_ask_for_another_protocol_at_once_are_answered_in_order(
    listening: Listening,
) -> None:
    asking = listening.head(*UPGRADE, operation="heartbeat", method="GET")
    config = listening.head(operation="config", method="GET")
    async with listening.connect() as (reader, writer), asyncio.timeout(LIMIT_S):
        writer.write(asking * 1_500 + config)
        assert [(await read_answer(reader))[0] for _ in range(1_500)] == [200] * 1_500
        assert json.loads((await read_answer(reader))[2])["sn"] == "SN1"


async def test_what_is_no_http_leaves_no_line_in_the_log(
    listening: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await listening.tell(b"nonsense\r\n\r\n"))[0] == 400
    asking = listening.head(*UPGRADE, operation="heartbeat", method="GET")
    assert await listening.tell(asking) == (200, OK)
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


@pytest.mark.parametrize("answered", [0, 1])
@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: gw"])
async def test_who_never_says_all_of_a_request_is_not_waited_for(
    listening: Listening, monkeypatch: pytest.MonkeyPatch, begun: bytes, answered: int
) -> None:
    # Whoever waits for his answer first needs time for that.
    monkeypatch.setattr(server, "KEEP_ALIVE_S", 0.2 + 2 * answered)
    async with (
        server.listen(listening.app, server.Address("127.0.0.1", 0)) as address,
        replace(listening, address=address).connect() as (reader, writer),
        asyncio.timeout(LIMIT_S),
    ):
        writer.write(listening.head(operation="heartbeat", method="GET") * answered + begun)
        for _ in range(answered):
            assert (await read_answer(reader))[0] == 200
        assert await is_closed(reader)


@pytest.mark.parametrize("answered", [0, 1])
async def test_of_who_breaks_off_nothing_is_left(listening: Listening, answered: int) -> None:
    others = connections()
    with socket.create_connection((listening.address.host, listening.address.port)) as plain:
        plain.sendall(listening.head(operation="heartbeat", method="GET") * answered)
        await until(lambda: len(connections()) > len(others))
        plain.settimeout(0)
        for _ in range(answered):
            await asyncio.get_running_loop().sock_recv(plain, 65_536)
        # With this, closing resets.
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await until(lambda: len(connections()) == len(others))


def connections() -> list[connection.Connection]:
    """Give every connection that anything holds, a timer for instance."""
    gc.collect()
    return [each for each in gc.get_objects() if isinstance(each, connection.Connection)]


async def until(is_so: Callable[[], bool]) -> None:
    """Look again and again; much less long than a connection is kept that is not used."""
    async with asyncio.timeout(LIMIT_S):
        while not is_so():  # noqa: ASYNC110 (nobody tells of it)
            await asyncio.sleep(0.01)  # noqa: TID251 (looks again until the deadline)
