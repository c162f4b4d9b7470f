"""Attendance rows to readings: every layout, every oddity, and nothing dropped.

Real: the decoder. The rows are our own.
"""

import random
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.protocols.zk import events, layouts, moment, records
from punchgate.protocols.zk.layouts import LayoutName, Row
from punchgate.protocols.zk.records import Reader
from punchgate.wire.event import Reading, Unreadable
from tests.protocols.zk import stage

_NAMES: tuple[LayoutName, ...] = ("40", "49", "22", "16", "8A", "8B")
_AT = moment.pack(datetime.fromisoformat("2026-06-21T09:30:00"))
_NO_DAY = 0x30350234


def _one(name: LayoutName, row: Row, users: dict[int, str] | None = None) -> Reading | Unreadable:
    (item,) = Reader(name, users=users).read(layouts.get(name).encode(row))
    return item


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("40", "0700 3432" + "00" * 22 + "0f 1868b632 01 00000000ff000000"),
        ("49", "0700 3432" + "00" * 22 + "0f 1868b632 01 00000000ff000000 ff3235350000000000"),
        ("22", "0700 343200000000 00000000 0f 1868b632 01 00000000"),
        ("16", "2a000000 1868b632 0f 01 0000 00000000"),
        ("8A", "0700 0f 1868b632 01"),
        ("8B", "0700 1f 00 1868b632"),
    ],
)
def test_a_row_of_each_layout_is_read_and_written(name: LayoutName, raw: str) -> None:
    row = bytes.fromhex(raw)
    (item,) = Reader(name, users={7: "42"}).read(row)
    assert item == Reading(
        row, "42", datetime.fromisoformat("2026-06-21T09:30:00"), None, "wall",
        "2026-06-21 09:30:00", 1, 15,
    )  # fmt: skip
    assert layouts.get(name).encode(Row(7, "42", _AT, 15, 1)) == row


@given(
    name=st.sampled_from(_NAMES),
    uid=st.integers(0, 0xFFFF),
    code=st.integers(1, 999_999),
    wall_time=st.datetimes(
        datetime.fromisoformat("2000-01-02"), datetime.fromisoformat("2099-12-31")
    ),
    verify=st.integers(0, 15),
    state=st.integers(0, 15),
)
def test_every_row_survives_encode_and_decode(
    name: LayoutName, uid: int, code: int, wall_time: datetime, verify: int, state: int
) -> None:
    item = _one(name, Row(uid, str(code), moment.pack(wall_time), verify, state), {uid: str(code)})
    assert isinstance(item, Reading)
    assert (item.user_code, item.wall_time) == (str(code), wall_time.replace(microsecond=0))
    assert (item.verify_code, item.direction_code) == (verify, state)


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize(
    ("packed", "reason"),
    [(_NO_DAY, "unreadable_time"), (0, "ancient_time"), (86_399, "ancient_time")],
)
def test_I11_an_impossible_time_touches_no_neighbour(
    name: LayoutName, packed: int, reason: str
) -> None:
    layout = layouts.get(name)
    good, bad = layout.encode(Row(1, "42", _AT)), layout.encode(Row(1, "42", packed))
    users = {1: "42"}
    for place in range(3):
        rows = [good, good, good]
        rows[place] = bad
        items = Reader(name, users=users).read(b"".join(rows))
        found = items[place]
        assert isinstance(found, Unreadable)
        assert (found.raw, found.reason, found.user_code) == (bad, reason, "42")
        assert [type(item) for item in items].count(Reading) == 2


def test_I11_a_day_that_was_doubted_once_is_doubted_in_every_slice_after() -> None:
    good, bad = (layouts.LAYOUT_40.encode(Row(1, "42", packed)) for packed in (_AT, _NO_DAY))
    reader = Reader("40")
    for rows in ([good, bad], [good, good], [bad, good]):
        items = reader.read(b"".join(rows))
        assert [isinstance(item, Reading) for item in items] == [row is good for row in rows]
        times = [item.wall_time for item in items if isinstance(item, Reading)]
        assert times == [moment.said(_AT).wall_time()] * rows.count(good)


def test_the_detail_says_which_day_there_is_not() -> None:
    item = _one("40", Row(1, "42", _NO_DAY))
    assert isinstance(item, Unreadable)
    assert item.detail == "2025-02-30 21:12:20 is on no calendar."


def test_a_time_far_ahead_is_a_reading_because_there_is_no_clock_here() -> None:
    item = _one("40", Row(1, "42", 0xFFFFFFFF))
    assert isinstance(item, Reading)
    assert item.time_text == "2133-08-18 06:28:15"


