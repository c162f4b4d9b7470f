"""Sessions of a virtual terminal, and what it does when it is told to do something.

Real: sockets on loopback. Asserted: what is answered, and what can be read afterwards.
"""

import struct
from datetime import timedelta

import pytest

from punchgate.netkit.error import Silent
from punchgate.protocols.zk import events, moment, records, tables, users
from punchgate.protocols.zk.commands import Command, LiveEvent, Reply
from punchgate.protocols.zk.packets import Packet
from punchgate.protocols.zk.tables import Table
from punchgate.wire.event import Reading
from tests.simulators import virtual
from tests.simulators.virtual import NOON, SHORT_S, Caller, Gone

_LISTEN = (Command.REG_EVENT, b"\xff\xff\0\0")


# -- the session ----------------------------------------------------------------------------------


@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize("key", [0, 1, 123_456, 999_999])
async def test_a_right_key_is_let_in_on_both_transports(key: int, *, udp: bool) -> None:
    async with virtual.playing(key=key) as playing, playing.call(udp=udp) as caller:
        assert await caller.connect(key=key) == Reply.ACK_OK
        assert (await caller.ask(Command.GET_TIME))[0].command == Reply.ACK_OK


async def test_a_wrong_key_is_not_let_in() -> None:
    async with virtual.playing(key=1234) as playing, playing.call() as caller:
        assert await caller.connect(key=4321) == Reply.ACK_UNAUTH
        assert (await caller.ask(Command.GET_TIME))[0].command == Reply.ACK_UNAUTH


async def test_the_reply_number_is_echoed_up_to_its_end_and_from_zero_again() -> None:
    async with virtual.playing() as playing, playing.call() as caller:
        await caller.connect()
        for number in (65_533, 65_534, 0, 1):
            await caller.line.say(Packet(Command.GET_TIME, caller.session, number))
            assert (await caller.next()).reply == number


async def test_a_wrong_checksum_closes_the_connection() -> None:
    async with virtual.playing() as playing, playing.call() as caller:
        await caller.connect()
        await caller.line.write(b"\x50\x50\x82\x7d\x08\0\0\0\xc9\0\xff\xff\0\0\0\0")
        with pytest.raises(Gone):
            await caller.next()


async def test_a_datagram_with_a_wrong_checksum_is_dropped() -> None:
    async with virtual.playing() as playing, playing.call(udp=True) as caller:
        await caller.connect()
        await caller.line.write(b"\xc9\0\xff\xff\0\0\0\0")
        with pytest.raises(Silent):
            await caller.next(within_s=SHORT_S)
        assert (await caller.ask(Command.GET_TIME))[0].command == Reply.ACK_OK


async def test_a_datagram_is_never_longer_than_1032_bytes() -> None:
    async with virtual.playing() as playing, playing.call(udp=True) as caller:
        await caller.connect()
        assert len(await caller.table(Table.ATTENDANCE, chunk=16_384)) == 2_004
        assert max(len(packet.data) for packet in caller.heard) == 1_024


async def test_sessions_have_numbers_of_their_own() -> None:
    async with (
        virtual.playing() as playing,
        playing.call() as first,
        playing.call() as second,
        playing.call(udp=True) as third,
    ):
        for caller in (first, second, third):
            await caller.connect()
        assert len({first.session, second.session, third.session}) == 3
        assert playing.terminal.open_sessions == 3


# -- orders ---------------------------------------------------------------------------------------


async def _ok(caller: Caller, command: int, data: bytes = b"") -> bytes:
    answer = (await caller.ask(command, data))[0]
    assert answer.command == Reply.ACK_OK
    return answer.data


async def test_a_user_that_is_written_is_read_back() -> None:
    async with virtual.playing() as playing, playing.call() as caller:
        await caller.connect()
        row = users.changed(users.new(9, "900"), users.UserChange(name="Nour", card=77))
        await _ok(caller, Command.USER_WRQ, row)
        await _ok(caller, Command.REFRESHDATA)
        assert virtual.rows_of(await caller.table(Table.USERS), 72)[-1] == row


async def test_a_terminal_keeps_users_in_its_own_width() -> None:
    async with virtual.playing("users-28") as playing, playing.call() as caller:
        await caller.connect()
        row = users.changed(users.new(9, "900"), users.UserChange(name="Nour", card=77))
        await _ok(caller, Command.USER_WRQ, row)
        kept = users.read(virtual.rows_of(await caller.table(Table.USERS), 28)[-1])
        assert (kept.uid, kept.user_id, kept.name, kept.card) == (9, "900", "Nour", 77)
        refused = await caller.ask(Command.USER_WRQ, users.new(10, "A10"))
        assert refused[0].command == Reply.ACK_ERROR


