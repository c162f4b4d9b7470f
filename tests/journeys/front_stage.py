"""What stands before and behind a front in its tests: a caller, and a gateway that answers as told.

Real: the sockets, TLS, HTTP on both sides. Simulated: the gateway, which notes what reached it.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import aiohttp
from aiohttp import web

from tests.journeys import front, gateway

_LENGTH: Final = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Behind:
    """What stands behind the front, and what reached it."""

    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read()
        self.requests.append((request.method, request.path_qs, headers, body))
        assert request.transport is not None
        self.connections.add(request.transport.get_extra_info("peername")[1])
        if self.answer is not None:
            return await self.answer(request)
        return web.Response(
            body=b'{"ok":true}',
            content_type="application/json",
            headers={"Date": "Sun, 21 Jun 2026 04:00:02 GMT", "Punch-Status": "recorded"},
        )


async def said_to(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, start: bytes
) -> bytes:
    """Send the beginning of a request and give the answer, head and body."""
    writer.write(start)
    async with asyncio.timeout(gateway.LIMIT_S):
        said = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(said)
        assert length is not None
        said += await reader.readexactly(int(length[1]))
    writer.close()
    return said


@dataclass
class Stage:
    front: front.Front
    behind: Behind
    session: aiohttp.ClientSession

    async def ask(self, method: str, path: str, **options: object) -> Answer:
        url = self.front.url + path
        async with self.session.request(method, url, ssl=self.front.trust, **options) as answer:  # type: ignore[arg-type] # (aiohttp's own options)
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status, headers, await answer.read())

    async def stall(self, start: bytes) -> bytes:
        return await said_to(*await self.open(), start)

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("localhost", self.front.port, ssl=self.front.trust)
