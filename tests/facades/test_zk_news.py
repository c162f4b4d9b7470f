"""What the facade tells to those who listen: new punches of its scope, and nothing else.

Real: a store and its log, sockets on loopback. Pauses are noted and take no time.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from punchgate.netkit.error import Lost
from punchgate.protocols.zk import events, tables
from punchgate.protocols.zk.commands import Command, LiveEvent, Reply
from punchgate.protocols.zk.packets import Packet
from punchgate.protocols.zk.tables import Table
from punchgate.wire.event import Reading
from tests import gateway
from tests.facades import stage
from tests.gateway import Gateway
from tests.simulators.virtual import Caller, Gone


@pytest.fixture(name="opened")
async def opened_gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path) as opened:
        await opened.add_device("SN1", id="gate")
        await opened.add_device("SN2", id="hall")
        yield opened


async def _listen(caller: Caller, mask: int = events.ALL) -> None:
    await caller.connect()
    assert (await caller.ask(Command.REG_EVENT, struct.pack("<I", mask)))[0].command == 2000


def _said(packet: Packet) -> tuple[str, str]:
    (reading,) = events.read(packet.session, packet.data)
    assert isinstance(reading, Reading)
    return reading.user_code, reading.time_text


async def test_a_listener_is_told_of_new_punches_acknowledged_or_not(opened: Gateway) -> None:
    await opened.punch("SN1", stage.item(1))
    async with stage.before(opened) as before, before.call() as caller:
        await _listen(caller)
        await opened.punch("SN1", stage.item(2), stage.item(3, "ANA7"))
        told = [await caller.event() for _ in range(2)]
        assert [(packet.command, packet.session, packet.reply) for packet in told] == [
            (Command.REG_EVENT, LiveEvent.ATTENDANCE, 0)
        ] * 2
        assert [len(packet.data) for packet in told] == [32, 32]
        await caller.line.say(Packet(Reply.ACK_OK, caller.session, 0))
        await opened.punch("SN2", stage.item(4))
        told.append(await caller.event())
        assert [_said(packet) for packet in told] == [
            ("7", "2026-06-20 10:00:02"),
            ("ANA7", "2026-06-20 10:00:03"),
            ("7", "2026-06-20 10:00:04"),
        ]
        assert before.pauses == [stage.GAP_S] * len(caller.heard)


async def test_what_came_between_the_snapshot_and_the_listening_is_told_once(
    opened: Gateway,
) -> None:
    await opened.punch("SN1", stage.item(1))
    async with stage.before(opened) as before, before.call() as caller:
        await caller.connect()
        await opened.punch("SN1", stage.item(2))
        assert len(await caller.table(Table.ATTENDANCE)) == 4 + 40
        assert (await caller.ask(Command.REG_EVENT, b"\x01\0\0\0"))[0].command == 2000
        await opened.punch("SN1", stage.item(3))
        assert [_said(await caller.event())[1][-2:] for _ in range(2)] == ["02", "03"]


async def test_only_new_punches_of_the_scope_are_told(opened: Gateway) -> None:
    async with stage.before(opened, "device:hall") as before, before.call() as caller:
        await _listen(caller)
        await opened.punch("SN1", stage.item(1))
        await opened.punch("SN1", stage.item(1))
        await opened.punch("SN2", stage.item(2))
        await opened.punch(
            "SN2", stage.item(2), stage.item(3, "x" * 25), {"user_id": "7"}, stage.item(4)
        )
        assert [_said(await caller.event())[1][-2:] for _ in range(2)] == ["02", "04"]


async def test_who_does_not_listen_is_told_nothing(opened: Gateway) -> None:
    async with stage.before(opened) as before, before.call() as caller, before.call() as other:
        await caller.connect()
        await _listen(other)
        # Another mask than that of attendance is none.
        await caller.ask(Command.REG_EVENT, struct.pack("<I", LiveEvent.ALARM))
        await opened.punch("SN1", stage.item(1))
        await other.event()
        await caller.ask(Command.GET_TIME)
        assert caller.events == []


async def test_news_do_not_stand_inside_an_answer(opened: Gateway) -> None:
    await stage.fill(opened, 3_000)
    is_reading = asyncio.Event()

    async def pause(_: float) -> None:
        if is_reading.is_set():
            is_reading.clear()
            # Between two frames of the answer somebody punches, and there is all the time to tell.
            await opened.punch("SN1", stage.item(1))
            for _ in range(20):
                await opened.context.database.read(lambda _: None)

    async with stage.before(opened, pause=pause) as before, before.call() as caller:
        await _listen(caller)
        size = await caller.announced(Table.ATTENDANCE)
        is_reading.set()
        await caller.part(0, min(size, tables.CHUNK_TCP))
        assert _said(await caller.event()) == ("7", "2026-06-20 10:00:01")
        assert [packet.command for packet in caller.heard][-4:] == [
            Command.PREPARE_DATA,
            Command.DATA,
            Reply.ACK_OK,
            Command.REG_EVENT,
        ]


async def test_a_listener_may_stay_silent(opened: Gateway) -> None:
    async with stage.before(opened, idle_s=1.0) as before, before.call() as caller:
        await _listen(caller)
        quiet = asyncio.ensure_future(caller.next(within_s=10))
        # Longer than anybody else may be silent.
        await asyncio.wait([quiet], timeout=1.5)
        await opened.punch("SN1", stage.item(1))
        assert _said(await quiet) == ("7", "2026-06-20 10:00:01")


async def test_whoever_stops_listening_hears_no_more(opened: Gateway) -> None:
    async with stage.before(opened) as before, before.call() as caller, before.call() as other:
        await _listen(caller)
        await _listen(other)
        await caller.ask(Command.REG_EVENT, struct.pack("<I", 0))
        await opened.punch("SN1", stage.item(1))
        await other.event()
        await caller.ask(Command.GET_TIME)
        assert caller.events == []


async def test_a_session_that_cannot_be_read_for_ends_alone(tmp_path: Path) -> None:
    async with gateway.open(tmp_path) as opened, stage.before(opened) as before:
        await opened.context.database.close()
        async with before.call() as caller:
            with pytest.raises((Gone, Lost)):
                await caller.connect()
        assert before.snapshots == []
