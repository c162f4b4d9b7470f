"""The states of a session, the same table for the client and for the terminal.

A connection begins FRESH. The client sends CONNECT and both are CONNECTING; the terminal accepts it
and the session is OPEN, or wants a key and it is LOCKED. AUTH makes it PROVING, a right key OPEN, a
wrong one LOCKED again. In an OPEN session the client asks whatever it likes. PREPARE_BUFFER of a
large table makes it BUFFERED: the terminal holds that table until FREE_DATA, and its parts may be
asked for. EXIT ends the session from every state that a terminal can be asked in, and so does the
end of the connection. A second CONNECT changes nothing.

The client's side calls `move` before it sends and when it hears, so that a mistake of ours is a
ValueError and never a packet. The terminal's side asks `may` first and answers what is illegal with
a refusal. docs/protocols/zk-4370.md draws this table, and a test compares the two.
"""

from enum import Enum, auto
from typing import Final


class State(Enum):
    """Where a session stands."""

    FRESH = auto()
    CONNECTING = auto()
    LOCKED = auto()
    PROVING = auto()
    OPEN = auto()
    BUFFERED = auto()
    CLOSED = auto()


class Move(Enum):
    """What one side said that moves a session."""

    CONNECT = auto()
    ACCEPT = auto()
    WANT_KEY = auto()
    PROVE = auto()
    ASK = auto()
    BUFFER = auto()
    READ_PART = auto()
    FREE = auto()
    EXIT = auto()


TRANSITIONS: Final[dict[State, dict[Move, State]]] = {
    State.FRESH: {
        Move.CONNECT: State.CONNECTING,
        Move.EXIT: State.CLOSED,
    },
    State.CONNECTING: {
        Move.ACCEPT: State.OPEN,
        Move.WANT_KEY: State.LOCKED,
        Move.EXIT: State.CLOSED,
    },
    State.LOCKED: {
        Move.CONNECT: State.LOCKED,
        Move.PROVE: State.PROVING,
        Move.EXIT: State.CLOSED,
    },
    State.PROVING: {
        Move.ACCEPT: State.OPEN,
        Move.WANT_KEY: State.LOCKED,
        Move.EXIT: State.CLOSED,
    },
    State.OPEN: {
        Move.CONNECT: State.OPEN,
        Move.ASK: State.OPEN,
        Move.BUFFER: State.BUFFERED,
        Move.FREE: State.OPEN,
        Move.EXIT: State.CLOSED,
    },
    State.BUFFERED: {
        Move.CONNECT: State.BUFFERED,
        Move.ASK: State.BUFFERED,
        Move.BUFFER: State.BUFFERED,
        Move.READ_PART: State.BUFFERED,
        Move.FREE: State.OPEN,
        Move.EXIT: State.CLOSED,
    },
    State.CLOSED: {},
}


class Session:
    """One session: its state and the number that the terminal gave it."""

    __slots__ = ("number", "state")

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.state = State.FRESH

    def may(self, move: Move) -> bool:
        """Say whether a move is legal now."""
        return move in TRANSITIONS[self.state]

    def move(self, move: Move) -> None:
        """Make a move.

        Errors:  ValueError for an illegal one; the state stays.
        """
        try:
            self.state = TRANSITIONS[self.state][move]
        except KeyError:
            raise ValueError(
                f"{move.name} is not possible in a session that is {self.state.name}."
            ) from None