def test_an_operator_may_believe_a_dead_clock() -> None:
    row = layouts.LAYOUT_40.encode(Row(1, "42", 0))
    (item,) = Reader("40", since=None).read(row)
    assert isinstance(item, Reading)
    assert item.time_text == "2000-01-01 00:00:00"
    (still,) = Reader("40", since=None).read(layouts.LAYOUT_40.encode(Row(1, "42", _NO_DAY)))
    assert isinstance(still, Unreadable)


@pytest.mark.parametrize("name", ["8A", "8B", "40", "22", "49"])
def test_without_a_code_the_row_number_is_looked_up(name: LayoutName) -> None:
    row = Row(7, "", _AT)
    known, unknown = _one(name, row, {7: "A7"}), _one(name, row, {8: "A8"})
    assert isinstance(known, Reading)
    assert isinstance(unknown, Reading)
    assert (known.user_code, known.flags) == ("A7", ())
    assert (unknown.user_code, unknown.flags) == ("uid:7", ("no_user",))


def test_the_rows_own_code_counts_where_it_has_one() -> None:
    item = _one("40", Row(7, "0042", _AT), {7: "other"})
    assert isinstance(item, Reading)
    assert (item.user_code, item.flags) == ("0042", ())


@pytest.mark.parametrize("name", ["40", "49", "22"])
@pytest.mark.parametrize("code", [b"\xe91", b"\xe81", b"\xd5\xc5", b"1\x07"])
def test_I11_a_code_that_cannot_be_read_is_nobody_elses(name: LayoutName, code: bytes) -> None:
    # With a replacement in it, two people would have one code, and of two punches one would stay.
    row = bytearray(layouts.get(name).encode(Row(1, "42", _AT)))
    row[2 : 2 + len(code)] = code
    (item,) = Reader(name, users={1: "42"}).read(bytes(row))
    assert isinstance(item, Unreadable)
    assert (item.raw, item.reason, item.user_code) == (bytes(row), "bad_user_id", None)


def test_I11_nor_is_that_of_a_live_event() -> None:
    (item,) = events.read(1, b"\xe91" + events.attendance(Row(1, "421", _AT))[2:])
    assert isinstance(item, Unreadable)
    assert (item.reason, item.user_code) == ("bad_user_id", None)


def test_a_code_in_utf_8_is_one() -> None:
    row = bytearray(layouts.LAYOUT_40.encode(Row(1, "421", _AT)))
    row[2:5] = "é1".encode()
    (item,) = Reader("40").read(bytes(row))
    assert isinstance(item, Reading)
    assert item.user_code == "é1"


def test_garbage_behind_the_nul_is_not_part_of_a_code() -> None:
    row = bytearray(layouts.LAYOUT_40.encode(Row(1, "42", _AT)))
    row[5:9] = b"\xc6\x9a\x80\x7c"
    (item,) = Reader("40").read(bytes(row))
    assert isinstance(item, Reading)
    assert item.user_code == "42"


def test_a_code_that_cannot_be_printed_is_kept_raw() -> None:
    row = bytearray(layouts.LAYOUT_40.encode(Row(1, "42", _AT)))
    row[2] = 7
    (item,) = Reader("40").read(bytes(row))
    assert isinstance(item, Unreadable)
    assert (item.reason, item.raw, item.user_code) == ("bad_user_id", bytes(row), None)


@pytest.mark.parametrize(
    ("mask", "text", "said"),
    [
        (255, "255", (None, None)),
        (255, "", (None, None)),
        (1, "36.5", (True, 36.5)),
        (0, "37", (False, 37.0)),
        (9, "hot", (None, None)),
    ],
)
def test_the_tail_of_49_is_mask_and_temperature(
    mask: int, text: str, said: tuple[bool | None, float | None]
) -> None:
    item = _one("49", Row(1, "42", _AT, mask=mask, temperature=text))
    assert isinstance(item, Reading)
    assert (item.mask, item.temperature_c) == said


def test_a_work_code_is_told_and_zero_is_none() -> None:
    with_code, without = _one("16", Row(0, "42", _AT, work_code=9)), _one("16", Row(0, "42", _AT))
    assert isinstance(with_code, Reading)
    assert isinstance(without, Reading)
    assert (with_code.work_code, without.work_code) == ("9", None)


