"""A gateway with the terminals' surface in front of it, and virtual terminals to be called.

Real: the app, the engine, the store, every use case, and the sockets between engine and terminals.
Invented: the time, the terminals, and where a request comes from.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from punchgate.contracts import terminals_rest
from punchgate.domain.ids import DeviceId
from punchgate.engines.terminals import Terminals
from punchgate.engines.zk.tools import Tools
from punchgate.httpkit.edge import App, Receive, Scope, Send
from punchgate.usecases import terminal_register
from tests import asgi, gateway
from tests.asgi import Response
from tests.gateway import MAIN, Gateway
from tests.simulators.virtual import Playing

#: Neither an address nor `localhost`, nor in an open network.
OUTSIDE: Final = "203.0.113.9"
HERE: Final = "127.0.0.1"


@dataclass(frozen=True)
class From:
    """An app as it is reached from some address, by whoever waits for the answer."""

    app: App
    peer: str
    host: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["client"] = (self.peer, 50_000)
        headers = [pair for pair in scope["headers"] if pair[0] != b"host"]
        scope["headers"] = [*headers, (b"host", self.host.encode())]

        async def patient() -> MutableMapping[str, Any]:
            message = await receive()
            if message["type"] == "http.disconnect":
                await asyncio.Event().wait()
            return message

        await self.app(scope, patient, send)


@dataclass
class Stage:
    """A gateway, the app under test, and whoever asks: with this key, or from this address."""

    gateway: Gateway
    settings: terminals_rest.Settings
    app: App
    key: str | None = None
    peer: str = HERE
    host: str = "127.0.0.1:8080"
    headers: Sequence[tuple[str, str]] = ()

    def set(self, **settings: Any) -> None:
        """Build the app with other settings."""
        self.settings = replace(self.settings, **settings)
        self.app = terminals_rest.build(self.gateway.edge, self.settings)

    async def ask(
        self,
        target: str,
        method: str = "GET",
        body: Any = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> Response:
        """Send one request; a body that is no bytes is sent as JSON."""
        sent = [*self.headers, *headers]
        if self.key is not None:
            sent.append(("X-API-Key", self.key))
        content = b"" if body is None else body
        if not isinstance(content, bytes):
            content = json.dumps(content, ensure_ascii=False).encode()
        return await asgi.call(From(self.app, self.peer, self.host), method, target, sent, content)

    async def post(self, target: str, body: Any) -> Response:
        return await self.ask(target, "POST", body)

    async def put(self, target: str, body: Any) -> Response:
        return await self.ask(target, "PUT", body)

    async def delete(self, target: str) -> Response:
        return await self.ask(target, "DELETE")

    async def register(
        self, device_id: str, port: int = 4370, name: str | None = None, **fields: Any
    ) -> None:
        """Register a terminal of this machine, a second after the one before."""
        self.gateway.clock.ms += 1_000
        body = {"id": device_id, "name": name or device_id.title(), "ip": HERE, "port": port}
        answer = await self.post("/devices", {**body, **fields})
        assert answer.status == 200, answer.body

    async def play(self, playing: Playing, *ids: str, **fields: Any) -> None:
        """Register virtual terminals under these ids."""
        for device_id, port in zip(ids, playing.ports, strict=True):
            await self.register(device_id, port, **fields)

    async def treat(self, device_id: str, **changes: Any) -> None:
        """Set how a terminal is treated."""
        await terminal_register.set_terminal(
            self.gateway.context,
            MAIN,
            DeviceId(device_id),
            terminal_register.Changes(**changes),
            actor="test",
            now=self.gateway.clock(),
        )


def error(answer: Response) -> tuple[int, str]:
    """Give status and text of a refusal, once its form is right."""
    found = answer.json()
    assert list(found)[:2] == ["success", "error"]
    assert found["success"] is False
    assert answer.body == compact(found)
    return answer.status, found["error"]


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def data(answer: Response) -> Any:
    """Give what a good answer holds."""
    assert answer.status == 200, answer.body
    found: Mapping[str, Any] = answer.json()
    assert answer.body == compact(found)
    return found["data"]


@asynccontextmanager
async def staged(directory: Path, **settings: Any) -> AsyncIterator[Stage]:
    """Open a gateway with its engine, as `app.py` does, and the app in front of it."""
    async with gateway.open(directory, **settings) as opened:
        # The engine pauses as it does in a server.
        tools = Tools(opened.context, opened.clock, asyncio.sleep)  # noqa: TID251 (above)
        engine = Terminals(tools, owner="test", max_sessions=50)
        chosen = terminals_rest.Settings(engine)
        try:
            yield Stage(opened, chosen, terminals_rest.build(opened.edge, chosen))
        finally:
            await engine.close()


@pytest.fixture(name="stage")
async def _stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as stage:
        yield stage
