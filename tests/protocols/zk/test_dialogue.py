"""The client's conversations against the terminal's role, in one process and through real frames.

Real: both roles of the codec. Simulated: the terminal's memory, and mishaps on the way.
"""

import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from punchgate.protocols.zk import commkey, dialogue, memory, moment, users
from punchgate.protocols.zk.client import Ask, Client, Conversation
from punchgate.protocols.zk.commands import Command, Reply
from punchgate.protocols.zk.manner import Manner
from punchgate.protocols.zk.packets import Packet
from punchgate.protocols.zk.session import State
from punchgate.protocols.zk.tables import FreeSizes, Table
from punchgate.protocols.zk.users import UserChange
from punchgate.wire.error import ProtocolError
from tests.protocols.zk import stage
from tests.protocols.zk.stage import Line, Memory


def _connected(known: Memory, manner: Manner | None = None) -> Line:
    line = stage.line(known, manner=manner)
    line.run(dialogue.connect())
    line.said.clear()
    return line


def _asked(line: Line) -> list[tuple[int, bytes]]:
    return [(packet.command, packet.data) for packet in line.said]


def test_a_session_begins_with_the_number_that_the_terminal_gives() -> None:
    line = stage.line(Memory(), session=65_535)
    line.run(dialogue.connect())
    line.run(dialogue.read_firmware())
    assert [(packet.session, packet.reply) for packet in line.said] == [(0, 0), (65_535, 1)]


def test_the_key_is_sent_when_it_is_wanted_and_only_then() -> None:
    line = stage.line(Memory(), key=1234)
    line.run(dialogue.connect(1234))
    assert _asked(line)[1] == (Command.AUTH, commkey.scramble(1234, 7))
    assert line.client.state is State.OPEN
    free = stage.line(Memory())
    free.run(dialogue.connect(1234))
    assert len(free.said) == 1


@pytest.mark.parametrize(("key", "said"), [(0, "wants a comm key"), (1235, "is wrong")])
def test_a_wrong_key_is_an_error_of_its_own_and_is_not_tried_again(key: int, said: str) -> None:
    line = stage.line(Memory(), key=1234)
    with pytest.raises(dialogue.WrongKey, match=said):
        line.run(dialogue.connect(key))
    assert len(line.said) <= 2
    assert line.client.state is State.LOCKED


def test_a_refused_connection_names_its_code() -> None:
    line = stage.line(Memory(), manner=Manner(refused={Command.CONNECT: 4_989}))
    with pytest.raises(dialogue.Refused, match="CONNECT was refused with 4989") as caught:
        line.run(dialogue.connect())
    assert (caught.value.command, caught.value.code) == (1000, 4_989)


def test_counters_are_read_and_unknown_where_they_are_refused() -> None:
    known = Memory(counters=FreeSizes(users=3, records=58, record_capacity=100_000))
    assert _connected(known).run(dialogue.read_free_sizes()) == known.counters
    deaf = _connected(known, Manner(refused={Command.GET_FREE_SIZES: 65_535}))
    assert deaf.run(dialogue.read_free_sizes()) == FreeSizes()


