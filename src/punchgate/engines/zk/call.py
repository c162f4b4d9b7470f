"""One session with a terminal over one line: dials, drives conversations, keeps the deadlines.

Answers for sending again over UDP, for what is acknowledged without being asked, and for how long
an answer may take. What is said is `protocols/zk/dialogue.py`'s. A session that went wrong is left
and never used again: `is_sound` says so.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from punchgate.domain import reach, target
from punchgate.domain.reach import Reach
from punchgate.domain.terminal import Terminal
from punchgate.engines.zk import trouble
from punchgate.engines.zk.deadline import Deadline
from punchgate.engines.zk.tools import Pace, Tap, Tools
from punchgate.engines.zk.waiting import Events
from punchgate.netkit import datagram, stream
from punchgate.netkit.error import Lost, Silent, Unreachable
from punchgate.netkit.line import Limits, Line
from punchgate.protocols.zk import dialogue
from punchgate.protocols.zk.client import Ask, Client, Conversation, Step, frame_limit
from punchgate.protocols.zk.commands import Command
from punchgate.protocols.zk.packets import DatagramCodec, Packet, TcpCodec
from punchgate.protocols.zk.session import State
from punchgate.usecases.terminals import TerminalTrouble

T = TypeVar("T")


class Call:
    """One session; `run` one conversation after the other, then `leave` or `abandon`."""

    def __init__(
        self,
        line: Line[Packet, Packet],
        terminal: Terminal,
        pace: Pace,
        *,
        frames: TcpCodec | None,
        tap: Tap | None = None,
    ) -> None:
        self._line = line
        self._frames = frames
        self._timeout_s = terminal.timeout_s
        self._pace = pace
        self._tap = tap
        self._client = Client()
        self._asked: Packet | None = None
        self._last: Packet | None = None
        self._clock = asyncio.get_running_loop().time
        self.is_sound = True
        #: The time of what is being done; it grows with what is announced.
        self.deadline: Deadline | None = None
        self.events = Events(terminal)

    @property
    def peer(self) -> str:
        """Give the address of the terminal."""
        return self._line.peer

    @property
    def is_udp(self) -> bool:
        """Say whether packets are datagrams."""
        return self._frames is None

    async def run(self, conversation: Conversation[T]) -> T:
        """Have one conversation and give its result.

        Errors:  Lost, Silent, ProtocolError: the session is unsound then, but for Refused.
        """
        try:
            step = next(conversation)
            while True:
                step = conversation.send(await self._answer(step))
        except StopIteration as end:
            result: T = end.value
            return result
        except BaseException as error:
            if not isinstance(error, Exception) or not trouble.is_harmless(error):
                self.is_sound = False
            raise

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """Give one step of a session that goes on the time of a whole conversation.

        Errors:  TimeoutError.
        """
        pace = self._pace
        async with Deadline(pace.total_s, bytes_per_s=pace.bytes_per_s) as deadline:
            self.deadline = deadline
            try:
                yield
            finally:
                self.deadline = None

    async def event(self, *, within_s: float) -> Packet | None:
        """Give the next live event; None when there was none in this time.

        Errors:  Lost, ProtocolError.
        """
        if not self.events:
            try:
                await self._hear(within_s)
            except Silent:
                return None
            except BaseException:
                self.is_sound = False
                raise
        return self.events.take()

    async def leave(self) -> None:
        """End a session in good order; what can go wrong with a goodbye is of no interest."""
        if self.is_sound:
            await self._part(dialogue.leave())
        await self._line.close()

    async def abandon(self, *, is_disabled: bool) -> None:
        """End a session that went wrong: let go of what it holds, as far as it still listens."""
        if self._client.state in {State.OPEN, State.BUFFERED}:
            await self._part(dialogue.farewell(is_disabled=is_disabled))
        else:
            await self._part(dialogue.leave())
        await self._line.close()

    async def _part(self, words: Conversation[None]) -> None:
        try:
            async with asyncio.timeout(self._pace.farewell_s):
                await self.run(words)
        except (*trouble.ENDINGS, TimeoutError, ValueError):
            # The terminal is gone, or does not listen: its session ends with the connection.
            self.is_sound = False

    async def _answer(self, step: Step) -> Packet:
        if self._frames is not None:
            self._frames.allow(frame_limit(step))
        if isinstance(step, Ask):
            self._asked, self._last = self._client.request(step), None
            if self.deadline is not None:
                self.deadline.announce(step.expected_bytes)
            await self._say(self._asked)
        if self.is_udp:
            return await self._persist()
        if step.is_table:
            return await self._while_it_comes()
        most_s = self._timeout_s
        if step.expected_bytes:
            most_s = 2 * self._timeout_s + step.expected_bytes / self._pace.bytes_per_s
        return await self._next(most_s)

    async def _persist(self) -> Packet:
        """Wait for a datagram; ask again with the same one."""
        for _ in range(self._pace.resends):
            try:
                return await self._next(self._pace.resend_s)
            except Silent:
                if self._asked is not None:
                    await self._say(self._asked)
        return await self._next(self._pace.resend_s)

    async def _while_it_comes(self) -> Packet:
        """Wait for a frame that may be long, for as long as more of it arrives."""
        held = 0
        while True:
            try:
                return await self._next(2 * self._timeout_s)
            except Silent:
                now_held = 0 if self._frames is None else self._frames.held_bytes
                if now_held <= held:
                    raise
                if self.deadline is not None:
                    self.deadline.announce(now_held - held)
                held = now_held

    async def _next(self, within_s: float) -> Packet:
        until = self._clock() + within_s
        while True:
            packet = await self._hear(max(until - self._clock(), 0.0))
            if packet is not None:
                return packet
            if self._clock() >= until:
                # Something else may always have come already; then waiting never ends by itself.
                raise Silent("nothing that was asked for was said in time")

    async def _hear(self, within_s: float) -> Packet | None:
        """Give the answer that is waited for; None after anything else."""
        packet = await self._line.hear(within_s=within_s)
        if packet is None:
            raise Lost("the terminal closed the connection")
        if self._tap is not None:
            self._tap("terminal", packet)
        match self._client.hear(packet):
            case "event":
                self.events.add(packet)
                await self._say(self._client.acknowledge())
            case "answer" if not self._is_double(packet):
                # A frame may be a whole table: only who needs it to know a double keeps it.
                self._last = packet if self.is_udp else None
                return packet
        return None

    def _is_double(self, packet: Packet) -> bool:
        # A datagram that the network doubled. Two parts of a log are never the same bytes: time
        # goes on in them.
        return self.is_udp and packet.command == Command.DATA and packet == self._last

    async def _say(self, packet: Packet) -> None:
        if self._tap is not None:
            self._tap("client", packet)
        await self._line.say(packet)


async def dial(terminal: Terminal, tools: Tools, *, tap: Tap | None = None) -> Call:
    """Call a terminal at the first of its addresses that may be called.

    Errors:  TerminalTrouble for an address that may not be called; Unreachable.
    """
    pace = tools.pace
    limits = Limits(idle_s=terminal.timeout_s, write_s=2 * terminal.timeout_s, close_s=0.5)
    try:
        async with asyncio.timeout(terminal.timeout_s):
            address = await _resolve(terminal, tools.context.reach)
    except TimeoutError:
        raise Unreachable(f"The name {terminal.host} did not resolve in time") from None
    if terminal.is_udp:
        udp = await datagram.dial(address, DatagramCodec(), pause=tools.pause, limits=limits)
        return Call(udp, terminal, pace, frames=None, tap=tap)
    frames = TcpCodec()
    tcp = await stream.dial(
        address, frames, pause=tools.pause, within_s=terminal.timeout_s, limits=limits
    )
    return Call(tcp, terminal, pace, frames=frames, tap=tap)


async def _resolve(terminal: Terminal, allowed: Reach) -> tuple[str, int]:
    literal = target.literal(terminal.host)
    if literal is not None and reach.may_call(literal, allowed):
        return terminal.host, terminal.port
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(terminal.host, terminal.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unreachable(f"The name {terminal.host} does not resolve") from error
    callable_ones = _callable([str(each[4][0]) for each in found], allowed)
    if not callable_ones:
        raise TerminalTrouble(
            "not_allowed",
            f"{terminal.host} leads to no address that we call; see terminals.allowed_networks.",
        )
    return callable_ones[0], terminal.port


def _callable(texts: Sequence[str], allowed: Reach) -> list[str]:
    return [text for text in texts if reach.may_call(ipaddress.ip_address(text), allowed)]
