"""Terminals that mean no good or are odd: what they can take of us is bounded.

Real: sockets, the store, the schedule at a quicker pace; somebody between us and the terminal sends
what a terminal should not.
"""

import asyncio
import io
from collections.abc import Sized
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from punchgate import telemetry
from punchgate.domain.terminal import Terminal
from punchgate.engines.zk.waiting import Events
from punchgate.protocols.zk import packets, tables
from punchgate.protocols.zk.commands import Command, LiveEvent
from punchgate.protocols.zk.packets import Packet
from punchgate.protocols.zk.tables import Table
from punchgate.usecases import devices
from punchgate.usecases import terminal_register as register
from punchgate.usecases.terminal_register import Changes
from tests.engines import relay, schedule
from tests.engines import stage as stages
from tests.engines.stage import PACE, SHORT_S, Stage
from tests.gateway import MAIN
from tests.metrics import counted
from tests.simulators import virtual
from tests.simulators.virtual import Playing


async def test_a_wrong_comm_key_that_a_listener_meets_is_not_tried_again_either(
    tmp_path: Path,
) -> None:
    async with (
        virtual.playing(key=1234) as playing,
        stages.open(tmp_path, playing, key=1234, realtime=True) as stage,
        schedule.running(stage),
    ):
        await schedule.until(lambda: schedule.is_noted(stage))
        await schedule.until(lambda: schedule.is_listening(stage, playing))
        # Somebody changes the key on the terminal, which restarts.
        playing.terminal.nature = replace(playing.terminal.nature, comm_key=4321)
        for session in list(playing.terminal._sessions):
            session._line.reset()

        async def is_told() -> bool:
            return "terminal_wrong_key" in await stage.problems()

        await schedule.until(is_told)
        known = await stage.known()
        assert (known.due_at, known.failures) == (None, 1)
        begun = playing.terminal.sessions_begun
        await _ticks(stage)
        assert playing.terminal.sessions_begun == begun

        await _set(stage, Changes(comm_key=4321))
        await schedule.until(lambda: schedule.is_listening(stage, playing))
        assert "terminal_wrong_key" not in await stage.problems()


async def test_a_key_that_is_set_while_the_old_one_is_tried_is_tried_next(tmp_path: Path) -> None:
    sent = 0

    async def set_it(packet: Packet, _: asyncio.StreamWriter) -> bool:
        nonlocal sent
        if packet.command == Command.AUTH:
            sent += 1
            if sent == 1:
                stage.gateway.clock.ms += 1
                await _set(stage, Changes(comm_key=1234))
        return True

    async with (
        virtual.playing(key=1234) as playing,
        relay.relaying(playing.port, set_it) as port,
        stages.open(tmp_path) as stage,
    ):
        await stages.register(stage.gateway, port, key=9)
        async with schedule.running(stage):
            await schedule.until(lambda: schedule.has_read(stage, 50))
        assert await stage.problems() == set()


async def test_a_terminal_that_rests_is_called_as_soon_as_it_is_set(tmp_path: Path) -> None:
    # As in a server: after trouble a listener rests for minutes.
    pace = replace(PACE, first_retry_s=1_000.0, last_retry_s=1_000.0)
    async with (
        virtual.playing("drop-before-events:1") as playing,
        stages.open(tmp_path, playing, realtime=True, pace=pace) as stage,
        schedule.running(stage),
    ):
        await schedule.until(lambda: schedule.is_noted(stage))
        # One session read the log, another was to listen.
        await schedule.until(lambda: _has_begun(playing, 2))
        await stages.until(playing.terminal)
        await _ticks(stage)
        assert playing.terminal.sessions_begun == 2
        await _set(stage, Changes(timeout_s=6.0))
        await schedule.until(lambda: schedule.is_listening(stage, playing))


async def test_a_terminal_that_was_removed_while_it_rested_is_forgotten(tmp_path: Path) -> None:
    pace = replace(PACE, first_retry_s=1_000.0, last_retry_s=1_000.0)
    async with (
        virtual.playing("drop-before-events:1") as playing,
        stages.open(tmp_path, playing, realtime=True, pace=pace) as stage,
        schedule.running(stage),
    ):
        resting = stage.terminals._rounds._resting
        await schedule.until(lambda: _is(resting, 1))
        await devices.remove(
            stage.gateway.context, MAIN, stages.ID, actor="test", now=stage.gateway.clock()
        )
        await schedule.until(lambda: _is(resting, 0))


