"""Logs share the memory of a process: who finds none hangs up, waits, and loses nothing.

Real: sockets, the store, the virtual terminal. The room is as small as a test needs.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from punchgate.engines.terminals import Terminals
from punchgate.engines.zk.room import NoRoom, Room
from punchgate.protocols.zk import download
from punchgate.protocols.zk.memory import SetEnabled
from punchgate.usecases.terminals import TerminalTrouble
from tests.engines import schedule
from tests.engines import stage as stages
from tests.engines.stage import LET_IN_S, LONG_S, Stage
from tests.gateway import MAIN
from tests.simulators import virtual

#: A log of fifty rows of 40 bytes, with its head.
_SIZE = 4 + 50 * 40


def _within(stage: Stage, room: Room) -> Stage:
    """Give the same gateway with a process that has so much memory for logs."""
    tools = replace(stages.tools(stage.gateway), room=room)
    return Stage(stage.gateway, Terminals(tools, owner="small", max_sessions=50))


async def test_a_log_for_which_there_is_no_room_is_left_alone_until_there_is(
    tmp_path: Path,
) -> None:
    room = Room(_SIZE + 100)
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as opened:
        stage = _within(opened, room)
        async with room.share(101):
            reading = asyncio.create_task(stage.read())

            async def waits() -> bool:
                return room._line.locked()

            await schedule.until(waits)
            # Nobody is kept from punching by a reading that waits, and the terminal is free.
            await stages.until(playing.terminal)
            assert stages.is_left_in_peace(playing.terminal)
            assert playing.terminal.memory.orders[-1] == SetEnabled(is_enabled=True)
            assert not reading.done()
        assert (await reading).recorded == 50
        assert stages.facts(await stage.stored()) == stages.rows(playing)
        assert room.free_bytes == _SIZE + 100
        await stage.terminals.close()


async def test_many_logs_within_the_room_of_one_are_all_read(tmp_path: Path) -> None:
    room = Room(_SIZE)
    async with (
        virtual.playing(count=6) as playing,
        stages.open(tmp_path, playing) as opened,
    ):
        stage = _within(opened, room)
        reads = await asyncio.gather(
            *(stage.read(device_id=stages.named(number)) for number in range(6))
        )
        assert [read.recorded for read in reads] == [50] * 6
        assert len(await stage.stored()) == 300
        assert room.free_bytes == _SIZE
        await stage.terminals.close()


async def test_who_hung_up_waits_for_the_whole_log_and_calls_once_more(tmp_path: Path) -> None:
    room = Room(170_000)
    async with (
        virtual.playing(records=4_000) as playing,
        stages.open(tmp_path, playing) as opened,
        AsyncExitStack() as stack,
    ):
        stage = _within(opened, room)
        first, second = AsyncExitStack(), AsyncExitStack()
        for each, size_bytes in ((first, 30_000), (second, 40_000)):
            await stack.enter_async_context(each)
            await each.enter_async_context(room.share(size_bytes))
        # Of the 160,004 bytes one part of 65,472 finds room, two do not.
        reading = asyncio.create_task(stage.read(is_live=False))

        async def waits() -> bool:
            return room._line.locked()

        await schedule.until(waits)
        await second.aclose()
        # Now two would; all of it does not.
        await asyncio.wait([reading], timeout=0.1)
        assert (playing.terminal.sessions_begun, room.free_bytes) == (1, 140_000)
        await first.aclose()
        assert (await reading).recorded == 4_000
        assert playing.terminal.sessions_begun == 2
        await stage.terminals.close()


async def test_who_waits_for_room_has_no_longer_than_for_an_answer(tmp_path: Path) -> None:
    room = Room(_SIZE)
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as opened:
        stage = _within(opened, room)
        async with room.share(1):
            with pytest.raises(TerminalTrouble) as caught:
                await stage.terminals.read_log(MAIN, stages.ID, is_live=True, deadline_s=LET_IN_S)
            assert caught.value.cause == "timeout"
            await stage.settled()
        assert (await stage.read()).recorded == 50
        await stage.terminals.close()


async def test_a_log_that_grew_within_the_session_of_a_listener_ends_it(tmp_path: Path) -> None:
    room = Room(_SIZE)
    async with (
        virtual.playing() as playing,
        stages.open(tmp_path, playing, realtime=True) as opened,
    ):
        stage = _within(opened, room)
        await stage.read()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(room.share(_SIZE))
            await stack.enter_async_context(schedule.running(stage))
            await schedule.until(lambda: schedule.is_listening(stage, playing))
            begun = playing.terminal.sessions_begun
            playing.terminal.memory.punch()
            # An event that says nothing has the log read, for which there is no room.
            await playing.terminal.happen(1, b"\x01" * 23)

            async def is_another() -> bool:
                return playing.terminal.sessions_begun > begun

            await schedule.until(is_another)
        await stage.terminals.close()


async def test_shares_are_given_in_the_order_of_who_waits() -> None:
    room = Room(100)
    given: list[int] = []

    async def wait_for(size_bytes: int) -> None:
        async with room.share(size_bytes):
            given.append(size_bytes)

    async with asyncio.timeout(LONG_S), asyncio.TaskGroup() as group, room.share(60) as share:
        for size_bytes in (80, 30, 100):
            group.create_task(wait_for(size_bytes))
        await asyncio.sleep(0)  # noqa: TID251 (one turn of the loop, not a time)
        # Who reads already goes on; there is room for 30, but 80 was here first.
        share.hold(70)
        share.hold(10)
        assert (room.free_bytes, given) == (30, [])
        with pytest.raises(NoRoom) as caught:
            share.hold(101)
        assert (caught.value.size_bytes, caught.value.cause) == (101, "busy")
        assert share.held_bytes == 70
    assert given == [80, 30, 100]
    assert room.free_bytes == 100


async def test_who_stops_waiting_is_passed() -> None:
    room = Room(10)

    async def wait() -> None:
        async with room.share(10):
            pass

    async with room.share(5):
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)  # noqa: TID251 (one turn of the loop, not a time)
        waiting.cancel()
        await asyncio.wait([waiting])
        async with asyncio.timeout(LONG_S), room.share(5):
            assert room.free_bytes == 0
    assert room.free_bytes == 10


def test_one_log_has_room_in_any_case() -> None:
    # The last part may lie beyond the limit by its length.
    assert Room().free_bytes > download.TABLE_LIMIT + 65_472
