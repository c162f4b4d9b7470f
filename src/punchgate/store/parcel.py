"""What a server and its writing process say to each other, and how it is framed.

    server                          writing process
      Orders ───────────────────────>   opens the database
      <─────────────────────────────  Answer (no outcomes: it is open)
      Parcel, Parcel, Parcel ───────>   one group, one commit
      <───────────────  Answer, Answer, Answer, in the order of their parcels

Layout of a frame: four bytes of length, most significant first, then one message in MessagePack.
Both ends are the same program of the same installation, and nobody else holds the socket.
"""

from typing import Final, Literal

import msgspec

from punchgate.store.error import Failure
from punchgate.store.fact import Fact, Held, Outcome

_LENGTH_BYTES: Final = 4


class Orders(msgspec.Struct, array_like=True, frozen=True):
    """Which database to commit to, and how."""

    dialect: Literal["sqlite", "postgresql"]
    #: The path of the file, or the URL.
    place: str
    checkpoint_pages: int
    #: Rows of one transaction.
    group_rows: int


class Parcel(msgspec.Struct, array_like=True, frozen=True):
    """Items that are committed together, and with those of the parcels behind them."""

    facts: list[Fact]
    held: list[Held]


class Commit(msgspec.Struct, array_like=True, frozen=True):
    """One commit, as it is counted."""

    seconds: float
    rows: int


class Answer(msgspec.Struct, array_like=True, frozen=True):
    """What became of one parcel, said after the commit; a failure or a fault stored nothing."""

    #: One per fact, in their order.
    outcomes: list[Outcome]
    #: Told with the first parcel of a group.
    commit: Commit | None = None
    #: What the driver raised, where the database could not be written.
    failure: Failure | None = None
    #: What nobody foresaw; at the start, why the database is unsafe.
    fault: str | None = None


ENCODER: Final = msgspec.msgpack.Encoder()
PARCELS: Final = msgspec.msgpack.Decoder(Parcel)
ANSWERS: Final = msgspec.msgpack.Decoder(Answer)
ORDERS: Final = msgspec.msgpack.Decoder(Orders)


def frame(message: Orders | Parcel | Answer) -> bytes:
    """Frame a message.

    Errors:  UnicodeEncodeError for half of a surrogate pair.
    """
    body = ENCODER.encode(message)
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


class Frames:
    """Cuts a stream into the messages of its frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived and give every message that is whole."""
        buffer = self._buffer
        buffer += data
        messages = []
        start = 0
        while len(buffer) - start >= _LENGTH_BYTES:
            body = start + _LENGTH_BYTES
            end = body + int.from_bytes(buffer[start:body], "big")
            if len(buffer) < end:
                break
            messages.append(bytes(buffer[body:end]))
            start = end
        del buffer[:start]
        return messages
