"""A running gateway: what its workers write in time, and what it hears of another process.

Real: `app.serve` with its listener, its workers and its file; the change is made through a second
context on the same file, as the command line makes it. A deadline here is only for a hang.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from punchgate import app
from punchgate.config import Devices, Http, Settings
from punchgate.usecases import devices
from tests.contracts.ingest_v1.conftest import BASE
from tests.gateway import MAIN

pytestmark = pytest.mark.slow

LIMIT_S = 30.0


@dataclass
class Running:
    """A gateway that serves, and the settings that another process would open it with."""

    settings: Settings
    port: int

    async def heartbeat(self, serial: str, token: str) -> int:
        """Send a heartbeat and give the status."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = f"GET {BASE}heartbeat HTTP/1.1\r\nHost: gw\r\nsn: {serial}\r\nauth-token: {token}"
        writer.write(f"{head}\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return int(answer.split(b" ")[1])


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    settings = Settings(data=tmp_path, http=Http(listen="127.0.0.1:0"), devices=Devices(listen=""))
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.ensure_future(app.serve(settings, ready=ready.set_result, stop=stop))
    try:
        await asyncio.wait([serving, ready], return_when=asyncio.FIRST_COMPLETED)
        yield Running(settings, int(ready.result().http.rpartition(":")[2]))
    finally:
        stop.set()
        await serving


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition holds."""
    never = asyncio.get_running_loop().create_future()
    async with asyncio.timeout(LIMIT_S):
        while not await condition():
            await asyncio.wait([never], timeout=0.01)


async def test_an_unclaimed_serial_is_listed_and_accepted_once_it_is_added(
    running: Running,
) -> None:
    async with app.open_context(running.settings) as context:

        async def is_listed() -> bool:
            return "SN2" in {one.serial for one in await devices.list_unclaimed(context)}

        assert await running.heartbeat("SN2", "token-two") == 404
        await until(is_listed)
        new = devices.New(serial="SN2", token="token-two")
        await devices.add(context, MAIN, new, actor="test", now=0)
        assert await running.heartbeat("SN2", "token-two") == 200
        assert not await is_listed()
