"""The gateway's side of the pull benchmarks: registers the fleet, reads all of it, prints JSON.

The engine, its schedule and the store are those of `serve`, on the same event loop. Measured: the
time until every terminal was read, the most memory that the process ever had, and the longest time
that the loop was held: a tick every five milliseconds says how late it is.
"""

import asyncio
import json
import resource
import sys
import time
from pathlib import Path

import uvloop
from sqlalchemy import text

from punchgate import app
from punchgate.config import Settings
from punchgate.engines import terminals
from punchgate.usecases import accounts
from punchgate.usecases import terminal_register as register
from punchgate.usecases.context import Context

_TICK_S = 0.005
_PATIENCE_S = 600.0


class _Ticks:
    """How late the loop's ticks are."""

    def __init__(self) -> None:
        self.latest_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._due_s = 0.0
        self._tick()

    def _tick(self) -> None:
        now_s = self._loop.time()
        if self._due_s:
            self.latest_s = max(self.latest_s, now_s - self._due_s)
        self._due_s = now_s + _TICK_S
        self._loop.call_later(_TICK_S, self._tick)


async def main(folder: Path, port: int, count: int) -> None:
    """Read every terminal twice and print what it took."""
    settings = Settings(data=folder, default_zone="UTC")
    async with app.open_context(settings, serving=True) as context:
        await asyncio.gather(*(_register(context, port + number) for number in range(count)))
        caller = terminals.build(context, app.now, asyncio.sleep, max_sessions=200)
        app.spare_the_collector()
        idle_mib = _memory_mib()
        ticks = _Ticks()
        reading = asyncio.create_task(caller.run())
        seconds, memory_mib = await _all_read(context, count), _memory_mib()
        await context.writer.run(
            lambda tx: tx.execute(text("UPDATE terminal SET due_at = 0, last_read_at = NULL"))
        )
        again_s = await _all_read(context, count)
        reading.cancel()
        await asyncio.wait([reading])
        await caller.close()
        rows = await _number(context, "SELECT count(*) FROM punch")
        failed = await _number(context, "SELECT count(*) FROM terminal WHERE failures > 0")
    found = {
        "rows": rows,
        "errors": failed,
        "seconds": seconds,
        "again_s": again_s,
        "block_ms": ticks.latest_s * 1_000,
        "memory_mib": memory_mib,
        "idle_mib": idle_mib,
    }
    print(json.dumps(found))


async def _all_read(context: Context, count: int) -> float:
    """Wait until every terminal was read, and give the seconds that it took."""
    began = time.perf_counter()
    read = "SELECT count(*) FROM terminal WHERE last_read_at IS NOT NULL"
    until = began + _PATIENCE_S
    while await _number(context, read) < count and until > time.perf_counter():  # noqa: ASYNC110 (a thread does it)
        await asyncio.sleep(0.1)
    return time.perf_counter() - began


async def _number(context: Context, question: str) -> int:
    return await context.database.read(lambda tx: int(tx.execute(text(question)).scalar_one()))


async def _register(context: Context, port: int) -> None:
    account = (await accounts.get(context, "main")).no
    new = register.New(
        id=f"t{port}",
        serial=f"BENCH{port}",
        terminal=register.Changes(host="127.0.0.1", port=port, realtime=False, timeout_s=30.0),
    )
    await register.add(context, account, new, actor="bench", now=app.now())


def _memory_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
