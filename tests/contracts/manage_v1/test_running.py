"""A running gateway: a request that waits hears of a punch of another process, and of the stop.

Real: `app.serve` with its listener, its workers and its file; the punch comes through a second
context on the same file. A deadline here is only for a hang.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from punchgate import app
from punchgate.config import Devices, Http, Settings
from punchgate.store import events
from punchgate.usecases import keys
from tests.contracts.manage_v1.conftest import made
from tests.gateway import MAIN

pytestmark = pytest.mark.slow

LIMIT_S = 30.0


@dataclass
class Running:
    """A gateway that serves, and how it is stopped."""

    settings: Settings
    port: int
    stop: asyncio.Event
    key: str

    async def send(self, query: str) -> asyncio.Task[Any]:
        """Send a request and come back once it is sent; its answer is the task's."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = f"GET /v1/events?{query} HTTP/1.1\r\nHost: gw\r\nX-API-Key: {self.key}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode())
        await writer.drain()
        return asyncio.ensure_future(content(reader, writer))


async def content(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
    async with asyncio.timeout(LIMIT_S):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 200 ")
    return json.loads(answer.partition(b"\r\n\r\n")[2])


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Running]:
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    server = asyncio.ensure_future(app.serve(settings, ready=ready.set_result, stop=stop))
    try:
        await asyncio.wait([server, ready], return_when=asyncio.FIRST_COMPLETED)
        port = int(ready.result().http.rpartition(":")[2])
        async with app.open_context(settings) as context:
            added = await keys.add(context, MAIN, keys.New(name="x"), actor="test", now=0)
        yield Running(settings, port, stop, added.text)
    finally:
        stop.set()
        await server


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path, http=Http(listen="127.0.0.1:0"), devices=Devices(listen=""))


async def test_an_event_of_another_process_wakes_a_request_that_waits(settings: Settings) -> None:
    async with serving(settings) as running:
        answer = await running.send("wait=30&type=summary.updated")
        async with app.open_context(running.settings) as context:
            told = made(1, "summary.updated", device=None)
            await context.writer.run(lambda tx: events.append(tx, MAIN, [told]))
        assert [one["id"] for one in (await answer)["events"]] == [told.id]


async def test_a_stop_answers_who_waits(settings: Settings) -> None:
    async with serving(settings) as running:
        answer = await running.send("wait=30")
        # The one behind it is answered at once: the first was heard, and waits.
        assert (await (await running.send("limit=1")))["events"] == []
        assert not answer.done()
        running.stop.set()
        found = await answer
        assert (found["events"], found["has_more"]) == ([], False)