def test_options_that_a_terminal_lacks_are_missing() -> None:
    known = Memory(options={"~SerialNumber": "ACME0001", "MAC": "00:17:61:aa:bb:cc"})
    assert _connected(known).run(dialogue.read_options()) == known.options


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (b"x" * 60_000, "x" * 200),
        ("ñ".encode() * 1_000, "ñ" * 200),
        # Four bytes each, which is the most that a character takes.
        ("\N{ROSE}".encode() * 1_000, "\N{ROSE}" * 200),
        (b"\x1b[2J red\r\nline", "\ufffd[2J red\ufffd\ufffdline"),
        ("right\u202eleft".encode(), "right\ufffdleft"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_what_a_terminal_says_of_itself_is_printable_and_not_too_long(
    said: bytes, kept: str
) -> None:
    def mishap(answer: Packet) -> tuple[Packet, ...]:
        data = b"MAC=" + said if answer.data.startswith(b"MAC=") else said
        return (answer._replace(data=data + b"\0"),) if answer.data else (answer,)

    line = Line(stage.line(Memory(options={"MAC": "1"})).terminal, mishap=mishap)
    line.run(dialogue.connect())
    assert line.run(dialogue.read_options(["MAC"])) == {"MAC": kept}
    assert line.run(dialogue.read_firmware()) == kept


def test_an_option_is_set_and_put_to_use() -> None:
    line = _connected(Memory())
    line.run(dialogue.write_option("LockOn", "5"))
    assert _asked(line) == [(Command.OPTIONS_WRQ, b"LockOn=5\0"), (Command.REFRESHOPTION, b"")]


def test_the_clock_is_read_even_where_it_shows_no_day() -> None:
    known = Memory(clock=moment.said(0x30350234))
    said = _connected(known).run(dialogue.read_time())
    assert str(said) == "2025-02-30 21:12:20"


def test_the_clock_is_set_and_put_to_use() -> None:
    known = Memory()
    line = _connected(known)
    line.run(dialogue.write_time(datetime.fromisoformat("2026-06-21T09:30:00")))
    assert known.changes[0] == memory.SetTime(moment.said(0x32B66818))
    assert line.said[-1].command == Command.REFRESHDATA


def test_a_terminal_is_disabled_for_a_time_and_enabled_again() -> None:
    known = Memory()
    line = _connected(known)
    line.run(dialogue.disable())
    line.run(dialogue.enable())
    assert known.changes == [
        memory.SetEnabled(is_enabled=False, seconds=60),
        memory.SetEnabled(is_enabled=True),
    ]


@pytest.mark.parametrize("is_disabled", [True, False])
def test_a_farewell_enables_what_we_disabled(*, is_disabled: bool) -> None:
    known = Memory()
    line = _connected(known)
    line.run(dialogue.farewell(is_disabled=is_disabled))
    assert (memory.SetEnabled(is_enabled=True) in known.changes) == is_disabled
    assert line.said[0].command == Command.FREE_DATA
    assert line.terminal.is_over
    assert line.client.state is State.CLOSED
    with pytest.raises(ValueError, match="CLOSED"):
        line.run(dialogue.read_time())


@pytest.mark.parametrize(
    ("unit", "seconds", "is_confirmed", "sent"),
    [
        ("tenth", 3, False, 30),
        ("tenth", 10, False, 30),
        ("tenth", 10, True, 100),
        ("second", 5, False, 5),
        ("second", 60, False, 30),
        ("second", 60, True, 60),
    ],
)
def test_an_unlock_stays_short_until_its_unit_is_confirmed(
    unit: dialogue.UnlockUnit, seconds: int, sent: int, *, is_confirmed: bool
) -> None:
    known = Memory()
    line = _connected(known)
    done = line.run(dialogue.unlock(seconds, unit=unit, is_confirmed=is_confirmed))
    assert done == sent
    assert known.changes == [memory.Order(Command.UNLOCK, struct.pack("<I", sent))]


def test_the_door_is_asked() -> None:
    assert _connected(Memory(is_door_open=True)).run(dialogue.read_door())
    assert not _connected(Memory()).run(dialogue.read_door())


@pytest.mark.parametrize(
    "conversation", [dialogue.read_door, dialogue.read_time], ids=["door", "time"]
)
def test_an_answer_that_is_too_short_is_a_protocol_error(
    conversation: Callable[[], Conversation[object]],
) -> None:
    line = _connected(Memory(), Manner(refused={75: Reply.ACK_OK, 201: Reply.ACK_OK}))
    with pytest.raises(ProtocolError):
        line.run(conversation())


def test_a_session_without_anything_held_just_ends() -> None:
    line = _connected(Memory())
    line.run(dialogue.leave())
    assert [packet.command for packet in line.said] == [Command.EXIT]
    assert line.client.state is State.CLOSED


def test_an_option_answered_with_another_name_is_missing() -> None:
    def mishap(answer: Packet) -> tuple[Packet, ...]:
        return (answer._replace(data=answer.data.replace(b"MAC", b"CAM")),)

    line = Line(stage.line(Memory(options={"MAC": "1"})).terminal, mishap=mishap)
    line.run(dialogue.connect())
    assert line.run(dialogue.read_options(["MAC"])) == {}


def test_a_finger_is_asked_for_in_both_forms() -> None:
    known = Memory()
    line = _connected(known)
    line.run(dialogue.enrol("A7", 6))
    line.run(dialogue.enrol("42", 6, form="number"))
    line.run(dialogue.cancel_enrol())
    asked = [change for change in known.changes if isinstance(change, memory.Enrol)]
    assert asked == [memory.Enrol("A7", 6), memory.Enrol("42", 6)]
    assert [packet.command for packet in line.said[:3]] == [62, 61, 60]


def test_a_new_person_gets_the_lowest_free_row_number() -> None:
    known = Memory()
    rows = [users.new(uid, str(uid)) for uid in (1, 2, 4)]
    line = _connected(known)
    uid = line.run(dialogue.put_user(list(map(users.read, rows)), "77", UserChange(name="Ana")))
    assert uid == 3
    assert isinstance(known.changes[0], memory.SaveUser)
    saved = users.read(known.changes[0].row)
    assert (saved.uid, saved.user_id, saved.name, saved.group) == (3, "77", "Ana", 1)
    assert line.said[-1].command == Command.REFRESHDATA


def test_a_known_person_keeps_what_was_not_asked_for() -> None:
    row = bytearray(users.changed(users.new(4, "77"), UserChange(name="Ana", card=99)))
    row[40:48] = b"\1\0\2\0\3\0\4\0"
    row[30:35] = b"trash"
    known = Memory()
    line = _connected(known)
    line.run(dialogue.put_user([users.read(bytes(row))], "77", UserChange(permission=14)))
    assert isinstance(known.changes[0], memory.SaveUser)
    written = known.changes[0].row
    assert written[2] == 14
    assert written[:2] + written[3:] == bytes(row[:2] + row[3:])


def test_a_person_that_cannot_be_held_is_refused_before_the_first_byte() -> None:
    line = _connected(Memory())
    with pytest.raises(ValueError, match="12 characters; 9 are possible"):
        line.run(dialogue.put_user([], "123456789012", UserChange(), pin_width=9))
    assert line.said == []


def test_deleting_puts_itself_to_use() -> None:
    known = Memory()
    line = _connected(known)
    line.run(dialogue.delete_user(5))
    line.run(dialogue.delete_template(5, 2))
    assert known.changes[0] == memory.DeleteUser(5)
    assert known.changes[2] == memory.DeleteTemplate(2, uid=5)
    assert [packet.command for packet in line.said] == [18, 1013, 19, 1013]


def test_a_refused_command_says_which_and_how() -> None:
    line = _connected(Memory(obeys=False))
    with pytest.raises(dialogue.Refused, match="DELETE_USER was refused with ACK_ERROR"):
        line.run(dialogue.delete_user(5))


@pytest.mark.parametrize("command", [14, 15, 20, 32, 33, 1005])
def test_nothing_is_destroyed_without_an_order(command: int) -> None:
    known = Memory()
    line = _connected(known)
    with pytest.raises(ValueError, match="order of an operator"):
        line.run(dialogue.ask(command))
    assert (known.changes, line.said) == ([], [])
    line.run(dialogue.ask(command, is_ordered=True))
    assert len(known.changes) == 1


def test_an_event_between_a_question_and_its_answer_is_set_aside() -> None:
    event = Packet(Command.REG_EVENT, 1, 0, b"x" * 32)
    line = Line(stage.line(Memory()).terminal, mishap=lambda answer: (event, answer, event))
    line.run(dialogue.connect())
    line.run(dialogue.listen())
    assert str(line.run(dialogue.read_time())) == "2026-06-21 09:30:00"
    # The last one of each answer was not waited for.
    assert line.events == [event] * 3
    acknowledgement = line.client.acknowledge()
    assert acknowledgement == Packet(Reply.ACK_OK, 7, 0)


def test_answers_are_matched_by_their_number_and_not_by_their_session() -> None:
    def mishap(answer: Packet) -> tuple[Packet, ...]:
        late = Packet(Reply.ACK_ERROR, answer.session, (answer.reply - 1) % 65_536)
        return (late, replace_session(answer))

    line = Line(stage.line(Memory()).terminal, mishap=mishap)
    line.run(dialogue.connect())
    assert line.run(dialogue.read_firmware()) == "Ver 6.60 Apr 26 2016"


def replace_session(packet: Packet) -> Packet:
    # Of CONNECT it is the session of everything that follows.
    return packet if packet.reply == 0 else packet._replace(session=12_345)


def test_the_reply_number_wraps_where_clients_wrap_it() -> None:
    client = Client()
    numbers = [client.request(Ask(Command.CONNECT)).reply]
    client.hear(Packet(Reply.ACK_OK, 9, 0))
    numbers += [client.request(Ask(Command.GET_TIME)).reply for _ in range(65_536)]
    assert numbers[:2] == [0, 1]
    assert numbers[65_534:] == [65_534, 0, 1]


def test_a_question_before_the_session_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="FRESH"):
        Client().request(Ask(Command.GET_TIME))