def test_the_order_of_16_is_a_setting() -> None:
    row = layouts.get("16", order16="state_method").encode(Row(0, "42", _AT, verify=15, state=1))
    assert row[8:10] == b"\x01\x0f"
    (item,) = Reader("16", order16="state_method").read(row)
    assert isinstance(item, Reading)
    assert (item.verify_code, item.direction_code) == (15, 1)


@pytest.mark.parametrize(
    ("firsts", "seconds", "is_swapped"),
    [
        ([0] * 10 + [1] * 10, [0] * 20, True),
        ([0] * 10 + [1] * 9, [0] * 19, False),
        ([1] * 20, [0] * 20, False),
        ([0] * 10 + [15] * 10, [0] * 20, False),
        ([0] * 10 + [1] * 10, [0] * 19 + [1], False),
    ],
)
def test_a_state_in_the_place_of_the_method_is_suspected(
    firsts: list[int], seconds: list[int], *, is_swapped: bool
) -> None:
    rows = b"".join(
        layouts.LAYOUT_16.encode(Row(0, "42", _AT + at, verify=first, state=second))
        for at, (first, second) in enumerate(zip(firsts, seconds, strict=True))
    )
    assert records.looks_swapped(rows) == is_swapped


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize("count", [0, 1, 249, 250, 251, 2_500])
def test_slices_give_every_row_once_and_in_order(name: LayoutName, count: int) -> None:
    rows = stage.table(name, count)
    slices = list(Reader(name).slices(rows))
    assert [one.first for one in slices] == list(range(0, count, records.SLICE_ROWS))
    assert all(len(one.items) <= records.SLICE_ROWS for one in slices)
    assert b"".join(item.raw for one in slices for item in one.items) == rows
    assert sum(len(one.items) for one in slices) == count


@pytest.mark.parametrize("name", _NAMES)
def test_I11_a_cut_last_row_is_kept_and_the_rest_goes_on(name: LayoutName) -> None:
    width = layouts.get(name).width
    rows = stage.table(name, 3)[:-1]
    items = [item for one in Reader(name).slices(rows) for item in one.items]
    assert [type(item) for item in items] == [Reading, Reading, Unreadable]
    last = items[2]
    assert isinstance(last, Unreadable)
    assert (last.reason, last.raw) == ("cut_row", rows[2 * width :])


def test_nine_bytes_before_the_first_row_are_an_item_of_their_own() -> None:
    tail = bytes.fromhex("ff3235350000000000")
    rows = stage.table("40", 3)
    first, *others = [
        item for one in Reader("40").slices(tail + rows, skip=9) for item in one.items
    ]
    assert isinstance(first, Unreadable)
    assert first.raw == tail
    assert others == list(Reader("40").read(rows))


def test_the_last_row_of_49_may_lack_its_tail() -> None:
    rows = stage.table("49", 3)[:-9]
    items = [item for one in Reader("49").slices(rows) for item in one.items]
    assert all(isinstance(item, Reading) for item in items)
    assert items[2].raw == rows[98:]


@given(st.sampled_from(_NAMES), st.binary(max_size=400), st.integers(0, 20))
def test_I7_any_bytes_become_items_and_no_byte_is_lost(
    name: LayoutName, rows: bytes, skip: int
) -> None:
    skip = min(skip, len(rows))
    items = [item for one in Reader(name).slices(rows, skip=skip) for item in one.items]
    assert b"".join(item.raw for item in items) == rows
    for item in items:
        if isinstance(item, Reading):
            assert item.user_code
            assert item.user_code.isprintable()
            assert str(item.wall_time) == item.time_text


def test_I7_a_log_of_strangers_does_not_fill_the_memory() -> None:
    chance = random.Random(3)  # noqa: S311 (rows of strangers, not secrets)
    reader = Reader("40")
    for _ in range(110):
        reader.read(chance.randbytes(40 * 1_000))
    assert len(reader._codes) <= 100_000
    assert len(reader._hours) <= 100_000


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("40", Row(70_000, "1", _AT)),
        ("40", Row(1, "1" * 25, _AT)),
        ("22", Row(1, "1234567", _AT)),
        ("16", Row(1, "letters", _AT)),
        ("8B", Row(1, "1", _AT, verify=16)),
        ("8A", Row(1, "1", _AT, state=256)),
        ("8A", Row(1, "1", 2**32)),
    ],
)
def test_a_field_that_does_not_fit_is_our_mistake(name: LayoutName, row: Row) -> None:
    with pytest.raises(ValueError, match=r"fit|four bits|invalid literal"):
        layouts.get(name).encode(row)
