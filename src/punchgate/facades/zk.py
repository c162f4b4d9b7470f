"""We answer on port 4370 as if we were a terminal: stored punches and people, read only.

The answers are `protocols/zk/terminal.py`'s, without anything that could carry a change out; what
they are made from is `zk_memory.py`'s. Here are the sessions: who is let in, when the snapshot is
taken, the gap between frames, and the news to those who listen. Nothing is stored.

Rules of a session, in its order:

1. A peer of an allowed network needs no key. Any other needs the key, and where there is none is
   hung up on. Until it has said the key it is a stranger: strangers have half of the places, and
   twenty seconds in all. One address has a quarter of the places.
2. Whoever is let in gets a snapshot, taken then and kept to the end.
3. Requests are answered one after the other, each frame a write of its own, with a gap behind it.
4. News go out between answers, to those who asked for events.
"""

import asyncio
import ipaddress
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from punchgate import telemetry
from punchgate.domain.error import PunchgateError, Refused
from punchgate.facades import zk_rows
from punchgate.facades.zk_memory import FacadeMemory, Face, Snapshot
from punchgate.facades.zk_rows import Encoder
from punchgate.httpkit.bucket import Buckets, Policy
from punchgate.netkit import stream
from punchgate.netkit.error import Lost, Silent
from punchgate.netkit.line import Limits, Line, Pause
from punchgate.netkit.stream import Listener
from punchgate.protocols.zk.commands import Command
from punchgate.protocols.zk.packets import Packet, TcpCodec
from punchgate.protocols.zk.terminal import Terminal
from punchgate.reports.terminal_view import TerminalView
from punchgate.wire.error import ProtocolError

__all__ = [
    "Facade",
    "Face",
    "Settings",
    "Snapshot",
    "Surroundings",
    "is_allowed",
    "listening",
]

PacketLine = Line[Packet, Packet]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: Told after each snapshot, so that an operator learns what is not served.
Note = Callable[[Snapshot], Awaitable[object]]

#: Sessions at a time; each holds a snapshot of 4 MB for 100,000 punches.
SESSIONS_MAX: Final = 32
#: So that nobody who calls often keeps the others out.
PER_PEER_MAX: Final = SESSIONS_MAX // 4
#: So that whoever needs no key always finds a place.
STRANGERS_MAX: Final = SESSIONS_MAX // 2
#: Snapshots that are read at once: reports need threads too.
_READS_MAX: Final = 2
#: A client that is let in may say nothing for so long, unless it listens for events.
IDLE_S: Final = 300.0
#: A peer is let in within so long, whatever it says meanwhile.
STRANGER_S: Final = 20.0
#: A client that takes nothing for so long has gone.
_WRITE_S: Final = 30.0
#: A key has six digits at most: so many wrong ones of an address, and it is heard a minute later.
_WRONG_KEYS: Final = Policy("wrong-keys", 10, 60)
#: Longest wait for news before the question is asked again.
_NEWS_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the facade is reached.

    Shapes:  `key` 0 is none; `allow` are the networks that need none.
    """

    key: int = field(default=0, repr=False)
    allow: tuple[Network, ...] = ()
    #: At least between two frames of a connection: clients take one frame for each read.
    frame_gap_s: float = 0.005
    idle_s: float = IDLE_S
    stranger_s: float = STRANGER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What belongs to whoever runs the whole: intervals, and where findings are noted."""

    pause: Pause
    #: Seconds that only ever grow.
    monotonic: Callable[[], float]
    note: Note


class Facade:
    """One listener's sessions."""

    def __init__(
        self, view: TerminalView, face: Face, settings: Settings, around: Surroundings
    ) -> None:
        self.view = view
        self.face = face
        self.settings = settings
        self.around = around
        self._reads = asyncio.Semaphore(_READS_MAX)
        self._wrong_keys = Buckets(_WRONG_KEYS)
        #: Sessions that need the key and have not said it.
        self.strangers: set[_Session] = set()

    async def talk(self, line: PacketLine) -> None:
        """Have one session, from the first frame to the last."""
        key = self._key_for(line.peer)
        if key is None or self._wrong_keys.is_spent(line.peer, self.around.monotonic()):
            return
        session = _Session(self, line, key)
        try:
            if key:
                self._receive(session)
            await session.run()
        except* (Lost, Silent):
            # The peer's doing, and the end of its session alone.
            pass
        except* ProtocolError:
            telemetry.CODEC_ERRORS.labels("zk_facade").inc()
        except* PunchgateError as errors:
            for error in errors.exceptions:
                slug = getattr(error, "slug", PunchgateError.slug)
                telemetry.say("facade.failed", "error", slug=slug)
        except* Exception as errors:  # noqa: BLE001 (the edge: one session ends, one line says why)
            telemetry.failed("zk_facade", secrets.token_hex(8), errors)
        finally:
            self.strangers.discard(session)

    async def take(self) -> Snapshot:
        """Take a snapshot of the scope as it is now.

        Errors:  StoreUnavailable.
        """
        passed_s = telemetry.stopwatch()
        scope = self.view.scope
        encoder = Encoder(shows_everybody=scope.kind == "account")
        async with self._reads:
            taken = await self.view.read(encoder)
        snapshot = Snapshot(encoder.rows(), taken)
        telemetry.say(
            "facade.read",
            account=scope.account,
            count=snapshot.rows.punch_count,
            ms=round(passed_s() * 1000),
        )
        return snapshot

    def count_wrong_key(self, peer: str) -> None:
        """Count a wrong key.

        Errors:  Lost when an address has sent too many.
        """
        telemetry.AUTH_FAILURES.labels("zk_facade").inc()
        if not self._wrong_keys.take(peer, self.around.monotonic()):
            raise Lost("too many wrong keys")

    def _receive(self, stranger: "_Session") -> None:
        if len(self.strangers) >= STRANGERS_MAX:
            raise Lost("too many strangers")
        self.strangers.add(stranger)

    def _key_for(self, peer: str) -> int | None:
        """Give the key that a peer needs: 0 for none, None for a peer that may not come in."""
        if is_allowed(peer, self.settings.allow):
            return 0
        return self.settings.key or None


