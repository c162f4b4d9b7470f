"""What the writer is handed: facts that wait for their commit, and what became of each."""

from typing import Final, Literal, NamedTuple

from punchgate.domain import quarantine
from punchgate.domain.ids import AccountNo, DeviceId, QuarantineId, SerialNumber
from punchgate.domain.punch import Punch, Transport

#: What the commit made of one fact: a new row, a punch that was there, a row in quarantine, or a
#: row that the database refused although its neighbours stand (its bytes are in quarantine
#: instead).
Outcome = Literal["recorded", "duplicate", "quarantined", "refused"]

#: The reason under which a row that the database refused is kept.
REFUSED_REASON: Final = "unreadable_row"


class Held(NamedTuple):
    """An item for quarantine; its fields are the first columns of the table, in their order."""

    account: AccountNo
    quarantine_id: QuarantineId
    device_id: DeviceId
    serial: SerialNumber
    transport: Transport
    received_at: int
    reason: str
    raw: bytes
    #: Which reader could not make a punch of it, and its version.
    codec: str


class Fact(NamedTuple):
    """A punch on its way to the store, with what its transaction needs beside it."""

    punch: Punch
    #: The event's object for the device, rendered once per device.
    device_json: str
    #: The calendar days whose workdays it may change.
    dates: tuple[str, ...]


def refused(fact: Fact) -> Held:
    """Make the quarantine row of a punch that the database would not take."""
    punch = fact.punch
    return Held(
        punch.account,
        quarantine.derive_id(punch.serial, punch.raw),
        punch.device_id,
        punch.serial,
        punch.transport,
        punch.received_at,
        REFUSED_REASON,
        punch.raw,
        "store",
    )
