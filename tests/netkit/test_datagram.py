"""A codec over UDP. Real: sockets on loopback. Asserted: what each side hears, never how long."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from punchgate.netkit import datagram
from punchgate.netkit.datagram import DatagramLine
from punchgate.netkit.error import Lost, Silent, Unreachable
from punchgate.netkit.line import Limits
from punchgate.wire.error import ProtocolError
from tests.netkit.words import LOOPBACK, Pauses, Words

_Line = DatagramLine[str, str]


@asynccontextmanager
async def _talking(
    talk: Callable[[_Line], Awaitable[None]],
    *,
    limits: Limits | None = None,
    pause: Pauses | None = None,
) -> AsyncIterator[tuple[datagram.Listener[str, str], _Line]]:
    pauses = pause or Pauses()
    listener = await datagram.listen(LOOPBACK, talk, Words, pause=pauses, limits=limits)
    line = await datagram.dial((LOOPBACK[0], listener.port), Words(), pause=pauses)
    try:
        yield listener, line
    finally:
        await line.close()
        await listener.close()


async def _echo(line: _Line) -> None:
    while (word := await line.hear()) is not None:
        await line.say(word)


async def test_what_is_said_is_heard() -> None:
    async with _talking(_echo) as (listener, line):
        for word in ("one", "two", "three"):
            await line.say(word)
            assert await line.hear() == word
        assert len(listener.talks) == 1
        assert line.peer == "127.0.0.1"


async def test_each_address_has_a_conversation_of_its_own() -> None:
    async def count(line: _Line) -> None:
        for number in range(3):
            await line.hear()
            await line.say(str(number))

    async with _talking(count) as (listener, first):
        second = await datagram.dial((LOOPBACK[0], listener.port), Words(), pause=Pauses())
        heard = []
        for line in (first, second, first):
            await line.say("next")
            heard.append(await line.hear())
        await second.close()
    assert heard == ["0", "0", "1"]


async def test_an_address_may_begin_again_when_its_conversation_is_over() -> None:
    async def once(line: _Line) -> None:
        await line.say(f"you said {await line.hear()}")

    async with _talking(once) as (listener, line):
        await line.say("one")
        assert await line.hear() == "you said one"
        await listener.talks.ended()
        await line.say("two")
        assert await line.hear() == "you said two"


async def test_silence_has_a_deadline_and_the_line_lives_on() -> None:
    async with _talking(_echo) as (_, line):
        with pytest.raises(Silent):
            await line.hear(within_s=0.01)
        await line.say("still here")
        assert await line.hear() == "still here"


async def test_a_silent_peer_is_forgotten() -> None:
    async with _talking(_echo, limits=Limits(idle_s=0.01)) as (listener, line):
        await line.say("hello")
        assert await line.hear() == "hello"
        await listener.talks.ended()
        assert len(listener.talks) == 0
        assert listener._lines == {}


async def test_a_stranger_is_not_heard_on_a_line_that_we_dialled() -> None:
    async with _talking(_echo) as (_, line):
        address = (LOOPBACK[0], line._socket.port)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"not yours\n", address)
        await line.say("mine")
        assert await line.hear() == "mine"


async def test_one_peer_too_many_gets_no_answer() -> None:
    async with _talking(_echo, limits=Limits(lines_max=1)) as (listener, line):
        await line.say("first")
        assert await line.hear() == "first"
        second = await datagram.dial((LOOPBACK[0], listener.port), Words(), pause=Pauses())
        await second.say("second")
        with pytest.raises(Silent):
            await second.hear(within_s=0.05)
        await second.close()


async def test_one_address_does_not_take_every_place() -> None:
    async with _talking(_echo, limits=Limits(lines_per_peer=1)) as (listener, line):
        await line.say("first")
        assert await line.hear() == "first"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.2", 0))
            other.sendto(b"other\n", (LOOPBACK[0], listener.port))
            second = await datagram.dial((LOOPBACK[0], listener.port), Words(), pause=Pauses())
            await second.say("second")
            # They arrive in their order: when this is answered, both were looked at.
            await line.say("again")
            assert await line.hear() == "again"
            assert len(listener.talks) == 2
            await second.close()


async def test_datagrams_that_wait_are_bounded_by_their_bytes() -> None:
    has_begun, release = asyncio.Event(), asyncio.Event()
    arrived: list[str | None] = []

    async def wait_first(line: _Line) -> None:
        has_begun.set()
        await release.wait()
        arrived.extend([await line.hear(), await line.hear()])
        await line.say("heard two")
        arrived.append(await line.hear())
        await line.say("heard three")

    # "one" and "two" with their new lines are 8 bytes.
    async with _talking(wait_first, limits=Limits(waiting_bytes=8)) as (_, line):
        for word in ("one", "two", "three"):
            await line.say(word)
        await has_begun.wait()
        release.set()
        assert await line.hear() == "heard two"
        # What was heard makes room.
        await line.say("last")
        assert await line.hear() == "heard three"
    assert arrived == ["one", "two", "last"]


async def test_what_too_many_datagrams_wait_for_is_dropped() -> None:
    release = asyncio.Event()
    arrived: list[str | None] = []

    async def wait_first(line: _Line) -> None:
        await release.wait()
        arrived.append(await line.hear())
        arrived.append(await line.hear())
        await line.say("heard two")
        arrived.append(await line.hear())
        await line.say("heard three")

    async with _talking(wait_first, limits=Limits(waiting_max=2)) as (_, line):
        for word in ("one", "two", "three"):
            await line.say(word)
        with pytest.raises(Silent):
            await line.hear(within_s=0.1)
        release.set()
        assert await line.hear() == "heard two"
        await line.say("four")
        assert await line.hear() == "heard three"
    assert arrived[:2] == ["one", "two"]


async def test_nobody_at_the_port_is_a_lost_line() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(LOOPBACK)
        port = free.getsockname()[1]
    line = await datagram.dial((LOOPBACK[0], port), Words(), pause=Pauses())
    await line.say("hello?")
    with pytest.raises(Lost):
        await line.hear(within_s=5)
    await line.close()


async def test_a_name_that_nobody_has_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        await datagram.dial(("no-such-name.invalid", 4370), Words(), pause=Pauses())


async def test_good_words_are_heard_before_the_bad_one() -> None:
    async def babble(line: _Line) -> None:
        await line.hear()
        await line.write(b"one\n?\n")

    async with _talking(babble) as (_, line):
        await line.say("go on")
        assert await line.hear() == "one"
        with pytest.raises(ProtocolError, match="not a word"):
            await line.hear()


async def test_each_message_is_one_datagram_with_a_gap_behind_it() -> None:
    pauses = Pauses()

    async def chatter(line: _Line) -> None:
        await line.hear()
        for word in ("one", "two"):
            await line.say(word)

    async with _talking(chatter, limits=Limits(frame_gap_s=0.005), pause=pauses) as (_, line):
        await line.say("go on")
        assert [await line.hear(), await line.hear()] == ["one", "two"]
    assert pauses.asked == [0.005, 0.005]


async def test_closing_a_listener_ends_its_conversations() -> None:
    async with _talking(_echo) as (listener, line):
        await line.say("hello")
        assert await line.hear() == "hello"
        await listener.close()
        assert len(listener.talks) == 0
