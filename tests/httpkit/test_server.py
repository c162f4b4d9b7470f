"""The server over a real socket: what it takes, what it refuses, and how it stops.

What happens on one connection beside that is `test_connection.py`.
"""

import asyncio
import json
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from punchgate.contracts import ingest_v1
from punchgate.httpkit import server
from tests import gateway
from tests.httpkit.conftest import BODY, LIMIT_S, Listening, is_closed, read_answer


async def test_a_declared_length_above_the_cap_is_answered_before_any_body(
    listening: Listening,
) -> None:
    async with listening.connect() as (reader, writer), asyncio.timeout(LIMIT_S):
        writer.write(listening.head("Content-Length: 10737418240"))
        status, headers, content = await read_answer(reader)
        assert status == 413
        assert json.loads(content)["error"]["code"] == "body_too_large"
        assert headers["connection"] == "close"
        assert await is_closed(reader)


async def test_an_endless_body_is_refused_at_the_cap(listening: Listening) -> None:
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    async with listening.connect() as (reader, writer), asyncio.timeout(LIMIT_S):
        # Sixteen of them are the cap. The byte after it is enough: nobody waits for the end.
        writer.write(listening.head("Transfer-Encoding: chunked") + chunk * 16 + b"1\r\nx\r\n")
        status, headers, content = await read_answer(reader)
        assert status == 413
        assert json.loads(content)["error"]["code"] == "body_too_large"
        assert headers["connection"] == "close"
        assert await is_closed(reader)


async def test_a_chunked_body_is_read(listening: Listening) -> None:
    head = listening.head("Transfer-Encoding: chunked")
    half = len(BODY) // 2
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(part), part) for part in (BODY[:half], BODY[half:], b"")
    )
    assert await listening.tell(head + chunks) == (200, b'{"ok":true}')


async def test_answers_carry_the_date_and_no_name_of_the_server(listening: Listening) -> None:
    async with listening.connect() as (reader, writer), asyncio.timeout(LIMIT_S):
        for request in (
            listening.head(operation="heartbeat", method="GET"),
            listening.head(operation="nothing", method="GET"),
        ):
            writer.write(request)
            _, headers, _ = await read_answer(reader)
            assert headers["date"].endswith(" GMT")
            assert parsedate_to_datetime(headers["date"]).tzinfo is not None
            assert "server" not in headers
            assert headers["cache-control"] == "no-store"


async def test_a_connection_is_kept_and_requests_on_it_are_answered_in_order(
    listening: Listening,
) -> None:
    punch = listening.head(f"Content-Length: {len(BODY)}") + BODY
    config = listening.head(operation="config", method="GET")
    async with listening.connect() as (reader, writer), asyncio.timeout(LIMIT_S):
        writer.write(punch + config + punch)
        answers = [await read_answer(reader) for _ in range(3)]
    assert [status for status, _, _ in answers] == [200, 200, 200]
    assert json.loads(answers[1][2])["sn"] == "SN1"
    assert [headers.get("punch-status") for _, headers, _ in answers] == [
        "recorded", None, "duplicate",
    ]  # fmt: skip


async def test_http_1_0_is_accepted(listening: Listening) -> None:
    request = (
        f"POST /api/attendance/v1/punch HTTP/1.0\r\nsn: SN1\r\nauth-token: {listening.token}\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n"
    ).encode()
    async with listening.connect() as (reader, writer), asyncio.timeout(LIMIT_S):
        writer.write(request + BODY)
        status, _, content = await read_answer(reader)
        assert (status, content) == (200, b'{"ok":true}')
        assert await is_closed(reader)


async def test_who_waits_to_be_asked_for_a_body_is_asked(listening: Listening) -> None:
    async with listening.connect() as (reader, writer), asyncio.timeout(LIMIT_S):
        writer.write(listening.head(f"Content-Length: {len(BODY)}", "Expect: 100-continue"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(BODY)
        assert (await read_answer(reader))[0] == 200
    async with listening.connect() as (reader, writer), asyncio.timeout(LIMIT_S):
        # Nobody is asked for a body that will not be read.
        writer.write(listening.head("Content-Length: 2000000", "Expect: 100-continue"))
        assert (await read_answer(reader))[0] == 413


async def test_stopping_finishes_what_was_read(tmp_path: Path) -> None:
    async with gateway.open(tmp_path) as opened:
        added = await opened.add_device("SN1")
        app = ingest_v1.build(opened.edge, ingest_v1.Settings())
        async with server.listen(app, server.Address("127.0.0.1", 0)) as address:
            listening = Listening(address, added.token, app)
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(listening.head(f"Content-Length: {len(BODY)}") + BODY)
            assert (await read_answer(reader))[0] == 200
        with pytest.raises(OSError, match=r"refused|failed"):
            await asyncio.open_connection(address.host, address.port)
        assert await is_closed(reader)
        writer.close()


def test_an_address_is_read_and_written_the_same() -> None:
    for text in ("127.0.0.1:8080", "[::1]:8080", "0.0.0.0:0", "localhost:65535"):
        assert str(server.Address.read(text)) == text
    for text in ("", "8080", ":8080", "127.0.0.1", "127.0.0.1:", "h:65536", "h:-1", "h:x"):
        with pytest.raises(ValueError, match="not an address"):
            server.Address.read(text)


async def test_a_port_that_is_taken_is_an_error_at_once(listening: Listening) -> None:
    async def app(*_: object) -> None:
        raise AssertionError("nobody can reach it")

    with pytest.raises(OSError, match="in use"):
        async with server.listen(app, listening.address):
            pass