class _Session:
    """One client."""

    def __init__(self, facade: Facade, line: PacketLine, key: int) -> None:
        self._facade = facade
        self._line = line
        self._memory = FacadeMemory(facade.face)
        self._terminal = Terminal(self._memory, session=1 + secrets.randbelow(0xFFFF), key=key)
        # Held for a whole answer: clients that read a table are not told news inside it.
        self._turn = asyncio.Lock()
        self._listens = asyncio.Event()
        self._welcome = asyncio.timeout(facade.settings.stranger_s)

    async def run(self) -> None:
        """Answer until the client leaves.

        Errors:  Lost where it was not let in in time; a group of what the line, the codec and the
                 store raise.
        """
        try:
            async with self._welcome:
                await self._converse()
        except TimeoutError:
            if self._welcome.expired():
                raise Lost("a stranger for too long") from None
            raise

    async def _converse(self) -> None:
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(self._tell_news())
            try:
                await self._answer_all(group)
            finally:
                telling.cancel()

    async def _answer_all(self, group: asyncio.TaskGroup) -> None:
        while not self._terminal.is_over:
            request = await self._hear()
            if request is None:
                return
            answers = self._terminal.hear(request)
            if request.command in {Command.CONNECT, Command.AUTH}:
                answers = iter(await self._let_in(list(answers), group))
            async with self._turn:
                for answer in answers:
                    await self._line.say(answer)
            if self._terminal.is_listening:
                self._listens.set()

    async def _hear(self) -> Packet | None:
        while True:
            try:
                return await self._line.hear(within_s=self._facade.settings.idle_s)
            except Silent:
                # Nobody punched, and that is all there is to say.
                if not self._terminal.is_listening:
                    raise

    async def _let_in(self, answers: list[Packet], group: asyncio.TaskGroup) -> list[Packet]:
        """Take the snapshot of a client that was let in just now, before it hears of it."""
        if self._terminal.is_open and self._memory.snapshot is None:
            self._welcome.reschedule(None)
            self._facade.strangers.discard(self)
            snapshot = await self._facade.take()
            self._memory.hold(snapshot)
            group.create_task(_noted(self._facade.around.note, snapshot))
        if self._terminal.wrong_keys:
            self._terminal.wrong_keys = 0
            self._facade.count_wrong_key(self._line.peer)
        return answers

    async def _tell_news(self) -> None:
        await self._listens.wait()
        snapshot = self._memory.snapshot
        if snapshot is None:
            return
        view, place = self._facade.view, snapshot.position
        while True:
            if not await view.wait(place, _NEWS_S):
                continue
            news = await view.news(place)
            place = news.reached
            for seen in news.punches:
                data = zk_rows.event(seen)
                if data is not None:
                    await self._tell(data)

    async def _tell(self, data: bytes) -> None:
        async with self._turn:
            for packet in self._terminal.attend(data):
                await self._line.say(packet)


async def _noted(note: Note, snapshot: Snapshot) -> None:
    try:
        await note(snapshot)
    except PunchgateError as error:
        # The client has nothing to do with it, and the next session notes it again.
        telemetry.say("facade.note_failed", "warning", slug=error.slug)


@asynccontextmanager
async def listening(address: tuple[str, int], facade: Facade) -> AsyncIterator[Listener]:
    """Take calls on an address while the block runs.

    Errors:  Refused where everybody would be let in; OSError when the address cannot be had.
    """
    settings = facade.settings
    if not settings.key and not settings.allow:
        raise Refused(
            "The facade would let everybody in: give it a comm key (--zk-facade-key), or networks"
            " that need none (--zk-facade-allow)."
        )
    limits = Limits(
        idle_s=settings.idle_s,
        write_s=_WRITE_S,
        frame_gap_s=settings.frame_gap_s,
        lines_max=SESSIONS_MAX,
        lines_per_peer=PER_PEER_MAX,
    )
    listener = await stream.listen(
        address, facade.talk, TcpCodec, pause=facade.around.pause, limits=limits
    )
    try:
        yield listener
    finally:
        await listener.close()


def is_allowed(peer: str, networks: tuple[Network, ...]) -> bool:
    """Say whether an address lies in one of the networks; an IPv4 one may come as IPv6."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in networks)