async def test_a_terminal_that_sends_a_byte_now_and_then_does_not_hold_a_step_for_ever(
    tmp_path: Path,
) -> None:
    asked = 0

    async def drip(packet: Packet, back: asyncio.StreamWriter) -> bool:
        nonlocal asked
        if packet.data != tables.request(Table.USERS):
            return True
        asked += 1
        if asked > 1:
            return True
        # A frame that never comes whole, each byte before we lose our patience.
        back.write(packets.FRAME_HEAD.pack(packets.MAGIC, 1_000_000))
        with suppress(OSError):
            while not back.is_closing():
                back.write(b"\0")
                await back.drain()
                await asyncio.sleep(SHORT_S / 25)  # noqa: TID251 (now and then)
        return False

    # A number says whom: the user table is read for the first event.
    async with (
        virtual.playing("event-12") as playing,
        relay.relaying(playing.port, drip) as port,
        stages.open(tmp_path, pace=replace(PACE, total_s=10.0)) as stage,
    ):
        await stages.register(stage.gateway, port, realtime=True)
        async with schedule.running(stage):
            await schedule.until(lambda: schedule.is_noted(stage))
            await schedule.until(lambda: schedule.is_listening(stage, playing))
            await playing.terminal.somebody_punches()
            await schedule.until(lambda: _is(range(asked), 1))
            # That session ends, the next one works.
            await schedule.until(lambda: _has_begun(playing, 3))
            await schedule.until(lambda: _is(playing.terminal._sessions, 1))
            await schedule.until(lambda: schedule.is_listening(stage, playing))
            await playing.terminal.somebody_punches()
            # The first one's event went with its session; the log has its punch.
            await schedule.until(lambda: schedule.has_read(stage, 51))
        assert (await stage.read()).recorded == 1


async def test_events_that_were_dropped_have_the_log_read(tmp_path: Path) -> None:
    many = packets.frame(Packet(Command.REG_EVENT, LiveEvent.FINGER, 0, bytes(60_000))) * 20

    async def flood(packet: Packet, back: asyncio.StreamWriter) -> bool:
        if packet.data == tables.request(Table.USERS):
            back.write(many)
            playing.terminal.memory.punch()
        return True

    async with (
        virtual.playing("event-12") as playing,
        relay.relaying(playing.port, flood) as port,
        stages.open(tmp_path) as stage,
    ):
        await stages.register(stage.gateway, port, realtime=True)
        async with schedule.running(stage):
            await schedule.until(lambda: schedule.is_noted(stage))
            await schedule.until(lambda: schedule.is_listening(stage, playing))
            await playing.terminal.somebody_punches()
            # The one that was told, and the one whose event may have been among the others.
            await schedule.until(lambda: schedule.has_read(stage, 52))


def test_events_wait_within_a_bound_of_bytes_and_are_counted_beyond_it() -> None:
    name = "punchgate_terminal_events_dropped_total"
    before = counted(name)
    waiting = Events(Terminal(MAIN, stages.ID, "127.0.0.1"))
    large = Packet(Command.REG_EVENT, 1, 0, bytes(60_000))
    for _ in range(100):
        waiting.add(large)
    # 17 of them are 1,024,352 bytes with what each costs; the 18th is more than 1,048,576.
    assert (len(waiting), waiting.dropped) == (17, 83)
    assert counted(name) - before == 83
    assert waiting.take() == large
    waiting.add(large)
    assert len(waiting) == 17
    # Without data they cost memory all the same: 1,048,576 / 256.
    waiting = Events(Terminal(MAIN, stages.ID, "127.0.0.1"))
    for _ in range(10_000):
        waiting.add(Packet(Command.REG_EVENT, 1, 0))
    assert len(waiting) == 4_096


def test_that_events_are_dropped_is_said_once_for_each_session(log: io.StringIO) -> None:
    waiting = Events(Terminal(MAIN, stages.ID, "127.0.0.1"))
    for _ in range(5_000):
        waiting.add(Packet(Command.REG_EVENT, 1, 0))
    telemetry.SINK.flush()
    assert log.getvalue().count("terminal.events_dropped") == 1


async def _set(stage: Stage, changes: Changes) -> None:
    """Set something on the terminal, as an operator does."""
    now = stage.gateway.clock()
    context = stage.gateway.context
    await register.set_terminal(context, MAIN, stages.ID, changes, actor="test", now=now)


async def _ticks(stage: Stage) -> None:
    """Let the schedule look a few times more."""
    for _ in range(10):
        await asyncio.sleep(stage.terminals._tools.pace.round_s)  # noqa: TID251 (as it does)


async def _is(things: Sized, count: int) -> bool:
    return len(things) == count


async def _has_begun(playing: Playing, sessions: int) -> bool:
    return playing.terminal.sessions_begun >= sessions
