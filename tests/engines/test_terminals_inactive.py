"""Terminals whose punches are not taken now: suspended, or with a subscription that is over.

Real: sockets, the store, the schedule at a quicker pace. Turned by hand: the clock. That nothing is
called is read from what the schedule asks the store, not from a while in which nothing came.
"""

from datetime import date
from functools import partial
from pathlib import Path

import pytest

from punchgate.usecases import devices
from punchgate.usecases import terminal_contact as contact
from punchgate.usecases.terminals import TerminalTrouble
from tests.engines import schedule
from tests.engines import stage as stages
from tests.engines.stage import Stage
from tests.gateway import MAIN
from tests.simulators import virtual
from tests.simulators.virtual import Playing

_DAY_MS = 24 * 3600 * 1000


async def _set(stage: Stage, changes: devices.Changes) -> None:
    context, now = stage.gateway.context, stage.gateway.clock()
    await devices.set_device(context, MAIN, stages.ID, changes, actor="test", now=now)


async def _is_called_by_itself(stage: Stage) -> bool:
    context, now = stage.gateway.context, stage.gateway.clock()
    due = await contact.list_due(context, now=now)
    return bool(due or await contact.list_listenable(context, now=now))


async def _has_hung_up(stage: Stage, playing: Playing) -> bool:
    return not await schedule.is_listening(stage, playing)


async def test_a_suspended_terminal_is_read_by_nobody_and_loses_nothing(tmp_path: Path) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        assert await _is_called_by_itself(stage)
        await stage.read()
        await _set(stage, devices.Changes(is_suspended=True))
        playing.terminal.memory.punch()
        stage.gateway.clock.ms += _DAY_MS
        assert not await _is_called_by_itself(stage)
        begun = playing.terminal.sessions_begun
        for is_live in (True, False):
            with pytest.raises(TerminalTrouble) as caught:
                await stage.read(is_live=is_live)
            assert caught.value.cause == "inactive"
        assert playing.terminal.sessions_begun == begun
        assert len(await stage.stored()) == 50

        await _set(stage, devices.Changes(is_suspended=False))
        async with schedule.running(stage):
            await schedule.until(lambda: schedule.has_read(stage, 51))
        assert stages.facts(await stage.stored()) == stages.rows(playing)


async def test_a_suspended_terminal_still_answers_what_stores_no_punch(tmp_path: Path) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        await _set(stage, devices.Changes(is_suspended=True))
        assert await stage.terminals.read_users(MAIN, stages.ID)
        assert await stage.terminals.read_time(MAIN, stages.ID) is not None
        assert await stage.stored() == []


async def test_a_live_session_ends_when_its_device_is_suspended(tmp_path: Path) -> None:
    async with (
        virtual.playing() as playing,
        stages.open(tmp_path, playing, realtime=True) as stage,
        schedule.running(stage),
    ):
        await schedule.until(lambda: schedule.has_read(stage, 50))
        await schedule.until(lambda: schedule.is_listening(stage, playing))
        await _set(stage, devices.Changes(is_suspended=True))
        await schedule.until(partial(_has_hung_up, stage, playing))
        await playing.terminal.somebody_punches()
        assert not await _is_called_by_itself(stage)
        assert len(await stage.stored()) == 50

        await _set(stage, devices.Changes(is_suspended=False))
        # Listened to anew, it is read first, though not twice within a minute.
        stage.gateway.clock.ms += 1_000_000
        await schedule.until(lambda: schedule.has_read(stage, 51))
        assert stages.facts(await stage.stored()) == stages.rows(playing)


async def test_a_live_session_ends_with_the_subscription(tmp_path: Path) -> None:
    async with (
        virtual.playing() as playing,
        stages.open(tmp_path, playing, realtime=True) as stage,
    ):
        await _set(stage, devices.Changes(valid_until=date(2026, 6, 21)))
        async with schedule.running(stage):
            await schedule.until(lambda: schedule.has_read(stage, 50))
            await schedule.until(lambda: schedule.is_listening(stage, playing))
            stage.gateway.clock.ms += _DAY_MS // 2
            await schedule.until(partial(_has_hung_up, stage, playing))
            await playing.terminal.somebody_punches()
        assert len(await stage.stored()) == 50


@pytest.mark.parametrize(
    ("valid_until", "is_called"),
    [
        (date(2026, 6, 19), False),
        # Over everywhere but on the far side of the date line.
        (date(2026, 6, 20), True),
        (date(2026, 6, 21), True),
    ],
)
async def test_the_schedule_asks_for_a_subscription_that_may_last_somewhere(
    tmp_path: Path, valid_until: date, *, is_called: bool
) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        await _set(stage, devices.Changes(valid_until=valid_until))
        assert await _is_called_by_itself(stage) is is_called


async def test_the_last_day_is_that_of_the_devices_zone(tmp_path: Path) -> None:
    # Noon of the 21st in UTC is two in the morning of the 22nd in Kiritimati.
    last = devices.Changes(valid_until=date(2026, 6, 21))
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        await _set(stage, last)
        assert (await stage.read()).recorded == 50
        await _set(stage, devices.Changes(zone="Pacific/Kiritimati"))
        with pytest.raises(TerminalTrouble, match="inactive"):
            await stage.read()


async def test_the_end_of_a_subscription_is_no_failure_of_the_terminal(tmp_path: Path) -> None:
    over = devices.Changes(valid_until=date(2026, 6, 21), zone="Pacific/Kiritimati")
    async with (
        virtual.playing(count=2) as playing,
        stages.open(tmp_path, playing) as stage,
    ):
        await _set(stage, over)
        async with schedule.running(stage):
            await schedule.until(lambda: schedule.is_noted(stage, stages.named(1)))
        assert (await stage.known()).failures == 0
        assert (await stage.known()).watermark is None
        assert await stage.problems() == set()
