"""What can happen at one step of a conversation with a virtual terminal, step by step.

Real: sockets on loopback. Asserted: which answers come, and how the connection ends.
"""

import struct
from collections.abc import Sequence

import pytest

from punchgate.netkit.error import Lost, Silent
from punchgate.protocols.zk import commkey, tables
from punchgate.protocols.zk.commands import Command, Reply
from punchgate.protocols.zk.packets import Packet
from punchgate.protocols.zk.tables import Table
from punchgate.simulators import zk_faults
from tests.simulators import virtual
from tests.simulators.virtual import PATIENCE_S, SHORT_S, Caller, Gone

_KEY = 1234
_ENDINGS = {"drop": Gone, "reset": Lost, "silent": Silent}
#: What must not come is waited for shortly, what must come for long.
_PATIENCE_S = {"drop": PATIENCE_S, "reset": PATIENCE_S, "silent": SHORT_S}
_ATTENDANCE = tables.request(Table.ATTENDANCE)
#: Every step, in an order in which a client may go through them; the data of AUTH is made then.
_TOUR: Sequence[tuple[str, int, bytes]] = (
    ("connect", Command.CONNECT, b""),
    ("auth", Command.AUTH, b""),
    ("version", Command.GET_VERSION, b""),
    ("options", Command.OPTIONS_RRQ, b"~SerialNumber\0"),
    ("time", Command.GET_TIME, b""),
    ("count", Command.GET_FREE_SIZES, b""),
    ("disable", Command.DISABLEDEVICE, b""),
    ("prepare", Command.PREPARE_BUFFER, _ATTENDANCE),
    ("chunk", Command.READ_BUFFER, tables.CHUNK_REQUEST.pack(0, 1_500)),
    ("free", Command.FREE_DATA, b""),
    ("table", Command.ATTLOG_RRQ, b""),
    ("events", Command.REG_EVENT, b"\xff\xff\0\0"),
    ("enable", Command.ENABLEDEVICE, b""),
    ("exit", Command.EXIT, b""),
)
_STEPS = [step for step, _, _ in _TOUR]


async def _take(caller: Caller, step: str, *, within_s: float = PATIENCE_S) -> list[Packet]:
    """Do one step of the tour."""
    _, command, data = next(each for each in _TOUR if each[0] == step)
    if step == "auth":
        data = commkey.scramble(_KEY, caller.session)
    answer = await caller.ask(command, data, within_s=within_s)
    if step == "connect":
        caller.session = answer[0].session
    return answer


async def _go_until(caller: Caller, last: str) -> None:
    for step in _STEPS[: _STEPS.index(last)]:
        answer = await _take(caller, step)
        refusals = {Reply.ACK_UNAUTH} if step == "connect" else set()
        assert answer[-1].command in {Reply.ACK_OK, *refusals}, step


def test_the_tour_goes_through_every_step() -> None:
    assert {*_STEPS, "any"} == zk_faults.STEPS.keys()


async def test_without_faults_the_whole_tour_is_answered() -> None:
    async with virtual.playing(key=_KEY) as playing, playing.call() as caller:
        await _go_until(caller, "exit")
        assert (await _take(caller, "exit"))[0].command == Reply.ACK_OK
        with pytest.raises(Gone):
            await caller.next()


@pytest.mark.parametrize("step", _STEPS)
@pytest.mark.parametrize("kind", _ENDINGS)
async def test_a_conversation_can_end_before_any_answer(kind: str, step: str) -> None:
    async with (
        virtual.playing(f"{kind}-before-{step}", key=_KEY) as playing,
        playing.call() as caller,
    ):
        await _go_until(caller, step)
        with pytest.raises(_ENDINGS[kind]):
            await _take(caller, step, within_s=_PATIENCE_S[kind])


@pytest.mark.parametrize("step", _STEPS)
@pytest.mark.parametrize("kind", _ENDINGS)
async def test_a_conversation_can_end_after_any_answer(kind: str, step: str) -> None:
    async with (
        virtual.playing(f"{kind}-after-{step}", key=_KEY) as playing,
        playing.call() as caller,
    ):
        await _go_until(caller, step)
        assert await _take(caller, step)
        with pytest.raises(_ENDINGS[kind]):
            await caller.next(within_s=_PATIENCE_S[kind])


@pytest.mark.parametrize("kind", _ENDINGS)
async def test_a_conversation_can_end_within_an_answer(kind: str) -> None:
    async with (
        virtual.playing(f"{kind}-within-chunk", key=_KEY) as playing,
        playing.call() as caller,
    ):
        await _go_until(caller, "chunk")
        part = tables.CHUNK_REQUEST.pack(0, 1_500)
        await caller.line.say(Packet(Command.READ_BUFFER, caller.session, caller.number, part))
        came = [(await caller.next()).command for _ in range(2)]
        assert came == [Command.PREPARE_DATA, Command.DATA]
        with pytest.raises(_ENDINGS[kind]):
            await caller.next(within_s=_PATIENCE_S[kind])


