"""I9: one conversation per terminal at a time, and one that we disabled is enabled again.

Real: sockets, both databases, cancellation after any number of turns of the loop, a process that is
killed. Nothing is patched.
"""

import asyncio
import io
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from punchgate import telemetry
from punchgate.engines.terminals import Terminals
from punchgate.engines.zk.desk import Desk
from punchgate.protocols.zk.memory import SetEnabled
from punchgate.store import schema
from punchgate.usecases.terminals import TerminalTrouble
from tests.engines import stage as stages
from tests.engines.stage import LET_IN_S, LONG_S, PACE, SHORT_S, Stage
from tests.gateway import MAIN
from tests.simulators import virtual
from tests.simulators.virtual import Playing


async def _cancelled_after(stage: Stage, playing: Playing, turns: int) -> bool:
    """Cancel a reading after so many turns of the loop; say whether it was still going on."""
    task = asyncio.create_task(stage.read())
    for _ in range(turns):
        await asyncio.sleep(0)  # noqa: TID251 (one turn of the loop, not a time)
        if task.done():
            break
    was_going_on = not task.done()
    task.cancel()
    await asyncio.wait([task])
    await stages.until(playing.terminal)
    return was_going_on


async def test_I9_cancelled_at_any_await_a_terminal_is_enabled_and_left(tmp_path: Path) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        turns, is_on = 0, True
        while is_on:
            is_on = await _cancelled_after(stage, playing, turns)
            # A reading takes a few hundred turns, and many more where a commit takes its time.
            turns += max(23, turns // 20)
            await stage.settled()
            assert playing.terminal.memory.is_enabled, turns
            assert (await stage.known()).disabled_at is None, turns
        assert _was_disabled(playing)
        assert turns > 200
        assert (await stage.read()).rows == 50
        assert stages.facts(await stage.stored()) == stages.rows(playing)


async def test_I9_the_mark_is_committed_before_the_terminal_is_disabled(tmp_path: Path) -> None:
    marks: list[int | None] = []
    async with virtual.playing("silent-before-disable") as playing:
        async with stages.open(tmp_path, playing, timeout_s=SHORT_S) as stage:
            with pytest.raises(TerminalTrouble):
                await stage.read()
            marks.append((await stage.known()).disabled_at)
        # It fell silent at DISABLE, so the first connection could not enable it; a second did.
        assert marks == [None]
        assert playing.terminal.sessions_begun == 2
        assert playing.terminal.memory.orders[-1] == SetEnabled(is_enabled=True)


async def test_I9_what_stays_marked_is_enabled_by_the_next_sweep(tmp_path: Path) -> None:
    async with virtual.playing("disabled-for-good", "silent-before-enable:*") as playing:
        async with stages.open(tmp_path, playing, timeout_s=SHORT_S) as stage:
            await stage.read()
            assert not playing.terminal.memory.is_enabled
            assert (await stage.known()).disabled_at is not None
            assert await stage.problems() == {"terminal_disabled"}
            await stage.terminals.sweep()
            assert not playing.terminal.memory.is_enabled
        terminal = playing.terminal
        terminal.plan = type(terminal.plan)(())
        async with stages.reopened(tmp_path) as stage:
            await stage.terminals.sweep()
            assert terminal.memory.is_enabled
            assert (await stage.known()).disabled_at is None
            assert await stage.problems() == set()


_KILLED = """
import asyncio, sys
from pathlib import Path
from tests.engines import stage as stages
from tests import gateway
from punchgate.engines.terminals import Terminals

async def main():
    async with gateway.open(Path(sys.argv[1])) as opened:
        terminals = Terminals(stages.tools(opened), owner="killed", max_sessions=5)
        print("ready", flush=True)
        await stages.Stage(opened, terminals).read()

asyncio.run(main())
"""


async def test_I9_a_process_that_was_killed_leaves_nobody_locked_out(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    async with virtual.playing("disabled-for-good", "silent-before-prepare") as playing:
        async with stages.open(tmp_path, playing, timeout_s=LONG_S):
            pass
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _KILLED,
            str(tmp_path),
            cwd=root,
            env={"PYTHONPATH": f"{root / 'src'}:{root}", "PATH": ""},
            stdout=subprocess.PIPE,
        )

        def can_punch() -> bool:
            return playing.terminal.memory.is_enabled

        async with asyncio.timeout(LONG_S):
            while can_punch():  # noqa: ASYNC110 (another process does it)
                await asyncio.sleep(0.005)  # noqa: TID251 (looks again until the deadline)
        child.send_signal(signal.SIGKILL)
        await child.wait()
        await stages.until(playing.terminal)

        async with stages.reopened(tmp_path) as stage:
            # Whoever held it might still be there: the sweep looks again soon.
            assert await stage.terminals.sweep() < 10
            # Its lease runs out, which the test does not wait for.
            await stage.gateway.context.writer.run(
                lambda tx: tx.execute(text("UPDATE terminal SET lease_until = 1"))
            )
            assert await stage.terminals.sweep() > 10
            assert playing.terminal.memory.is_enabled
            assert (await stage.known()).disabled_at is None


async def test_I9_a_sole_server_takes_over_at_once_what_it_held_when_it_was_killed(
    tmp_path: Path,
) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        playing.terminal.memory.lock(seconds=None)
        await stage.gateway.context.writer.run(
            lambda tx: tx.execute(
                text(
                    "UPDATE terminal SET disabled_at = 1, lease_owner = 'server',"
                    " lease_until = 9000000000000"
                )
            )
        )

        def can_punch() -> bool:
            return playing.terminal.memory.is_enabled

        other = stages.caller(stage.gateway, "other")
        await other.begin()
        assert await other.sweep() < 10
        assert not can_punch()
        server = stages.caller(stage.gateway, "server")
        await server.begin()
        assert await server.sweep() > 10
        assert can_punch()
        await server.close()


async def test_I9_a_terminal_found_marked_is_enabled_before_anything_else(tmp_path: Path) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        playing.terminal.memory.lock(seconds=None)
        await stage.gateway.context.writer.run(
            lambda tx: tx.execute(text("UPDATE terminal SET disabled_at = 1"))
        )
        await stage.terminals.read_time(MAIN, stages.ID)
        assert playing.terminal.memory.is_enabled
        assert (await stage.known()).disabled_at is None


@pytest.mark.parametrize(
    ("disable_for", "read", "is_disabled"),
    [
        ("live-reads", "live", True), ("live-reads", "backfill", False), ("all", "live", True),
        ("all", "backfill", False), ("none", "live", False), ("writes", "live", False),
    ],
)  # fmt: skip
async def test_a_terminal_is_disabled_for_what_it_is_set_and_never_for_a_backfill(
    disable_for: str, read: str, *, is_disabled: bool, tmp_path: Path
) -> None:
    async with (
        virtual.playing() as playing,
        stages.open(tmp_path, playing, disable_for=disable_for) as stage,
    ):
        await stage.read(is_live=read == "live")
        assert _was_disabled(playing) == is_disabled
        assert playing.terminal.memory.is_enabled


async def test_I9_requests_of_all_kinds_share_one_connection_at_a_time(tmp_path: Path) -> None:
    async with (
        virtual.playing("busy-refused") as playing,
        stages.open(tmp_path, playing) as stage,
    ):
        caller = stage.terminals
        await asyncio.gather(
            stage.read(),
            stage.read(is_live=False),
            caller.read_time(MAIN, stages.ID),
            caller.read_users(MAIN, stages.ID),
            caller.read_info(MAIN, stages.ID),
            caller.sweep(),
        )
        assert playing.terminal.sessions_begun == 5


async def test_live_reads_that_wait_together_are_one_reading(tmp_path: Path) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        reads = await asyncio.gather(*(stage.read() for _ in range(20)))
        assert {read.rows for read in reads} == {50}
        assert sum(read.recorded for read in reads[:1]) == 50
        assert playing.terminal.sessions_begun == 1
        # Who comes after it has begun may miss what was punched since, and gets another.
        await stage.read()
        assert playing.terminal.sessions_begun == 2


async def test_one_of_those_who_wait_may_leave_and_the_others_get_their_reading(
    tmp_path: Path,
) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        first, second = (asyncio.create_task(stage.read()) for _ in range(2))
        await asyncio.sleep(0)  # noqa: TID251 (one turn of the loop, not a time)
        first.cancel()
        assert (await second).rows == 50
        assert playing.terminal.sessions_begun == 1


async def test_a_deadline_that_passes_is_busy_for_who_waited_and_a_timeout_for_who_was_let_in(
    tmp_path: Path,
) -> None:
    async with (
        virtual.playing("silent-before-count") as playing,
        stages.open(tmp_path, playing, timeout_s=LONG_S) as stage,
    ):
        read = stage.terminals.read_log
        first = asyncio.create_task(read(MAIN, stages.ID, is_live=True, deadline_s=LET_IN_S))
        async with asyncio.timeout(LONG_S):
            while not playing.terminal.open_sessions:  # noqa: ASYNC110 (it sets no event)
                await asyncio.sleep(0.001)  # noqa: TID251 (looks again until the deadline)
        with pytest.raises(TerminalTrouble) as caught:
            await read(MAIN, stages.ID, is_live=True, deadline_s=0.1)
        assert caught.value.cause == "busy"
        with pytest.raises(TerminalTrouble) as caught:
            await first
        assert caught.value.cause == "timeout"


async def test_I9_two_processes_never_talk_to_one_terminal_at_once(
    database_url: str, tmp_path: Path
) -> None:
    async with (
        virtual.playing("busy-refused", count=3) as playing,
        stages.open(tmp_path, playing, url=database_url) as stage,
    ):
        second = Terminals(stages.tools(stage.gateway), owner="second", max_sessions=5)
        for _ in range(3):
            reads = [
                caller.read_log(MAIN, stages.named(number), is_live=True, deadline_s=LONG_S)
                for caller in (stage.terminals, second)
                for number in range(3)
            ]
            # One that finds another connected is refused, and that would raise here.
            assert {read.rows for read in await asyncio.gather(*reads)} == {50}
        assert len(await stage.stored()) == 150
        await second.close()
        assert [row.lease_owner for row in await _terminals(stage)] == [None] * 3


async def test_a_holder_whose_lease_is_somebody_elses_stops(tmp_path: Path) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        await stage.gateway.context.writer.run(
            lambda tx: tx.execute(
                text("UPDATE terminal SET lease_owner = 'other', lease_until = 9e15")
            )
        )
        is_wanted = False
        # Until there was time to ask for it once.
        while not is_wanted:
            with pytest.raises(TerminalTrouble) as caught:
                await stage.terminals.read_log(MAIN, stages.ID, is_live=True, deadline_s=0.1)
            assert caught.value.cause == "busy"
            (row,) = await _terminals(stage)
            is_wanted = row.wanted_until > 0
        assert row.lease_owner == "other"
        assert playing.terminal.sessions_begun == 0


async def test_when_a_turn_is_over_nothing_of_it_is_left_running(tmp_path: Path) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        desk = stage.terminals._desk
        before = asyncio.all_tasks()
        async with desk.turn((MAIN, stages.ID), is_urgent=True):
            keeping = asyncio.all_tasks() - before
            assert len(keeping) == 1
        assert asyncio.all_tasks() == before


async def test_what_ends_the_keeping_of_a_lease_is_told(tmp_path: Path, log: io.StringIO) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        failed = asyncio.Event()

        async def fail(_: float) -> None:
            failed.set()
            raise RuntimeError("the pause went wrong")

        tools = replace(stages.tools(stage.gateway), pause=fail)
        desk = Desk(tools, owner="first", max_sessions=5)
        async with desk.turn((MAIN, stages.ID), is_urgent=True):
            await failed.wait()
        telemetry.SINK.flush()
        (line,) = [line for line in log.getvalue().splitlines() if "the pause went wrong" in line]
        assert json.loads(line)["request_id"] != stages.ID


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_two_hundred_terminals_at_once_stay_under_the_limit(tmp_path: Path) -> None:
    # Whose turn comes last has waited for all the others.
    pace = replace(PACE, total_s=500.0)
    async with (
        virtual.playing(count=200, users=3, records=5) as playing,
        stages.open(tmp_path, playing, max_sessions=40, pace=pace) as stage,
    ):
        most, was_full = 0, False
        reads = [
            asyncio.create_task(stage.read(device_id=stages.named(number))) for number in range(200)
        ]
        while not all(read.done() for read in reads):
            most = max(most, sum(each.open_sessions for each in playing.terminals))
            was_full = was_full or stage.terminals._desk._slots.locked()
            await asyncio.wait(reads, timeout=0.002)
        assert all(read.result().rows == 5 for read in reads)
        # How many of those who have a place are connected is a matter of how quick the disk is.
        assert was_full
        assert 1 < most <= 40
        assert len(await stage.stored()) == 200 * 5


def _was_disabled(playing: Playing) -> bool:
    return any(
        isinstance(order, SetEnabled) and not order.is_enabled
        for order in playing.terminal.memory.orders
    )


async def _terminals(stage: Stage) -> list[Any]:
    wanted = select(schema.terminal).order_by(schema.terminal.c.device_id)
    return list(await stage.gateway.context.database.read(lambda tx: tx.execute(wanted).all()))
