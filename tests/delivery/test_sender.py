"""The sender against real receivers on loopback: what it sends, what it reads, how it fails."""

import asyncio
import gzip
import socket
import tracemalloc
from collections.abc import AsyncIterator, Mapping

import pytest

from punchgate.delivery import sender
from punchgate.delivery.sender import Sender
from punchgate.domain import target
from punchgate.domain.target import Target
from tests import receiver
from tests.delivery.sending import (
    BODY,
    MIB,
    OPEN,
    SHORT,
    Stage,
    at,
    failure,
    full_listener,
    nobody,
    open_stage,
    post,
)
from tests.receiver import CutOff, Drop, Flood, Hang, Raw, Trickle


@pytest.fixture(name="stage")
async def _stage() -> AsyncIterator[Stage]:
    async with open_stage() as opened:
        yield opened


# What goes out, what comes back.


async def test_a_request_is_sent_as_it_was_given(stage: Stage) -> None:
    s = await stage.sender()
    to = target.read(stage.good.url("/a/../%7Eb//c?x=%20+y&u=http://z/"), OPEN)
    stage.good.script(receiver.Answer(202, {"X-Seen": "yes"}, b"taken"))
    answer = await post(s, to)
    assert (answer.status, answer.body, answer.is_cut) == (202, b"taken", False)
    assert answer.headers["x-seen"] == "yes"
    [request] = stage.good.requests
    assert (request.method, request.body) == ("POST", BODY)
    assert request.target == "/a/../%7Eb//c?x=%20+y&u=http://z/"
    assert request.headers == {
        "host": f"127.0.0.1:{stage.good.port}",
        "content-type": "application/json",
        "content-length": str(len(BODY)),
        "webhook-id": "evt_1",
        "accept": "*/*",
        "accept-encoding": "identity",
        "user-agent": "Punchgate",
    }


async def test_the_host_stays_the_name(stage: Stage) -> None:
    stage.names.answers["hooks.example"] = [["127.0.0.1"]]
    s = await stage.sender()
    await post(s, at(stage.good, "hooks.example"))
    assert stage.good.requests[0].headers["host"] == f"hooks.example:{stage.good.port}"


@pytest.mark.parametrize("status", [200, 204, 301, 400, 404, 410, 429, 500, 503, 799])
async def test_an_answer_is_an_answer_whatever_its_status(stage: Stage, status: int) -> None:
    s = await stage.sender()
    stage.good.script(receiver.Answer(status, {"Retry-After": "7"}))
    answer = await post(s, at(stage.good))
    assert (answer.status, answer.headers["retry-after"]) == (status, "7")


async def test_connections_are_kept(stage: Stage) -> None:
    s = await stage.sender()
    stage.good.otherwise = receiver.Answer(200, body=b"some body")
    for _ in range(5):
        await post(s, at(stage.good))
    assert [request.connection for request in stage.good.requests] == [1] * 5


async def test_many_go_out_at_once_and_one_that_hangs_holds_up_none(stage: Stage) -> None:
    s = await stage.sender()
    hanging = asyncio.Event()
    stage.good.script(receiver.Answer(after=hanging))
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(post(s, at(stage.good)))
        await stage.good.received(1)
        answers = await asyncio.gather(*(post(s, at(stage.good)) for _ in range(100)))
        assert not first.done()
        hanging.set()
    assert [answer.status for answer in answers] == [200] * 100


async def test_a_header_that_would_be_two_is_not_sent(stage: Stage) -> None:
    s = await stage.sender()
    with pytest.raises(ValueError, match="header injection"):
        await s.send(at(stage.good), BODY, {"authorization": "Bearer a\r\nx: y"}, jar=None)
    assert stage.good.count == 0


async def test_an_empty_body_is_sent_as_one(stage: Stage) -> None:
    s = await stage.sender()
    await s.send(at(stage.good), b"", {}, jar=None)
    assert stage.good.requests[0].headers["content-length"] == "0"


async def test_closing_leaves_no_connection(stage: Stage) -> None:
    async with Sender(OPEN, stage.clock) as s:
        await post(s, at(stage.good))
        assert stage.good.open_connections == 1
    await stage.good.until(lambda: stage.good.open_connections == 0, "the connection to close")