async def test_a_step_fails_once_and_the_next_session_is_whole() -> None:
    async with virtual.playing("drop-before-count", key=_KEY) as playing:
        async with playing.call() as caller:
            with pytest.raises(Gone):
                await _go_until(caller, "exit")
        async with playing.call() as caller:
            await _go_until(caller, "exit")
        assert playing.terminal.sessions_begun == 2


async def test_a_step_can_fail_at_its_third_time() -> None:
    async with virtual.playing("drop-before-time:3") as playing, playing.call() as caller:
        await caller.connect()
        for _ in range(2):
            assert (await caller.ask(Command.GET_TIME))[0].command == Reply.ACK_OK
        with pytest.raises(Gone):
            await caller.ask(Command.GET_TIME)


async def test_a_step_can_fail_every_time() -> None:
    async with virtual.playing("drop-before-connect:*") as playing:
        for _ in range(3):
            async with playing.call() as caller:
                with pytest.raises(Gone):
                    await caller.connect()


async def test_any_request_is_a_step_too() -> None:
    async with virtual.playing("drop-after-any:2") as playing, playing.call() as caller:
        await caller.connect()
        assert (await caller.ask(Command.GET_VERSION))[0].command == Reply.ACK_OK
        with pytest.raises(Gone):
            await caller.next()


@pytest.mark.parametrize("code", zk_faults.ERRORS)
@pytest.mark.parametrize("step", _STEPS)
async def test_any_step_can_be_answered_with_an_error(step: str, code: int) -> None:
    async with (
        virtual.playing(f"error-{code}-{step}", key=_KEY) as playing,
        playing.call() as caller,
    ):
        await _go_until(caller, step)
        answer = await _take(caller, step)
        assert [(packet.command, packet.data) for packet in answer] == [(code, b"")]
        # The session goes on: the same request is answered now.
        assert (await _take(caller, step))[0].command != code


async def test_over_udp_a_dropped_request_is_just_not_answered() -> None:
    async with (
        virtual.playing("drop-before-time") as playing,
        playing.call(udp=True) as caller,
    ):
        await caller.connect()
        with pytest.raises(Silent):
            await caller.ask(Command.GET_TIME, within_s=SHORT_S)


async def test_a_punch_can_fall_between_the_count_and_the_table() -> None:
    async with virtual.playing("punch-after-count") as playing, playing.call() as caller:
        await caller.connect()
        counts = tables.read_free_sizes((await caller.ask(Command.GET_FREE_SIZES))[0].data)
        table = await caller.table(Table.ATTENDANCE)
        assert counts.records == 50
        assert len(virtual.rows_of(table, 40)) == 51


async def test_a_punch_between_two_chunks_is_not_in_the_table_that_is_read() -> None:
    async with virtual.playing("punch-after-chunk:*") as playing, playing.call() as caller:
        await caller.connect()
        table = await caller.table(Table.ATTENDANCE, chunk=400)
        assert len(virtual.rows_of(table, 40)) == 50
        # 2,004 bytes in chunks of 400: six.
        assert playing.terminal.memory.free_sizes().records == 56


async def test_the_log_can_be_cleared_between_the_count_and_the_table() -> None:
    async with virtual.playing("clear-after-count") as playing, playing.call() as caller:
        await caller.connect()
        counts = tables.read_free_sizes((await caller.ask(Command.GET_FREE_SIZES))[0].data)
        assert counts.records == 50
        assert await caller.table(Table.ATTENDANCE) == b"\0\0\0\0"


async def test_an_event_can_come_between_a_request_and_its_answer() -> None:
    async with virtual.playing("punch-before-time") as playing, playing.call() as caller:
        await caller.connect()
        await caller.ask(Command.REG_EVENT, b"\xff\xff\0\0")
        await caller.ask(Command.GET_TIME)
        assert [packet.command for packet in caller.heard[-2:]] == [
            Command.REG_EVENT,
            Reply.ACK_OK,
        ]


@pytest.mark.parametrize("udp", [False, True])
async def test_an_event_can_come_between_two_data_packets(*, udp: bool) -> None:
    async with (
        virtual.playing("punch-within-chunk", "data-1024") as playing,
        playing.call(udp=udp) as caller,
    ):
        await caller.connect()
        await caller.ask(Command.REG_EVENT, b"\xff\xff\0\0")
        size = await caller.announced(Table.ATTENDANCE)
        await caller.part(0, size)
        assert [packet.command for packet in caller.heard[-5:]] == [
            Command.PREPARE_DATA,
            Command.DATA,
            Command.REG_EVENT,
            Command.DATA,
            Reply.ACK_OK,
        ]
        event = caller.events[0]
        assert (event.session, event.reply, len(event.data)) == (1, 0, 32)
        assert struct.unpack("<24sBB6s", event.data)[0].rstrip(b"\0") == b"1001"
