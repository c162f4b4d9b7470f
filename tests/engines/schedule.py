"""The schedule, run as in a server but at a quicker pace, and what tests wait for of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.engines import stage as stages
from tests.engines.stage import LONG_S, Stage
from tests.simulators.virtual import Playing


@asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[None]:
    """Let the schedule run, and end it as a server does."""
    task = asyncio.create_task(stage.terminals.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(LONG_S):
        while not await holds():  # noqa: ASYNC110 (what is asked sets no event)
            await asyncio.sleep(0.005)  # noqa: TID251 (looks again until the deadline)


async def is_listening(stage: Stage, playing: Playing) -> bool:
    del stage
    sessions = playing.terminal._sessions
    return any(each._terminal.is_listening for each in sessions)


async def is_noted(stage: Stage, device_id: str = stages.ID) -> bool:
    """Say whether the watermark is written, which follows the last row's commit."""
    return (await stage.known(device_id)).watermark is not None


async def somebody_listens(playing: Playing) -> bool:
    sessions = [each for terminal in playing.terminals for each in terminal._sessions]
    return any(each._terminal.is_listening for each in sessions)


async def has_read(stage: Stage, count: int) -> bool:
    return len(await stage.stored()) == count