async def test_a_deleted_user_takes_the_fingers_along_and_leaves_the_rows() -> None:
    async with virtual.playing() as playing, playing.call() as caller:
        await caller.connect()
        before = await caller.table(Table.ATTENDANCE)
        await _ok(caller, Command.DELETE_USER, struct.pack("<H", 2))
        gone = await caller.ask(Command.DELETE_USER, struct.pack("<H", 2))
        assert gone[0].command == Reply.ACK_ERROR
        sizes = tables.read_free_sizes(await _ok(caller, Command.GET_FREE_SIZES))
        assert (sizes.users, sizes.fingers) == (4, 4)
        assert await caller.table(Table.ATTENDANCE) == before


@pytest.mark.parametrize(
    ("command", "data", "left"),
    [
        (Command.CLEAR_ATTLOG, b"", (5, 5, 0, 1)),
        (Command.CLEAR_DATA, b"\x01", (5, 5, 0, 1)),
        (Command.CLEAR_DATA, b"\x02", (5, 0, 50, 1)),
        (Command.CLEAR_DATA, b"\x05", (0, 0, 50, 0)),
        (Command.CLEAR_DATA, b"", (0, 0, 0, 0)),
        (Command.CLEAR_ADMIN, b"", (5, 5, 50, 0)),
        (Command.CLEAR_OPLOG, b"", (5, 5, 50, 1)),
    ],
)
async def test_a_clear_clears_what_it_names(
    command: int, data: bytes, left: tuple[int, int, int, int]
) -> None:
    async with virtual.playing() as playing, playing.call() as caller:
        await caller.connect()
        await _ok(caller, command, data)
        sizes = tables.read_free_sizes(await _ok(caller, Command.GET_FREE_SIZES))
        assert (sizes.users, sizes.fingers, sizes.records, sizes.admins) == left


async def test_options_and_access_settings_are_kept() -> None:
    async with virtual.playing() as playing, playing.call() as caller:
        await caller.connect()
        assert await _ok(caller, Command.OPTIONS_RRQ, b"~Platform\0") == b"~Platform=ZEM760_TFT\0"
        await _ok(caller, Command.OPTIONS_WRQ, b"LockOn=9\0")
        assert await _ok(caller, Command.OPTIONS_RRQ, b"LockOn") == b"LockOn=9\0"
        unknown = await caller.ask(Command.OPTIONS_RRQ, b"NoSuch\0")
        assert unknown[0].command == Reply.ACK_ERROR
        zone = b"\x08\x00\x11\x1e" * 7
        before = await _ok(caller, Command.TZ_RRQ, struct.pack("<I", 3))
        await _ok(caller, Command.TZ_WRQ, struct.pack("<I", 3) + zone)
        assert before[2:30] == b"\x00\x00\x17\x3b" * 7
        after = await _ok(caller, Command.TZ_RRQ, struct.pack("<I", 3))
        assert after == struct.pack("<H", 3) + zone + b"\0\0"


async def test_the_clock_runs_is_skewed_and_can_be_set() -> None:
    async with virtual.playing(skew_s=-120) as playing, playing.call() as caller:
        await caller.connect()
        said = moment.said(struct.unpack("<I", await _ok(caller, Command.GET_TIME))[0])
        assert said.wall_time() == NOON - timedelta(seconds=120)
        await _ok(caller, Command.SET_TIME, struct.pack("<I", moment.pack(NOON)))
        playing.clock.forward(5)
        said = moment.said(struct.unpack("<I", await _ok(caller, Command.GET_TIME))[0])
        assert said.wall_time() == NOON + timedelta(seconds=5)
        # 30 February, and a year that no terminal's clock has.
        for packed in (0x30350234, 0xFFFFFFFF):
            impossible = await caller.ask(Command.SET_TIME, struct.pack("<I", packed))
            assert impossible[0].command == Reply.ACK_ERROR
        assert moment.said(struct.unpack("<I", await _ok(caller, Command.GET_TIME))[0]) == said


async def test_a_door_opens_for_tenths_of_a_second_and_closes_by_itself() -> None:
    async with virtual.playing() as playing, playing.call() as caller:
        await caller.connect()
        assert await _ok(caller, Command.DOORSTATE_RRQ) == b"\0"
        await _ok(caller, Command.UNLOCK, struct.pack("<I", 30))
        playing.clock.forward(2.9)
        assert await _ok(caller, Command.DOORSTATE_RRQ) == b"\x01"
        playing.clock.forward(0.2)
        assert await _ok(caller, Command.DOORSTATE_RRQ) == b"\0"


