"""The shapes of a codec: bytes in, events out, and back.

A codec is pure: no socket, no clock, no log. `In` is what this side hears, `Out` what it says; the
gateway's side and the terminal's side of one protocol are the same shape with the two swapped. The
shapes for HTTP push and for MQTT come with their first codec.
"""

from collections.abc import Iterator
from typing import Protocol, TypeVar

In_co = TypeVar("In_co", covariant=True)
Out_contra = TypeVar("Out_contra", contravariant=True)


class StreamCodec(Protocol[In_co, Out_contra]):
    """Bytes of a stream to events, and messages to bytes; of datagrams, fed one at a time."""

    def feed(self, data: bytes) -> None:
        """Store what was read and judge nothing; `b""` says that the peer has closed."""

    def events(self) -> Iterator[In_co]:
        """Give all that is complete, in order, and only then what was wrong.

        Errors:  ProtocolError where the peer broke the rules; every later call raises it again.
        """

    def send(self, message: Out_contra) -> bytes:
        """Give the bytes of a message.

        Errors:  ValueError for a message that cannot be said, or not now.
        """
