"""Sessions with the facade, frame by frame: parts of tables, and what is refused.

Real: a store, sockets on loopback. Pauses are noted and take no time. Rules of
docs/how-to/facade.md.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from punchgate.protocols.zk import dialogue, tables, users
from punchgate.protocols.zk.commands import Command, Reply
from punchgate.protocols.zk.packets import Packet
from punchgate.protocols.zk.tables import Table
from tests import gateway
from tests.facades import stage
from tests.gateway import Gateway
from tests.simulators.virtual import Gone


@pytest.fixture(name="opened")
async def opened_gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path) as opened:
        await opened.add_device("SN1", id="gate")
        await opened.add_device("SN2", id="hall")
        yield opened


async def test_every_frame_is_followed_by_a_gap(opened: Gateway) -> None:
    await stage.fill(opened, 100)
    async with stage.before(opened) as before, before.call() as caller:
        await caller.connect()
        await caller.table(Table.ATTENDANCE, chunk=1_000)
        await caller.ask(Command.EXIT)
        with pytest.raises(Gone):
            await caller.next()
        # 4,004 bytes in five parts of three frames each; CONNECT, the size, FREE_DATA and EXIT.
        assert len(caller.heard) == 5 * 3 + 4
        assert before.pauses == [stage.GAP_S] * len(caller.heard)


async def test_nothing_is_sent_before_the_gap_is_over(opened: Gateway) -> None:
    pausing: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def pause(_: float) -> None:
        over = asyncio.Event()
        await pausing.put(over)
        await over.wait()

    async with stage.before(opened, pause=pause) as before, before.call() as caller:
        # Five requests at once; the answers come one for each gap that ends.
        for number in range(5):
            await caller.line.say(Packet(Command.CONNECT, 0, number))
        for number in range(5):
            over = await pausing.get()
            assert (await caller.next()).reply == number
            assert pausing.empty()
            over.set()


async def test_a_small_table_is_one_packet(opened: Gateway) -> None:
    await stage.fill(opened, 24)
    async with stage.before(opened) as before, before.call() as caller:
        await caller.connect()
        answer = await caller.ask(Command.PREPARE_BUFFER, tables.request(Table.ATTENDANCE))
        assert [packet.command for packet in answer] == [Command.DATA]
        assert len(answer[0].data) == 4 + 24 * 40


async def test_a_large_table_is_announced_with_13_bytes(opened: Gateway) -> None:
    await stage.fill(opened, 25)
    async with stage.before(opened) as before, before.call() as caller:
        await caller.connect()
        answer = await caller.ask(Command.PREPARE_BUFFER, tables.request(Table.ATTENDANCE))
        size = 4 + 25 * 40
        assert [packet.command for packet in answer] == [Reply.ACK_OK]
        assert answer[0].data == struct.pack("<bIII", 0, size, size, 0)


async def test_parts_may_be_asked_for_all_at_once_and_in_any_order(opened: Gateway) -> None:
    await stage.fill(opened, 3_000)
    async with stage.before(opened) as before, before.call() as caller:
        await caller.connect()
        size = await caller.announced(Table.ATTENDANCE)
        starts = list(range(0, size, tables.CHUNK_TCP))[::-1]
        for number, start in enumerate(starts, 100):
            asked = tables.CHUNK_REQUEST.pack(start, min(tables.CHUNK_TCP, size - start))
            await caller.line.say(Packet(Command.READ_BUFFER, caller.session, number, asked))
        parts = {}
        for number, start in enumerate(starts, 100):
            length = min(tables.CHUNK_TCP, size - start)
            head, data, end = [await caller.next() for _ in range(3)]
            assert head == Packet(
                Command.PREPARE_DATA, caller.session, number, struct.pack("<II", length, 0x1000)
            )
            assert data[:3] == (Command.DATA, caller.session, number)
            assert end == Packet(Reply.ACK_OK, caller.session, number)
            parts[start] = data.data
        whole = b"".join(parts[start] for start in sorted(parts))
        assert whole == await caller.table(Table.ATTENDANCE)
        assert len(whole) == size == 4 + 3_000 * 40


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 0xFFC1), (0, 0), (0, -1), (-1, 10), (5_000_000, 10)]
)
async def test_a_part_that_makes_no_sense_is_refused_and_the_session_goes_on(
    opened: Gateway, offset: int, length: int
) -> None:
    await stage.fill(opened, 2_000)
    async with stage.before(opened) as before, before.call() as caller:
        await caller.connect()
        await caller.announced(Table.ATTENDANCE)
        assert [packet.command for packet in await caller.part(offset, length)] == [Reply.ACK_ERROR]
        assert len(await caller.table(Table.ATTENDANCE)) == 4 + 2_000 * 40


HARMLESS = (1002, 1003, 1013, 1014, 1502, 60, 62)
WRITES = (
    8, 10, 12, 14, 15, 18, 19, 20, 22, 24, 26, 28, 30, 31, 32, 33, 61, 66, 67, 79, 87, 110, 119,
    134, 202, 1004, 1005, 1006, 1017, 1500, 1501,
)  # fmt: skip


async def test_what_changes_nothing_is_done(opened: Gateway) -> None:
    async with stage.before(opened) as before, before.call() as caller:
        await caller.connect()
        for command in HARMLESS:
            assert (await caller.ask(command))[0].command == Reply.ACK_OK, command


@pytest.mark.parametrize("data", [b"", bytes(72), bytes(8), b"\x01", b"IPAddress=10.0.0.1\0"])
async def test_every_write_and_clear_is_refused_and_the_store_stays(
    opened: Gateway, data: bytes
) -> None:
    await opened.punch("SN1", stage.item(1), {"user_id": "7"})
    kept = await stage.contents(opened)
    assert kept["punch"]
    assert kept["quarantine"]
    async with stage.before(opened) as before, before.call() as caller:
        await caller.connect()
        people = await caller.table(Table.USERS)
        for command in WRITES:
            answer = await caller.ask(command, data)
            assert [packet.command for packet in answer] == [Reply.ACK_ERROR], command
        template = (await caller.ask(Command.USERTEMP_RRQ, b"\x01\x00\x00"))[0]
        assert template.command == Reply.ACK_ERROR
        assert await caller.table(Table.USERS) == people
    assert await stage.contents(opened) == kept


async def test_our_own_client_cannot_change_anything_either(opened: Gateway) -> None:
    await opened.punch("SN1", stage.item(1))
    kept = await stage.contents(opened)
    async with stage.before(opened) as before, before.session() as session:
        people = await session.people()
        change = users.UserChange(name="Somebody else")
        for conversation in (
            dialogue.put_user(people, "7", change),
            dialogue.put_user(people, "8", change),
            dialogue.delete_user(1),
            dialogue.write_time(stage.wall_time(0)),
            dialogue.write_option("LockOn", "5"),
            dialogue.unlock(3),
            dialogue.enrol("7", 0),
            dialogue.restart(),
            dialogue.ask(Command.CLEAR_ATTLOG, is_ordered=True),
        ):
            with pytest.raises(dialogue.Refused) as refused:
                await session.have(conversation)
            assert refused.value.code == Reply.ACK_ERROR
        assert await session.people() == people
    assert await stage.contents(opened) == kept


async def test_questions_about_the_terminal_are_answered(opened: Gateway) -> None:
    async with stage.before(opened) as before, before.call() as caller:
        await caller.connect()
        asked = {
            command: (await caller.ask(command))[0]
            for command in (
                Command.GET_VERSION,
                Command.GET_PINWIDTH,
                Command.DOORSTATE_RRQ,
                Command.STATE_RRQ,
            )
        }
        assert {packet.command for packet in asked.values()} == {Reply.ACK_OK}
        assert asked[Command.GET_VERSION].data.startswith(b"Ver 6.60")
        assert asked[Command.GET_PINWIDTH].data == b"\x18"
        assert asked[Command.DOORSTATE_RRQ].data == b"\0"
        assert asked[Command.STATE_RRQ].session == 0
        # With the NUL at the end and without: zkteco-js sends none.
        for name in (b"~OS\0", b"~OS"):
            answer = (await caller.ask(Command.OPTIONS_RRQ, name))[0]
            assert answer == Packet(Reply.ACK_OK, caller.session, answer.reply, b"~OS=1\0")
        assert (await caller.ask(Command.OPTIONS_RRQ, b"NoSuch\0"))[0].command == Reply.ACK_ERROR


@pytest.mark.parametrize("command", [2000, 2001, 65_535, 4_989])
async def test_what_is_no_command_is_unknown_and_the_session_goes_on(
    opened: Gateway, command: int
) -> None:
    async with stage.before(opened) as before, before.call() as caller:
        await caller.connect()
        assert (await caller.ask(command))[0].command == Reply.ACK_UNKNOWN
        assert (await caller.ask(Command.GET_TIME))[0].command == Reply.ACK_OK
