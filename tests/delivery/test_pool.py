"""The pool behind a sender: which connections are used again, and when they are closed.

Real: sockets on loopback, TLS, both event loops, the system's clock for idle connections. Invented:
names, and the clock by which connections grow old.
"""

import asyncio
import ipaddress
import os
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from punchgate.delivery import pool as pools
from punchgate.delivery.form import Answer
from punchgate.delivery.sender import Limits, Sender, SendFailed
from punchgate.domain.target import Rules, Target
from tests import authority, receiver
from tests.receiver import Hang, Raw, Receiver

RULES = Rules(allow_http=True, allow_networks=(ipaddress.ip_network("127.0.0.1/32"),))
#: Idle connections are looked at every fourth of this.
QUICK = Limits(idle_s=0.2)
POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"


async def _name(_host: str, _port: int) -> Sequence[str]:
    return ["127.0.0.1"]


@dataclass
class Stage:
    """A receiver and a sender to it."""

    receiver: Receiver
    limits: Limits = Limits()  # noqa: RUF009 (immutable)
    seconds: float = 0.0
    sender: Sender = field(init=False)

    def __post_init__(self) -> None:
        self.sender = Sender(RULES, lambda: self.seconds, resolve=_name, limits=self.limits)

    @property
    def idle(self) -> int:
        return len(self.sender._pool)

    async def post(self, host: str = "127.0.0.1", body: bytes = b"{}") -> Answer:
        scheme = self.receiver.scheme
        to = Target("http" if scheme == "http" else "https", host, self.receiver.port, "/hook")
        return await self.sender.send(to, body, {}, jar=None)

    def have_heard(self) -> None:
        """Wait until the system knows of each idle connection what the receiver did last to it."""
        for connection in self.sender._pool._by_rest:
            assert connection._readiness.poll(10_000)

    async def burst(self, count: int) -> None:
        """Send so many at once, none answered before all are there."""
        before, all_there = self.receiver.count, asyncio.Event()
        self.receiver.script(*[receiver.Answer(after=all_there)] * count)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(count):
                tasks.create_task(self.post())
            await self.receiver.received(before + count)
            all_there.set()

    async def open_are(self, count: int) -> None:
        await self.receiver.until(
            lambda: self.receiver.open_connections == count, f"{count} connections to be left"
        )

    @property
    def used(self) -> list[int]:
        return [request.connection for request in self.receiver.requests]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with receiver.open() as r:
        made = Stage(r)
        async with made.sender:
            yield made


@pytest.fixture
async def quick() -> AsyncIterator[Stage]:
    async with receiver.open() as r:
        made = Stage(r, QUICK)
        async with made.sender:
            yield made


# Which is used again.


async def test_the_last_to_come_back_is_the_first_to_go_out(stage: Stage) -> None:
    await stage.burst(5)
    assert stage.idle == 5
    for _ in range(10):
        await stage.post()
    assert len(set(stage.used[5:])) == 1


async def test_a_connection_is_used_for_its_own_scheme_host_and_port_only(stage: Stage) -> None:
    for host in ("a.example", "b.example", "127.0.0.1", "a.example", "b.example", "127.0.0.1"):
        await stage.post(host)
    assert stage.used == [1, 2, 3, 1, 2, 3]
    async with receiver.open() as other:
        first, stage.receiver = stage.receiver, other
        await stage.post("a.example")
        stage.receiver = first
        assert other.count == 1


async def test_a_connection_that_was_closed_a_moment_ago_is_not_used(stage: Stage) -> None:
    """The loop has not heard of it yet; a request written to it would be lost."""
    await stage.burst(3)
    for line in stage.receiver._lines:
        with socket.socket(fileno=os.dup(line._transport.get_extra_info("socket").fileno())) as end:
            end.shutdown(socket.SHUT_WR)
    stage.have_heard()
    assert stage.idle == 3
    assert (await stage.post()).status == 200
    assert stage.used[-1] == 4


