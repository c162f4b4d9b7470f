"""The terminal's answers, packet by packet, as the protocol page and its clients expect them.

Real: the terminal's role. Simulated: its memory.
"""

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.protocols.zk import commkey, events, memory, moment, tables
from punchgate.protocols.zk.commands import Command, LiveEvent, Reply
from punchgate.protocols.zk.layouts import Row
from punchgate.protocols.zk.manner import Manner
from punchgate.protocols.zk.packets import Packet
from punchgate.protocols.zk.tables import FreeSizes, Table, Template
from punchgate.protocols.zk.terminal import UPLOAD_LIMIT, Terminal
from tests.protocols.zk.stage import Memory, table


def _open(known: Memory, *, manner: Manner | None = None, is_read_only: bool = False) -> Terminal:
    apply = None if is_read_only else known.apply
    terminal = Terminal(known, apply, session=77, manner=manner)
    assert _say(terminal, Command.CONNECT)[0].command == Reply.ACK_OK
    return terminal


def _say(terminal: Terminal, command: int, data: bytes = b"", reply: int = 3) -> Sequence[Packet]:
    return list(terminal.hear(Packet(command, 77, reply, data)))


def _code(terminal: Terminal, command: int, data: bytes = b"") -> int:
    (answer,) = _say(terminal, command, data)
    assert answer.reply == 3
    return answer.command


@pytest.mark.parametrize("session", [0, 1, 65_535])
def test_connect_gives_the_session_and_echoes_the_reply_number(session: int) -> None:
    terminal = Terminal(Memory(), session=session)
    (answer,) = terminal.hear(Packet(Command.CONNECT, 0, 65_534))
    assert answer == Packet(Reply.ACK_OK, session, 65_534)
    # A second CONNECT changes nothing.
    assert list(terminal.hear(Packet(Command.CONNECT, 0, 1))) == [Packet(2000, session, 1)]


def test_a_key_is_wanted_before_anything_else() -> None:
    terminal = Terminal(Memory(), session=77, key=1234)
    assert _code(terminal, Command.GET_TIME) == Reply.ACK_UNAUTH
    assert _code(terminal, Command.CONNECT) == Reply.ACK_UNAUTH
    assert _code(terminal, Command.GET_TIME) == Reply.ACK_UNAUTH
    assert _code(terminal, Command.AUTH, commkey.scramble(1235, 77)) == Reply.ACK_UNAUTH
    assert terminal.wrong_keys == 1
    assert _code(terminal, Command.AUTH, commkey.scramble(1234, 77, ticks=9)) == Reply.ACK_OK
    assert _code(terminal, Command.GET_TIME) == Reply.ACK_OK
    assert terminal.wrong_keys == 1


def test_exit_ends_the_session_and_nothing_is_answered_after_it() -> None:
    terminal = _open(Memory())
    assert _code(terminal, Command.EXIT) == Reply.ACK_OK
    assert terminal.is_over
    assert _say(terminal, Command.GET_TIME) == []


def test_questions_are_answered_from_memory() -> None:
    known = Memory(is_door_open=True, activity=2)
    known.settings[Command.TZ_RRQ, b"\1\0"] = b"zone"
    terminal = _open(known)
    said = {
        command: _say(terminal, command, data)[0].data
        for command, data in (
            (Command.OPTIONS_RRQ, b"~SerialNumber"),
            (Command.GET_VERSION, b""),
            (Command.GET_PINWIDTH, b""),
            (Command.DOORSTATE_RRQ, b""),
            (Command.GET_TIME, b""),
            (Command.TZ_RRQ, b"\1\0"),
        )
    }
    assert said == {
        Command.OPTIONS_RRQ: b"~SerialNumber=ACME0001\0",
        Command.GET_VERSION: b"Ver 6.60 Apr 26 2016\0",
        Command.GET_PINWIDTH: b"\x09",
        Command.DOORSTATE_RRQ: b"\1",
        Command.GET_TIME: bytes.fromhex("1868b632"),
        Command.TZ_RRQ: b"zone",
    }
    assert (
        _say(terminal, Command.OPTIONS_RRQ, b"~SerialNumber\0")[0].data
        == b"~SerialNumber=ACME0001\0"
    )
    assert _code(terminal, Command.OPTIONS_RRQ, b"Nothing\0") == Reply.ACK_ERROR
    assert _code(terminal, Command.TZ_RRQ, b"\2\0") == Reply.ACK_ERROR
    # The state is told in the session field.
    assert _say(terminal, Command.STATE_RRQ) == [Packet(Reply.ACK_OK, 2, 3)]


