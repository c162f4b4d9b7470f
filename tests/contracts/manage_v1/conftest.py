"""A gateway with one account-wide key, and manage v1 in front of it, on either database.

Real: the app, the store, the log, every use case. Invented: the time, and who polls the log: a
server has a worker for it, here a test does it while it waits for an answer.
"""

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from punchgate.contracts import manage_v1
from punchgate.domain.event import Event
from punchgate.domain.ids import AccountNo
from punchgate.httpkit.edge import App
from punchgate.store import events
from tests import asgi, gateway
from tests.asgi import Response
from tests.gateway import MAIN, Gateway

PATH: Final = "/v1/events"
#: For a hang only.
LIMIT_S: Final = 30.0


class Caller:
    """Sends one request, then waits for its answer until it has it or goes away."""

    def __init__(self, target: str, key: str, method: str = "GET") -> None:
        path, _, query = target.partition("?")
        self._scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(b"x-api-key", key.encode())],
        }
        self._sent: list[MutableMapping[str, Any]] = []
        self._is_asked = False
        #: Set once the server waits for what the caller does next.
        self.is_held = asyncio.Event()
        self.leaves = asyncio.Event()

    async def run(self, app: App) -> Response | None:
        """Call the app; None when it went away without an answer."""
        await app(self._scope, self._receive, self._send)
        if not self._sent:
            return None
        start, *rest = self._sent
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return Response(start["status"], headers, b"".join(part["body"] for part in rest))

    async def _receive(self) -> MutableMapping[str, Any]:
        if not self._is_asked:
            self._is_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        self.is_held.set()
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        self._sent.append(message)


@dataclass
class Waiting:
    """A request that is held open."""

    caller: Caller
    task: asyncio.Task[Response | None]


@dataclass
class Stage:
    """A gateway, the app under test, and a key that may read events."""

    gateway: Gateway
    app: App
    key: str
    waiting: list[Waiting] = field(default_factory=list)

    async def ask(self, query: str = "", method: str = "GET", key: str | None = None) -> Response:
        """Ask for events with the stage's key, or with another one."""
        headers = {"X-API-Key": self.key if key is None else key}
        return await asgi.call(self.app, method, f"{PATH}?{query}", headers)

    async def read(self, query: str = "", key: str | None = None) -> Any:
        """Ask, and give the content of the answer."""
        answer = await self.ask(query, key=key)
        assert answer.status == 200, answer.body
        return answer.json()

    async def ids(self, query: str = "", key: str | None = None) -> list[str]:
        """Ask, and give the ids of the events."""
        return [event["id"] for event in (await self.read(query, key))["events"]]

    async def hold(self, query: str, *, key: str | None = None, method: str = "GET") -> Waiting:
        """Send a request and come back once it waits."""
        caller = Caller(f"{PATH}?{query}", self.key if key is None else key, method)
        waiting = Waiting(caller, asyncio.ensure_future(caller.run(self.app)))
        self.waiting.append(waiting)
        held = asyncio.ensure_future(caller.is_held.wait())
        async with asyncio.timeout(LIMIT_S):
            await asyncio.wait([held, waiting.task], return_when=asyncio.FIRST_COMPLETED)
        assert caller.is_held.is_set(), waiting.task.result()
        return waiting

    async def answer(self, waiting: Waiting) -> Response | None:
        """Poll the log until a request that waits has its answer."""
        async with asyncio.timeout(LIMIT_S):
            while not waiting.task.done():
                await self.gateway.context.log.poll()
                await asyncio.wait([waiting.task], timeout=0.005)
        return waiting.task.result()

    async def punch(self, user_id: str, second: int = 0, serial: str = "SN1") -> str:
        """Send a punch and give the id of its event."""
        minute, second = divmod(second, 60)
        item = {"user_id": user_id, "att_time": f"2026-06-21 08:{minute:02d}:{second:02d}"}
        (receipt,) = await self.gateway.punch(serial, item)
        return f"evt_{receipt.punch_id}"

    async def append(self, *entries: Event, account: AccountNo = MAIN) -> None:
        """Put entries into the log."""
        await self.gateway.context.writer.run(lambda tx: events.append(tx, account, entries))


def made(number: int, kind: str = "punch.recorded", **changes: Any) -> Event:
    """Make an event by hand: `number` is its moment after noon, in milliseconds, and its name."""
    data = {
        "person": {"code": str(number % 7), "custom_id": None, "name": None},
        "device": {"id": "sn1", "serial": "SN1", "name": None, "site": None},
        **changes,
    }
    at = gateway.NOON + number
    body = json.dumps({name: each for name, each in data.items() if each is not None})
    return Event(f"evt_{kind}{number}", f"person:{number % 7}", kind, at, at, body)  # type: ignore[arg-type]  # of a table


def cursor_of(content: Any) -> str:
    """Give the cursor of an answer as a query."""
    return f"cursor={content['next_cursor']}"


@pytest.fixture
async def stage(tmp_path: Path, database_url: str) -> AsyncIterator[Stage]:
    async with gateway.open(tmp_path, database_url) as opened:
        app = manage_v1.build(opened.edge, manage_v1.Settings(rate_requests=0))
        stage = Stage(opened, app, await opened.add_key())
        yield stage
        await _end(stage.waiting)


async def _end(waiting: Sequence[Waiting]) -> None:
    for one in waiting:
        one.caller.leaves.set()
    if waiting:
        await asyncio.wait([one.task for one in waiting], timeout=LIMIT_S)
