"""How one terminal differs from another in its answers: firmware habits, as data.

The default is the well-behaved terminal that the facade plays. What a network does to packets
(split, drop, delay) is not here: a simulator does that from outside.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

#: How a terminal answers PREPARE_BUFFER: refused; by size, in one DATA packet or in parts; always
#: in parts; or always in one DATA packet.
Buffering = Literal["refused", "by_size", "parts", "whole"]


@dataclass(frozen=True, slots=True)
class Manner:
    """One terminal's habits."""

    buffering: Buffering = "by_size"
    #: Up to this many bytes a table is answered in one DATA packet.
    small_bytes: int = 1_000
    #: Data of one DATA packet; 1,024 where the terminal speaks UDP.
    data_bytes: int = 16 * 1024 * 1024
    #: The second word of PREPARE_DATA: 0x1000 on F19, 0x3F0 on K40, 0x9FB0 on WL10.
    second_word: Callable[[], int] = lambda: 0x1000
    #: The session field of DATA packets; K40 puts 0 there.
    data_session: Callable[[int], int] = lambda number: number
    #: The session field of the acknowledgement that ends a table.
    end_session: Callable[[int], int] = lambda number: number
    #: What is announced for a table of so many bytes; a terminal may lie.
    announced: Callable[[int], int] = lambda size: size
    #: What stands in the head of a table with so many bytes of rows.
    headed: Callable[[int], int] = lambda size: size
    #: Bytes of GET_FREE_SIZES: 4, 80, 92 or 112.
    free_sizes_bytes: int = 92
    #: Whether the counters are told; there are terminals that answer 0.
    has_counts: bool = True
    #: Commands that are always answered with this number: 2001, 2003, 65535, 4989.
    refused: Mapping[int, int] = field(default_factory=dict)
    #: Commands that get no answer at all, such as RESTART.
    unanswered: frozenset[int] = frozenset()
    #: Whether the next event waits until the last one was acknowledged.
    waits_for_acks: bool = False