@pytest.mark.parametrize("length", [4, 80, 92, 112])
def test_free_sizes_come_in_the_form_of_the_terminal(length: int) -> None:
    known = Memory(counters=FreeSizes(users=3, records=58))
    terminal = _open(known, manner=Manner(free_sizes_bytes=length))
    (answer,) = _say(terminal, Command.GET_FREE_SIZES)
    assert len(answer.data) == length
    counted = tables.read_free_sizes(answer.data)
    assert (counted.users, counted.records) == ((3, 58) if length > 4 else (0, 0))
    liar = _open(known, manner=Manner(free_sizes_bytes=length, has_counts=False))
    assert not any(_say(liar, Command.GET_FREE_SIZES)[0].data)


def test_a_small_table_is_one_packet_and_a_large_one_is_read_in_parts() -> None:
    rows = table("40", 25)
    known = Memory(tables={Table.ATTENDANCE: rows[:960]})
    terminal = _open(known)
    request = bytes.fromhex("010d000000000000000000")
    small = tables.with_head(rows[:960])
    assert _say(terminal, Command.PREPARE_BUFFER, request) == [Packet(Command.DATA, 77, 3, small)]
    known.tables[Table.ATTENDANCE] = rows
    (answer,) = _say(terminal, Command.PREPARE_BUFFER, request)
    assert (answer.command, answer.data) == (2000, struct.pack("<bIII", 0, 1004, 1004, 0))
    # What was punched since does not change what is held.
    known.tables[Table.ATTENDANCE] = rows + rows[:40]
    prepare, data, end = _say(terminal, Command.READ_BUFFER, struct.pack("<ii", 1000, 65_472))
    assert prepare == Packet(Command.PREPARE_DATA, 77, 3, struct.pack("<II", 4, 0x1000))
    assert data == Packet(Command.DATA, 77, 3, rows[-4:])
    assert end == Packet(Reply.ACK_OK, 77, 3)
    # In any order, any number of times, until it is let go.
    assert _say(terminal, Command.READ_BUFFER, struct.pack("<ii", 0, 4))[1].data == rows_head(1000)
    assert _code(terminal, Command.FREE_DATA) == Reply.ACK_OK
    assert _code(terminal, Command.READ_BUFFER, struct.pack("<ii", 0, 4)) == Reply.ACK_ERROR


def rows_head(length: int) -> bytes:
    return struct.pack("<I", length)


@pytest.mark.parametrize(
    "part", [(-1, 10), (0, 0), (0, -5), (0, 65_473), (1004, 1), (2**31 - 1, 100)]
)
def test_a_part_that_is_not_there_is_refused(part: tuple[int, int]) -> None:
    terminal = _open(Memory(tables={Table.ATTENDANCE: table("40", 25)}))
    assert _code(terminal, Command.PREPARE_BUFFER, tables.request(Table.ATTENDANCE)) == 2000
    assert _code(terminal, Command.READ_BUFFER, struct.pack("<ii", *part)) == Reply.ACK_ERROR


@pytest.mark.parametrize("data", [b"", b"\1", bytes.fromhex("01ffff0000000000000000")])
def test_a_table_that_nobody_has_is_refused(data: bytes) -> None:
    assert _code(_open(Memory()), Command.PREPARE_BUFFER, data) == Reply.ACK_ERROR


