"""The habits of a virtual terminal: its switches as the codec's `Manner`."""

from random import Random
from typing import Final

from punchgate.protocols.zk import packets
from punchgate.protocols.zk.commands import Command
from punchgate.protocols.zk.manner import Buffering, Manner
from punchgate.simulators.zk_faults import Faults

#: How far a size that lies is off.
_LIE_BYTES: Final = 100
_4_GIB: Final = 0xFFFF_FFFF
_WHOLE: Final = 16 * 1024 * 1024


def of(faults: Faults, chance: Random, *, is_udp: bool) -> Manner:
    """Give the manner that goes with these switches."""
    return Manner(
        buffering=_buffering(faults, is_udp=is_udp),
        data_bytes=packets.DATAGRAM_DATA if is_udp or "data-1024" in faults else _WHOLE,
        second_word=lambda: (
            chance.getrandbits(32) if "prepare-random" in faults else Manner().second_word()
        ),
        data_session=lambda number: _garbled(number, faults, chance),
        end_session=lambda number: _garbled(number, faults, chance),
        announced=lambda size: _announced(size, faults),
        headed=lambda size: size + _lie(faults, "head-short", "head-long"),
        free_sizes_bytes=faults.chosen("free-") or Manner().free_sizes_bytes,
        has_counts="free-zero" not in faults,
        unanswered=frozenset({Command.RESTART} if "restart-silent" in faults else ()),
        waits_for_acks="event-insists" in faults,
    )


def _buffering(faults: Faults, *, is_udp: bool) -> Buffering:
    if "buffer-refused" in faults:
        return "refused"
    if "buffer-parts" in faults:
        return "parts"
    # A datagram cannot carry a whole table.
    return "whole" if "buffer-whole" in faults and not is_udp else "by_size"


def _announced(size: int, faults: Faults) -> int:
    return _4_GIB if "size-4g" in faults else size + _lie(faults, "size-short", "size-long")


def _lie(faults: Faults, short: str, long: str) -> int:
    return _LIE_BYTES * ((long in faults) - (short in faults))


def _garbled(number: int, faults: Faults, chance: Random) -> int:
    return chance.getrandbits(16) if "session-garbled" in faults else number
