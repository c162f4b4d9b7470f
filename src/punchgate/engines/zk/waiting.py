"""What a terminal said unasked and nobody has looked at yet, within a bound of memory.

What it means is read in `live.py`.
"""

from collections import deque
from typing import Final

from punchgate import telemetry
from punchgate.domain.terminal import Terminal
from punchgate.protocols.zk.packets import Packet

#: Of live events that nobody has looked at, with what each costs beside its data.
_EVENTS_BYTES: Final = 1_048_576
_EVENT_BYTES: Final = 256


class Events:
    """Live events that nobody has looked at yet, in their order: a mebibyte of them.

    What comes beyond that is dropped: said once in the log and counted. Nothing is lost by it: the
    punch of a live event is in the terminal's log, and `live.py` reads that when events were
    dropped.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._held: deque[Packet] = deque()
        self._held_bytes = 0
        self._is_told = False
        #: Dropped and not yet made good by a reading; whoever reads the log sets it to 0.
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._held)

    def add(self, packet: Packet) -> None:
        """Keep an event, or drop it where too many wait."""
        size = self._held_bytes + _EVENT_BYTES + len(packet.data)
        if size <= _EVENTS_BYTES:
            self._held.append(packet)
            self._held_bytes = size
            return
        self.dropped += 1
        telemetry.TERMINAL_EVENTS_DROPPED.inc()
        if not self._is_told:
            self._is_told = True
            telemetry.say("terminal.events_dropped", "warning", account=self._terminal.account)

    def take(self) -> Packet | None:
        """Take the oldest; None where none waits."""
        if not self._held:
            return None
        packet = self._held.popleft()
        self._held_bytes -= _EVENT_BYTES + len(packet.data)
        return packet
