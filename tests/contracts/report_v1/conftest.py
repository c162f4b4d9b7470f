"""A gateway with one account-wide key, and report v1 in front of it.

Real: the app, the store, every use case. Invented: the time.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from punchgate.contracts import report_v1
from punchgate.httpkit.edge import App
from tests import asgi, gateway
from tests.asgi import Response
from tests.gateway import Gateway

PATH = "/api/v1/attendance/summary"


@dataclass
class Stage:
    """A gateway, the app under test, and a key that may read reports."""

    gateway: Gateway
    app: App
    key: str

    async def ask(self, query: str = "", method: str = "GET", key: str | None = None) -> Response:
        """Ask for the summary with the stage's key, or with another one."""
        headers = {"X-API-Key": self.key if key is None else key}
        return await asgi.call(self.app, method, f"{PATH}?{query}", headers)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with gateway.open(tmp_path) as opened:
        app = report_v1.build(opened.edge, report_v1.Settings())
        yield Stage(opened, app, await opened.add_key())
