"""Many virtual terminals at once, at a rate: each sends its own punches in order.

What one terminal does is `http.py`'s; what they punch is `day.py`'s. Counts what was said to them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import aiohttp

from punchgate.simulators import day, http
from punchgate.simulators.note import Acknowledged, Failed, Item, Note, Refused, Sent


@dataclass(slots=True)
class Tally:
    """What happened to the items of a fleet.

    `sent` counts items, not tries; each is `acknowledged` or `refused` in the end, or still kept.
    `quarantined` and `duplicates` are among the acknowledged. `retries` counts tries in vain.
    """

    sent: int = 0
    acknowledged: int = 0
    quarantined: int = 0
    duplicates: int = 0
    retries: int = 0
    refused: int = 0


class Counter:
    """Takes notes and keeps a tally; `on_acknowledged` hears how many more it is now."""

    def __init__(self, on_acknowledged: Callable[[int], None] = lambda _: None) -> None:
        self.tally = Tally()
        self.on_acknowledged = on_acknowledged
        self._sent: set[int] = set()

    def __call__(self, note: Note) -> None:
        """Count one note."""
        tally = self.tally
        match note:
            case Sent(_, items):
                self._sent.update(item.number for item in items)
                tally.sent = len(self._sent)
            case Acknowledged(_, _, answers):
                tally.acknowledged += len(answers)
                tally.quarantined += sum(answer.status == "quarantined" for answer in answers)
                tally.duplicates += sum(answer.status == "duplicate" for answer in answers)
                self.on_acknowledged(len(answers))
            case Failed():
                tally.retries += 1
            case Refused(_, items):
                tally.refused += len(items)


class Pace:
    """Lets at most `rate` punches a second pass, evenly; a rate of 0 lets everything pass."""

    def __init__(
        self, rate: float, clock: Callable[[], float], pause: Callable[[float], Awaitable[None]]
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._pause = pause
        self._free_at = 0.0

    async def turn(self, count: int) -> None:
        """Wait until `count` more may pass.

        Concurrency:  many terminals wait here; each is told its moment when it asks.
        """
        if self._rate <= 0:
            return
        now = self._clock()
        at = max(self._free_at, now)
        self._free_at = at + count / self._rate
        if at > now:
            await self._pause(at - now)


def open_session() -> aiohttp.ClientSession:
    """Open what the terminals of one process share; the caller closes it.

    No limit on connections: each terminal keeps its own, as real ones do.
    """
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


async def play(
    terminals: Sequence[http.Terminal],
    punches: Sequence[day.Planned],
    *,
    batch: int,
    pace: Pace,
    pause: Callable[[float], Awaitable[None]],
) -> tuple[str, ...]:
    """Let every terminal send its part, all at once, with heartbeats beside it.

    Shapes:  a planned punch's `device` is a place in `terminals`; `batch` is at least 1 and cut to
             what the gateway allows.
    Gives why terminals stopped early, one sentence each; one that stops does not stop the others.
    """
    kept: list[list[Item]] = [[] for _ in terminals]
    for number, punch in enumerate(punches):
        kept[punch.device].append(http.item(number, punch))
    async with asyncio.TaskGroup() as tasks:
        runs = [
            tasks.create_task(_run(terminal, items, batch, pace, pause))
            for terminal, items in zip(terminals, kept, strict=True)
            if items
        ]
    return tuple(reason for run in runs if (reason := run.result()) is not None)


async def _run(
    terminal: http.Terminal,
    items: Sequence[Item],
    batch: int,
    pace: Pace,
    pause: Callable[[float], Awaitable[None]],
) -> str | None:
    try:
        settings = await terminal.config()
    except http.Stopped as stopped:
        return str(stopped)
    async with asyncio.TaskGroup() as tasks:
        beats = tasks.create_task(_beat(terminal, settings.heartbeat_interval_s, pause))
        reason = await _send(terminal, items, min(batch, settings.batch_max), pace)
        beats.cancel()
    return reason


async def _send(
    terminal: http.Terminal, items: Sequence[Item], batch: int, pace: Pace
) -> str | None:
    try:
        for start in range(0, len(items), batch):
            upload = items[start : start + batch]
            await pace.turn(len(upload))
            await terminal.upload(upload)
    except http.Stopped as stopped:
        return str(stopped)
    return None


async def _beat(
    terminal: http.Terminal, every_s: float, pause: Callable[[float], Awaitable[None]]
) -> None:
    while True:
        await terminal.heartbeat()
        await pause(every_s)
