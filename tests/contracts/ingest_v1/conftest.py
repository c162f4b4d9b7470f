"""A gateway with one device, and ingest v1 in front of it.

Real: the app, the store, every use case. Invented: the time of day, and in tests of limits the
clock that limits are measured by.
"""

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from punchgate.contracts import ingest_v1
from punchgate.httpkit.edge import App
from tests import asgi, gateway
from tests.asgi import Response
from tests.gateway import Gateway

BASE = "/api/attendance/v1/"
SERIAL = "SN7A2300583"
#: Four and a half hours before the gateway's noon in UTC, on the clock of the device.
TIME = "2026-06-21 09:30:00"
PUNCH: Mapping[str, Any] = {"user_id": "1001", "att_time": TIME, "att_state": 1, "input_type": 50}
OK = b'{"ok":true}'

Headers = Mapping[str, str] | Sequence[tuple[str, str]]


def error(code: str, message: str) -> bytes:
    """Write the published form of an error."""
    return b'{"ok":false,"error":{"code":"%s","message":"%s"}}' % (code.encode(), message.encode())


@dataclass
class Stage:
    """A gateway, the app under test, and the token of the device `SERIAL` in Asia/Kolkata."""

    gateway: Gateway
    app: App
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"sn": SERIAL, "auth-token": self.token}

    async def ask(
        self, operation: str, method: str = "GET", headers: Headers | None = None, body: Any = b""
    ) -> Response:
        """Send one request, by default in the name of the device."""
        given = self.headers if headers is None else headers
        return await asgi.call(self.app, method, BASE + operation, given, body)

    async def post(self, body: Any, headers: Headers | None = None) -> Response:
        """Post to `punch`: bytes and parts as they are, anything else as JSON."""
        is_sent_as_is = isinstance(body, bytes) or (
            isinstance(body, list) and bool(body) and isinstance(body[0], bytes)
        )
        sent = body if is_sent_as_is else json.dumps(body).encode()
        return await self.ask("punch", "POST", headers, sent)

    async def batch(self, *items: Any) -> list[dict[str, Any]]:
        """Post a batch that is answered with 200, and give its results."""
        answer = await self.post(list(items))
        assert answer.status == 200, answer.body
        given = answer.json()
        assert list(given) == ["ok", "results"]
        assert given["ok"] is True
        results: list[dict[str, Any]] = given["results"]
        return results

    def with_settings(
        self, *, monotonic: Callable[[], float] | None = None, **settings: Any
    ) -> "Stage":
        """Give the same stage behind an app with other settings, or with another clock."""
        edge = self.gateway.edge
        if monotonic is not None:
            edge = replace(edge, monotonic=monotonic)
        return replace(self, app=ingest_v1.build(edge, ingest_v1.Settings(**settings)))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the file itself."""
        with closing(sqlite3.connect(self.gateway.context.database.address.path)) as file:
            return file.execute(query).fetchall()

    def break_store(self) -> None:
        """Take the table of punches away, so that no commit of one can succeed."""
        with closing(sqlite3.connect(self.gateway.context.database.address.path)) as file:
            file.execute("DROP TABLE punch")
            file.commit()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with gateway.open(tmp_path) as opened:
        added = await opened.add_device(SERIAL, id="main-gate", zone="Asia/Kolkata")
        app = ingest_v1.build(opened.edge, ingest_v1.Settings())
        yield Stage(opened, app, added.token)
