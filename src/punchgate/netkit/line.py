"""What every line offers, over TCP and over UDP, and the bounds that it keeps.

Whoever has a conversation is written once, against `Line`; `stream.py` and `datagram.py` have the
two kinds.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

In_co = TypeVar("In_co", covariant=True)
Out_contra = TypeVar("Out_contra", contravariant=True)

#: Events that are heard one after the other without a turn for others: a peer that says much at
#: once holds the loop for a few milliseconds, not for a second.
IN_A_ROW: Final = 64

#: Waits this many seconds: `asyncio.sleep`, handed in by who owns intervals.
Pause = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a line waits, and how much it takes at once.

    Units:   seconds and bytes. `frame_gap_s` is at least between two writes: clients of some
             protocols take one frame for each read and throw the rest away.
    """

    idle_s: float = 300.0
    write_s: float = 10.0
    close_s: float = 1.0
    read_bytes: int = 65_536
    frame_gap_s: float = 0.0
    #: Conversations at a time on one port, and of them with one address; one more is not taken.
    lines_max: int = 200
    lines_per_peer: int = 200
    #: Datagrams of one peer that nobody has heard yet; more are dropped, as UDP may.
    waiting_max: int = 1_000
    waiting_bytes: int = 1_048_576


class Line(Protocol[In_co, Out_contra]):
    """One conversation: one task hears; others may speak too, their messages stay whole."""

    @property
    def peer(self) -> str:
        """Give the address of the other side, without its port."""

    async def hear(self, *, within_s: float | None = None) -> In_co | None:
        """Give the next event; None when the peer has closed in good order.

        Units:   `within_s` is for the whole event; without it the idle limit holds.
        Errors:  Silent when the time is over; Lost; ProtocolError, after every good event before
                 it.
        """

    async def say(self, message: Out_contra) -> None:
        """Send one message as one write, and wait until there is room for more.

        Errors:  Lost, also when the peer takes nothing for the time of `write_s`; ValueError from
                 the codec where its state forbids the message.
        """

    async def write(self, data: bytes) -> None:
        """Send bytes as they are, as one write: for who plays a peer that splits its frames.

        Errors:  Lost.
        """

    async def close(self) -> None:
        """Say goodbye: what was written is sent. Safe to call twice."""

    def reset(self) -> None:
        """End the line at once: what was written may be lost, and the peer is told so if it can."""
