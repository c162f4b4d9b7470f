"""The limit of ingest: our own server with a writer that acknowledges from memory.

The whole path of a punch is the real one (HTTP, checks, directory, zone, id, receipt, log line and
metrics); only the commit is missing. So what a benchmark loses against this is the price of the
disk. It keeps nothing, which is why it stands here and not in the package.
"""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import uvloop
from sqlalchemy import Connection

from punchgate import app, config, telemetry
from punchgate.config import Settings
from punchgate.contracts import ingest_v1
from punchgate.httpkit import server
from punchgate.httpkit.edge import Edge, Receive, Scope, Send
from punchgate.httpkit.router import Mount, Router
from punchgate.runtime import Supervisor, Worker, every
from punchgate.store.fact import Fact, Held, Outcome
from punchgate.store.writer import Writer

T = TypeVar("T")


class MemoryWriter:
    """A writer that says yes to every item and forgets it; what is no punch is really written."""

    def __init__(self, real: Writer) -> None:
        self._real = real

    async def record(self, items: Sequence[Fact | Held]) -> Sequence[Outcome]:
        """Acknowledge a group's share."""
        return ["recorded" if isinstance(item, Fact) else "quarantined" for item in items]

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run a transaction of its own on the real writer."""
        return await self._real.run(work)

    @property
    def rows(self) -> int:
        """Nothing is ever committed."""
        return 0

    @property
    def waiting(self) -> int:
        """Nobody ever waits."""
        return 0

    async def close(self) -> None:
        """Close the real writer."""
        await self._real.close()


async def serve(settings: Settings, address: server.Address) -> None:
    """Serve ingest v1 from memory until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with app.open_context(settings, serving=True) as real:
        context = replace(real, writer=MemoryWriter(real.writer))
        ingest = ingest_v1.build(
            Edge(context, app.now, time.monotonic),
            ingest_v1.Settings(rate_requests=settings.ingest.rate_requests),
        )

        async def flush_presence() -> None:
            await real.presence.flush(real.writer, now=app.now())

        workers = [
            Worker("log", every(0.2, _flush)),
            Worker("presence", every(1.0, flush_presence)),
        ]
        background = asyncio.create_task(Supervisor(workers).run())
        mounts = [Mount("/api/attendance/", ingest), Mount("/readyz", _ready)]
        async with server.listen(Router(mounts), address):
            await stop.wait()
        background.cancel()
        await asyncio.wait([background])


async def _flush() -> None:
    telemetry.SINK.flush()


async def _ready(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
    )
    await send({"type": "http.response.body", "body": b""})


def main() -> None:
    """Serve a folder that has its device."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    settings = config.load(None, {"data": given.data}).settings
    telemetry.configure(settings.log_level, sys.stderr)
    uvloop.run(serve(settings, server.Address("127.0.0.1", given.port)))


if __name__ == "__main__":
    main()
