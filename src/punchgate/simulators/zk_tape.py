"""A captured conversation, played back: the terminal's side of it answers whoever calls.

The answers are those of the tape, in its order, with the caller's own reply numbers. What the tape
does not have is refused. It knows nothing of its caller and takes any comm key.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from punchgate.netkit.line import Limits, Line
from punchgate.protocols.zk import packets
from punchgate.protocols.zk.commands import Command, Reply
from punchgate.protocols.zk.packets import FRAME_HEAD, Packet
from punchgate.simulators import zk_fleet
from punchgate.wire.error import ProtocolError

#: How a file begins that holds such a conversation.
HEAD: Final = "# punchgate capture zk"


#: Acknowledgements of live events.
_SILENT: Final[frozenset[int]] = frozenset({Reply.ACK_OK})
#: Done without the tape: nothing is changed by them.
_HARMLESS: Final[frozenset[int]] = frozenset({
    Command.ENABLEDEVICE, Command.DISABLEDEVICE, Command.REFRESHDATA, Command.REG_EVENT,
    Command.FREE_DATA,
})  # fmt: skip
_ANY_DATA: Final[frozenset[int]] = frozenset({
    Command.AUTH, Command.CONNECT, Command.DISABLEDEVICE, Command.ENABLEDEVICE, Command.REG_EVENT,
})  # fmt: skip


class NotATape(ValueError):
    """A line is no packet of a capture; the sentence says which."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, and what came until the next one."""

    request: Packet
    answers: list[Packet] = field(default_factory=list)


def read(lines: Iterable[str]) -> Sequence[Exchange]:
    """Read a tape.

    Errors:  NotATape.
    """
    exchanges: list[Exchange] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        side, packet = _read(line, number)
        if side == "client":
            exchanges.append(Exchange(packet))
        elif exchanges:
            exchanges[-1].answers.append(packet)
    return exchanges


class Player:
    """Plays a tape to everybody who calls, each from its beginning."""

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        self._exchanges = exchanges

    async def over(self, line: Line[Packet, Packet]) -> None:
        """Have a conversation."""
        place = 0
        while (request := await line.hear()) is not None:
            if request.command in _SILENT:
                continue
            found = self._find(request, place)
            if found is None:
                is_done = request.command in _HARMLESS
                answer = Reply.ACK_OK if is_done else Reply.ACK_ERROR
                await line.say(Packet(answer, 0, request.reply))
                continue
            place = found + 1
            for packet in self._exchanges[found].answers:
                is_event = packet.command == Command.REG_EVENT
                await line.say(packet if is_event else packet._replace(reply=request.reply))
            if request.command == Command.EXIT:
                return

    def _find(self, request: Packet, place: int) -> int | None:
        """Give the exchange that answers a request: the next one like it, else any like it."""
        everywhere: list[int] = [*range(place, len(self._exchanges)), *range(place)]
        for number in everywhere:
            asked = self._exchanges[number].request
            # The comm key is scrubbed, and another client asks with other numbers.
            is_free = request.command in _ANY_DATA
            if asked.command == request.command and (is_free or asked.data == request.data):
                return number
        return None


async def play(
    exchanges: Sequence[Exchange], address: tuple[str, int], *, ready: Callable[[int], None]
) -> None:
    """Listen on an address, over TCP and UDP, until cancelled; `ready` gets the port.

    Errors:  OSError when the address cannot be had.
    """
    player = Player(exchanges)
    listeners = await zk_fleet.open_both(address, player.over, player.over, Limits(), _no_pause)
    try:
        ready(listeners[0].port)
        await asyncio.Event().wait()
    finally:
        for listener in listeners:
            await listener.close()


async def _no_pause(_: float) -> None:
    return


def _read(line: str, number: int) -> tuple[str, Packet]:
    try:
        said = json.loads(line)
        payload = bytes.fromhex(said["hex"])[FRAME_HEAD.size :]
        return str(said["from"]), packets.decode(payload)
    except (ValueError, KeyError, TypeError, ProtocolError) as error:
        raise NotATape(f"Line {number} of the capture is no packet.") from error
