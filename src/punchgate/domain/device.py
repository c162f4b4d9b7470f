"""A device: anything that produces punches, known by its serial number.

How its punches count, and whether it may send them. When it was last heard is not its own doing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

from punchgate.domain.codes import DEFAULT_DIRECTIONS, Direction, DirectionPolicy, VerifyMethod
from punchgate.domain.ids import AccountNo, DeviceId, SerialNumber

Engine = Literal["http", "iclock", "zk", "tcp", "mqtt"]
SubscriptionStatus = Literal["active", "expired", "suspended"]

#: What a serial may look like, before it reaches a log or a page (docs/contracts/ingest-v1.md).
_SERIAL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)
_DEVICE_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)

#: A device is offline after this many of its heartbeat intervals without a word.
OFFLINE_AFTER: Final = 3


@dataclass(frozen=True, slots=True)
class Device:
    """One device with everything that decides how its punches are read."""

    account: AccountNo
    id: DeviceId
    serial: SerialNumber
    name: str | None = None
    #: IANA zone of its clock; `None` leaves it to the account.
    zone: str | None = None
    site: str | None = None
    engine: Engine = "http"
    #: SHA-256 of its token; `None` when it has none.
    token_hash: bytes | None = field(default=None, repr=False)
    #: Last day of its subscription, in its own zone; `None` has no end.
    valid_until: date | None = None
    is_suspended: bool = False
    direction_policy: DirectionPolicy = "as-reported"
    directions: Mapping[int, Direction] = field(default_factory=lambda: DEFAULT_DIRECTIONS)
    #: Meaning of its verify codes where it differs from the table of its protocol; empty means the
    #: table.
    verify_methods: Mapping[int, VerifyMethod] = field(default_factory=dict)
    heartbeat_interval_s: int = 60
    poll_interval_s: int = 300
    #: Grows by one with every change of its settings.
    version: int = 1


def is_serial(text: str) -> bool:
    """Say whether a text may be a device's serial.

    Shapes:  1 to 64 of `A-Z a-z 0-9 . _ : -`, the first a letter or digit.
    """
    return _SERIAL.fullmatch(text) is not None


def is_device_id(text: str) -> bool:
    """Say whether a text may be our name for a device.

    Shapes:  1 to 64 of `a-z 0-9 . _ -`, the first a letter or digit.
    """
    return _DEVICE_ID.fullmatch(text) is not None


def offline_after_s(device: Device) -> int:
    """Give for how many seconds a device may be silent and still counts as online."""
    return device.heartbeat_interval_s * OFFLINE_AFTER


def subscription(device: Device, today: date) -> SubscriptionStatus:
    """Say whether a device may send punches.

    `today` is the date in its own zone; its last day still counts.
    """
    if device.is_suspended:
        return "suspended"
    if device.valid_until is not None and today > device.valid_until:
        return "expired"
    return "active"
