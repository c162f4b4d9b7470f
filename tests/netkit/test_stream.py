"""A codec over TCP. Real: sockets on loopback. Asserted: what each side hears, never how long."""

import asyncio
import socket
import sys
from collections.abc import Iterator

import pytest

from punchgate.netkit import stream
from punchgate.netkit.error import Lost, Silent, Unreachable
from punchgate.netkit.line import IN_A_ROW, Limits
from punchgate.wire.error import ProtocolError
from tests.netkit.words import LOOPBACK, Pauses, WordLine, Words, talking


async def _echo(line: WordLine) -> None:
    while (word := await line.hear()) is not None:
        await line.say(word)


async def test_what_is_said_is_heard_in_order() -> None:
    async with talking(_echo) as (_, line):
        for word in ("one", "two", "three"):
            await line.say(word)
        assert [await line.hear() for _ in range(3)] == ["one", "two", "three"]


async def test_a_message_may_arrive_in_pieces() -> None:
    async with talking(_echo) as (_, line):
        for piece in (b"o", b"n", b"e\ntw", b"o\n"):
            await line.write(piece)
        assert [await line.hear(), await line.hear()] == ["one", "two"]


async def test_a_peer_that_closes_in_good_order_is_none() -> None:
    heard: asyncio.Queue[str | None] = asyncio.Queue()

    async def listen_on(line: WordLine) -> None:
        while (word := await line.hear()) is not None:
            await heard.put(word)
        await heard.put(None)

    async with talking(listen_on) as (_, line):
        await line.say("bye")
        await line.close()
        await line.close()
        assert [await heard.get(), await heard.get()] == ["bye", None]


async def test_good_words_are_heard_before_the_bad_one() -> None:
    async def babble(line: WordLine) -> None:
        await line.write(b"one\ntwo\n?\nthree\n")
        await line.hear()

    async with talking(babble) as (_, line):
        assert [await line.hear(), await line.hear()] == ["one", "two"]
        for _ in range(2):
            with pytest.raises(ProtocolError, match="not a word"):
                await line.hear()


async def test_silence_has_a_deadline_and_the_line_lives_on() -> None:
    async with talking(_echo) as (_, line):
        with pytest.raises(Silent):
            await line.hear(within_s=0.01)
        await line.say("still here")
        assert await line.hear() == "still here"


async def test_a_listener_hangs_up_on_who_says_nothing() -> None:
    async with talking(_echo, limits=Limits(idle_s=0.01)) as (_, line):
        assert await line.hear() is None


async def test_a_reset_is_a_lost_line() -> None:
    async def hang_up(line: WordLine) -> None:
        await line.hear()
        line.reset()

    async with talking(hang_up) as (_, line):
        await line.say("hello")
        with pytest.raises(Lost):
            await line.hear()


async def test_who_speaks_on_after_a_reset_is_told_the_same_each_time() -> None:
    async def hang_up(line: WordLine) -> None:
        await line.hear()
        line.reset()

    async with talking(hang_up) as (_, line):
        await line.say("hello")
        for _ in range(2):
            with pytest.raises(Lost):
                await line.hear()
            with pytest.raises(Lost):
                await line.say("still there?")


async def test_who_speaks_after_closing_is_told_so() -> None:
    async with talking(_echo) as (_, line):
        await line.close()
        with pytest.raises(Lost):
            await line.say("one more")


async def test_a_peer_that_takes_nothing_is_lost() -> None:
    outcome: asyncio.Queue[str] = asyncio.Queue()

    async def flood(line: WordLine) -> None:
        try:
            while True:
                await line.write(b"x" * 1_000_000)
        except Lost as lost:
            await outcome.put(str(lost))
            raise

    async with talking(flood, limits=Limits(write_s=0.05)):
        assert "no more" in await outcome.get()


async def test_nothing_is_read_before_somebody_asks() -> None:
    release = asyncio.Event()

    async def wait_first(line: WordLine) -> None:
        await release.wait()
        while await line.hear() is not None:
            pass

    async with talking(wait_first) as (_, line):
        # More than the kernel and our read limit hold between them.
        word = b"w" * 100_000 + b"\n"
        writing = asyncio.ensure_future(line.write(word * 160))
        done, _ = await asyncio.wait([writing], timeout=0.2)
        assert not done
        release.set()
        await writing


async def test_each_message_is_one_write_with_a_gap_behind_it() -> None:
    pauses = Pauses()

    async def chatter(line: WordLine) -> None:
        for word in ("one", "two", "three"):
            await line.say(word)

    async with talking(chatter, limits=Limits(frame_gap_s=0.005), pause=pauses) as (_, line):
        assert [await line.hear() for _ in range(4)] == ["one", "two", "three", None]
    assert pauses.asked == [0.005] * 3


async def test_others_have_a_turn_while_many_words_that_came_at_once_are_heard() -> None:
    pauses = Pauses()

    async def pour(line: WordLine) -> None:
        await line.write(b"word\n" * 3 * IN_A_ROW)

    async with talking(pour, pause=pauses) as (_, line):
        assert [await line.hear() for _ in range(3 * IN_A_ROW)] == ["word"] * 3 * IN_A_ROW
        assert await line.hear() is None
    assert pauses.asked == [0, 0, 0]