def test_a_whole_table_comes_in_one_packet_where_that_is_the_manner() -> None:
    rows = table("40", 3_000)
    terminal = _open(Memory(tables={Table.ATTENDANCE: rows}), manner=Manner(buffering="whole"))
    (answer,) = _say(terminal, Command.PREPARE_BUFFER, tables.request(Table.ATTENDANCE))
    assert (answer.command, answer.data) == (Command.DATA, tables.with_head(rows))


def test_the_plain_command_answers_like_a_part() -> None:
    rows = table("40", 3)
    manner = Manner(
        buffering="refused",
        second_word=lambda: 0x3F0,
        data_session=lambda _: 0,
        end_session=lambda _: 124,
        data_bytes=100,
    )
    terminal = _open(Memory(tables={Table.ATTENDANCE: rows}), manner=manner)
    assert _code(terminal, Command.PREPARE_BUFFER, tables.request(Table.ATTENDANCE)) == 2001
    prepare, first, second, end = _say(terminal, Command.ATTLOG_RRQ)
    assert prepare.data == struct.pack("<II", 124, 0x3F0)
    assert first.data + second.data == tables.with_head(rows)
    assert [packet.session for packet in (prepare, first, second, end)] == [77, 0, 0, 124]
    assert {packet.reply for packet in (prepare, first, second, end)} == {3}


def test_a_terminal_may_lie_about_its_sizes() -> None:
    manner = Manner(buffering="parts", announced=lambda _: 2**32 - 1, headed=lambda size: size - 40)
    terminal = _open(Memory(tables={Table.ATTENDANCE: table("40", 2)}), manner=manner)
    (answer,) = _say(terminal, Command.PREPARE_BUFFER, tables.request(Table.ATTENDANCE))
    assert tables.BUFFER_ANSWER.unpack(answer.data) == (0, 2**32 - 1, 2**32 - 1, 0)
    data = _say(terminal, Command.READ_BUFFER, struct.pack("<ii", 0, 65_472))[1].data
    assert (data[:4], len(data)) == (rows_head(40), 84)


def test_any_command_can_be_refused_or_left_without_an_answer() -> None:
    known = Memory()
    manner = Manner(
        refused={Command.GET_FREE_SIZES: 4_989}, unanswered=frozenset({Command.RESTART})
    )
    terminal = _open(known, manner=manner)
    assert _code(terminal, Command.GET_FREE_SIZES) == 4_989
    assert _say(terminal, Command.RESTART) == []
    assert known.changes == [memory.Order(Command.RESTART)]
    assert terminal.is_over


@pytest.mark.parametrize(
    ("command", "data", "change"),
    [
        (Command.DELETE_USER, b"\x05\0", memory.DeleteUser(5)),
        (Command.DELETE_USERTEMP, b"\x05\0\x02", memory.DeleteTemplate(2, uid=5)),
        (Command.DEL_FPTMP, b"42".ljust(24, b"\0") + b"\3", memory.DeleteTemplate(3, user_id="42")),
        (Command.OPTIONS_WRQ, b"LockOn=5\0", memory.SetOption("LockOn", "5")),
        (Command.SET_TIME, bytes.fromhex("1868b632"), memory.SetTime(moment.said(0x32B66818))),
        (Command.DISABLEDEVICE, b"", memory.SetEnabled(is_enabled=False)),
        (Command.DISABLEDEVICE, b"\x3c\0\0\0", memory.SetEnabled(is_enabled=False, seconds=60)),
        (Command.ENABLEDEVICE, b"", memory.SetEnabled(is_enabled=True)),
        (Command.CLEAR_DATA, b"", memory.Clear(Command.CLEAR_DATA)),
        (Command.CLEAR_DATA, b"\1", memory.Clear(Command.CLEAR_DATA, 1)),
        (Command.STARTENROLL, b"A7".ljust(24, b"\0") + b"\6\1", memory.Enrol("A7", 6)),
        (Command.STARTENROLL, b"\x2a\0\0\0\6", memory.Enrol("42", 6)),
        (Command.UNLOCK, b"\x1e\0\0\0", memory.Order(Command.UNLOCK, b"\x1e\0\0\0")),
        (Command.USER_WRQ, b"\1" * 72, memory.SaveUser(b"\1" * 72)),
    ],
)
def test_a_change_is_read_carried_out_and_answered(
    command: int, data: bytes, change: memory.Change
) -> None:
    known = Memory()
    assert _code(_open(known), command, data) == Reply.ACK_OK
    assert known.changes == [change]
    assert _code(_open(Memory(obeys=False)), command, data) == Reply.ACK_ERROR