async def test_nobody_punches_at_a_disabled_terminal() -> None:
    async with virtual.playing() as playing, playing.call() as caller:
        await caller.connect()
        await _ok(caller, Command.DISABLEDEVICE)
        playing.clock.forward(86_400)
        await playing.terminal.somebody_punches()
        assert playing.terminal.memory.free_sizes().records == 50
        await _ok(caller, Command.ENABLEDEVICE)
        await playing.terminal.somebody_punches()
        assert playing.terminal.memory.free_sizes().records == 51


async def test_a_restart_is_answered_and_ends_the_session() -> None:
    async with virtual.playing() as playing, playing.call() as caller:
        await caller.connect()
        await _ok(caller, Command.RESTART)
        with pytest.raises(Gone):
            await caller.next()


async def test_a_punch_is_an_event_and_a_row_of_the_log() -> None:
    async with virtual.playing() as playing, playing.call() as caller, playing.call() as deaf:
        await caller.connect()
        await deaf.connect()
        await _ok(caller, *_LISTEN)
        await playing.terminal.somebody_punches()
        event = await caller.event()
        seen = events.read(event.session, event.data)[0]
        row = virtual.rows_of(await caller.table(Table.ATTENDANCE), 40)[-1]
        logged = records.Reader("40").read(row)[0]
        assert isinstance(seen, Reading)
        assert isinstance(logged, Reading)
        assert seen._replace(raw=b"") == logged._replace(raw=b"")
        with pytest.raises(Silent):
            await deaf.next(within_s=SHORT_S)


async def test_a_lost_session_does_not_keep_others_from_an_event() -> None:
    async with virtual.playing() as playing, playing.call() as caller:
        await caller.connect()
        await _ok(caller, *_LISTEN)
        async with playing.call() as other:
            await other.connect()
            await other.ask(*_LISTEN)
            other.line.reset()
        for _ in range(3):
            await playing.terminal.somebody_punches()
        assert [(await caller.event()).data[:4] for _ in range(3)] == [b"1001", b"1002", b"1003"]


async def test_enrolling_is_told_event_by_event_and_leaves_a_finger() -> None:
    async with virtual.playing() as playing, playing.call() as caller:
        await caller.connect()
        await _ok(caller, Command.CANCELCAPTURE)
        await _ok(caller, Command.STARTENROLL, b"1002".ljust(24, b"\0") + b"\x04\x01")
        told = [await caller.event() for _ in range(7)]
        assert [event.session for event in told] == [2, 256, 2, 256, 2, 256, 8]
        done = events.read(LiveEvent.FINGER_ENROLLED, told[-1].data)[0]
        assert done == events.Enrolled(0, "1002", 4)
        # Acknowledged or not: they are no requests.
        for _ in told:
            await caller.line.say(Packet(Reply.ACK_OK, caller.session, 0))
        line = list(tables.read_operations((await caller.table(Table.OPERATIONS))[4:]))[-1]
        assert (line.operation, line.parameters) == (6, (0, 2, 4, 0))
        template = await caller.ask(Command.GET_USERTEMP, struct.pack("<HB", 2, 4))
        assert len(virtual.data_of(template)) >= 300
        await _ok(caller, Command.DELETE_USERTEMP, struct.pack("<HB", 2, 4))
        gone = await caller.ask(Command.GET_USERTEMP, struct.pack("<HB", 2, 4))
        assert gone[0].command == Reply.ACK_ERROR


async def test_users_with_fingers_can_be_uploaded_at_once() -> None:
    person, finger = users.new(12, "1200"), b"finger of somebody"
    a_rows, c_data = b"\x02" + person, struct.pack("<H", len(finger)) + finger
    b_rows = struct.pack("<BHBI", 2, 12, 0x16, 0)
    buffer = struct.pack("<III", len(a_rows), len(b_rows), len(c_data)) + a_rows + b_rows + c_data
    async with virtual.playing() as playing, playing.call() as caller:
        await caller.connect()
        await _ok(caller, Command.PREPARE_DATA, struct.pack("<HH", len(buffer), 0))
        await _ok(caller, Command.DATA, buffer)
        await _ok(caller, Command.SAVE_USERTEMPS, struct.pack("<IHH", 12, 0, 8))
        assert playing.terminal.memory.people[12] == person
        assert playing.terminal.memory.template(12, 6) == finger
        # A buffer that makes no sense changes nothing.
        await _ok(caller, Command.PREPARE_DATA, struct.pack("<HH", 5, 0))
        await _ok(caller, Command.DATA, b"12345")
        refused = await caller.ask(Command.SAVE_USERTEMPS, struct.pack("<IHH", 12, 0, 8))
        assert refused[0].command == Reply.ACK_ERROR
