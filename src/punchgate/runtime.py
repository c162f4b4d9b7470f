"""Everything long-lived is a worker; the supervisor starts it, restarts it when it fails, ends it.

Stopping is an order: a worker is cancelled and leaves things as it promised. Sleeping happens here
and nowhere else.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from punchgate import telemetry
from punchgate.domain.error import PunchgateError

_FIRST_BACKOFF_S: Final = 0.5
_LONGEST_BACKOFF_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Worker:
    """Something that runs until it is cancelled."""

    name: str
    run: Callable[[], Awaitable[None]]


def every(interval_s: float, act: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[None]]:
    """Make the run of a worker that acts again and again, with a pause between."""

    async def run() -> None:
        while True:
            await act()
            await asyncio.sleep(interval_s)

    return run


def paced(act: Callable[[], Awaitable[float]]) -> Callable[[], Awaitable[None]]:
    """Make the run of a worker that says after each act how many seconds to rest."""

    async def run() -> None:
        while True:  # noqa: ASYNC110 (a pause; nothing is waited for)
            await asyncio.sleep(await act())

    return run


@dataclass(slots=True)
class Supervisor:
    """Runs workers; `failing` names those that are waiting to be started again."""

    workers: list[Worker]
    #: How long a worker rests after its first failure; the double after each that follows, up to
    #: half a minute. Whoever ran for longer than that before it failed begins anew.
    first_backoff_s: float = _FIRST_BACKOFF_S
    failing: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Run every worker until cancelled."""
        async with asyncio.TaskGroup() as group:
            for worker in self.workers:
                group.create_task(self._keep(worker), name=worker.name)

    async def _keep(self, worker: Worker) -> None:
        clock = asyncio.get_running_loop().time
        backoff_s = self.first_backoff_s
        while True:
            started_s = clock()
            try:
                await worker.run()
            except Exception as error:  # noqa: BLE001 (it is written down, and tried again)
                self.failing.add(worker.name)
                _tell(worker, error)
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    # It failed on its way out, and must not begin again.
                    return
                if clock() - started_s > _LONGEST_BACKOFF_S:
                    backoff_s = self.first_backoff_s
                await asyncio.sleep(backoff_s)
                backoff_s = min(backoff_s * 2, _LONGEST_BACKOFF_S)
            else:
                return
            self.failing.discard(worker.name)


def _tell(worker: Worker, error: Exception) -> None:
    if isinstance(error, PunchgateError):
        telemetry.say("worker.failed", "error", worker=worker.name, slug=error.slug)
    else:
        # Nobody foresaw it, and a group of tasks does not say what failed in it.
        telemetry.say("worker.failed", "error", worker=worker.name, trace=telemetry.trace(error))
