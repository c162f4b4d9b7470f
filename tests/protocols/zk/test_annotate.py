"""A capture explained: what each packet says, and what is left unexplained without failing."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.protocols.zk import (
    annotate,
    events,
    layouts,
    listing,
    moment,
    packets,
    tables,
    users,
)  # fmt: skip
from punchgate.protocols.zk.commands import Command, LiveEvent, Reply
from punchgate.protocols.zk.layouts import Row
from punchgate.protocols.zk.packets import Packet
from tests.protocols.zk import stage

_AT = 0x32B66818


def _told(*said: Packet) -> dict[str, str]:
    """Give what is said of the data of the last packet."""
    *_, last = annotate.explain(b"".join(packets.frame(packet) for packet in said))
    return {note.name: note.meaning for note in last.notes[6:]}


@pytest.mark.parametrize(
    ("event", "data", "words"),
    [
        (1, events.attendance(Row(1, "42", _AT, 15, 1)), "code 42, wall_time 2026-06-21 09:30:00"),
        (1, b"xyz", "unreadable unreadable_row"),
        (8, events.enrolled(5), "enrolled {'result': 5"),
        (2, b"x", "1 bytes of event 2"),
    ],
)
def test_a_live_event_is_told(event: int, data: bytes, words: str) -> None:
    assert words in _told(Packet(Command.REG_EVENT, event, 0, data))["event"]


@pytest.mark.parametrize(
    ("packet", "told"),
    [
        (Packet(Command.SET_TIME, 7, 1, b"\x18\x68\xb6\x32"), {"time": "2026-06-21 09:30:00"}),
        (Packet(Command.PREPARE_DATA, 7, 1, struct.pack("<II", 124, 9)),
         {"size": "124 bytes come", "word": "?"}),
        (Packet(Command.READ_BUFFER, 7, 1, struct.pack("<ii", 5, 9)),
         {"offset": "5", "length": "9"}),
        (Packet(Command.PREPARE_BUFFER, 7, 1, tables.request(tables.Table.USERS)),
         {"table": "USERTEMP_RRQ"}),
        (Packet(Command.USERTEMP_WRQ, 7, 1, b"finger"), {"template": "6 bytes"}),
        (Packet(Reply.ACK_OK, 7, 1, b"WorkCode=0\0"), {"data": "WorkCode=0"}),
        (Packet(Reply.ACK_OK, 7, 1, b"\1\2"), {"data": "2 bytes"}),
        # Too short for what they should hold.
        (Packet(Command.SET_TIME, 7, 1, b"\1"), {"data": "1 bytes"}),
        (Packet(Command.PREPARE_DATA, 7, 1, b"\1"), {"data": "1 bytes"}),
        (Packet(Command.READ_BUFFER, 7, 1, b"\1"), {"data": "1 bytes"}),
        (Packet(Command.PREPARE_BUFFER, 7, 1, b"\1"), {"data": "1 bytes"}),
    ],
)  # fmt: skip
def test_a_packet_is_told_by_its_own_command(packet: Packet, told: dict[str, str]) -> None:
    assert _told(packet) == told


@pytest.mark.parametrize(
    ("asked", "answer", "hidden"),
    [
        (Command.USERTEMP_RRQ, Reply.ACK_DATA, "data"),
        (Command.GET_USERTEMP, Reply.ACK_OK, "data"),
        (Command.GET_USERTEMP, Command.DATA, "data"),
    ],
)
def test_I8_what_answers_a_question_for_people_or_fingers_is_not_shown(
    asked: int, answer: int, hidden: str
) -> None:
    said = (Packet(asked, 7, 1, b"\1\0\0"), Packet(answer, 7, 1, b"finger"))
    *_, last = annotate.explain(b"".join(map(packets.frame, said)))
    assert [(note.name, note.hex) for note in last.notes[6:]] == [(hidden, "hidden")]


def test_I8_rows_that_are_not_recognised_are_not_shown_as_if_they_were_a_packet() -> None:
    row = users.changed(users.new(4, "77"), users.UserChange(card=987_654_321, password="4711"))
    # A permission that no person has: nothing that is known.
    strange = row[:2] + b"\xaa" + row[3:]
    assert listing.recognise(strange, stage.NOW) is None
    (packet,) = annotate.explain(strange)
    assert [note.hex for note in packet.notes[4:]] == ["hidden"]


@pytest.mark.parametrize(
    ("session", "said"), [(2, ("state", "2 identifying")), (6, ("session", "6"))]
)
def test_the_state_is_told_from_the_session_field(session: int, said: tuple[str, str]) -> None:
    # Real: an F19 answered so.
    question, answer = Packet(Command.STATE_RRQ, 7, 55), Packet(Reply.ACK_OK, session, 55)
    *_, last = annotate.explain(packets.frame(question) + packets.frame(answer))
    assert (last.notes[4].name, last.notes[4].meaning) == said


def test_a_live_event_and_a_number_without_a_name_are_named() -> None:
    (event,) = annotate.explain(packets.frame(Packet(Command.REG_EVENT, 128, 0, b"\1\0\0\0\1")))
    assert (event.notes[4].name, event.notes[4].meaning) == ("event", "128 VERIFIED")
    (strange,) = annotate.explain(packets.frame(Packet(Command.REG_EVENT, 3, 0)))
    assert strange.notes[4].meaning == "3 unknown"
    (other,) = annotate.explain(packets.frame(Packet(4989, 7, 1)))
    assert other.notes[2].meaning == "4989 unknown"


def test_counters_are_told_by_their_question() -> None:
    data = tables.write_free_sizes(tables.FreeSizes(users=3, fingers=4, records=58))
    said = _told(Packet(Command.GET_FREE_SIZES, 7, 1), Packet(Reply.ACK_OK, 7, 1, data))
    assert said == {"counters": "3 users, 4 fingers, 58 records"}


def test_bytes_behind_a_frame_that_are_none_end_the_list() -> None:
    frame = packets.frame(Packet(Command.CONNECT, 0, 0))
    found = list(annotate.explain(frame + b"noise" + frame))
    assert [(each.offset, each.title) for each in found] == [
        (0, "CONNECT"),
        (16, "no frame begins here"),
    ]


def test_an_unreadable_row_is_listed_with_its_reason() -> None:
    rows = stage.table("40", 9) + stage.table("40", 1)[:27] + b"\x34\x02\x35\x30" + bytes(9)
    found = listing.recognise(rows, stage.NOW)
    assert found is not None
    _, values = found
    *_, last = values
    assert last["unreadable"] == "unreadable_time"
    assert "2025-02-30" in str(last["detail"])


def test_operations_are_not_taken_for_attendance_of_the_same_width() -> None:
    # Told apart by the first two bytes, which are a person's in attendance.
    said = moment.of(stage.NOW)
    log = [tables.Operation(4, said, (0, 0, 0, 0)), tables.Operation(6, said, (3, 0, 7, 1282))]
    rows = b"".join(map(tables.write_operation, log))
    for data in (rows, tables.with_head(rows)):
        found = listing.recognise(data, stage.NOW)
        assert found is not None
        title, values = found
        assert title == "2 operations"
        assert list(values)[1] == {
            "operation": 6, "wall_time": "2026-06-21 09:30:00",
            "p1": 3, "p2": 0, "p3": 7, "p4": 1282,
        }  # fmt: skip


def test_templates_are_listed_by_whose_they_are_and_not_shown() -> None:
    entries = [tables.Template(1, 0, 1, b"x" * 511), tables.Template(300, 9, 3, b"y" * 3)]
    found = listing.recognise(
        tables.with_head(b"".join(map(tables.write_template, entries))), stage.NOW
    )
    assert found is not None
    title, values = found
    assert title == "2 templates"
    assert list(values)[1] == {
        "row_number": 300, "finger": 9, "flag": 3, "template": "hidden, 3 bytes",
    }  # fmt: skip


@pytest.mark.parametrize("length", [80, 92, 112])
def test_bare_counters_are_recognised_by_what_adds_up(length: int) -> None:
    sizes = tables.FreeSizes(users=3, users_free=7, user_capacity=10, records=58)
    found = listing.recognise(tables.write_free_sizes(sizes, length=length), stage.NOW)
    assert found is not None
    title, values = found
    assert (title, [(row["users"], row["records"]) for row in values]) == ("counters", [(3, 58)])
    odd = tables.FreeSizes(users=3, users_free=8, user_capacity=10)
    assert listing.recognise(tables.write_free_sizes(odd, length=length), stage.NOW) is None


def test_bare_live_events_are_recognised() -> None:
    data = events.attendance(Row(1, "0042", _AT, 15, 1))
    found = listing.recognise(data * 2, stage.NOW)
    assert found is not None
    title, values = found
    assert (title, [row["code"] for row in values]) == ("2 live events", ["0042", "0042"])
    assert listing.recognise(data[:31] + b"\xff", stage.NOW) is None


def test_a_name_in_another_encoding_does_not_hide_a_person() -> None:
    row = users.new(4, "77")
    people = row[:11] + "张三".encode("gb2312").ljust(24, b"\0") + row[35:]
    found = listing.recognise(people, stage.NOW)
    assert found is not None
    assert found[0] == "1 users of 72 bytes"


@pytest.mark.parametrize(("name", "count", "more"), [("40", 2, 18), ("49", 1, 49), ("16", 1, 6)])
def test_rows_and_bytes_that_are_none_make_no_table_of_another_width(
    name: layouts.LayoutName, count: int, more: int
) -> None:
    # Another width divides all of it, and the rows are believed with the rest cut.
    assert listing.recognise(stage.table(name, count) + bytes(more), stage.NOW) is None


def test_one_row_whose_time_makes_no_sense_is_not_taken_for_a_table() -> None:
    row = stage.table("40", 1)[:27] + b"\x34\x02\x35\x30" + bytes(9)
    assert listing.recognise(row, stage.NOW) is None


def test_two_tables_of_one_conversation_stay_two() -> None:
    tabled = [tables.with_head(stage.people(3)), tables.with_head(stage.table("40", 6))]
    said = [
        packet
        for rows in tabled
        for packet in (Packet(Command.DATA, 7, 1, rows), Packet(Command.FREE_DATA, 7, 2))
    ]
    explained = list(annotate.explain(b"".join(map(packets.frame, said))))
    titles = [title for title, _ in listing.tables_in(explained, stage.NOW)]
    assert titles == ["3 users of 72 bytes", "attendance in rows of layout 40"]


_SAID = st.builds(
    Packet,
    st.sampled_from([int(each) for each in (*Command, *Reply)]) | st.integers(0, 0xFFFF),
    st.sampled_from([0, 7, *LiveEvent]),
    st.integers(0, 3),
    st.binary(max_size=80),
)


_BYTES = st.sampled_from([0, 1, 0x20, 0x31, 0x50, 0x7D, 0x82, 0xFF])


@given(st.lists(_BYTES, max_size=200).map(bytes))
def test_I7_any_bytes_are_a_table_or_none(data: bytes) -> None:
    found = listing.recognise(data, stage.NOW)
    assert found is None or list(found[1])


@given(st.lists(_SAID, max_size=8), st.binary(max_size=20))
def test_I7_any_capture_is_explained_to_its_last_byte(said: list[Packet], rest: bytes) -> None:
    capture = b"".join(map(packets.frame, said)) + rest
    found = list(annotate.explain(capture))
    assert [each.packet for each in found][: len(said)] == said
    assert len(found) <= len(said) + 1 + len(rest) // 8
    list(listing.tables_in(found, stage.NOW))
    listing.recognise(capture, stage.NOW)
