"""I9 for terminals that go: nobody is left locked out where we call no more, or it is said.

Real: the engine, the store, virtual terminals on loopback.
"""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from punchgate.domain.error import NotFound
from punchgate.protocols.zk.commands import Command
from punchgate.protocols.zk.packets import Packet
from punchgate.store import problems
from punchgate.usecases import audit, devices, terminal_moves
from punchgate.usecases import terminal_contact as contact
from punchgate.usecases.terminal_orders import Place
from punchgate.usecases.terminal_register import Changes, Registered
from tests.engines import relay
from tests.engines import stage as stages
from tests.engines.stage import LONG_S, Stage
from tests.gateway import MAIN
from tests.ports import free_port
from tests.simulators import virtual
from tests.simulators.virtual import Playing


def _place(stage: Stage) -> Place:
    return Place(stage.terminals, MAIN, stages.ID)


async def _leave_disabled(stage: Stage, playing: Playing | None = None) -> None:
    """Leave everything as a process that was killed leaves it."""
    if playing is not None:
        playing.terminal.memory.lock(seconds=None)
    await stage.gateway.context.writer.run(
        lambda tx: tx.execute(text("UPDATE terminal SET disabled_at = 1"))
    )


async def _remove(stage: Stage) -> devices.Removed:
    return await terminal_moves.remove(
        stage.gateway.context, _place(stage), actor="ops", now=stage.gateway.clock()
    )


async def _set(stage: Stage, changes: Changes) -> Registered:
    return await terminal_moves.set_terminal(
        stage.gateway.context, _place(stage), changes, actor="ops", now=stage.gateway.clock()
    )


async def _left(stage: Stage) -> list[audit.Entry]:
    """Give what the audit says of terminals that may still be disabled."""
    entries = await audit.list_entries(stage.gateway.context, MAIN)
    return [each for each in entries if each.action == "terminal.left"]


async def test_I9_a_terminal_that_is_removed_is_enabled_first(tmp_path: Path) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        await _leave_disabled(stage, playing)
        removed = await _remove(stage)
        assert playing.terminal.memory.is_enabled
        assert removed.left_address is None
        assert await _left(stage) == []


async def test_I9_one_that_does_not_answer_is_removed_and_that_is_told(tmp_path: Path) -> None:
    async with stages.open(tmp_path) as stage:
        port = free_port()
        await stages.register(stage.gateway, port)
        await _leave_disabled(stage)
        removed = await _remove(stage)
        assert removed.left_address == f"127.0.0.1:{port}"
        (entry,) = await _left(stage)
        assert (entry.actor, entry.subject) == ("ops", f"device:{stages.ID}")
        assert (entry.before, entry.after) == ({"address": f"127.0.0.1:{port}"}, None)
        with pytest.raises(NotFound):
            await _remove(stage)


async def test_a_terminal_that_is_not_marked_is_not_called_when_it_goes(tmp_path: Path) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        await _set(stage, Changes(host="127.0.0.2"))
        assert (await _remove(stage)).left_address is None
        assert playing.terminal.sessions_begun == 0


async def test_I9_a_terminal_is_enabled_before_it_is_called_elsewhere(tmp_path: Path) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        await _leave_disabled(stage, playing)
        moved = await _set(stage, Changes(port=free_port()))
        assert playing.terminal.memory.is_enabled
        assert (moved.left_address, moved.terminal.disabled_at) == (None, None)
        assert await _left(stage) == []


async def test_I9_a_terminal_that_moved_by_itself_is_enabled_at_its_new_address(
    tmp_path: Path,
) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path) as stage:
        old = free_port()
        await stages.register(stage.gateway, old)
        await _leave_disabled(stage, playing)
        moved = await _set(stage, Changes(port=playing.port))
        assert moved.left_address == f"127.0.0.1:{old}"
        assert [each.before for each in await _left(stage)] == [{"address": moved.left_address}]
        await stage.terminals.sweep()
        assert playing.terminal.memory.is_enabled
        assert (await stage.known()).disabled_at is None


async def test_what_is_set_beside_the_address_calls_nobody(tmp_path: Path) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        await _leave_disabled(stage, playing)
        after = await _set(stage, Changes(timeout_s=3))
        assert (after.left_address, after.terminal.timeout_s) == (None, 3)
        assert playing.terminal.sessions_begun == 0
        assert (await stage.known()).disabled_at == 1
        assert await _left(stage) == []


async def test_I9_a_terminal_that_went_meanwhile_is_not_disabled(tmp_path: Path) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        context, now = stage.gateway.context, stage.gateway.clock()
        await devices.remove(context, MAIN, stages.ID, actor="ops", now=now)
        with pytest.raises(NotFound):
            await contact.about_to_disable(context, (MAIN, stages.ID), now=now)
        assert playing.terminal.memory.is_enabled


async def test_a_removal_waits_for_the_reading_that_has_it_disabled(tmp_path: Path) -> None:
    is_disabled, may_go_on = asyncio.Event(), asyncio.Event()

    async def hold_up(packet: Packet, _: asyncio.StreamWriter) -> bool:
        if is_disabled.is_set():
            await may_go_on.wait()
        elif packet.command == Command.DISABLEDEVICE:
            is_disabled.set()
        return True

    async with (
        virtual.playing() as playing,
        relay.relaying(playing.port, hold_up) as port,
        stages.calling(tmp_path / "gateway", port) as stage,
    ):
        reading = asyncio.ensure_future(stage.read())
        async with asyncio.timeout(LONG_S):
            await is_disabled.wait()
        assert (await stage.known()).disabled_at is not None
        removal = asyncio.ensure_future(_remove(stage))
        may_go_on.set()
        removed = await removal
        assert (await reading).rows == 50
        assert playing.terminal.memory.is_enabled
        assert removed.left_address is None
        assert not await stage.gateway.context.database.read(
            lambda tx: problems.list_problems(tx, MAIN, only_open=True, limit=9)
        )
