"""What is done without being asked: readings by schedule, live events, retries.

Real: sockets and the store; the schedule runs as in a server, at a quicker pace. Waited for:
what must come, with a deadline. A clock that stands still is turned by hand.
"""

from functools import partial
from pathlib import Path
from random import Random

import pytest

from punchgate.engines.zk import rounds
from punchgate.engines.zk.tools import Pace
from punchgate.protocols.zk.memory import SetEnabled
from punchgate.usecases import devices
from punchgate.usecases import terminal_register as register
from tests.engines import schedule
from tests.engines import stage as stages
from tests.engines.stage import PACE, SHORT_S
from tests.gateway import MAIN
from tests.simulators import virtual


async def test_a_terminal_is_read_as_soon_as_it_is_registered_and_then_by_its_schedule(
    tmp_path: Path,
) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        async with schedule.running(stage):
            await schedule.until(lambda: schedule.is_noted(stage))
            playing.terminal.memory.punch()
            first = await stage.known()
            # A quarter of an hour, a tenth to and fro.
            assert first.due_at is not None
            assert 810_000 <= first.due_at - stage.gateway.clock() <= 990_000
            stage.gateway.clock.ms += 1_000_000
            await schedule.until(lambda: schedule.has_read(stage, 51))
        await stages.until(playing.terminal)
        assert not any(isinstance(each, SetEnabled) for each in playing.terminal.memory.orders)


async def test_a_punch_that_came_live_and_by_the_log_is_one_punch(tmp_path: Path) -> None:
    async with (
        virtual.playing() as playing,
        stages.open(tmp_path, playing, realtime=True) as stage,
        schedule.running(stage),
    ):
        await schedule.until(lambda: schedule.has_read(stage, 50))
        await schedule.until(lambda: schedule.is_listening(stage, playing))
        await playing.terminal.somebody_punches()
        await schedule.until(lambda: schedule.has_read(stage, 51))
        read = await stage.read()
        assert (read.rows, read.recorded) == (51, 0)
        assert stages.facts(await stage.stored()) == stages.rows(playing)


@pytest.mark.parametrize("name", ["event-burst", "event-rows", "event-insists"])
async def test_several_events_at_once_are_several_punches(name: str, tmp_path: Path) -> None:
    async with (
        virtual.playing(name) as playing,
        stages.open(tmp_path, playing, realtime=True) as stage,
        schedule.running(stage),
    ):
        await schedule.until(lambda: schedule.has_read(stage, 50))
        await schedule.until(lambda: schedule.is_listening(stage, playing))
        for _ in range(2):
            playing.clock.forward(60)
            stage.gateway.clock.ms += 60_000
            await playing.terminal.somebody_punches()
        await schedule.until(lambda: schedule.has_read(stage, len(stages.rows(playing))))
        assert stages.facts(await stage.stored()) == stages.rows(playing)


@pytest.mark.parametrize("name", ["event-10", "event-12", "event-14", "event-36", "event-37"])
async def test_a_live_event_of_each_size_is_the_punch_of_the_log(name: str, tmp_path: Path) -> None:
    async with (
        virtual.playing(name) as playing,
        stages.open(tmp_path, playing, realtime=True) as stage,
        schedule.running(stage),
    ):
        await schedule.until(lambda: schedule.has_read(stage, 50))
        await schedule.until(lambda: schedule.is_listening(stage, playing))
        await playing.terminal.somebody_punches()
        await schedule.until(lambda: schedule.has_read(stage, 51))
        assert (await stage.read()).recorded == 0
        assert len(await stage.stored()) == 51


async def test_an_event_of_unknown_size_is_kept_and_has_the_log_read(tmp_path: Path) -> None:
    async with (
        virtual.playing() as playing,
        stages.open(tmp_path, playing, realtime=True) as stage,
        schedule.running(stage),
    ):
        await schedule.until(lambda: schedule.has_read(stage, 50))
        await schedule.until(lambda: schedule.is_listening(stage, playing))
        playing.terminal.memory.punch()
        await playing.terminal.happen(1, b"\x01" * 23)
        await schedule.until(lambda: schedule.has_read(stage, 51))
        assert await stage.held() == ["unreadable_row"]


async def test_who_finds_no_room_to_listen_is_still_read_by_its_schedule(tmp_path: Path) -> None:
    async with (
        virtual.playing(count=3) as playing,
        # Of two sessions one may listen.
        stages.open(tmp_path, playing, realtime=True, max_sessions=2) as stage,
        schedule.running(stage),
    ):
        for number in range(3):
            await schedule.until(partial(schedule.is_noted, stage, stages.named(number)))
        await schedule.until(lambda: schedule.somebody_listens(playing))
        for each in playing.terminals:
            each.memory.punch()
        # More than a quarter of an hour: all of them are due, and the one who listens has its own.
        stage.gateway.clock.ms += 1_000_000
        await schedule.until(lambda: schedule.has_read(stage, 152))