async def test_a_request_that_is_cancelled_closes_its_connection(stage: Stage) -> None:
    s = await stage.sender()
    stage.good.script(Hang())
    task = asyncio.create_task(post(s, at(stage.good)))
    await stage.good.received(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await stage.good.until(lambda: stage.good.open_connections == 0, "the connection to close")
    assert (await post(s, at(stage.good))).status == 200


# How much it reads.


@pytest.mark.parametrize(
    ("size", "is_cut", "kept"), [(0, False, 1), (16_384, False, 1), (4 * MIB, True, 0)]
)
async def test_an_answer_is_read_up_to_16_kib(
    stage: Stage,
    size: int,
    is_cut: bool,  # noqa: FBT001 (a column of the table)
    kept: int,
) -> None:
    s = await stage.sender()
    stage.good.script(receiver.Answer(200, body=b"x" * size))
    answer = await post(s, at(stage.good))
    assert (len(answer.body), answer.is_cut) == (min(size, 16_384), is_cut)
    await stage.good.until(lambda: stage.good.open_connections == kept, f"{kept} connections")


@pytest.mark.parametrize("announces_length", [True, False])
async def test_an_answer_of_a_gigabyte_costs_16_kib(
    stage: Stage, *, announces_length: bool
) -> None:
    s = await stage.sender()
    await post(s, at(stage.good))
    stage.good.script(Flood(1024 * MIB, announces_length=announces_length))
    tracemalloc.start()
    try:
        answer = await post(s, at(stage.good))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(answer.body), answer.is_cut) == (16_384, True)
    await stage.good.until(lambda: stage.good.open_connections == 0, "the connection to close")
    # What the system's own buffers took, and what the receiver of this process holds ready.
    assert stage.good.flooded < 32 * MIB
    assert peak < 8 * MIB


async def test_a_packed_answer_is_not_unpacked(stage: Stage) -> None:
    s = await stage.sender()
    bomb = gzip.compress(b"\0" * MIB)
    stage.good.script(receiver.Answer(200, {"Content-Encoding": "gzip"}, bomb))
    assert (await post(s, at(stage.good))).body == bomb


async def test_a_head_without_end_is_broken(stage: Stage) -> None:
    s = await stage.sender()
    stage.good.script(Raw(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 2 * MIB))
    assert (await failure(s, at(stage.good))).kind == "broken"


# How it fails.

BROKEN: Mapping[str, Raw | CutOff] = {
    "another protocol": Raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "an old one": Raw(b"<html>hello</html>"),
    "a status that is none": Raw(b"HTTP/1.1 OK\r\n\r\n"),
    "two lengths": Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    "closed in the middle": CutOff(b"half", announced=100),
    "closed in a chunk": Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal"),
    "a chunk that is none": Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
}


@pytest.mark.parametrize("behaviour", BROKEN.values(), ids=BROKEN)
async def test_what_is_no_whole_answer_is_broken(stage: Stage, behaviour: Raw | CutOff) -> None:
    s = await stage.sender()
    stage.good.script(behaviour)
    failed = await failure(s, at(stage.good, path_query="/secret-token?key=hidden"))
    assert failed.kind == "broken"
    # The address of many a receiver is its password.
    assert "secret-token" not in str(failed)
    assert "hidden" not in str(failed)


async def test_a_connection_that_is_closed_without_an_answer_is_a_connection_error(
    stage: Stage,
) -> None:
    s = await stage.sender()
    stage.good.script(Drop())
    assert (await failure(s, at(stage.good))).kind == "connect"
    assert stage.good.count == 1  # and nothing is sent twice


async def test_nobody_listening_is_a_connection_error(stage: Stage) -> None:
    s = await stage.sender()
    with nobody() as port:
        failed = await failure(s, Target("http", "127.0.0.1", port, "/secret-token"))
    assert failed.kind == "connect"
    assert "secret-token" not in failed.detail


@pytest.mark.parametrize("behaviour", [Hang(), Trickle(b"x" * 1_000, interval_s=0.01)])
async def test_an_answer_that_takes_too_long_is_a_timeout(
    stage: Stage, behaviour: Hang | Trickle
) -> None:
    s = await stage.sender()
    stage.good.script(behaviour)
    assert (await failure(s, at(stage.good), limit_s=0.1)).kind == "timeout"
    await stage.good.until(lambda: stage.good.open_connections == 0, "the connection to close")


async def test_a_name_server_that_hangs_is_a_timeout(stage: Stage) -> None:
    stage.names.open.clear()
    s = await stage.sender(limits=SHORT)
    assert (await failure(s, at(stage.good, "hooks.example"))).kind == "timeout"


async def test_an_attempt_may_be_shorter_than_a_connection_may_take(stage: Stage) -> None:
    stage.names.open.clear()
    s = await stage.sender()
    failed = await failure(s, at(stage.good, "hooks.example"), limit_s=0.05)
    assert (failed.kind, failed.detail) == ("timeout", "no whole answer within 0.05 s")


async def test_a_connection_that_is_not_taken_is_a_timeout(stage: Stage) -> None:
    with full_listener() as port:
        s = await stage.sender(limits=SHORT)
        failed = await failure(s, Target("http", "127.0.0.1", port, "/"))
    assert (failed.kind, failed.detail) == ("timeout", "no connection within 0.2 s")


async def test_a_tls_greeting_that_is_not_answered_is_a_timeout(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, never reads one
        to = Target("https", "127.0.0.1", silent.getsockname()[1], "/")
        s = await stage.sender(limits=SHORT)
        assert (await failure(s, to)).kind == "timeout"


# What a reader of the module may rely on.


def test_the_limits_are_those_of_the_page() -> None:
    limits = sender.Limits()
    assert (limits.connect_s, limits.body_bytes) == (5.0, 16_384)
    assert (limits.idle_s, limits.age_s) == (60.0, 300.0)
