"""A listener over a real socket, and a client that writes what no client library would.

Real: uvicorn, uvloop's parser, loopback sockets, ingest v1 with its store.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from punchgate.contracts import ingest_v1
from punchgate.httpkit import server
from punchgate.httpkit.edge import App
from punchgate.httpkit.router import Mount, Router
from tests import gateway

BODY = json.dumps({"user_id": "1", "att_time": "2026-06-21 09:30:00"}).encode()
LIMIT_S = 30


@dataclass
class Listening:
    """Where the server listens, a token that it accepts, and what answers."""

    address: server.Address
    token: str
    app: App

    def head(self, *lines: str, operation: str = "punch", method: str = "POST") -> bytes:
        first = f"{method} /api/attendance/v1/{operation} HTTP/1.1"
        own = ("Host: gw.example", "sn: SN1", f"auth-token: {self.token}")
        return "\r\n".join((first, *own, *lines, "", "")).encode()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(self.address.host, self.address.port)
        try:
            yield reader, writer
        finally:
            writer.close()

    async def tell(self, data: bytes) -> tuple[int, bytes]:
        """Write bytes and give status and body of the first answer."""
        async with self.connect() as (reader, writer), asyncio.timeout(LIMIT_S):
            writer.write(data)
            status, _, content = await read_answer(reader)
            return status, content


@pytest.fixture
async def listening(tmp_path: Path) -> AsyncIterator[Listening]:
    async with gateway.open(tmp_path) as opened:
        added = await opened.add_device("SN1")
        app = ingest_v1.build(opened.edge, ingest_v1.Settings())
        router = Router([Mount("/api/attendance/", app)])
        async with server.listen(router, server.Address("127.0.0.1", 0)) as address:
            yield Listening(address, added.token, router)


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Read one answer with its declared length."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(re.split(": ?", line, maxsplit=1) for line in head[1:] if line)
    headers = {name.lower(): value for name, value in headers.items()}
    return (
        int(head[0].split(" ")[1]),
        headers,
        await reader.readexactly(int(headers["content-length"])),
    )


async def is_closed(reader: asyncio.StreamReader) -> bool:
    """Say whether the server has hung up, without a word more."""
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True