def test_a_part_of_a_table_that_nobody_holds_is_our_mistake() -> None:
    line = _connected(Memory())
    with pytest.raises(ValueError, match="READ_PART"):
        line.client.request(Ask(Command.READ_BUFFER, bytes(8)))


def test_I8_secrets_are_not_in_what_values_say_of_themselves() -> None:
    change = UserChange(name="Ana", card=123_456, password="4711")
    user = users.read(users.changed(users.new(4, "77"), change))
    said = (
        f"{change!r} {user!r} {memory.SaveUser(user.row)!r} {memory.SetOption('COMKey', '815')!r}"
    )
    assert not [secret for secret in ("123456", "4711", "815") if secret in said]


def test_a_restart_may_go_without_an_answer() -> None:
    known = Memory()
    line = _connected(known, Manner(unanswered=frozenset({Command.RESTART})))
    with pytest.raises(TimeoutError):
        line.run(dialogue.restart())
    assert known.changes == [memory.Order(Command.RESTART)]


def test_the_table_of_people_is_written_as_it_is_read() -> None:
    known = Memory(tables={Table.USERS: stage.people(3)})
    before = [users.read(stage.people(3)[at : at + 72]) for at in (0, 72, 144)]
    line = _connected(known)
    line.run(dialogue.put_user(before, "1002", UserChange(name="Zoë")))
    saved = next(change for change in known.changes if isinstance(change, memory.SaveUser))
    assert users.read(saved.row) == replace(
        before[1], name="Zoë", raw_name="Zoë".encode(), row=saved.row
    )
