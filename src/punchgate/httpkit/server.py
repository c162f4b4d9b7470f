"""A listener: uvicorn with uvloop's loop and httptools' parser, started and stopped by us.

uvicorn's own signal handling, its trust in forwarding headers and its logging stay out of it: the
first belongs to `app.py`, the second to `source.py`, the third to `telemetry.py`. What happens on a
connection is `connection.py`.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import uvicorn

from punchgate.httpkit.connection import Connection
from punchgate.httpkit.edge import App

KEEP_ALIVE_S: Final = 75
#: Of the thirty seconds in which a server leaves: deliveries and the last commits take the rest.
STOP_S: Final = 20


@dataclass(frozen=True, slots=True)
class Address:
    """Where a listener listens: `127.0.0.1:8080`, `[::1]:8080`; port 0 is any free one."""

    host: str
    port: int

    @classmethod
    def read(cls, text: str) -> "Address":
        """Read `HOST:PORT`; ValueError says what is wrong with it."""
        host, _, port = text.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65_535:
            raise ValueError(
                f"{text!r} is not an address; write HOST:PORT, such as 127.0.0.1:8080."
            )
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._stopping.is_set()


@asynccontextmanager
async def listen(
    app: App, address: Address, *, stopping: asyncio.Event | None = None
) -> AsyncIterator[Address]:
    """Serve an app until the block ends, then finish what was read; yields where it listens.

    Several that are given one `stopping` take no more calls from the moment it is set, and finish
    together.
    """
    bound = socket.create_server(
        (address.host, address.port),
        family=socket.AF_INET6 if ":" in address.host else socket.AF_INET,
        backlog=4096,
    )
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
    )
    server = _Server(config, stopping or asyncio.Event())
    task = asyncio.create_task(server.serve(sockets=[bound]), name=f"http {address}")
    # uvicorn has no other way to say that it listens.
    while not server.started and not task.done():  # noqa: ASYNC110 (above)
        await asyncio.sleep(0.001)  # noqa: TID251 (above)
    if task.done():
        await task
    name: Any = bound.getsockname()
    try:
        yield Address(name[0], name[1])
    finally:
        server.should_exit = True
        await task
