"""Which layout a table has: by size and plausibility, and unknown rather than wrong.

Real: the choice. The logs are generated; the bytes without meaning stand for what a terminal once
sent from uninitialised memory.
"""

import random
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.protocols.zk import choice, layouts, moment
from punchgate.protocols.zk.choice import Choice, Known
from punchgate.protocols.zk.layouts import LayoutName, Row
from tests.protocols.zk import stage

_NAMES: tuple[LayoutName, ...] = ("40", "49", "22", "16", "8A", "8B")
_TAIL = bytes.fromhex("ff3235350000000000")


def _log(name: LayoutName, count: int, seed: int, *, bad_share: float = 0.05) -> bytes:
    """Give a log that goes on, with some times that no calendar has."""
    chance = random.Random(seed)  # noqa: S311 (a log that can be made again)
    at = moment.pack(datetime.fromisoformat("2024-01-01"))
    rows = []
    for _ in range(count):
        at += chance.randrange(5, 9_000)
        uid = chance.randrange(1, 400)
        packed = chance.choice([0, 0x30350234]) if chance.random() < bad_share else at
        verify = chance.choice([0, 1, 1, 1, 2, 15])
        row = Row(uid, str(uid + 1000), packed, verify, chance.choice([0, 1, 0, 1, 4, 5]))
        rows.append(layouts.get(name).encode(row))
    return b"".join(rows)


@pytest.mark.parametrize("name", _NAMES)
@given(count=st.integers(5, 120), seed=st.integers(0, 10_000), off=st.integers(-1, 1))
def test_no_log_of_five_rows_is_read_by_a_wrong_layout(
    name: LayoutName, count: int, seed: int, off: int
) -> None:
    rows = _log(name, count, seed)
    for said in (count + off, 0):
        found = choice.choose(rows, Known(stage.NOW, count=said))
        assert found in {Choice(name), None}
    clean = _log(name, count, seed, bad_share=0)
    assert choice.choose(clean, Known(stage.NOW, count=count)) == Choice(name)


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_few_rows_are_read_by_what_is_known_of_the_terminal(name: LayoutName, count: int) -> None:
    rows = stage.table(name, count)
    assert choice.choose(rows, Known(stage.NOW)) is None
    assert choice.choose(rows, Known(stage.NOW, stored=name)) == Choice(name)
    assert choice.choose(rows, Known(stage.NOW, count=count)) == Choice(name)


@pytest.mark.parametrize(
    ("name", "count", "stored"),
    [("22", 3, "40"), ("49", 1, "40"), ("40", 2, "49"), ("22", 1, "16"), ("22", 4, "49")],
)
def test_the_count_decides_where_what_is_known_of_the_terminal_leaves_bytes_over(
    name: LayoutName, count: int, stored: LayoutName
) -> None:
    rows = stage.table(name, count)
    assert choice.choose(rows, Known(stage.NOW, count=count, stored=stored)) == Choice(name)


@pytest.mark.parametrize("name", ["8A", "8B", "16"])
def test_few_rows_of_a_dead_clock_without_a_name_need_the_terminals_own_layout(
    name: LayoutName,
) -> None:
    row = layouts.get(name).encode(Row(1, "42", 0))
    assert choice.choose(row, Known(stage.NOW, count=1)) is None
    assert choice.choose(row, Known(stage.NOW, stored=name)) == Choice(name)


def test_few_rows_of_a_dead_clock_are_read_all_the_same() -> None:
    row = layouts.LAYOUT_40.encode(Row(1, "42", 0))
    assert choice.choose(row, Known(stage.NOW, count=1)) == Choice("40")
    assert choice.choose(row, Known(stage.NOW, stored="40")) == Choice("40")


@pytest.mark.parametrize("seed", range(40))
def test_memory_without_meaning_is_refused_even_when_the_count_fits(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 (bytes that can be made again)
    # Small numbers in words of four, as such memory looks.
    words = [
        chance.choice([0, chance.randrange(2**16), chance.randrange(2**18)]) for _ in range(30)
    ]
    rows = b"".join(word.to_bytes(4, "little") for word in words)
    assert choice.choose(rows, Known(stage.NOW, count=3)) is None
    assert choice.choose(rows, Known(stage.NOW, count=3, stored="40")) is None


@given(st.binary(min_size=1, max_size=600), st.integers(0, 30))
def test_I7_any_bytes_are_a_choice_or_none(rows: bytes, count: int) -> None:
    found = choice.choose(rows, Known(stage.NOW, count=count))
    assert found is None or len(rows) - found.skip >= layouts.get(found.layout).width


@pytest.mark.parametrize("name", _NAMES)
def test_a_cut_last_row_does_not_hide_the_layout(name: LayoutName) -> None:
    rows = stage.table(name, 31)[:-1]
    assert choice.choose(rows, Known(stage.NOW, count=30)) == Choice(name)


def test_the_nine_bytes_before_the_first_row_are_found() -> None:
    cases: tuple[tuple[bytes, LayoutName], ...] = (
        (_TAIL + stage.table("40", 31), "40"),
        (_TAIL + stage.table("49", 31)[:-9], "49"),
    )
    for rows, name in cases:
        found = choice.choose(rows, Known(stage.NOW, count=31))
        assert found == Choice(name, skip=9), name


def test_8b_is_not_read_as_8a() -> None:
    rows = stage.table("8B", 20, start="2016-01-02T08:00:00")
    years = {moment.said(each).year for each in layouts.LAYOUT_8A.fields(rows).packed}
    assert max(years) > 2080
    assert choice.choose(rows, Known(stage.NOW)) == Choice("8B")


def test_a_log_that_jumps_back_all_the_time_is_unknown() -> None:
    rows = stage.table("40", 20)
    backwards = b"".join(rows[at : at + 40] for at in range(760, -1, -40))
    assert choice.choose(backwards, Known(stage.NOW, count=20)) is None


def test_times_beyond_tomorrow_do_not_speak_for_a_layout() -> None:
    rows = stage.table("40", 20, start="2026-07-02T08:00:00")
    assert choice.choose(rows, Known(stage.NOW, count=20)) is None
