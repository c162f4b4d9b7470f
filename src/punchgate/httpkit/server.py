"""A listener: uvicorn with uvloop's loop and httptools' parser, started and stopped by us.

uvicorn's own signal handling, its trust in forwarding headers and its logging stay out of it: the
first belongs to `app.py`, the second to `source.py`, the third to `telemetry.py`.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import uvicorn

from punchgate.httpkit.edge import App

#: Line and headers of a request; what nginx allows by default is less.
HEADERS_BYTES: Final = 16 * 1024
KEEP_ALIVE_S: Final = 75
STOP_S: Final = 25


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
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def listen(app: App, address: Address) -> AsyncIterator[Address]:
    """Serve an app until the block ends, then finish what was read; yields where it listens."""
    bound = socket.create_server(
        (address.host, address.port),
        family=socket.AF_INET6 if ":" in address.host else socket.AF_INET,
        backlog=4096,
    )
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
        h11_max_incomplete_event_size=HEADERS_BYTES,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[bound]), name=f"http {address}")
    while not server.started and not task.done():
        await asyncio.sleep(0.001)  # noqa: TID251 (uvicorn has no other way to say that it listens)
    name: Any = bound.getsockname()
    try:
        yield Address(name[0], name[1])
    finally:
        server.should_exit = True
        await task