async def test_an_answer_that_nobody_asked_for_is_never_taken_for_the_next_one(
    stage: Stage,
) -> None:
    for _ in range(20):
        await stage.post()
        for line in stage.receiver._lines:
            line._write(POISON)
        stage.have_heard()
        answer = await stage.post()
        assert answer.body == b""
    assert stage.used == [number for n in range(1, 41) for number in [(n + 2) // 2]]


async def test_an_answer_behind_an_answer_is_never_taken_for_the_next_one(stage: Stage) -> None:
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    stage.receiver.script(*[Raw(ok + POISON, is_kept=True)] * 5)
    assert [(await stage.post()).body for _ in range(6)] == [b"ok"] * 5 + [b""]
    assert stage.used == [1, 2, 3, 4, 5, 6]


# When it is closed.


async def test_a_connection_that_was_idle_too_long_is_closed(quick: Stage) -> None:
    await quick.burst(4)
    assert quick.receiver.connections == 4
    await quick.open_are(0)
    assert quick.idle == 0
    await quick.post()
    assert quick.used[-1] == 5


async def test_a_connection_that_is_in_use_is_not_idle(quick: Stage) -> None:
    done = asyncio.Event()
    quick.receiver.script(receiver.Answer(200, body=b"at last", after=done))
    async with asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(quick.post())
        await quick.receiver.received(1)
        await quick.post()
        await quick.open_are(1)  # the other one was idle
        done.set()
    assert slow.result().body == b"at last"
    await quick.open_are(0)


async def test_what_a_burst_needed_grows_old_beside_what_is_used(stage: Stage) -> None:
    """The oldest lie at the bottom; each use of the newest leaves them alone."""
    await stage.burst(5)
    loop = asyncio.get_running_loop()
    for connection in list(stage.sender._pool._by_rest)[:4]:
        connection.idle_since = loop.time() - 61.0
    stage.sender._pool._sweep()
    await stage.open_are(1)
    assert stage.idle == 1


async def test_each_connection_has_its_own_age(stage: Stage) -> None:
    both = asyncio.Event()
    stage.receiver.script(receiver.Answer(after=both), receiver.Answer(after=both))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stage.post())
        await stage.receiver.received(1)
        stage.seconds = 200.0
        tasks.create_task(stage.post())
        await stage.receiver.received(2)
        both.set()
    assert stage.idle == 2
    stage.seconds = 290.0  # the first is too old by now
    await stage.burst(2)
    assert sorted(stage.used[2:]) == [2, 3]
    stage.seconds = 490.0  # and now the second
    await stage.burst(2)
    assert sorted(stage.used[4:]) == [3, 4]


async def test_a_connection_that_grew_old_in_use_is_closed_behind_it(stage: Stage) -> None:
    done = asyncio.Event()
    stage.receiver.script(receiver.Answer(after=done))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stage.post())
        await stage.receiver.received(1)
        stage.seconds = 286.0
        done.set()
    assert stage.idle == 0
    await stage.open_are(0)


async def test_no_more_are_idle_than_can_be_in_use(stage: Stage) -> None:
    await stage.burst(pools.IDLE_MAX + 20)
    assert stage.idle == pools.IDLE_MAX
    await stage.open_are(pools.IDLE_MAX)
    await stage.post()
    assert stage.idle == pools.IDLE_MAX


async def test_closing_ends_those_in_use_too_and_waits_for_the_last(stage: Stage) -> None:
    await stage.burst(3)
    stage.receiver.script(Hang(), Hang())
    hanging = [asyncio.ensure_future(stage.post()) for _ in range(2)]
    await stage.receiver.received(5)
    await stage.sender._pool.close()
    for task in hanging:
        with pytest.raises(SendFailed) as caught:
            await task
        assert caught.value.kind == "connect"
    assert (stage.idle, len(stage.sender._pool._open)) == (0, 0)
    await stage.open_are(0)
    with pytest.raises(SendFailed):
        await stage.post()
    await stage.open_are(0)


# TLS.


@pytest.fixture(scope="module", name="ca")
def _ca(tmp_path_factory: pytest.TempPathFactory) -> authority.Authority:
    return authority.create(tmp_path_factory.mktemp("ca"))


def _trusting(r: Receiver, ca_file: Path, limits: Limits) -> Stage:
    made = Stage(r, limits)
    made.sender = Sender(RULES, lambda: made.seconds, resolve=_name, limits=limits, ca_file=ca_file)
    return made


async def test_connections_over_tls_are_kept_and_grow_idle_alike(ca: authority.Authority) -> None:
    async with receiver.open(tls=ca.server("erp.example")) as r:
        stage = _trusting(r, ca.ca_file, QUICK)
        async with stage.sender:
            large = b"x" * 1_048_576
            for body in (b"{}", large, b"{}"):
                assert (await stage.post("erp.example", body)).status == 200
            assert stage.used == [1, 1, 1]
            assert stage.receiver.requests[1].body == large
            await stage.open_are(0)
            await stage.post("erp.example")
            assert stage.used[-1] == 2
        await stage.open_are(0)


async def test_over_tls_too_a_second_answer_is_never_taken_for_the_next(
    ca: authority.Authority,
) -> None:
    async with receiver.open(tls=ca.server("erp.example")) as r:
        stage = _trusting(r, ca.ca_file, Limits())
        async with stage.sender:
            for _ in range(5):
                await stage.post("erp.example")
                for line in r._lines:
                    line._write(POISON)
                stage.have_heard()
                assert (await stage.post("erp.example")).body == b""
            r.hang_up()
            stage.have_heard()
            assert (await stage.post("erp.example")).status == 200
