"""Who has been heard from: devices, and serials that nobody has claimed.

In memory, flushed in batches: a heartbeat is never a row. What is lost when a process dies is at
most the last flush interval of "last seen"; what the store could not take is kept for the next one.
What the log is told of it is `transitions.py`.
"""

from dataclasses import dataclass
from typing import Final

from punchgate.domain.device import Engine
from punchgate.domain.ids import AccountNo, DeviceId, SerialNumber
from punchgate.store import presence
from punchgate.store.error import StoreBusy, StoreUnavailable
from punchgate.store.writer import Writer

#: Strangers of one process and flush; beyond it a flood of invented serials is only counted.
STRANGERS: Final = 10_000


@dataclass(slots=True)
class _Stranger:
    engine: Engine
    address: str | None
    operation: str
    first_seen_at: int
    last_seen_at: int
    requests: int


class Presence:
    """What one process has heard since its last flush."""

    def __init__(self) -> None:
        self._devices: dict[tuple[AccountNo, DeviceId], tuple[int, str | None]] = {}
        self._strangers: dict[SerialNumber, _Stranger] = {}

    def heard(
        self, account: AccountNo, device_id: DeviceId, *, address: str | None, now: int
    ) -> None:
        """Note that a claimed device has made itself known."""
        self._devices[account, device_id] = (now, address)

    def stranger(
        self,
        serial: SerialNumber,
        *,
        engine: Engine,
        address: str | None,
        operation: str,
        now: int,
    ) -> None:
        """Note that a serial called which nobody has claimed: metadata only."""
        known = self._strangers.get(serial)
        if known is not None:
            known.address, known.operation, known.last_seen_at = address, operation, now
            known.requests += 1
        elif len(self._strangers) < STRANGERS:
            self._strangers[serial] = _Stranger(engine, address, operation, now, now, 1)

    async def flush(self, writer: Writer, *, now: int) -> bool:
        """Write what was heard since the last time and say whether there was anything.

        Errors:  StoreBusy and StoreUnavailable; it is all written with the next flush then. A batch
                 that fails otherwise would fail for ever and is gone.
        """
        devices, self._devices = self._devices, {}
        strangers, self._strangers = self._strangers, {}
        if not devices and not strangers:
            return False
        rows = [
            presence.Seen(account, device_id, at, address)
            for (account, device_id), (at, address) in sorted(devices.items())
        ]
        calls = [
            presence.Call(
                serial,
                who.engine,
                who.address,
                who.operation,
                who.first_seen_at,
                who.last_seen_at,
                who.requests,
            )
            for serial, who in sorted(strangers.items())
        ]
        try:
            await writer.run(lambda tx: presence.write(tx, rows, calls, now))
        except (StoreBusy, StoreUnavailable):
            # What came since is the later word.
            self._devices = {**devices, **self._devices}
            self._put_back(strangers)
            raise
        return True

    def _put_back(self, strangers: dict[SerialNumber, _Stranger]) -> None:
        for serial, before in strangers.items():
            since = self._strangers.get(serial)
            if since is not None:
                since.first_seen_at = before.first_seen_at
                since.requests += before.requests
            elif len(self._strangers) < STRANGERS:
                self._strangers[serial] = before
