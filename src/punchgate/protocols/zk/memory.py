"""What a terminal knows and what it can be told to change, as `terminal.py` needs it.

Two things are played with it: a virtual terminal with an invented day in it, which can be written
to, and the facade, which shows the gateway's punches and cannot. Here are no answers and no bytes
of a packet.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from punchgate.protocols.zk.moment import Said
from punchgate.protocols.zk.tables import FreeSizes, Table, Template


class Rows(Protocol):
    """The bytes of a table's rows, without its head; `bytes` are some.

    A terminal takes slices only, so that a table need not exist as a whole.
    """

    def __len__(self) -> int:
        """Say how many bytes the rows have."""

    def __getitem__(self, part: slice, /) -> bytes:
        """Give the bytes of a part."""


class Memory(Protocol):
    """What a terminal knows. Nothing of it may change while one answer is made.

    The counts and the tables of one session agree unless a terminal that lies is played: clients
    divide one by the other.
    """

    @property
    def firmware(self) -> str:
        """Give the text of GET_VERSION."""

    @property
    def pin_width(self) -> int:
        """Give the longest user code in characters."""

    @property
    def activity(self) -> int:
        """Give 0 idle, 1 enrolling, 2 identifying, 3 in a menu, 4 busy or 5 writing a card."""

    @property
    def is_door_open(self) -> bool:
        """Say whether the door stands open."""

    def now(self) -> Said:
        """Give the terminal's clock; it may show what no calendar has."""

    def rows(self, table: Table) -> Rows:
        """Give the rows of a table as they are now: what PREPARE_BUFFER holds on to."""

    def free_sizes(self) -> FreeSizes:
        """Give the counters."""

    def option(self, name: str) -> str | None:
        """Give an option's value, None where there is no such option."""

    def template(self, uid: int, finger: int) -> bytes | None:
        """Give one template."""

    def setting(self, command: int, selector: bytes) -> bytes | None:
        """Give what a reading access command answers (21, 23, 25, 27, 29, 80), None for none."""


@dataclass(frozen=True, slots=True)
class SaveUser:
    """Add a person or change one; `row` has 28 or 72 bytes and may hold a password."""

    row: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeleteUser:
    """Take a person away, with templates."""

    uid: int


@dataclass(frozen=True, slots=True)
class SaveTemplate:
    """Keep one uploaded template."""

    template: Template


@dataclass(frozen=True, slots=True)
class SaveMany:
    """Keep many users with their fingers at once; the buffer as it was uploaded."""

    buffer: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeleteTemplate:
    """Take a finger away, of a row number or of a user code."""

    finger: int
    uid: int | None = None
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Clear:
    """Empty something, by its command; `what` is the byte of CLEAR_DATA, None for everything."""

    command: int
    what: int | None = None


@dataclass(frozen=True, slots=True)
class SetOption:
    """Change an option; it may be a secret."""

    name: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SetTime:
    """Set the clock."""

    said: Said


@dataclass(frozen=True, slots=True)
class SetEnabled:
    """Let people punch again, or keep them from it, for so many seconds or for good."""

    is_enabled: bool
    seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Enrol:
    """Ask for a finger at the terminal; events tell how it went."""

    user_id: str
    finger: int


@dataclass(frozen=True, slots=True)
class Order:
    """Anything else that is told to a terminal: unlock, restart, refresh, show, speak, access."""

    command: int
    data: bytes = field(default=b"", repr=False)


Change = (
    SaveUser | DeleteUser | SaveTemplate | SaveMany | DeleteTemplate
    | Clear | SetOption | SetTime | SetEnabled | Enrol | Order
)  # fmt: skip

#: Carries a change out and says whether it was; a terminal that has none is read only.
Apply = Callable[[Change], bool]
