"""A process that commits punches, and the socket to it: started, spoken to, ended.

What is sent and what an answer means is `writer_process.py`; what the process does is
`writer_child.py`.
"""

import asyncio
import os
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from typing import Final, cast

from punchgate.store import failure, parcel
from punchgate.store.committer_sqlite import CHECKPOINT_PAGES
from punchgate.store.database import Address
from punchgate.store.error import StoreUnavailable, StoreUnsafe
from punchgate.store.parcel import Answer, Orders
from punchgate.store.writer import GROUP_ROWS

#: How long the process may take to open the database, and to end.
START_S: Final = 30.0
STOP_S: Final = 35.0
_PROGRAM: Final = (sys.executable, "-P", "-m", "punchgate.store.writer_child")


class Channel(asyncio.Protocol):
    """The socket to one writing process."""

    def __init__(
        self,
        process: Process,
        *,
        told: Callable[[Answer], None],
        lost: Callable[["Channel"], None],
    ) -> None:
        self.process = process
        self.transport: asyncio.Transport | None = None
        #: Its first answer: the database is open, or why it is not.
        self.opened: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._told = told
        self._lost = lost
        self._frames = parcel.Frames()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Tell of each answer; the first says how the database was opened."""
        for message in self._frames.feed(data):
            one = parcel.ANSWERS.decode(message)
            if self.opened.done():
                self._told(one)
            else:
                self.opened.set_result(one)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that nothing more will be heard."""
        del exc
        if not self.opened.done():
            self.opened.set_exception(StoreUnavailable("The writing process has ended."))
        self._lost(self)

    def send(self, framed: bytes) -> None:
        """Send a frame; whatever happens to it is heard of as an answer, or as a loss."""
        assert self.transport is not None  # noqa: S101 (it is made before anybody has the channel)
        self.transport.write(framed)

    def kill(self) -> None:
        """End the process at once, and hear nothing more of it; that it is lost is told."""
        assert self.transport is not None  # noqa: S101 (as above)
        self.process.kill()
        self.transport.abort()

    async def end(self) -> None:
        """Let the process finish what it has, and wait until it is gone."""
        if self.transport is not None:
            self.transport.close()
        try:
            async with asyncio.timeout(STOP_S):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


async def start(
    where: Address,
    keep: Sequence[int],
    *,
    told: Callable[[Answer], None],
    lost: Callable[[Channel], None],
) -> Channel:
    """Start a process that commits to a database; it inherits the files of `keep`.

    Errors:  StoreUnsafe if a commit would not be flushed; StoreUnavailable if it does not come up.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        process = await asyncio.create_subprocess_exec(
            *_PROGRAM,
            stdin=theirs.fileno(),
            pass_fds=tuple(keep),
            # Our modules are found where we found them, whatever lies in the working directory.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    _, channel = await asyncio.get_running_loop().create_connection(
        lambda: Channel(process, told=told, lost=lost), sock=ours
    )
    channel.send(parcel.frame(_orders(where)))
    try:
        await _see_open(channel)
    except BaseException:
        await channel.end()
        raise
    return channel


async def _see_open(channel: Channel) -> None:
    try:
        async with asyncio.timeout(START_S):
            opened = await channel.opened
    except TimeoutError:
        raise StoreUnavailable("The writing process did not come up.") from None
    if opened.fault is not None:
        raise StoreUnsafe(opened.fault)
    if opened.failure is not None:
        failure.say(opened.failure)
        raise StoreUnavailable("The writing process cannot open the database.")


def _orders(where: Address) -> Orders:
    place = str(where.path) if where.dialect == "sqlite" else where.url
    return Orders(where.dialect, place, CHECKPOINT_PAGES, GROUP_ROWS)
