"""The bounded buffer: what fits is kept in order, what does not is dropped and remembered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.wire.buffer import Buffer


def test_bytes_come_out_in_the_order_in_which_they_arrived() -> None:
    buffer = Buffer(10)
    buffer.append(b"abc")
    buffer.append(b"def")
    assert buffer.peek(4) == b"abcd"
    assert buffer.take(4) == b"abcd"
    assert (buffer.take(9), len(buffer)) == (b"ef", 0)


def test_what_does_not_fit_is_dropped_and_remembered() -> None:
    buffer = Buffer(4)
    seen = []
    for piece in (b"abc", b"def"):
        buffer.append(piece)
        seen.append(buffer.is_over)
    assert seen == [False, True]
    assert buffer.take(9) == b"abcd"


def test_a_full_buffer_is_not_over_by_itself() -> None:
    buffer = Buffer(3)
    buffer.append(b"abc")
    buffer.append(b"")
    assert not buffer.is_over


@pytest.mark.parametrize("limit", [0, 1])
def test_a_lowered_limit_never_makes_room_for_more(limit: int) -> None:
    buffer = Buffer(4)
    buffer.append(b"abcd")
    buffer.limit = limit
    buffer.append(b"e")
    assert buffer.take(9) == b"abcd"
    assert buffer.is_over


def test_clear_and_skip_forget() -> None:
    buffer = Buffer(4)
    buffer.append(b"abcd")
    buffer.skip(1)
    assert buffer.peek(9) == b"bcd"
    buffer.clear()
    assert len(buffer) == 0


@given(st.lists(st.binary(max_size=20)), st.integers(0, 60))
def test_never_more_than_the_limit_is_held(pieces: list[bytes], limit: int) -> None:
    buffer = Buffer(limit)
    for piece in pieces:
        buffer.append(piece)
        assert len(buffer) <= limit
    assert buffer.take(limit) == b"".join(pieces)[:limit]
    assert buffer.is_over == (sum(map(len, pieces)) > limit)