async def test_who_listens_gives_way_to_who_asks_and_comes_back(tmp_path: Path) -> None:
    async with (
        virtual.playing("busy-refused") as playing,
        stages.open(tmp_path, playing, realtime=True) as stage,
        schedule.running(stage),
    ):
        await schedule.until(lambda: schedule.has_read(stage, 50))
        for _ in range(2):
            await schedule.until(lambda: schedule.is_listening(stage, playing))
            assert await stage.terminals.read_time(MAIN, stages.ID) is not None
        await schedule.until(lambda: schedule.is_listening(stage, playing))
        await playing.terminal.somebody_punches()
        await schedule.until(lambda: schedule.has_read(stage, 51))


async def test_who_listens_gives_way_to_another_process(tmp_path: Path) -> None:
    async with (
        virtual.playing("busy-refused") as playing,
        stages.open(tmp_path, playing, realtime=True) as stage,
        schedule.running(stage),
    ):
        await schedule.until(lambda: schedule.is_listening(stage, playing))
        other = stages.caller(stage.gateway, "other")
        assert await other.read_time(MAIN, stages.ID) is not None
        await other.close()


async def test_who_listens_begins_anew_when_the_device_is_set_otherwise(tmp_path: Path) -> None:
    async with (
        virtual.playing() as playing,
        stages.open(tmp_path, playing, realtime=True) as stage,
        schedule.running(stage),
    ):
        await schedule.until(lambda: schedule.has_read(stage, 50))
        await schedule.until(lambda: schedule.is_listening(stage, playing))
        context, now = stage.gateway.context, stage.gateway.clock()
        begun = playing.terminal.sessions_begun
        changes = devices.Changes(zone="Asia/Kolkata")
        await devices.set_device(context, MAIN, stages.ID, changes, actor="test", now=now)

        async def listens_anew() -> bool:
            is_new = playing.terminal.sessions_begun > begun
            return is_new and await schedule.is_listening(stage, playing)

        await schedule.until(listens_anew)
        await playing.terminal.somebody_punches()
        await schedule.until(lambda: schedule.has_read(stage, 51))
        zones = [each.zone for each in await stage.stored()]
        assert sorted(zones) == ["Asia/Kolkata", *["UTC"] * 50]

        quiet = register.Changes(realtime=False)
        await register.set_terminal(context, MAIN, stages.ID, quiet, actor="test", now=now)

        async def has_hung_up() -> bool:
            return not await schedule.is_listening(stage, playing)

        await schedule.until(has_hung_up)


async def test_two_questions_without_an_answer_end_a_live_session(tmp_path: Path) -> None:
    # The first GET_TIME is of the reading, the second and third of the live session.
    faults = ("silent-before-time:4",)
    async with (
        virtual.playing(*faults) as playing,
        stages.open(tmp_path, playing, realtime=True, timeout_s=SHORT_S) as stage,
        schedule.running(stage),
    ):
        await schedule.until(lambda: schedule.is_listening(stage, playing))
        begun = playing.terminal.sessions_begun

        async def is_another() -> bool:
            return playing.terminal.sessions_begun > begun

        await schedule.until(is_another)
        await schedule.until(lambda: schedule.is_listening(stage, playing))


async def test_a_terminal_that_fails_is_tried_again_later_and_an_operator_is_told(
    tmp_path: Path,
) -> None:
    async with (
        virtual.playing("drop-before-connect:1", "drop-before-count:1") as playing,
        stages.open(tmp_path, playing) as stage,
        schedule.running(stage),
    ):
        for failures in (1, 2):

            async def has_failed(count: int = failures) -> bool:
                return (await stage.known()).failures == count

            await schedule.until(has_failed)
            stage.gateway.clock.ms += 1_000
        await schedule.until(lambda: schedule.is_noted(stage))
        assert len(await stage.stored()) == 50
        assert (await stage.known()).failures == 0
        assert (await stage.known()).last_error is None


async def test_a_wrong_comm_key_is_not_tried_again_until_somebody_sets_it(tmp_path: Path) -> None:
    async with (
        virtual.playing(key=1234) as playing,
        stages.open(tmp_path, playing, key=9, realtime=True) as stage,
        schedule.running(stage),
    ):

        async def is_told() -> bool:
            return "terminal_wrong_key" in await stage.problems()

        await schedule.until(is_told)
        begun = playing.terminal.sessions_begun
        stage.gateway.clock.ms += 10_000_000
        assert (await stage.known()).due_at is None
        await stage.change(comm_key=1234, due_at=0, failures=0)
        await schedule.until(lambda: schedule.is_noted(stage))
        assert playing.terminal.sessions_begun > begun
        assert "terminal_wrong_key" not in await stage.problems()


def test_a_retry_waits_twice_as_long_each_time_up_to_a_quarter_of_an_hour() -> None:
    chance = Random(7)  # noqa: S311 (jitter)
    waits = [rounds.retry_s(attempt, Pace(), chance) for attempt in range(1, 20)]
    for attempt, wait_s in enumerate(waits):
        # 5 s, 10 s, 20 s, … 900 s; a quarter to and fro.
        middle_s = min(5 * 2**attempt, 900)
        assert 0.75 * middle_s <= wait_s <= 1.25 * middle_s
    assert len(set(waits)) == len(waits)
    assert rounds.retry_s(10_000, PACE, chance) <= 1.25 * PACE.last_retry_s
