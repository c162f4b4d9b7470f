"""The event log as a customer pulls it: the entries that he wants, from a place on. Reads only.

How long he waits for them and how he is told where he is, is the contract's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from punchgate.domain.endpoint import Filter
from punchgate.domain.error import NotFound
from punchgate.domain.event import Entry, Position
from punchgate.domain.ids import AccountNo, DeviceId
from punchgate.store import accounts, events, installation
from punchgate.store.database import Connection, Database
from punchgate.store.events import Window

__all__ = ["About", "Log", "Page", "Wanted", "about", "read", "start"]

#: Entries that are read at once where not all of them are wanted: a few milliseconds.
STEP: Final = 1_000
#: Reads for one page. Whoever wants one person of ten thousand gets an answer in time, even an
#: empty one, and goes on from there.
MOST_READS: Final = 20


class Log(Protocol):
    """Where entries are read from (`usecases/log.py`)."""

    async def read(self, account: AccountNo, after: Position, *, limit: int) -> Window:
        """Read on from a place; see `store.events.read`."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries: those that pass the filter, of the devices that the asker may hear of."""

    filter: Filter
    #: None: of all devices, and of none in particular.
    only_devices: frozenset[DeviceId] | None = None

    @property
    def is_everything(self) -> bool:
        """Say whether no entry is left out."""
        return self.only_devices is None and self.filter == Filter()

    def passes(self, entry: Entry) -> bool:
        """Say whether an entry is wanted.

        Where devices are limited, what does not name one of them is about more than them: a
        person's day, or a device that nobody has claimed.
        """
        if not self.filter.needs_data and self.only_devices is None:
            return self.filter.passes(entry.type, {})
        data: Mapping[str, Any] = msgspec.json.decode(entry.body)
        return self._is_theirs(data) and self.filter.passes(entry.type, data)

    def _is_theirs(self, data: Mapping[str, Any]) -> bool:
        if self.only_devices is None:
            return True
        device = data.get("device")
        return isinstance(device, Mapping) and device.get("id") in self.only_devices


class About(NamedTuple):
    """What an answer says beside its events: the account's name; and what cursors are signed with.

    The secret is the installation's, the same in every process and after every start.
    """

    name: str
    secret: bytes


class Page(NamedTuple):
    """Some wanted entries in order, and the place to go on from."""

    entries: Sequence[Entry]
    #: Every wanted entry up to here is in `entries`, or was before the place that was asked for.
    reached: Position
    #: Whether there was more behind it at that moment, wanted or not.
    has_more: bool


async def about(database: Database, account: AccountNo) -> About:
    """Give the name of an account, and the secret of the installation; NotFound."""

    def work(tx: Connection) -> About:
        found = accounts.find_no(tx, account)
        if found is None:
            raise NotFound(f"There is no account with the number {account}.")
        return About(found.name, installation.cursor_secret(tx))

    return await database.read(work)


async def start(database: Database, account: AccountNo, since: int | None) -> Position:
    """Give the place before the first entry that was received at a moment or later.

    Units:   `since` is milliseconds since 1970-01-01 UTC; None is the beginning of the log. A
             moment that is still to come is the end of the log.
    """
    if since is None:
        return await database.read(lambda tx: Position(installation.generation(tx), 0, 0, 0))
    return await database.read(partial(events.start_of, account=account, received_at=since))


async def read(
    log: Log, account: AccountNo, after: Position, wanted: Wanted, *, limit: int
) -> Page:
    """Read the next page: at most `limit` entries, after looking at a bounded part of the log."""
    # One more than wanted tells whether there is more.
    step = limit + 1 if wanted.is_everything else max(STEP, limit + 1)
    entries: list[Entry] = []
    for _ in range(MOST_READS):
        window = await log.read(account, after, limit=step)
        entries += [entry for entry in window.entries if wanted.passes(entry)]
        after = window.reached
        if len(entries) > limit:
            kept = entries[:limit]
            return Page(kept, kept[-1].position, has_more=True)
        if window.is_end:
            return Page(entries, after, has_more=False)
    return Page(entries, after, has_more=True)
