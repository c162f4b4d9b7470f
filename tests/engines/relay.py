"""Somebody between us and a virtual terminal, who passes everything on and may do more.

Real: two sockets for each session. A hook sees each of our requests before the terminal does.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from punchgate.protocols.zk.packets import Packet, TcpCodec

#: Given a request and the way back to us; says whether the terminal gets the request.
Hook = Callable[[Packet, asyncio.StreamWriter], Awaitable[bool]]

_LOOPBACK = "127.0.0.1"


@asynccontextmanager
async def relaying(port: int, hook: Hook) -> AsyncIterator[int]:
    """Stand before a terminal, and give the port to call."""

    async def serve(ours: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        theirs, forth = await asyncio.open_connection(_LOOPBACK, port)
        try:
            async with asyncio.TaskGroup() as group:
                answers = group.create_task(_pass(theirs, back))
                await _ask(ours, forth, back, hook)
                answers.cancel()
        finally:
            for each in (forth, back):
                each.close()
                with suppress(OSError):
                    await each.wait_closed()

    server = await asyncio.start_server(serve, _LOOPBACK, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _ask(
    ours: asyncio.StreamReader, forth: asyncio.StreamWriter, back: asyncio.StreamWriter, hook: Hook
) -> None:
    codec = TcpCodec()
    with suppress(OSError):
        while data := await ours.read(65_536):
            codec.feed(data)
            for packet in codec.events():
                if await hook(packet, back):
                    forth.write(codec.send(packet))


async def _pass(theirs: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await theirs.read(65_536):
            back.write(data)
            await back.drain()
    back.close()
