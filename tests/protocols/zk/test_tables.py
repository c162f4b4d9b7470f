"""The small tables and live events: counters, templates, operations, and what happens at a door."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.protocols.zk import events, moment, quirks, tables
from punchgate.protocols.zk.commands import LiveEvent
from punchgate.protocols.zk.events import Alarm, Enrolled, EventBytes, Other, Score, Verified
from punchgate.protocols.zk.layouts import LAYOUTS, Row
from punchgate.protocols.zk.tables import FreeSizes, Operation, Table, Template
from punchgate.wire.event import Reading, Unreadable

_AT = 0x32B66818
_SIZES: tuple[EventBytes, ...] = (10, 12, 14, 32, 36, 37, 52)


def test_the_questions_for_tables_are_those_of_the_page() -> None:
    assert {table: tables.request(table).hex() for table in Table} == {
        Table.ATTENDANCE: "010d000000000000000000",
        Table.USERS: "0109000500000000000000",
        Table.TEMPLATES: "0107000200000000000000",
        Table.OPERATIONS: "0122000000000000000000",
    }


def test_counters_stand_where_the_page_says() -> None:
    data = b"".join(struct.pack("<i", each) for each in range(28))
    assert tables.read_free_sizes(data) == FreeSizes(
        4, 6, 8, 10, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22
    )
    assert tables.read_free_sizes(data[:80]).faces == 0
    assert tables.read_free_sizes(data[:4]) == FreeSizes()


@given(st.binary(max_size=130))
def test_I7_any_bytes_are_counters_that_are_not_negative(data: bytes) -> None:
    sizes = tables.read_free_sizes(data)
    assert min(sizes.users, sizes.records, sizes.face_capacity) >= 0


@given(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1))
def test_counters_survive_their_bytes(users: int, capacity: int) -> None:
    sizes = FreeSizes(users=users, face_capacity=capacity, records_free=5)
    for length in (92, 112):
        assert tables.read_free_sizes(tables.write_free_sizes(sizes, length=length)) == sizes


@given(
    st.lists(
        st.builds(
            Template,
            st.integers(0, 0xFFFF),
            st.integers(0, 9),
            st.sampled_from([0, 1, 3]),
            st.binary(max_size=50),
        ),
        max_size=5,
    )
)
def test_templates_survive_their_table_and_are_never_shown(entries: list[Template]) -> None:
    rows = b"".join(map(tables.write_template, entries))
    assert list(tables.read_templates(rows)) == entries
    assert all("template=" not in repr(entry) for entry in entries)


@pytest.mark.parametrize("rows", [b"\5\0\1\0\0\0", b"\xff\xff\1\0\0\0abc", b"\7\0\1", b""])
def test_templates_without_sense_end_the_table(rows: bytes) -> None:
    assert list(tables.read_templates(rows)) == []


def test_an_operation_is_read_and_written() -> None:
    row = struct.pack("<HBBIHHHH", 0, 6, 0, _AT, 3, 0, 7, 0)
    expected = Operation(6, moment.said(_AT), (3, 0, 7, 0))
    assert list(tables.read_operations(row + row[:-1])) == [expected]
    assert tables.write_operation(expected) == row


def test_rows_stand_behind_their_length() -> None:
    assert tables.with_head(b"abc") == b"\3\0\0\0abc"
    assert tables.rows_of(b"\3\0\0\0abcd") == b"abc"
    assert tables.rows_of(b"\3\0") == b""


@pytest.mark.parametrize("size", _SIZES)
def test_an_attendance_event_of_each_size_is_read(size: EventBytes) -> None:
    data = events.attendance(Row(7, "42", _AT, 15, 1), size=size)
    (seen,) = events.read(LiveEvent.ATTENDANCE, data, users={7: "42"})
    assert isinstance(seen, Reading)
    assert (len(data), seen.raw, seen.user_code, seen.time_text) == (
        size, data, "42", "2026-06-21 09:30:00",
    )  # fmt: skip
    assert (seen.verify_code, seen.direction_code) == (15, 1)


@pytest.mark.parametrize("size", [10, 14])
def test_an_event_of_somebody_unknown_names_the_row_number(size: EventBytes) -> None:
    (seen,) = events.read(LiveEvent.ATTENDANCE, events.attendance(Row(7, "", _AT), size=size))
    assert isinstance(seen, Reading)
    assert (seen.user_code, seen.flags) == ("uid:7", ("no_user",))


@pytest.mark.parametrize(("size", "count"), [(32, 2), (32, 5), (52, 2), (37, 3)])
def test_one_event_may_hold_several_rows(size: EventBytes, count: int) -> None:
    data = b"".join(
        events.attendance(Row(7, str(each), _AT + each), size=size) for each in range(1, count + 1)
    )
    seen = events.read(LiveEvent.ATTENDANCE, data)
    assert [each.user_code for each in seen if isinstance(each, Reading)] == [
        str(each) for each in range(1, count + 1)
    ]


@pytest.mark.parametrize("data", [b"", b"x", bytes(11), bytes(64), b"\xff" * 33])
def test_an_event_of_another_size_is_kept_raw_and_never_guessed(data: bytes) -> None:
    (seen,) = events.read(LiveEvent.ATTENDANCE, data)
    assert isinstance(seen, Unreadable)
    assert seen.raw == data


def test_an_event_with_an_impossible_time_or_code_is_kept_raw() -> None:
    good = events.attendance(Row(7, "42", _AT))
    (no_day,) = events.read(LiveEvent.ATTENDANCE, good[:26] + bytes((25, 2, 30, 9, 0, 0)))
    (no_code,) = events.read(LiveEvent.ATTENDANCE, b"\7" + good[1:])
    assert isinstance(no_day, Unreadable)
    assert isinstance(no_code, Unreadable)
    assert (no_day.reason, no_code.reason) == ("unreadable_time", "bad_user_id")


@pytest.mark.parametrize(
    ("event", "data", "seen"),
    [
        (8, events.enrolled(0, user_id="42", finger=6, size_bytes=900), Enrolled(0, "42", 6)),
        (8, events.enrolled(5), Enrolled(5)),
        (128, b"\7\0\0\0\1", Verified(7)),
        (128, b"\xff\xff\xff\xff\1", Verified(None)),
        (256, b"\x64", Score(100)),
        (512, b"\x37\0\0\0", Alarm("tamper")),
        (512, b"\x54" + bytes(7), Alarm("door_closing")),
        (512, b"\xff\xff\xff\xff\x14\0\x07\0" + bytes(4), Alarm("duress", 7)),
        (512, b"\x01\0\0\0", Alarm("alarm 1")),
        (2, b"", Other(2, b"")),
        (128, b"\1", Other(128, b"\1")),
        (4_096, b"x", Other(4_096, b"x")),
    ],
)
def test_the_other_events_are_read(event: int, data: bytes, seen: events.Seen) -> None:
    assert events.read(event, data) == [seen]


@given(st.integers(0, 0xFFFF), st.binary(max_size=200))
def test_I7_any_event_is_something_seen(event: int, data: bytes) -> None:
    assert events.read(event, data)


@pytest.mark.parametrize("size", [10, 12, 32])
def test_a_field_that_does_not_fit_an_event_is_our_mistake(size: EventBytes) -> None:
    with pytest.raises(ValueError, match="fit"):
        events.attendance(Row(70_000, "5000000000", _AT, 256), size=size)


@pytest.mark.parametrize(
    ("said", "terminal"),
    [
        ({"platform": "ZEM760_TFT"}, "F19"),
        ({"platform": "zem500", "firmware": "Ver 6.20"}, "ZEM500"),
        ({"model": "WL10"}, "WL10"),
        ({"model": "F18/ID", "firmware": "Ver 6.60 Apr 26 2016"}, "F18/ID"),
        ({"firmware": "Ver 6.60 Aug 19 2015"}, "unknown, 6.60 of August 2015"),
    ],
)
def test_a_known_terminal_is_found_by_its_own_words(said: dict[str, str], terminal: str) -> None:
    found = quirks.find(**said)
    assert found is not None
    assert found.terminal == terminal


@pytest.mark.parametrize("said", [{}, {"model": "F18"}, {"platform": "ZEM999"}])
def test_nothing_is_said_of_a_terminal_that_is_not_known(said: dict[str, str]) -> None:
    assert quirks.find(**said) is None


def test_every_quirk_names_its_evidence_and_can_be_found() -> None:
    for quirk in quirks.QUIRKS:
        assert quirk.evidence
        found = quirks.find(platform=quirk.platform, model=quirk.model, firmware=quirk.firmware)
        assert found is quirk
        assert quirk.layout is None or quirk.layout in LAYOUTS
        assert quirk.user_bytes in {None, 28, 72}