@pytest.mark.parametrize(
    ("command", "data"),
    [
        (Command.DELETE_USER, b""),
        (Command.USER_WRQ, b"\1" * 71),
        (Command.OPTIONS_WRQ, b"LockOn\0"),
        (Command.SET_TIME, b"\0"),
        (Command.STARTENROLL, b"\0"),
        (Command.DEL_FPTMP, b"\0" * 24),
    ],
)
def test_a_change_without_sense_is_refused_and_changes_nothing(command: int, data: bytes) -> None:
    known = Memory()
    assert _code(_open(known), command, data) == Reply.ACK_ERROR
    assert known.changes == []


_WRITES = (8, 10, 12, 14, 15, 18, 19, 20, 22, 24, 26, 28, 30, 31, 32, 33, 61, 87, 110, 134, 202,
           1004, 1005)  # fmt: skip


@pytest.mark.parametrize("command", _WRITES)
def test_a_terminal_that_cannot_be_written_to_refuses_every_write(command: int) -> None:
    known = Memory()
    terminal = _open(known, is_read_only=True)
    for data in (b"", b"\1" * 4, b"\1" * 25, b"\1" * 72):
        assert _code(terminal, command, data) == Reply.ACK_ERROR
    assert (known.changes, terminal.is_over) == ([], False)


@pytest.mark.parametrize("command", [1002, 1003, 1013, 1014, 1502, 60, 62])
def test_a_terminal_that_cannot_be_written_to_does_what_changes_nothing(command: int) -> None:
    assert _code(_open(Memory(), is_read_only=True), command) == Reply.ACK_OK


@pytest.mark.parametrize("command", [2000, 2001, 65_535, 1_234])
def test_a_reply_code_or_an_unknown_command_is_unknown_and_the_session_goes_on(
    command: int,
) -> None:
    terminal = _open(Memory(), is_read_only=True)
    assert _code(terminal, command) == Reply.ACK_UNKNOWN
    assert _code(terminal, Command.GET_TIME) == Reply.ACK_OK


def test_a_template_is_uploaded_in_packets() -> None:
    known = Memory()
    terminal = _open(known)
    assert _code(terminal, Command.PREPARE_DATA, struct.pack("<HH", 5, 0)) == 2000
    assert _code(terminal, Command.DATA, b"abc") == 2000
    assert _code(terminal, Command.DATA, b"de") == 2000
    assert _code(terminal, Command.CHECKSUM_BUFFER) == 2000
    assert _code(terminal, Command.TMP_WRITE, struct.pack("<HBBH", 9, 6, 1, 5)) == 2000
    assert known.changes == [memory.SaveTemplate(Template(9, 6, 1, b"abcde"))]
    # It is gone then.
    assert _code(terminal, Command.TMP_WRITE, struct.pack("<HBBH", 9, 6, 1, 5)) == 2001


def test_many_people_are_uploaded_in_one_buffer() -> None:
    known = Memory()
    terminal = _open(known)
    assert _code(terminal, Command.SAVE_USERTEMPS, b"") == Reply.ACK_ERROR
    _say(terminal, Command.PREPARE_DATA, struct.pack("<I", 3))
    _say(terminal, Command.DATA, b"abc")
    assert _code(terminal, Command.SAVE_USERTEMPS, struct.pack("<IHH", 12, 0, 8)) == 2000
    assert known.changes == [memory.SaveMany(b"abc")]


