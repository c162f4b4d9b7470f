"""Quarantine: an item that cannot be a punch yet is kept raw, with a reason, and never dropped.

It has no event and no workday until an operator releases it. What may be done with one is
`usecases/quarantine.py`.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal

from punchgate.domain.ids import AccountNo, DeviceId, PunchId, QuarantineId, SerialNumber
from punchgate.domain.punch import Transport, ulid_text

QuarantineState = Literal["open", "released", "dismissed"]

#: How far a device's clock may run ahead of ours before its punches are held.
AHEAD_MS: Final = 5 * 60 * 1000
#: Wall times before this one are of a terminal whose battery died.
FIRST_WALL_TIME: Final = "2000-01-01 00:00:00"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One item in quarantine."""

    account: AccountNo
    id: QuarantineId
    device_id: DeviceId
    serial: SerialNumber
    transport: Transport
    #: Milliseconds since 1970-01-01 UTC, of its first arrival.
    received_at: int
    reason: str
    raw: bytes
    #: Which reader could not make a punch of it, and its version.
    codec: str
    state: QuarantineState
    decided_at: int | None = None
    note: str | None = None
    #: The punch that it became.
    punch_id: PunchId | None = None


def derive_id(serial: str, raw: bytes) -> QuarantineId:
    """Derive the id of an item from its device and its bytes: sent again, it is kept once."""
    digest = sha256(serial.encode() + b"\x1f" + raw).digest()
    return QuarantineId(ulid_text(int.from_bytes(digest[:6], "big"), digest[6:16]))
