"""What the tests of the sender share: a sender, a receiver that is allowed and one that is not.

Real: sockets, TLS, certificates, the pool of connections. Invented: the name server (a table
that a test changes) and the monotonic clock. 127.0.0.1 and ::1 play what is allowed; 127.0.0.2,
where a second receiver listens, plays what is not, and must never see a connection.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from punchgate.delivery.form import Answer
from punchgate.delivery.sender import Limits, Sender, SendFailed
from punchgate.domain.target import REFUSED_PORTS, Rules, Target
from tests import receiver
from tests.receiver import Receiver

ALLOWED = (ipaddress.ip_network("127.0.0.1/32"), ipaddress.ip_network("::1/128"))
OPEN = Rules(allow_http=True, allow_networks=ALLOWED)
#: http only to the operator's networks.
LAN = Rules(allow_networks=ALLOWED)
#: Where a connection is not to come about at all.
SHORT = Limits(connect_s=0.2)


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="there is no ::1 here")
BODY = b'{"id":"evt_1"}'
HEADERS = {"content-type": "application/json", "webhook-id": "evt_1"}
MIB = 1_048_576


@dataclass
class Names:
    """A name server: each question for a name gets its next answer, the last one for ever."""

    answers: dict[str, list[Sequence[str]]] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    #: Answers wait for this.
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def __call__(self, host: str, _port: int) -> Sequence[str]:
        self.questions.append(host)
        self.asked.set()
        await self.open.wait()
        known = self.answers.get(host)
        if known is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return known.pop(0) if len(known) > 1 else known[0]


@dataclass
class Clock:
    """A monotonic clock that a test turns."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Stage:
    """A sender, the two receivers, and what the sender believes of names and time."""

    good: Receiver
    bad: Receiver
    stack: AsyncExitStack
    names: Names = field(default_factory=Names)
    clock: Clock = field(default_factory=Clock)

    async def sender(self, rules: Rules = OPEN, **options: Any) -> Sender:
        made = Sender(rules, self.clock, resolve=self.names, **options)
        return await self.stack.enter_async_context(made)


@asynccontextmanager
async def open_stage() -> AsyncIterator[Stage]:
    """Give a sender's surroundings; the bad receiver must never see a connection."""
    # The two share a port, so that a changed address alone would lead from one to the other.
    async with receiver.open() as good, receiver.open(host="127.0.0.2", port=good.port) as bad:
        async with AsyncExitStack() as stack:
            yield Stage(good, bad, stack)
        assert bad.connections == 0


def at(r: Receiver, host: str = "127.0.0.1", path_query: str = "/hook") -> Target:
    """Give a target as if it had passed every check before the connection."""
    return Target("http" if r.scheme == "http" else "https", host, r.port, path_query)


@contextmanager
def nobody() -> Iterator[int]:
    """Give a port of 127.0.0.1 where nobody listens, and where nobody else can begin to."""
    with ExitStack() as holding:
        while True:
            held = holding.enter_context(socket.socket())
            held.bind(("127.0.0.1", 0))
            port: int = held.getsockname()[1]
            if port not in REFUSED_PORTS:
                break
        yield port


@contextmanager
def full_listener() -> Iterator[int]:
    """Listen on 127.0.0.1, and take no connection: its queue is full."""
    with socket.socket() as full, ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)  # noqa: FBT003 (as the library has it)
            one.connect_ex(("127.0.0.1", port))
        yield port


async def post(s: Sender, to: Target, **options: Any) -> Answer:
    return await s.send(to, BODY, HEADERS, **{"jar": None, **options})


async def failure(s: Sender, to: Target, **options: Any) -> SendFailed:
    with pytest.raises(SendFailed) as caught:
        await post(s, to, **options)
    return caught.value
