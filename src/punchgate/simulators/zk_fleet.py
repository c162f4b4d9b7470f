"""Virtual terminals on ports of their own, TCP and UDP on the same one: one, or a fleet in a row.

What each of them does is `zk.py`'s; this opens and closes, and lets people punch.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from punchgate.netkit import datagram, stream
from punchgate.netkit.line import Limits, Line, Pause
from punchgate.protocols.zk.packets import DatagramCodec, Packet, TcpCodec
from punchgate.simulators.zk import Nature, VirtualTerminal
from punchgate.simulators.zk_memory import Contents, VirtualMemory

#: One conversation, on whatever carries it.
Talk = Callable[[Line[Packet, Packet]], Awaitable[None]]

#: A live session says nothing for as long as nobody punches.
_IDLE_S: Final = 3_600.0
#: A client that reads nothing blocks its own session only.
_WRITE_S: Final = 30.0
#: The port of UDP is the one that TCP was given; somebody else may have it.
_PORT_TRIES: Final = 20


class PortsTaken(OSError):
    """TCP and UDP of one number were not both free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What the terminals of a fleet are like; each has a seed and a serial of its own.

    A serial that is given is the first one's, and the others count from there: `X`, `X-2`, `X-3`.
    """

    contents: Contents
    nature: Nature
    clock: Callable[[], datetime]
    skew: timedelta = timedelta()
    count: int = 1
    frame_gap_s: float = 0.0

    def terminals(self) -> Sequence[VirtualTerminal]:
        """Make them."""
        return [self._terminal(number) for number in range(self.count)]

    def limits(self) -> Limits:
        """Give the bounds of their lines."""
        return Limits(idle_s=_IDLE_S, write_s=_WRITE_S, frame_gap_s=self.frame_gap_s)

    def _terminal(self, number: int) -> VirtualTerminal:
        given = self.contents.serial
        contents = replace(
            self.contents,
            seed=self.contents.seed + number,
            serial=f"{given}-{number + 1}" if given and number else given,
        )
        memory = VirtualMemory(contents, self.clock, skew=self.skew)
        return VirtualTerminal(memory, replace(self.nature, seed=self.nature.seed + number))


@asynccontextmanager
async def listening(
    terminals: Sequence[VirtualTerminal], address: tuple[str, int], limits: Limits
) -> AsyncIterator[Sequence[int]]:
    """Let terminals listen while the context lasts, and give their ports, in order.

    Shapes:  port 0 gives each a free port; any other is the first of consecutive ones.
    Errors:  OSError when an address cannot be had.
    """
    host, first = address
    async with AsyncExitStack() as stack:
        ports = []
        for number, terminal in enumerate(terminals):
            port = first + number if first else 0
            opened = await open_both(
                (host, port), terminal.over_tcp, terminal.over_udp, limits, terminal.nature.pause
            )
            for listener in opened:
                stack.push_async_callback(listener.close)
            terminal.memory.stand_at(opened[0].port)
            ports.append(opened[0].port)
        yield ports


async def live(terminal: VirtualTerminal, *, every_s: float, pause: Pause) -> None:
    """Let somebody punch every so often, until cancelled."""
    while True:
        await pause(every_s)
        await terminal.somebody_punches()


async def open_both(
    address: tuple[str, int], over_tcp: Talk, over_udp: Talk, limits: Limits, pause: Pause
) -> tuple[stream.Listener, "datagram.Listener[Packet, Packet]"]:
    """Listen on one number, on TCP and on UDP.

    Errors:  OSError when the address cannot be had; PortsTaken.
    """
    host, port = address
    for _ in range(_PORT_TRIES):
        tcp = await stream.listen(address, over_tcp, TcpCodec, pause=pause, limits=limits)
        try:
            udp = await datagram.listen(
                (host, tcp.port), over_udp, DatagramCodec, pause=pause, limits=limits
            )
        except OSError:
            await tcp.close()
            if port:
                raise
        else:
            return tcp, udp
    raise PortsTaken(f"No number at {host} is free on TCP and on UDP.")
