"""What every conversation of a process shares, and how patient it is."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from punchgate.engines.zk.room import Room
from punchgate.netkit.line import Pause
from punchgate.protocols.zk.packets import Packet
from punchgate.usecases.context import Context

T = TypeVar("T")

#: Who said it, and what: "client" or "terminal".
Tap = Callable[[str, Packet], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient we are; in seconds.

    Source:  docs/protocols/zk-4370.md, "What our client does".
    """

    #: UDP: the same packet again after this long, so many times.
    resend_s: float = 2.0
    resends: int = 3
    #: What is expected to come through at the least.
    bytes_per_s: float = 20_000.0
    #: One conversation, without what it announces.
    total_s: float = 30.0
    #: Somebody waits for it: never longer.
    live_most_s: float = 300.0
    #: For the goodbye of a session that went wrong.
    farewell_s: float = 1.0
    #: For enabling a terminal again over a fresh connection.
    enable_s: float = 10.0
    #: How often another process is asked whether it is done with a terminal.
    lease_poll_s: float = 0.25
    #: How often the store is asked what is due.
    round_s: float = 1.0
    #: A listener looks this often whether it should go on.
    tick_s: float = 0.5
    #: A terminal that says nothing is asked for its time; two without answer end the session.
    beat_s: float = 45.0
    #: After a live session ended, the first retry waits this long, doubled up to the last.
    first_retry_s: float = 5.0
    last_retry_s: float = 900.0


@dataclass(frozen=True, slots=True)
class Tools:
    """What conversations work with."""

    context: Context
    #: Milliseconds since 1970-01-01 UTC.
    now: Callable[[], int]
    pause: Pause
    pace: Pace = Pace()
    #: Spreads retries and readings; no secret depends on it.
    chance: Random = field(default_factory=Random)
    #: Held while a slice is decoded and turned into facts: one of them in one turn of the loop,
    #: however many terminals are read at once.
    decoding: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: Held until a slice is committed. Facts are large: of two hundred logs that are read at once
    #: only some are facts at a time, enough to share commits.
    recording: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(8))
    #: Memory for logs, from their first byte until their last row is recorded.
    room: Room = field(default_factory=Room)


async def finish(work: Coroutine[Any, Any, T]) -> T:
    """Carry something to its end although its caller is cancelled; the caller is cancelled then.

    What is carried out has a deadline of its own.
    """
    task = asyncio.ensure_future(work)
    wish: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as cancelled:
            wish = cancelled
    if wish is not None:
        # What it raised is of no use to who is not there any more.
        task.exception()
        raise wish
    return task.result()
