"""The client's side of a session: numbers its requests and finds the answers to them.

Conversations are generators (`dialogue.py`): they yield steps and receive packets. A `Client` turns
a step into a packet, and what arrives into the answer that is waited for, a live event, or nothing.
Who owns the socket sends, waits and keeps the deadlines:

    step = next(conversation)
    while True:
        if isinstance(step, Ask): send(client.request(step))
        packet = the next one heard for which client.hear(packet) says "answer"
        step = conversation.send(packet)          # StopIteration holds the result
"""

from collections.abc import Generator
from typing import Final, Literal, NamedTuple, TypeVar

from punchgate.protocols.zk import packets
from punchgate.protocols.zk.commands import DESTRUCTIVE, Command, Reply
from punchgate.protocols.zk.packets import Packet
from punchgate.protocols.zk.session import Move, Session, State

Result = TypeVar("Result")


class Ask(NamedTuple):
    """Send a request and wait for its first answer."""

    command: int
    data: bytes = b""
    #: What the answer was announced to hold; the deadline grows with it.
    expected_bytes: int = 0
    #: Whether a whole table may come in one frame.
    is_table: bool = False
    #: Whether an operator ordered what cannot be taken back.
    is_ordered: bool = False


class Await(NamedTuple):
    """Wait for the next answer to the same request."""

    expected_bytes: int = 0
    is_table: bool = False


Step = Ask | Await
#: A conversation: yields steps, receives packets, ends with a result.
Conversation = Generator[Step, Packet, Result]

#: What a packet that was heard is to us.
Heard = Literal["answer", "event", "stray"]

_MOVES: Final[dict[int, Move]] = {
    Command.CONNECT: Move.CONNECT,
    Command.AUTH: Move.PROVE,
    Command.READ_BUFFER: Move.READ_PART,
    Command.FREE_DATA: Move.FREE,
    Command.EXIT: Move.EXIT,
}


def frame_limit(step: Step) -> int:
    """Give the longest payload that may answer a step."""
    return packets.TABLE_FRAME_LIMIT if step.is_table else packets.FRAME_LIMIT


class Client:
    """One session with a terminal; a new connection needs a new one."""

    def __init__(self) -> None:
        self._session = Session()
        self._reply = packets.LAST_REPLY_NUMBER
        self._asked: int | None = None

    @property
    def state(self) -> State:
        """Say where the session stands."""
        return self._session.state

    def request(self, step: Ask) -> Packet:
        """Give the packet of a request.

        Errors:  ValueError where the session does not allow it, and for a command that destroys
                 something without an order.
        """
        if step.command in DESTRUCTIVE and not step.is_ordered:
            raise ValueError(f"{Command(step.command).name} needs the order of an operator.")
        self._session.move(_MOVES.get(step.command, Move.ASK))
        is_last = self._reply >= packets.LAST_REPLY_NUMBER
        self._reply = 0 if is_last else self._reply + 1
        self._asked = step.command
        return Packet(step.command, self._session.number, self._reply, step.data)

    def hear(self, packet: Packet) -> Heard:
        """Say what a packet is to us: the answer waited for, a live event, or nothing of ours.

        The reply number decides. The session field does not: terminals use it for other things.
        """
        if packet.command == Command.REG_EVENT:
            return "event"
        if self._asked is None or packet.reply != self._reply:
            return "stray"
        self._follow(self._asked, packet)
        return "answer"

    def acknowledge(self) -> Packet:
        """Give the answer to a live event."""
        return Packet(Reply.ACK_OK, self._session.number, 0)

    def _follow(self, asked: int, packet: Packet) -> None:
        session = self._session
        if asked in {Command.CONNECT, Command.AUTH}:
            if asked == Command.CONNECT:
                session.number = packet.session
            if packet.command == Reply.ACK_OK and session.may(Move.ACCEPT):
                session.move(Move.ACCEPT)
            elif packet.command == Reply.ACK_UNAUTH and session.may(Move.WANT_KEY):
                session.move(Move.WANT_KEY)
        elif asked == Command.PREPARE_BUFFER and packet.command == Reply.ACK_OK:
            session.move(Move.BUFFER)
