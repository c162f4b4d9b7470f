"""The load generator against a small real server: what it sends is new, what it counts is true.

Real: the compiled generator, asyncio's own server, loopback. Simulated: what the server answers.
Asserted: numbers of requests and their content, never how long anything takes.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date

import pytest

from bench import load
from bench.load import Count, Load, LoadError

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="`gcc` is not installed")

OK = b'HTTP/1.1 200 OK\r\nPunch-Status: recorded\r\nContent-Length: 11\r\n\r\n{"ok":true}'


@dataclass
class Server:
    """Answers everything with `answer`, or every tenth request with `tenth`; keeps what it got."""

    answer: bytes = OK
    tenth: bytes = OK
    port: int = 0
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    open: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(
                    (
                        int(line[15:])
                        for line in head.split("\r\n")
                        if line[:15] == "Content-Length:"
                    ),
                    0,
                )
                self.heads.append(head)
                self.bodies.append(await reader.readexactly(length))
                writer.write(self.tenth if len(self.heads) % 10 == 0 else self.answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # The generator has what it wanted and hangs up.
        finally:
            writer.close()
            self.open -= 1
            self.changed.set()


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[Server]:
    running = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = running.sockets[0].getsockname()[1]
    async with running:
        yield server
        while server.open:
            server.changed.clear()
            await asyncio.wait_for(server.changed.wait(), 60)


async def send(wanted: Load) -> Count:
    return await asyncio.to_thread(load.run, wanted)


def punches(server: Server, *, requests: int, first: int = 0, people: int = 50) -> Load:
    return Load(
        port=server.port,
        path="/punch",
        kind="punch",
        connections=7,
        seconds=100,
        requests=requests,
        headers=("sn: S1", "auth-token: secret"),
        expect='{"ok":true}',
        expect_header="punch-status: recorded",
        people=people,
        first=first,
    )


async def test_it_counts_exactly_what_was_answered() -> None:
    async with serving(Server()) as server:
        count = await send(punches(server, requests=500))
    assert (count.answered, count.items, count.sent, count.next) == (500, 500, 500, 500)
    assert (count.bad, count.broken) == (0, 0)
    assert len(server.bodies) == 500
    assert 0 < count.p50_us <= count.p99_us
    assert count.p99_us <= count.max_us * 1.04  # a bucket is 3 % wide


async def test_every_punch_is_new_also_over_two_runs() -> None:
    async with serving(Server()) as server:
        first = await send(punches(server, requests=700))
        await send(punches(server, requests=300, first=first.next))
    assert len(set(server.bodies)) == 1000


async def test_a_punch_has_the_published_form_and_the_given_headers() -> None:
    async with serving(Server()) as server:
        await send(punches(server, requests=1))
    assert server.heads[0].startswith("POST /punch HTTP/1.1\r\n")
    assert "\r\nsn: S1\r\nauth-token: secret\r\n" in server.heads[0]
    assert json.loads(server.bodies[0]) == {
        "user_id": "100000",
        "att_time": "2020-01-01 07:00:00",
        "att_state": 0,
        "input_type": 1,
    }


async def test_ten_punches_of_a_person_are_three_days_that_alternate() -> None:
    async with serving(Server()) as server:
        await send(punches(server, requests=11, people=1))
    found = sorted((json.loads(body) for body in server.bodies), key=lambda item: item["att_time"])
    assert [(item["att_time"], item["att_state"]) for item in found] == [
        ("2020-01-01 07:00:00", 0),
        ("2020-01-01 10:00:00", 1),
        ("2020-01-01 13:00:00", 0),
        ("2020-01-01 16:00:00", 1),
        ("2020-01-02 07:00:00", 0),
        ("2020-01-02 10:00:00", 1),
        ("2020-01-02 13:00:00", 0),
        ("2020-01-02 16:00:00", 1),
        ("2020-01-03 07:00:00", 0),
        ("2020-01-03 16:00:00", 1),
        ("2020-01-04 07:00:00", 0),
    ]


async def test_dates_cross_leap_days_and_years() -> None:
    async with serving(Server()) as server:
        wanted = punches(server, requests=10 * 500, people=1)
        await send(wanted)
    days = {json.loads(body)["att_time"][:10] for body in server.bodies}
    assert days == {
        date.fromordinal(date(2020, 1, 1).toordinal() + day).isoformat() for day in range(1500)
    }


async def test_a_batch_is_an_array_of_new_punches() -> None:
    answer = b'{"ok":true,"results":[]}'
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(answer)
    async with serving(Server(answer=head + answer, tenth=head + answer)) as server:
        count = await send(
            Load(
                port=server.port,
                path="/punch",
                kind="batch",
                connections=3,
                seconds=100,
                requests=20,
                items=1000,
                expect_prefix='{"ok":true',
            ),
        )
    items = [str(item) for body in server.bodies for item in json.loads(body)]
    assert (count.answered, count.items, count.next) == (20, 20_000, 20_000)
    assert len(set(items)) == 20_000


async def test_a_get_carries_its_headers_and_no_body() -> None:
    async with serving(Server()) as server:
        count = await send(
            Load(
                port=server.port,
                path="/summary?page=1",
                kind="get",
                connections=1,
                seconds=100,
                requests=5,
                headers=("X-API-Key: k",),
            ),
        )
    assert count.answered == 5
    assert set(server.heads) == {
        f"GET /summary?page=1 HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nX-API-Key: k\r\n\r\n"
    }


@pytest.mark.parametrize(
    "tenth",
    [
        OK.replace(b"200 OK", b"503 No"),
        OK.replace(b'{"ok":true}', b'{"ok":nope}'),
        OK.replace(b"recorded", b"repeated"),
    ],
    ids=["a status", "a body", "a header"],
)
async def test_an_answer_that_is_not_the_expected_one_is_an_error(tenth: bytes) -> None:
    async with serving(Server(tenth=tenth)) as server:
        with pytest.raises(LoadError, match="50 went wrong"):
            await send(punches(server, requests=500))


async def test_an_answer_that_is_not_http_is_a_broken_connection() -> None:
    async with serving(Server(tenth=b"220 smtp ready\r\n\r\n")) as server:
        with pytest.raises(LoadError, match="5 connections broke"):
            await send(punches(server, requests=50))


async def test_punches_that_reach_today_are_refused() -> None:
    async with serving(Server()) as server:
        wanted = punches(server, requests=100, first=50_000_000)
        with pytest.raises(LoadError, match="reached today"):
            await send(wanted)


async def test_nobody_listening_is_an_error_with_a_reason() -> None:
    with pytest.raises(LoadError, match="cannot connect"):
        await send(punches(Server(port=1), requests=1))


@pytest.mark.parametrize(
    ("punches_sent", "people", "expected"),
    [(0, 100, 0), (1, 100, 3), (1000, 100, 3), (1001, 100, 6), (10_000_000, 10_000, 300)],
)
def test_so_many_punches_reach_over_so_many_days(
    punches_sent: int, people: int, expected: int
) -> None:
    assert load.days(punches_sent, people) == expected
