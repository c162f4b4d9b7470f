"""What a virtual terminal remembers: plausible days, and as many as one likes.

Real: the memory itself, without a socket; the rows are read back with the codec.
"""

import tracemalloc
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.protocols.zk import layouts, moment, records, tables, users
from punchgate.protocols.zk.layouts import LayoutName
from punchgate.protocols.zk.tables import Table
from punchgate.simulators import zk_faults, zk_log, zk_memory
from punchgate.simulators.zk_log import Log
from punchgate.simulators.zk_memory import Contents, VirtualMemory
from punchgate.simulators.zk_rows import ComputedRows
from punchgate.wire.event import Reading
from tests.simulators.virtual import NOON, Clock

_LAST = date(2026, 6, 19)


def _memory(
    *faults: str, users: int = 5, records: int = 50, layout: LayoutName = "40", seed: int = 1
) -> VirtualMemory:
    contents = Contents(
        users=users, records=records, layout=layout, last=_LAST, seed=seed,
        faults=zk_faults.read(faults),
    )  # fmt: skip
    return VirtualMemory(contents, Clock())


@pytest.mark.parametrize("layout", layouts.LAYOUTS)
def test_every_layout_reads_back_as_plausible_days(layout: LayoutName) -> None:
    memory = _memory(layout=layout, users=20, records=400)
    people = users.codes(list(users.read_all(bytes(memory.rows(Table.USERS)[0:]), count=20)))
    reader = records.Reader(layout, users=people)
    items = [
        item for part in reader.slices(memory.rows(Table.ATTENDANCE)[0:]) for item in part.items
    ]
    readings = [item for item in items if isinstance(item, Reading)]
    assert len(readings) == len(items) == 400
    assert {reading.user_code for reading in readings} == {str(1_001 + at) for at in range(20)}
    times = [reading.wall_time for reading in readings if reading.wall_time is not None]
    assert times == sorted(times)
    assert times[-1] < NOON
    assert {reading.direction_code for reading in readings} == {0, 1, 2, 3}
    assert {reading.verify_code for reading in readings} == {1, 2, 15}


@pytest.mark.parametrize("table", Table)
def test_the_same_seed_is_the_same_terminal_and_another_is_not(table: Table) -> None:
    first, again, other = _memory(), _memory(), _memory(seed=2)
    assert first.rows(table)[0:] == again.rows(table)[0:]
    # Each first finger was enrolled in the same order.
    if table is not Table.OPERATIONS:
        assert first.rows(table)[0:] != other.rows(table)[0:]


def test_each_finger_has_its_line_in_the_operation_log() -> None:
    lines = list(tables.read_operations(_memory().rows(Table.OPERATIONS)[0:]))
    assert [(line.operation, line.parameters[1]) for line in lines] == [
        (6, at) for at in range(1, 6)
    ]


def test_finger_slots_punch_nothing() -> None:
    memory = _memory("finger-slots", users=3)
    assert len(memory.people) == 4
    assert [memory.punch().uid for _ in range(6)] == [1, 2, 3, 1, 2, 3]


def test_the_counts_agree_with_the_tables() -> None:
    memory = _memory(users=7, records=33)
    sizes = memory.free_sizes()
    assert (sizes.users, sizes.records, sizes.fingers, sizes.admins) == (7, 33, 7, 1)
    assert len(memory.rows(Table.USERS)) == 7 * 72
    assert len(memory.rows(Table.ATTENDANCE)) == 33 * 40


def test_a_log_ends_on_its_last_day_and_reaches_back_as_far_as_it_must() -> None:
    log = Log(users=10, records=20_000, last=_LAST, seed=1, faults=zk_faults.Faults())
    view = log.view()
    first, last = (moment.said(view[at].packed).wall_time() for at in (0, len(view) - 1))
    assert first is not None
    assert last is not None
    # The night shift leaves on the morning after.
    assert last.date() - _LAST <= timedelta(days=1)
    assert timedelta(days=400) < last - first < timedelta(days=900)


def test_so_few_people_cannot_have_punched_so_often() -> None:
    with pytest.raises(zk_log.TooFewPeople, match="more people"):
        Log(users=1, records=500_000, last=_LAST, seed=1, faults=zk_faults.Faults())


def test_very_many_people_have_a_log_too() -> None:
    view = Log(users=3_000, records=20_000, last=_LAST, seed=1, faults=zk_faults.Faults()).view()
    packed = [view[at].packed for at in range(len(view))]
    assert packed == sorted(packed)


def test_what_is_being_read_does_not_change() -> None:
    memory = _memory()
    before = memory.rows(Table.ATTENDANCE)
    whole = before[0:]
    memory.punch()
    assert (len(before), before[0:]) == (2_000, whole)
    memory.log.clear()
    assert before[0:] == whole
    assert len(memory.rows(Table.ATTENDANCE)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("count", [100_000, 500_000])
def test_a_long_log_takes_no_memory(count: int) -> None:
    memory = _memory(users=50, records=count)
    tracemalloc.start()
    try:
        rows = memory.rows(Table.ATTENDANCE)
        # Every tenth chunk: tracing makes each row ten times as slow.
        read = [
            len(rows[start : start + tables.CHUNK_TCP])
            for start in range(0, len(rows), 10 * tables.CHUNK_TCP)
        ]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(rows) == count * 40
    assert set(read[:-1]) == {tables.CHUNK_TCP}
    assert peak < 2_000_000


@given(
    count=st.integers(0, 12),
    head=st.binary(max_size=9),
    cut=st.integers(0, 4),
    start=st.integers(0, 80),
    length=st.integers(0, 80),
)
def test_any_part_of_computed_rows_is_the_part_of_the_whole(
    count: int, head: bytes, cut: int, start: int, length: int
) -> None:
    def row(index: int) -> bytes:
        return bytes(range(index * 5, index * 5 + 5))

    whole = head + b"".join(map(row, range(count)))
    whole = whole[: len(whole) - cut] if count else whole
    rows = ComputedRows(count, 5, row, head=head, cut=cut)
    assert len(rows) == len(whole)
    assert rows[start : start + length] == whole[start : start + length]


def test_what_it_is_called_is_in_its_options() -> None:
    assert _memory().option("~SerialNumber") == "VT-1"
    assert _memory().firmware == zk_memory.FIRMWARE
