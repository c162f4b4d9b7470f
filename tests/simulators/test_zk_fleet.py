"""A fleet of virtual terminals: ports, serials, and people who punch every so often."""

import asyncio
import random
import socket

import pytest

from punchgate.netkit.line import Limits
from punchgate.protocols.zk.commands import Command
from punchgate.protocols.zk.tables import Table
from punchgate.simulators import zk_fleet
from tests.simulators import virtual


@pytest.mark.parametrize("given", ["", "GATE"])
async def test_each_terminal_has_a_port_a_serial_and_a_day_of_its_own(given: str) -> None:
    async with virtual.playing(count=5, serial=given) as playing:
        assert len(set(playing.ports)) == 5
        serials, logs = set(), set()
        for number in range(5):
            async with playing.call(number=number) as caller:
                await caller.connect()
                answer = await caller.ask(Command.OPTIONS_RRQ, b"~SerialNumber\0")
                serials.add(answer[0].data)
                logs.add(await caller.table(Table.ATTENDANCE))
        own = [f"VT{port}-{seed}" for seed, port in enumerate(playing.ports, start=1)]
        counted = ["GATE", "GATE-2", "GATE-3", "GATE-4", "GATE-5"]
        assert serials == {
            f"~SerialNumber={each}\0".encode() for each in (counted if given else own)
        }
        assert [each.memory.serial for each in playing.terminals] == (counted if given else own)
        assert len(logs) == 5


async def test_two_terminals_of_one_seed_have_two_serials() -> None:
    async with virtual.playing(serial="") as one, virtual.playing(serial="") as other:
        assert one.terminal.memory.serial != other.terminal.memory.serial


async def test_tcp_and_udp_are_on_the_same_port_and_see_the_same_terminal() -> None:
    async with (
        virtual.playing() as playing,
        playing.call() as tcp,
        playing.call(udp=True) as udp,
    ):
        await tcp.connect()
        await udp.connect()
        assert await tcp.table(Table.USERS) == await udp.table(Table.USERS, chunk=16_384)
        await tcp.ask(Command.CLEAR_ATTLOG)
        assert await udp.table(Table.ATTENDANCE) == b"\0\0\0\0"


async def test_a_fleet_listens_on_consecutive_ports() -> None:
    async with virtual.playing(count=2) as playing:
        terminals = playing.terminals
        first = _two_free_ports()
        limits = Limits()
        async with zk_fleet.listening(terminals, ("127.0.0.1", first), limits) as ports:
            assert ports == [first, first + 1]


async def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_open() -> None:
    port = _two_free_ports()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", port))
        async with virtual.playing() as playing:
            with pytest.raises(OSError, match="in use"):
                async with zk_fleet.listening(playing.terminals, ("127.0.0.1", port), Limits()):
                    pass
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


async def test_people_punch_every_so_often_until_it_is_over() -> None:
    async with virtual.playing() as playing, playing.call() as caller:
        await caller.connect()
        await caller.ask(Command.REG_EVENT, b"\xff\xff\0\0")
        waited: list[float] = []

        async def pause(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) > 3:
                await asyncio.Event().wait()

        living = asyncio.ensure_future(zk_fleet.live(playing.terminal, every_s=7, pause=pause))
        codes = [(await caller.event()).data[:4] for _ in range(3)]
        living.cancel()
        await asyncio.wait([living])
        assert codes == [b"1001", b"1002", b"1003"]
        assert set(waited) == {7}


async def test_closing_a_fleet_ends_its_sessions() -> None:
    async with virtual.playing() as playing, playing.call() as caller:
        await caller.connect()
        terminal = playing.terminal
        assert terminal.open_sessions == 1
    assert terminal.open_sessions == 0


def _two_free_ports() -> int:
    # Below what the kernel hands out by itself and what `tests/ports.py` does: nobody takes one by
    # accident.
    for first in random.sample(range(10_000, 12_000, 2), 100):
        try:
            for port in (first, first + 1):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return first
    raise AssertionError
