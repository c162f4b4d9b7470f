"""What a virtual terminal tells whoever takes notes: a ledger, a progress bar, a table on a screen.

Values only. The order is the promise: `Sent` is told before the first byte of a try leaves,
`Acknowledged` after the whole answer was read.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Item(NamedTuple):
    """One entry of a terminal's memory: its own number, and the JSON that is sent for it."""

    number: int
    body: bytes


class Answer(NamedTuple):
    """What the gateway said of one item: `recorded`, `duplicate` or `quarantined`, and its id."""

    status: str
    id: str | None = None
    reason: str | None = None


class Sent(NamedTuple):
    """One try begins; the same items are told again with every further try."""

    serial: str
    items: Sequence[Item]


class Acknowledged(NamedTuple):
    """The terminal lets go of these items: one answer for each, in their order."""

    serial: str
    items: Sequence[Item]
    answers: Sequence[Answer]


class Failed(NamedTuple):
    """A try in vain, in a few words: `503 unavailable`, `refused`, `closed`."""

    serial: str
    items: Sequence[Item]
    trouble: str


class Refused(NamedTuple):
    """The gateway will never take these items; they are put where a person looks."""

    serial: str
    items: Sequence[Item]
    reason: str


Note = Sent | Acknowledged | Failed | Refused
Noted = Callable[[Note], None]