async def test_words_that_came_at_once_are_taken_apart_as_they_are_heard() -> None:
    class Counted(Words):
        def __init__(self) -> None:
            super().__init__()
            self.given = 0

        def events(self) -> Iterator[str]:
            for word in super().events():
                self.given += 1
                yield word

    async def pour(line: WordLine) -> None:
        await line.write(b"word\n" * 1_000)
        await line.hear()

    async with talking(pour) as (listener, _):
        codec = Counted()
        line = await stream.dial((LOOPBACK[0], listener.port), codec, pause=Pauses())
        for heard in range(1, 11):
            assert await line.hear() == "word"
            assert codec.given == heard
        await line.close()


async def test_two_who_speak_at_once_do_not_mix() -> None:
    async def two_voices(line: WordLine) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(line.say("a" * 300_000))
            group.create_task(line.say("b" * 300_000))

    async with talking(two_voices) as (_, line):
        words = [await line.hear(), await line.hear()]
    assert [set(word or "") for word in words] == [{"a"}, {"b"}]


async def test_a_frame_leaves_at_once() -> None:
    async with talking(_echo) as (_, line):
        connection = line._writer.get_extra_info("socket")
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


async def test_both_ends_ask_whether_a_quiet_peer_is_still_there() -> None:
    lines: asyncio.Queue[WordLine] = asyncio.Queue()

    async def stay(line: WordLine) -> None:
        await lines.put(line)
        await line.hear()

    async with talking(stay) as (_, dialled):
        for line in (dialled, await lines.get()):
            connection = line._writer.get_extra_info("socket")
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
            if sys.platform == "linux":
                # Two minutes: 60 s of quiet, then four questions 15 s apart.
                said = [
                    connection.getsockopt(socket.IPPROTO_TCP, option)
                    for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
                ]
                assert said == [60, 15, 4]


async def test_a_line_that_is_closed_may_be_reset() -> None:
    async with talking(_echo) as (_, line):
        await line.close()
        line.reset()
        line.reset()
        await line.close()


async def test_a_line_whose_peer_has_reset_it_may_be_reset_too() -> None:
    async def hang_up(line: WordLine) -> None:
        line.reset()

    async with talking(hang_up) as (_, line):
        with pytest.raises(Lost):
            await line.hear()
        line.reset()


async def test_a_message_that_cannot_be_said_leaves_the_line_whole() -> None:
    async with talking(_echo) as (_, line):
        with pytest.raises(ValueError, match="one line"):
            await line.say("two\nlines")
        await line.say("one")
        assert await line.hear() == "one"


async def test_one_caller_too_many_is_turned_away() -> None:
    async with talking(_echo, limits=Limits(lines_max=1)) as (listener, line):
        await line.say("first")
        assert await line.hear() == "first"
        second = await stream.dial((LOOPBACK[0], listener.port), Words(), pause=Pauses())
        assert await second.hear() is None
        await second.close()
        await line.say("still first")
        assert await line.hear() == "still first"
        assert len(listener.talks) == 1


async def test_one_address_does_not_take_every_place() -> None:
    async with talking(_echo, limits=Limits(lines_max=3, lines_per_peer=1)) as (listener, line):
        await line.say("first")
        assert await line.hear() == "first"
        second = await stream.dial((LOOPBACK[0], listener.port), Words(), pause=Pauses())
        assert await second.hear() is None
        await second.close()
        # Somebody else, at 127.0.0.2, finds a place.
        reader, writer = await asyncio.open_connection(
            LOOPBACK[0], listener.port, local_addr=("127.0.0.2", 0)
        )
        writer.write(b"other\n")
        assert await reader.readline() == b"other\n"
        writer.close()
        await writer.wait_closed()
        # And so does the first, once it has left.
        await line.close()
        await listener.talks.ended()
        again = await stream.dial((LOOPBACK[0], listener.port), Words(), pause=Pauses())
        await again.say("again")
        assert await again.hear() == "again"
        await again.close()


async def test_closing_a_listener_ends_its_conversations() -> None:
    async with talking(_echo) as (listener, line):
        await line.say("hello")
        assert await line.hear() == "hello"
        await listener.close()
        assert len(listener.talks) == 0
        assert await line.hear() is None


async def test_a_listener_says_who_calls() -> None:
    async def name(line: WordLine) -> None:
        await line.say(line.peer)

    async with talking(name) as (_, line):
        assert await line.hear() == "127.0.0.1"


async def test_nobody_at_the_address_is_unreachable() -> None:
    with socket.socket() as free:
        free.bind(LOOPBACK)
        port = free.getsockname()[1]
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port}"):
        await stream.dial((LOOPBACK[0], port), Words(), pause=Pauses())


async def test_a_call_that_nobody_takes_has_a_deadline() -> None:
    with socket.socket() as deaf:
        deaf.bind(LOOPBACK)
        deaf.listen(0)
        address = deaf.getsockname()
        # Two fill the queue of a listener that accepts nobody; the next gets no answer.
        with socket.socket() as first, socket.socket() as second:
            for waiting in (first, second):
                waiting.settimeout(0)
                waiting.connect_ex(address)
            with pytest.raises(Unreachable, match="did not answer"):
                await stream.dial(address, Words(), pause=Pauses(), within_s=0.1)