@pytest.mark.parametrize("data", [b"", struct.pack("<HBBH", 9, 6, 1, 4)])
def test_a_template_longer_than_its_upload_is_refused(data: bytes) -> None:
    known = Memory()
    terminal = _open(known)
    _say(terminal, Command.PREPARE_DATA, struct.pack("<I", 3))
    _say(terminal, Command.DATA, b"abc")
    assert _code(terminal, Command.TMP_WRITE, data) == Reply.ACK_ERROR
    assert known.changes == []


def test_who_listens_is_known() -> None:
    terminal = _open(Memory())
    assert not terminal.is_listening
    _say(terminal, Command.REG_EVENT, b"\1")
    assert terminal.is_listening


def test_an_upload_is_bounded() -> None:
    terminal = _open(Memory())
    assert _code(terminal, Command.PREPARE_DATA, struct.pack("<I", UPLOAD_LIMIT + 1)) == 2001
    assert _code(terminal, Command.PREPARE_DATA, struct.pack("<I", 4)) == 2000
    piece = bytes(65_000)
    codes = {_code(terminal, Command.DATA, piece) for _ in range(UPLOAD_LIMIT // 65_000)}
    assert codes == {2000}
    assert _code(terminal, Command.DATA, piece) == 2001


def test_a_template_is_read_and_one_that_is_not_there_is_refused() -> None:
    terminal = _open(Memory(templates={(9, 6): b"finger"}))
    for command in (Command.GET_USERTEMP, Command.USERTEMP_RRQ):
        assert _say(terminal, command, struct.pack("<HB", 9, 6))[1].data == b"finger"
        assert _code(terminal, command, struct.pack("<HB", 9, 7)) == Reply.ACK_ERROR
        assert _code(terminal, command, b"\1") == Reply.ACK_ERROR


def test_events_come_to_who_asked_for_them() -> None:
    terminal = _open(Memory())
    data = events.attendance(Row(1, "42", moment.said(0x32B66818).packed()))
    assert list(terminal.attend(data)) == []
    assert _code(terminal, Command.REG_EVENT, struct.pack("<I", LiveEvent.ATTENDANCE)) == 2000
    assert list(terminal.attend(data)) == [Packet(Command.REG_EVENT, 1, 0, data)]
    assert list(terminal.happen(LiveEvent.FINGER, b"")) == []
    # An acknowledgement is not answered, and none is needed.
    assert _say(terminal, Reply.ACK_OK, reply=0) == []
    assert _code(terminal, Command.EXIT) == 2000
    assert list(terminal.attend(data)) == []


def test_a_terminal_may_insist_on_acknowledgements() -> None:
    terminal = _open(Memory(), manner=Manner(waits_for_acks=True))
    _say(terminal, Command.REG_EVENT, b"\xff\xff\0\0")
    first, second = b"a" * 32, b"b" * 32
    assert [packet.data for packet in terminal.attend(first)] == [first]
    assert list(terminal.attend(second)) == []
    assert [packet.data for packet in _say(terminal, Reply.ACK_OK, reply=0)] == [second]


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=80)), max_size=12))
def test_I7_any_request_is_answered_or_ignored_and_never_an_error(
    requests: list[tuple[int, bytes]],
) -> None:
    terminal = _open(Memory(tables={Table.USERS: b"\0" * 72}))
    for command, data in requests:
        for answer in _say(terminal, command, data):
            assert 0 <= answer.session <= 0xFFFF
            assert answer.reply == 3 or answer.command == Command.REG_EVENT


_ALL = [int(each) for each in (*Command, *Reply)]


@given(st.lists(st.tuples(st.sampled_from(_ALL), st.binary(max_size=80)), max_size=30))
def test_I7_known_commands_in_any_order_are_never_an_error(
    requests: list[tuple[int, bytes]],
) -> None:
    terminal = Terminal(Memory(), session=77, key=5)
    for command, data in requests:
        _say(terminal, command, data)
    assert terminal.is_over == any(command == Command.EXIT for command, _ in requests)
