"""A whole answer is the same, whether the listener takes it in one piece or step by step.

Real: the listener, loopback sockets. Invented: an app that answers with what a test hands it.
"""

import asyncio
import gc
import re
import weakref
from typing import Any, Final

import pytest

from punchgate.httpkit import answers, server
from punchgate.httpkit.answers import Answer
from punchgate.httpkit.edge import Receive, Scope, Send

LIMIT_S: Final = 30


async def _say(answer: Answer, request: bytes, *, is_whole: bool) -> bytes:
    """Give everything that a listener writes until it hangs up."""

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        assert answers.WHOLE in scope["extensions"]
        if not is_whole:
            del scope["extensions"]
        await answers.write(answer, scope, send)

    async with (
        server.listen(app, server.Address("127.0.0.1", 0)) as address,
        asyncio.timeout(LIMIT_S),
    ):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(request)
        said = await reader.read()
        writer.close()
    return re.sub(rb"(?m)^date: .*\r\n", b"date\r\n", said)


def _request(method: str = "GET", version: str = "1.1", *lines: str) -> bytes:
    return "\r\n".join((f"{method} / HTTP/{version}", "Host: gw", *lines, "", "")).encode()


@pytest.mark.parametrize(
    "request_bytes",
    [
        _request("GET", "1.1", "Connection: close"),
        _request("HEAD", "1.1", "Connection: close"),
        _request("GET", "1.0"),
        _request() + _request("HEAD") + _request("GET", "1.1", "Connection: close"),
    ],
)
@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b'{"ok":true}', ((b"punch-id", b"01"), (b"punch-status", b"recorded"))),
        Answer(400, b""),
        Answer(413, b"too much", ((b"connection", b"close"),), b"text/plain"),
    ],
)
async def test_an_answer_is_the_same_in_one_piece_and_in_steps(
    answer: Answer, request_bytes: bytes
) -> None:
    whole = await _say(answer, request_bytes, is_whole=True)
    steps = await _say(answer, request_bytes, is_whole=False)

    assert whole == steps
    assert whole.startswith(b"HTTP/1.1 ")
    assert b"date\r\n" in whole


async def test_pipelined_requests_are_answered_one_after_the_other() -> None:
    last = _request("GET", "1.1", "Connection: close")

    said = await _say(Answer(200, b"x"), _request() * 20 + last, is_whole=True)

    assert said.count(b"HTTP/1.1 200 OK\r\n") == 21
    assert said.endswith(b"connection: close\r\n\r\nx")


@pytest.mark.parametrize("value", [b"a\r\nx: y", b"a\nb", b"a\rb"])
async def test_a_header_cannot_begin_a_line_of_its_own(value: bytes) -> None:
    answer = Answer(200, b"", ((b"x", value),))
    request = _request("GET", "1.1", "Connection: close")

    said = await _say(answer, request, is_whole=True)

    assert said.startswith(b"HTTP/1.1 500 ")
    assert value not in said


async def test_what_a_request_held_is_free_with_the_next_one_and_waits_for_no_collector() -> None:
    held: list[weakref.ref[Any]] = []

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        sender: Any = send
        held.append(weakref.ref(sender.__self__))
        await answers.write(Answer(200, b"x"), scope, send)

    async with (
        server.listen(app, server.Address("127.0.0.1", 0)) as address,
        asyncio.timeout(LIMIT_S),
    ):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        gc.disable()
        try:
            for _ in range(3):
                writer.write(_request())
                await reader.readuntil(b"\r\n\r\nx")
            assert [one() is None for one in held] == [True, True, False]
        finally:
            gc.enable()
            writer.close()
