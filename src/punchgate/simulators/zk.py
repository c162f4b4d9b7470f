"""A virtual terminal of port 4370: its sessions, what goes wrong in them, and its live events.

The answers are `protocols/zk/terminal.py`'s, the contents `zk_memory.py`'s, the way out
`zk_post.py`'s. It knows nothing of who calls it, and of ours only `wire`, `protocols` and `netkit`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

from punchgate.netkit.error import Lost, Silent
from punchgate.netkit.line import Pause
from punchgate.protocols.zk.commands import Command, LiveEvent, Reply
from punchgate.protocols.zk.manner import Manner
from punchgate.protocols.zk.packets import Packet
from punchgate.protocols.zk.terminal import Terminal
from punchgate.simulators import zk_changes, zk_faults, zk_manner
from punchgate.simulators.zk_faults import Faults, StepFault
from punchgate.simulators.zk_memory import VirtualMemory
from punchgate.simulators.zk_post import PacketLine, Post

#: `within` an answer: behind this many of its packets, which is between two DATA packets where
#: there are two.
_WITHIN: Final = 2
#: Between two events of an enrolment.
_FINGER_S: Final = 0.1
#: How many punch at a time with `event-burst` and `event-rows`.
_TOGETHER: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Nature:
    """What a virtual terminal is like, apart from what it remembers."""

    faults: Faults
    pause: Pause
    seed: int = 1
    #: 0 for none.
    comm_key: int = 0


class VirtualTerminal:
    """One terminal: its memory, and the sessions that are open with it."""

    def __init__(self, memory: VirtualMemory, nature: Nature) -> None:
        self.memory = memory
        self.nature = nature
        self.chance = Random(nature.seed)  # noqa: S311 (an invented terminal has no secrets)
        self.plan = zk_faults.Plan(nature.faults.steps)
        self._sessions: list[_Session] = []
        #: How many sessions were begun, those that were refused included.
        self.sessions_begun = 0

    @property
    def open_sessions(self) -> int:
        """Count the sessions that are open and answer."""
        return len(self._sessions)

    async def over_tcp(self, line: PacketLine) -> None:
        """Have a conversation on a connection."""
        await self._converse(line, is_udp=False)

    async def over_udp(self, line: PacketLine) -> None:
        """Have a conversation with one address."""
        await self._converse(line, is_udp=True)

    async def somebody_punches(self) -> None:
        """Let the next person punch; nobody can while the terminal is disabled."""
        faults = self.nature.faults
        if not self.memory.is_enabled:
            return
        count = _TOGETHER if {"event-burst", "event-rows"} & faults.switches else 1
        rows = [self.memory.punch() for _ in range(count)]
        data = [self.memory.event_of(row) for row in rows]
        if "event-rows" in faults:
            data = [b"".join(data)]
        await self.happen(LiveEvent.ATTENDANCE, *data)

    async def happen(self, event: int, *data: bytes, but: "_Session | None" = None) -> None:
        """Tell every session that listens; those that are lost end by themselves."""
        for session in tuple(self._sessions):
            if session is but:
                continue
            try:
                await session.tell(event, data)
            except Lost:
                continue

    async def _converse(self, line: PacketLine, *, is_udp: bool) -> None:
        self.sessions_begun += 1
        faults = self.nature.faults
        if self._sessions and "busy-refused" in faults:
            return
        if self._sessions and "busy-silent" in faults:
            await ignore(line)
            return
        session = _Session(self, line, is_udp=is_udp)
        self._sessions.append(session)
        try:
            await session.run()
        finally:
            self._sessions.remove(session)


class _Session:
    """One conversation of a virtual terminal."""

    def __init__(self, world: VirtualTerminal, line: PacketLine, *, is_udp: bool) -> None:
        nature = world.nature
        self._world = world
        self._line = line
        #: Events that were told to a session that does not listen, and not acknowledged yet.
        self._unasked = 0
        self._number = _session_number(nature.faults, world.chance)
        self._post = Post(line, nature.faults, world.chance, nature.pause, is_udp=is_udp)
        manner: Manner = zk_manner.of(nature.faults, world.chance, is_udp=is_udp)
        self._terminal = Terminal(
            world.memory,
            partial(zk_changes.apply, world.memory),
            session=self._number,
            key=nature.comm_key,
            manner=manner,
        )

    async def run(self) -> None:
        while not self._terminal.is_over:
            request = await self._line.hear()
            if request is None:
                return
            if not self._is_acknowledgement(request):
                await self._answer(request)

    async def tell(self, event: int, several: Sequence[bytes]) -> None:
        packets_of_event = [one for data in several for one in self._terminal.happen(event, data)]
        if "event-burst" in self._world.nature.faults:
            await self._post.send_together(packets_of_event)
            return
        for packet in packets_of_event:
            await self._post.send(packet)

    async def _answer(self, request: Packet) -> None:
        due = self._world.plan.due(request.command)
        await self._play(due, "before")
        answers = self._refusal(due, request) or self._terminal.hear(request)
        sent = 0
        # One ahead, to know which is the last: what is held back leaves with it.
        waiting = next(answers, None)
        while waiting is not None:
            packet, waiting = waiting, next(answers, None)
            await self._post.send(packet, is_last=waiting is None)
            sent += 1
            if sent == _WITHIN:
                await self._play(due, "within")
        if sent < _WITHIN:
            await self._play(due, "within")
        for event, data in self._world.memory.happened():
            await self._tell_asker(event, data)
        await self._play(due, "after")

    async def _tell_asker(self, event: int, data: bytes) -> None:
        """Tell of what this session has started, whether it listens or not; pyzk does not.

        It takes the time that people take: clients read one event at a time.
        """
        await self._world.nature.pause(_FINGER_S)
        await self._post.send(Packet(Command.REG_EVENT, event, 0, data))
        # Its acknowledgement is no request.
        self._unasked += not self._terminal.is_listening
        await self._world.happen(event, data, but=self)

    def _is_acknowledgement(self, request: Packet) -> bool:
        is_one = request.command == Reply.ACK_OK and self._unasked > 0
        self._unasked -= is_one
        return is_one

    def _refusal(self, due: Sequence[StepFault], request: Packet) -> Iterator[Packet] | None:
        for fault in due:
            if fault.kind == "error":
                return iter([Packet(fault.code, self._number, request.reply)])
        return None

    async def _play(self, due: Sequence[StepFault], place: str) -> None:
        for fault in due:
            if fault.place == place:
                await self._play_one(fault)

    async def _play_one(self, fault: StepFault) -> None:
        match fault.kind:
            case "punch":
                await self._world.somebody_punches()
            case "clear":
                self._world.memory.log.clear()
            case "silent":
                await ignore(self._line)
                raise Lost("fell silent, as it was told")
            case "drop":
                raise Lost("hung up, as it was told")
            case "reset":
                self._line.reset()
                raise Lost("reset the connection, as it was told")


async def ignore(line: PacketLine) -> None:
    """Say nothing until the peer leaves."""
    try:
        while await line.hear() is not None:
            pass
    except Silent:
        return


def _session_number(faults: Faults, chance: Random) -> int:
    fixed = faults.chosen("session-")
    return chance.randint(1, 0xFFFF) if fixed is None else fixed
