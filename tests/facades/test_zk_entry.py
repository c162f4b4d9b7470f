"""Who is let in by the facade, who is not, and how a session ends.

Real: a store, sockets on loopback. Pauses are noted and take no time.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from punchgate.domain.error import Refused
from punchgate.facades import zk
from punchgate.netkit.error import Lost, Silent
from punchgate.netkit.line import Limits
from punchgate.netkit.stream import StreamLine
from punchgate.protocols.zk import dialogue, tables
from punchgate.protocols.zk.commands import Command, Reply
from punchgate.protocols.zk.packets import TcpCodec
from punchgate.protocols.zk.tables import Table
from tests import gateway
from tests.facades import stage
from tests.facades.stage import LOOPBACK
from tests.gateway import Gateway
from tests.metrics import counted
from tests.simulators.virtual import PATIENCE_S, SHORT_S, Caller, Gone

KEY = 123_456
ELSEWHERE = ("10.1.0.0/16",)


@pytest.fixture(name="opened")
async def opened_gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path) as opened:
        await opened.add_device("SN1", id="gate")
        await opened.add_device("SN2", id="hall")
        yield opened


async def test_a_key_lets_in_and_a_wrong_one_does_not(opened: Gateway) -> None:
    await opened.punch("SN1", stage.item(1))
    async with stage.before(opened, key=KEY, allow=()) as before:
        async with before.session(KEY) as session:
            assert len(await session.rows()) == 1
        for wrong in (0, KEY + 1):
            with pytest.raises(dialogue.WrongKey):
                async with before.session(wrong):
                    pass


async def test_before_the_key_nothing_is_told_and_nothing_is_read(opened: Gateway) -> None:
    await opened.punch("SN1", stage.item(1))
    async with stage.before(opened, key=KEY, allow=()) as before, before.call() as caller:
        assert await caller.connect() == Reply.ACK_UNAUTH
        for command in (50, 11, 13, 9, 7, 34, 201, 500, 1100, 1503, 1504, 8, 15):
            answer = await caller.ask(command, tables.request(Table.ATTENDANCE))
            assert [packet.command for packet in answer] == [Reply.ACK_UNAUTH], command
        assert before.view.looks == 0
        assert await caller.connect(key=KEY) == Reply.ACK_OK
        assert before.view.looks == 1


async def test_a_wrong_key_may_be_followed_by_the_right_one(opened: Gateway) -> None:
    async with stage.before(opened, key=KEY, allow=()) as before, before.call() as caller:
        assert await caller.connect(key=1) == Reply.ACK_UNAUTH
        assert await caller.connect(key=KEY) == Reply.ACK_OK


async def test_an_allowed_network_needs_no_key_where_others_do(opened: Gateway) -> None:
    async with stage.before(opened, key=KEY) as before, before.session() as session:
        assert await session.rows() == []


async def test_without_a_key_only_the_allowed_networks_come_in(opened: Gateway) -> None:
    async with stage.before(opened, allow=ELSEWHERE) as before, before.call() as caller:
        with pytest.raises((Gone, Lost)):
            await caller.ask(Command.CONNECT)


async def test_guessing_keys_is_slow(opened: Gateway) -> None:
    async with stage.before(opened, key=KEY, allow=()) as before:
        async with before.call() as caller:
            for guess in range(1, 11):
                assert await caller.connect(key=guess) == Reply.ACK_UNAUTH
            with pytest.raises((Gone, Lost)):
                await caller.connect(key=11)
        async with before.call() as caller:
            with pytest.raises((Gone, Lost)):
                await caller.connect(key=KEY)
        before.monotonic.now += 60
        async with before.call() as caller:
            assert await caller.connect(key=KEY) == Reply.ACK_OK


async def test_without_a_key_and_a_network_it_does_not_listen(opened: Gateway) -> None:
    with pytest.raises(Refused, match="--zk-facade-key"):
        async with stage.before(opened, allow=()):
            pass


@pytest.mark.parametrize(
    ("peer", "is_in"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("10.2.0.1", False),
        ("fe80::1%eth0", True),
        ("::1", False),
        ("?", False),
    ],
)
def test_an_address_is_in_a_network_or_not(peer: str, *, is_in: bool) -> None:
    networks = tuple(ipaddress.ip_network(text) for text in ("10.1.0.0/16", "fe80::/10"))
    assert zk.is_allowed(peer, networks) is is_in


async def test_several_clients_read_at_a_time(opened: Gateway) -> None:
    await stage.fill(opened, 2_000)
    async with stage.before(opened) as before, AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(before.session()) for _ in range(6)]
        read = await asyncio.gather(*(session.rows() for session in sessions))
    assert [len(rows) for rows in read] == [2_000] * 6
    assert all(rows == read[0] for rows in read)


@pytest.mark.parametrize(
    "bad",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x50\x50\x82\x7d\x08\x00\x00\x00" + bytes(8),
        b"\x50\x50\x82\x7d\x07\x00\x00\x00" + bytes(7),
        b"\x50\x50\x82\x7d\xff\xff\xff\xff",
    ],
)
async def test_a_wrong_magic_length_or_checksum_closes(opened: Gateway, bad: bytes) -> None:
    seen = counted("punchgate_codec_errors_total", protocol="zk_facade")
    async with stage.before(opened) as before, before.call() as caller:
        await caller.connect()
        await caller.line.write(bad)
        with pytest.raises((Gone, Lost)):
            await caller.next()
        assert counted("punchgate_codec_errors_total", protocol="zk_facade") == seen + 1
        async with before.session() as session:
            assert await session.rows() == []


async def test_udp_is_not_offered(opened: Gateway) -> None:
    async with stage.before(opened) as before:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            # Nobody has taken the number.
            other.bind((LOOPBACK, before.port))


async def test_a_client_that_says_nothing_is_hung_up_on(opened: Gateway) -> None:
    async with stage.before(opened, idle_s=SHORT_S) as before, before.call() as caller:
        with pytest.raises((Gone, Lost)):
            await _connect_and_wait(caller)


async def test_a_stranger_that_goes_on_talking_is_hung_up_on_all_the_same(opened: Gateway) -> None:
    async with (
        stage.before(opened, key=KEY, allow=(), stranger_s=SHORT_S) as before,
        before.call() as caller,
    ):

        async def talk_on() -> None:
            while True:
                await caller.ask(Command.CONNECT)

        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises((Gone, Lost)):
                await talk_on()


async def test_who_was_let_in_has_more_time_than_a_stranger(opened: Gateway) -> None:
    async with (
        stage.before(opened, key=KEY, allow=(), stranger_s=2.0) as before,
        before.call() as caller,
    ):
        assert await caller.connect(key=KEY) == Reply.ACK_OK
        with pytest.raises(Silent):
            await caller.next(within_s=2.1)
        assert (await caller.ask(Command.GET_TIME))[0].command == Reply.ACK_OK


async def test_one_address_has_a_quarter_of_the_places(opened: Gateway) -> None:
    async with stage.before(opened) as before, AsyncExitStack() as stack:
        for _ in range(zk.PER_PEER_MAX):
            await stack.enter_async_context(before.session())
        async with before.call() as caller:
            with pytest.raises((Gone, Lost)):
                await caller.connect()
        async with _somebody("127.0.0.2", before) as other:
            assert await other.connect() == Reply.ACK_OK


async def test_strangers_leave_places_to_those_who_need_no_key(opened: Gateway) -> None:
    async with (
        stage.before(opened, key=KEY, allow=("127.0.0.9/32",), stranger_s=PATIENCE_S) as before,
        AsyncExitStack() as stack,
    ):
        strangers = []
        for number in range(zk.STRANGERS_MAX):
            address = f"127.0.0.{2 + number % 4}"
            stranger = await stack.enter_async_context(_somebody(address, before))
            assert await stranger.connect() == Reply.ACK_UNAUTH
            strangers.append(stranger)
        async with _somebody("127.0.0.8", before) as one_more:
            with pytest.raises((Gone, Lost)):
                await one_more.connect()
        async with _somebody("127.0.0.9", before) as known:
            assert await known.connect() == Reply.ACK_OK
        # Who says the key leaves the place of a stranger to another.
        assert await strangers[0].connect(key=KEY) == Reply.ACK_OK
        async with _somebody("127.0.0.8", before) as one_more:
            assert await one_more.connect() == Reply.ACK_UNAUTH


async def test_a_stranger_has_less_patience(opened: Gateway) -> None:
    async with (
        stage.before(opened, key=KEY, allow=(), stranger_s=SHORT_S) as before,
        before.call() as caller,
    ):
        with pytest.raises((Gone, Lost)):
            await _connect_and_wait(caller)


async def _connect_and_wait(caller: Caller) -> None:
    # On a busy machine so short a time may be over before the first word.
    await caller.connect()
    await caller.next()


@asynccontextmanager
async def _somebody(address: str, before: stage.Before) -> AsyncIterator[Caller]:
    """Call the facade from another address of this machine."""
    streams = await asyncio.open_connection(LOOPBACK, before.port, local_addr=(address, 0))
    line = StreamLine(streams, TcpCodec(), Limits(), stage.no_pause)
    try:
        yield Caller(line)
    finally:
        await line.close()
