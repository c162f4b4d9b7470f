"""Who a serial is: device, account, zone and code tables, remembered for half a second at most.

Every request of a device asks here first, so what the store said is remembered; whether anything
has changed since is one small read per half second for the whole process, not one per device. That
a serial is unknown is never remembered: a device that is added is accepted at its next request.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from punchgate.domain import event, localtime
from punchgate.domain.account import Account
from punchgate.domain.device import Device, subscription
from punchgate.domain.ids import SerialNumber
from punchgate.domain.punch import ZoneSource
from punchgate.store import accounts, devices, installation
from punchgate.store.database import Connection, Database
from punchgate.usecases.keyring import Keyring

#: A change made elsewhere is seen within this time; decisions ask for a second.
CHECK_INTERVAL_S: Final = 0.5
#: About 100 MB of devices; beyond that all are looked up again.
BOUND: Final = 100_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One claimed device with everything that its punches need, worked out once."""

    device: Device
    account: Account
    zone: ZoneInfo
    zone_name: str
    zone_source: ZoneSource
    #: The object that stands for it in every event.
    json: str

    def is_active(self, now: int) -> bool:
        """Say whether its punches are taken now; `now` is in milliseconds."""
        device = self.device
        if device.valid_until is None and not device.is_suspended:
            return True
        return subscription(device, self.today(now)) == "active"

    def today(self, now: int) -> date:
        """Give the date in its own zone."""
        return localtime.wall_at(now // 1000, self.zone)[0].date()


class Directory:
    """What one process remembers of devices and keys."""

    def __init__(
        self, database: Database, *, default_zone: str, monotonic: Callable[[], float]
    ) -> None:
        self.keyring: Final = Keyring()
        #: The zone of an account that has none.
        self.default_zone: Final = default_zone
        self._database = database
        self._monotonic = monotonic
        self._entries: dict[str, Entry] = {}
        self._revision = -1
        self._checked_at = float("-inf")
        self._checking: asyncio.Task[None] | None = None

    def recall(self, serial: str) -> Entry | None:
        """Give a device that is remembered and still so, else None: ask `find`."""
        if self._monotonic() - self._checked_at > CHECK_INTERVAL_S:
            return None
        return self._entries.get(serial)

    async def find(self, serial: SerialNumber) -> Entry | None:
        """Give the device of a serial, or None when nobody has claimed it."""
        if self._monotonic() - self._checked_at > CHECK_INTERVAL_S:
            await self._check()
        entry = self._entries.get(serial)
        if entry is not None:
            return entry
        revision, entry = await self._database.read(partial(self._load, serial))
        # What was read before a change that is known by now must not outlive it.
        if entry is not None and revision == self._revision:
            if len(self._entries) >= BOUND:
                self._entries.clear()
            self._entries[serial] = entry
        return entry

    async def _check(self) -> None:
        """Forget everything if anything has changed; all who wait to know ask once."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._ask())
        # Who gives up waiting does not take the answer from the others.
        await asyncio.shield(self._checking)

    async def _ask(self) -> None:
        asked_at = self._monotonic()
        revision = await self._database.read(installation.revision)
        if revision != self._revision:
            self._entries.clear()
            self._revision = revision
        self._checked_at = asked_at

    def _load(self, serial: SerialNumber, tx: Connection) -> tuple[int, Entry | None]:
        revision = installation.revision(tx)
        device = devices.find_serial(tx, serial)
        account = None if device is None else accounts.find_no(tx, device.account)
        if device is None or account is None:
            return revision, None
        return revision, self.entry(device, account)

    def entry(self, device: Device, account: Account) -> Entry:
        """Work out what its punches need: the zone is its own, else the account's, else ours."""
        source: ZoneSource = "installation"
        name = self.default_zone
        if account.zone is not None:
            source, name = "account", account.zone
        if device.zone is not None:
            source, name = "device", device.zone
        return Entry(
            device, account, localtime.find_zone(name), name, source, event.device_json(device)
        )
