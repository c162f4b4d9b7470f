"""A capture explained: what each packet says, and what is left unexplained without failing."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.protocols.zk import annotate, events, listing, packets, tables
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
        (Packet(Command.UNLOCK, 7, 1, b"\x1e\0\0\0"), {"data": "4 bytes"}),
        (Packet(Command.REG_EVENT, 7, 1, b"\xff\xff\0\0"), {"data": "��"}),
        # Too short for what they should hold.
        (Packet(Command.SET_TIME, 7, 1, b"\1"), {"data": "1 bytes"}),
        (Packet(Command.PREPARE_DATA, 7, 1, b"\1"), {"data": "1 bytes"}),
        (Packet(Command.READ_BUFFER, 7, 1, b"\1"), {"data": "1 bytes"}),
        (Packet(Command.PREPARE_BUFFER, 7, 1, b"\1"), {"data": "1 bytes"}),
    ],
)  # fmt: skip
def test_a_packet_is_told_by_its_own_command(packet: Packet, told: dict[str, str]) -> None:
    assert _told(packet) == told


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


@given(st.lists(_SAID, max_size=8), st.binary(max_size=20))
def test_I7_any_capture_is_explained_to_its_last_byte(said: list[Packet], rest: bytes) -> None:
    capture = b"".join(map(packets.frame, said)) + rest
    found = list(annotate.explain(capture))
    assert [each.packet for each in found][: len(said)] == said
    assert len(found) <= len(said) + 1 + len(rest) // 8
    list(listing.tables_in(found, stage.NOW))
    listing.recognise(capture, stage.NOW)
