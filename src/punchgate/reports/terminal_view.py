"""What a terminal would hold if it were a device, a site or an account of ours. Reads only.

People and the newest punches of a scope, in slices and in one transaction, so that they agree; and
what has been recorded since. How a terminal says it is the facade's.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, NamedTuple, Protocol

from punchgate.domain.error import Invalid
from punchgate.domain.event import Position
from punchgate.domain.ids import AccountNo, DeviceId, PersonNo, PunchId, SerialNumber
from punchgate.domain.person import Person
from punchgate.store import events, people, terminal_view
from punchgate.store.database import Connection, Database
from punchgate.store.events import Window
from punchgate.store.terminal_view import Seen

__all__ = ["News", "Room", "Scope", "Seen", "Taken", "TerminalView"]

#: A scope of a few devices passes over the punches of the others, which nothing speeds up: so far
#: and no further, a second or two.
LOOKED_AT: Final = 1_000_000
#: People of one statement.
_PEOPLE: Final = 1_000
#: Entries of the log that are read at once.
_STEP: Final = 500
_PUNCHED: Final = "punch.recorded"


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose punches and people are shown."""

    account: AccountNo
    kind: Literal["account", "device", "site"] = "account"
    #: Our name of the device, or the site; empty for an account.
    name: str = ""

    @classmethod
    def read(cls, text: str, account: AccountNo) -> "Scope":
        """Read `account`, `device:ID` or `site:NAME`.

        Errors:  Invalid for anything else.
        """
        if text == "account":
            return cls(account)
        kind, colon, name = text.partition(":")
        if colon and name:
            for known in ("device", "site"):
                if kind == known:
                    return cls(account, known, name)
        raise Invalid(f"{text!r} is no scope: write account, device:ID or site:NAME.")

    def __str__(self) -> str:
        return self.kind if self.kind == "account" else f"{self.kind}:{self.name}"


class Log(Protocol):
    """Where the log is followed (`usecases/log.py`)."""

    async def read(self, account: AccountNo, after: Position, *, limit: int) -> Window:
        """Read on from a place."""
        ...

    async def wait(self, account: AccountNo, after: Position, timeout_s: float) -> bool:
        """Wait until the account's log goes on behind a place; False when the time was up."""
        ...


class Room(Protocol):
    """Where slices go while they are read: on a reader's thread, one after the other."""

    def add_people(self, some: Sequence[Person]) -> bool:
        """Take people in the order of their numbers; False when no more are wanted."""
        ...

    def add_punches(self, some: Sequence[Seen]) -> None:
        """Take punches, newest first, of people that were added before or never will be."""
        ...


class Taken(NamedTuple):
    """What was read, beside what went into the room."""

    #: The place in the log behind everything that was read.
    position: Position
    #: The devices of the scope and their serials; None for a whole account.
    devices: dict[DeviceId, SerialNumber] | None
    #: The oldest punch that was read, where there are older ones that were not.
    cut_at: PunchId | None


class News(NamedTuple):
    """What was recorded since a place in the log."""

    punches: Sequence[Seen]
    reached: Position


class TerminalView:
    """One scope, looked at again and again."""

    def __init__(self, database: Database, log: Log, scope: Scope, *, most: int) -> None:
        self.scope = scope
        self._database = database
        self._log = log
        self._most = most

    async def read(self, room: Room) -> Taken:
        """Put everything into the room: all people of the account, then the newest punches.

        Errors:  StoreUnavailable.
        """
        return await self._database.read(partial(self._read, room=room))

    async def wait(self, after: Position, timeout_s: float) -> bool:
        """Wait until there may be something new behind a place; False when the time was up."""
        return await self._log.wait(self.scope.account, after, timeout_s)

    async def news(self, after: Position) -> News:
        """Read on from a place, a bounded part of the log.

        On PostgreSQL a punch may be in what was read and news as well: its event waits until every
        transaction that began before it has ended.

        Errors:  StoreUnavailable.
        """
        window = await self._log.read(self.scope.account, after, limit=_STEP)
        # The id of its event is made from the id of the punch (`domain/event.py`).
        punched = [
            PunchId(entry.id.removeprefix("evt_"))
            for entry in window.entries
            if entry.type == _PUNCHED
        ]
        found = await self._database.read(partial(self._find, punched)) if punched else []
        return News(found, window.reached)

    def _read(self, tx: Connection, room: Room) -> Taken:
        account = self.scope.account
        position = events.end_of(tx, account)
        devices = self._devices(tx)
        last = PersonNo(0)
        while some := people.list_people(tx, account, after=last, limit=_PEOPLE):
            last = some[-1].no
            if not room.add_people(some):
                break
        down_to = None if devices is None else terminal_view.nth_newest(tx, account, LOOKED_AT)
        names = None if devices is None else devices.keys()
        count, oldest = 0, PunchId("")
        for punches in terminal_view.walk(tx, account, names, down_to=down_to, limit=self._most):
            room.add_punches(punches)
            count, oldest = count + len(punches), punches[-1].punch_id
        cut_at = down_to
        if count == self._most:
            older = terminal_view.count_before(tx, account, oldest, None, among=1)
            cut_at = oldest if older else None
        return Taken(position, devices, cut_at)

    def _devices(self, tx: Connection) -> dict[DeviceId, SerialNumber] | None:
        account, name = self.scope.account, self.scope.name
        match self.scope.kind:
            case "device":
                return dict(terminal_view.devices_of(tx, account, device_id=DeviceId(name)))
            case "site":
                return dict(terminal_view.devices_of(tx, account, site=name))
        return None

    def _find(self, punched: Sequence[PunchId], tx: Connection) -> Sequence[Seen]:
        devices: Collection[DeviceId] | None = self._devices(tx)
        found = {
            seen.punch_id: seen
            for seen in terminal_view.find(tx, self.scope.account, punched, devices)
        }
        # In the order of the log.
        return [found[punch_id] for punch_id in punched if punch_id in found]
