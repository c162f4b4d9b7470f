"""What every stream codec must hold, from a handful of good frames and a few bad ones.

Real: the codec. Nothing is simulated. Two of the seven, that acknowledgements follow commits and
that a failed commit is never acknowledged, need an engine and a store: they stand with the engine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import pytest

from punchgate.wire.codec import StreamCodec
from punchgate.wire.error import ProtocolError


class Codec(StreamCodec[Any, Any], Protocol):
    """A stream codec that says how much it holds."""

    @property
    def held_bytes(self) -> int: ...


@dataclass(frozen=True)
class Stage:
    """A codec, frames that it understands with what they mean, and bytes that it must refuse."""

    make: Callable[[], Codec]
    good: Sequence[bytes]
    events: Sequence[Any]
    bad: Sequence[bytes]
    #: The codec may never hold more than this, once its events are taken.
    bound: int


def taken(codec: Codec) -> tuple[list[Any], ProtocolError | None]:
    """Give the events of a codec, and the error behind them if there is one."""
    seen: list[Any] = []
    events = codec.events()
    while True:
        try:
            seen.append(next(events))
        except StopIteration:
            return seen, None
        except ProtocolError as error:
            return seen, error


def byte_at_a_time_gives_the_same(stage: Stage) -> None:
    codec = stage.make()
    seen: list[Any] = []
    for byte in b"".join(stage.good):
        codec.feed(bytes((byte,)))
        seen += codec.events()
    assert seen == list(stage.events)


def any_split_gives_the_same(stage: Stage, cuts: Sequence[int]) -> None:
    stream = b"".join(stage.good)
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    codec = stage.make()
    seen: list[Any] = []
    for start, stop in pairwise(places):
        codec.feed(stream[start:stop])
        seen += codec.events()
    assert seen == list(stage.events)


def random_bytes_raise_nothing_else(stage: Stage, pieces: Sequence[bytes]) -> None:
    codec = stage.make()
    for piece in pieces:
        codec.feed(piece)
        try:
            list(codec.events())
        except ProtocolError:
            # And it stays so: a damaged stream is never picked up again.
            codec.feed(b"".join(stage.good))
            with pytest.raises(ProtocolError):
                list(codec.events())
            return


def good_frames_come_before_the_error(stage: Stage) -> None:
    for bad in stage.bad:
        codec = stage.make()
        codec.feed(b"".join(stage.good) + bad)
        seen, error = taken(codec)
        assert seen == list(stage.events), bad.hex()
        assert error is not None, bad.hex()


def the_buffer_keeps_its_bound(stage: Stage, piece: bytes, count: int) -> None:
    codec = stage.make()
    for _ in range(count):
        codec.feed(piece)
        assert codec.held_bytes <= stage.bound
        try:
            list(codec.events())
        except ProtocolError:
            assert codec.held_bytes == 0
            return
