"""Reading bodies: caps, limits and callers that go away.

Real: the reader and the event loop. The messages are those that a server hands on; the clock of the
slowest rate is turned by hand.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.httpkit import body


class Caller:
    """Sends these messages; after the last one it sends nothing more."""

    def __init__(self, messages: Sequence[dict[str, Any]], *, is_late: bool = False) -> None:
        self.messages = list(messages)
        self.is_late = is_late
        self.taken = 0

    async def receive(self) -> dict[str, Any]:
        if self.is_late:
            # A server that has nothing yet waits, and is asked again after it was given up.
            await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0)
        if not self.messages:
            await asyncio.get_running_loop().create_future()
        self.taken += 1
        return self.messages.pop(0)


def parts(*texts: bytes) -> list[dict[str, Any]]:
    return [
        {"type": "http.request", "body": text, "more_body": number < len(texts)}
        for number, text in enumerate(texts, 1)
    ]


GONE = {"type": "http.disconnect"}


def frozen() -> float:
    return 0.0


async def read(caller: Caller, cap: int = 100, limit_s: float = 30.0) -> bytes:
    return await body.read(caller.receive, cap=cap, monotonic=frozen, limit_s=limit_s)


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("texts", [[b""], [b"abc"], [b"a", b"b", b"c"], [b"", b"abc", b""]])
async def test_a_whole_body_is_read(texts: list[bytes], is_late: bool) -> None:  # noqa: FBT001 (a parameter of the table)
    assert await read(Caller(parts(*texts), is_late=is_late)) == b"".join(texts)


@given(texts=st.lists(st.binary(max_size=9), min_size=1, max_size=9), cap=st.integers(0, 40))
def test_any_split_gives_the_same_body_or_the_same_refusal(texts: list[bytes], cap: int) -> None:
    whole = b"".join(texts)
    caller = Caller(parts(*texts))
    if len(whole) <= cap:
        assert asyncio.run(read(caller, cap)) == whole
        return
    with pytest.raises(body.TooLarge):
        asyncio.run(read(caller, cap))


async def test_exactly_the_cap_is_read_and_one_byte_more_is_not() -> None:
    assert len(await read(Caller(parts(b"x" * 100)))) == 100
    assert len(await read(Caller(parts(b"x" * 60, b"x" * 40)))) == 100
    for texts in ([b"x" * 101], [b"x" * 60, b"x" * 41]):
        with pytest.raises(body.TooLarge):
            await read(Caller(parts(*texts)))


async def test_nothing_is_read_beyond_the_cap() -> None:
    caller = Caller(parts(*[b"x" * 10] * 1_000))
    with pytest.raises(body.TooLarge):
        await read(caller)
    assert caller.taken == 11


async def test_a_body_that_stops_coming_ends_at_the_limit() -> None:
    for texts in ([], parts(b"a", b"b")[:1]):
        with pytest.raises(body.TooSlow):
            await read(Caller(texts), limit_s=0.01)


async def test_a_body_that_trickles_is_refused_before_the_limit() -> None:
    seconds = iter([0.0, 4.9, 5.0, 5.1])
    caller = Caller(parts(*[b"x" * 100] * 100))
    with pytest.raises(body.TooSlow):
        await body.read(caller.receive, cap=10_000, monotonic=lambda: next(seconds))
    # The grace is over after five seconds; by then there were 300 bytes instead of 510.
    assert caller.taken == 3


async def test_a_body_at_the_slowest_rate_is_waited_for() -> None:
    seconds = iter(float(second) for second in range(20))
    caller = Caller(parts(*[b"x" * 100] * 15))
    read_bytes = await body.read(caller.receive, cap=10_000, monotonic=lambda: next(seconds))
    assert len(read_bytes) == 1_500


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("before", [[], parts(b"a", b"b")[:1]])
async def test_who_hangs_up_is_gone(
    before: list[dict[str, Any]],
    is_late: bool,  # noqa: FBT001 (a parameter of the table)
) -> None:
    with pytest.raises(body.Gone):
        await read(Caller([*before, GONE], is_late=is_late))


async def test_a_cancelled_reader_is_cancelled_and_not_slow() -> None:
    task = asyncio.ensure_future(read(Caller([])))
    await asyncio.wait([task], timeout=0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def drop(caller: Caller, *headers: tuple[bytes, bytes]) -> None:
    scope = {"type": "http", "headers": list(headers)}
    await body.drop(scope, caller.receive, cap=100, monotonic=frozen)


@pytest.mark.parametrize("length", [b"0", b"100", b"0100", b""])
async def test_a_small_body_that_means_nothing_is_left_unread(length: bytes) -> None:
    caller = Caller(parts(b"x" * 100))
    await drop(caller, (b"content-length", length))
    assert caller.taken == 0


@pytest.mark.parametrize("length", [b"101", b"0101", b"1000", b"9" * 5_000])
async def test_a_large_one_is_refused_unread(length: bytes) -> None:
    caller = Caller(parts(b"x" * 101))
    with pytest.raises(body.TooLarge):
        await drop(caller, (b"content-length", length))
    assert caller.taken == 0


async def test_one_of_unknown_length_is_read_and_forgotten_up_to_the_cap() -> None:
    chunked = (b"transfer-encoding", b"chunked")
    caller = Caller(parts(b"x" * 60, b"x" * 40))
    await drop(caller, chunked)
    assert caller.taken == 2
    with pytest.raises(body.TooLarge):
        await drop(Caller(parts(b"x" * 60, b"x" * 41)), chunked)
    with pytest.raises(body.Gone):
        await drop(Caller([GONE]), chunked)
