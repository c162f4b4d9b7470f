"""A terminal: a device that we call, and what is known of it besides its punches.

Where it stands, how it is treated, and what its last readings said. How it is talked to is
`protocols/zk` and `engines/terminals.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from punchgate.domain.ids import AccountNo, DeviceId

#: For what a terminal is disabled meanwhile, so that nobody punches into a reading.
DisableFor = Literal["none", "live-reads", "writes", "all"]
Order16 = Literal["method_state", "state_method"]
UnlockUnit = Literal["tenth", "second"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a terminal is treated, where it differs from the others."""

    disable_for: DisableFor = "live-reads"
    #: How names on it are encoded: `utf-8`, `gb2312`, `cp1256` and so on.
    encoding: str = "utf-8"
    #: The order of method and state in 16-byte rows.
    order16: Order16 = "method_state"
    unlock_unit: UnlockUnit = "tenth"
    #: Whether an operator has seen that the unit is right; else a door opens for 3 s at most.
    unlock_confirmed: bool = False
    #: Seconds between scheduled readings of the log; 0 is never.
    backfill_s: int = 900
    #: Whether its live events are listened to between the readings.
    realtime: bool = True


@dataclass(frozen=True, slots=True)
class Watermark:
    """What the last whole reading of the log held."""

    count: int
    size: int
    #: SHA-256 of the last 64 rows, as hex.
    tail: str
    #: Wall times of the newest and the oldest row that could be read, `YYYY-MM-DD HH:MM:SS`.
    newest: str | None
    oldest: str | None = None
    #: SHA-256 of all rows, as hex: what begins like this was recorded before.
    whole: str = ""
    #: Rows of it that went to quarantine.
    quarantined: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """What a terminal has said of itself; None is unknown."""

    serial: str | None = None
    name: str | None = None
    platform: str | None = None
    firmware: str | None = None
    #: Width and kind of its attendance rows, as `protocols/zk` names layouts.
    layout: str | None = None
    users: int | None = None
    records: int | None = None
    #: Its clock against ours, in seconds; positive is ahead.
    clock_skew_s: int | None = None
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hints:
    """What the bytes of one row of a log do not say: how it is laid out, and who a number is."""

    #: As in `Known`; None is unknown.
    layout: str | None = None
    order16: Order16 = "method_state"
    #: From the terminal's own number of somebody to the user code, as it said last.
    codes: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Terminal:
    """One device that we call.

    Units:   `timeout_s` for connecting and for each answer; `*_at` milliseconds since 1970-01-01
             UTC.
    """

    account: AccountNo
    device_id: DeviceId
    host: str
    port: int = 4370
    is_udp: bool = False
    #: 0 is none. Kept sealed, never shown.
    comm_key: int = field(default=0, repr=False)
    timeout_s: float = 5.0
    settings: Settings = Settings()
    known: Known = Known()
    watermark: Watermark | None = None
    created_at: int = 0
    updated_at: int | None = None
    last_read_at: int | None = None
    #: The cause and the sentence of the last conversation's failure; None when it went well.
    last_error: str | None = None
    #: Scheduled readings that failed one after the other.
    failures: int = 0
    #: When the schedule wants it read; None is not by itself.
    due_at: int | None = 0
    #: When we disabled it and have not yet seen it enabled again.
    disabled_at: int | None = None

    def facts(self) -> dict[str, Any]:
        """Give what an operator may see of it: everything but the comm key."""
        return {
            "host": self.host,
            "port": self.port,
            "udp": self.is_udp,
            "comm_key": bool(self.comm_key),
            "timeout_s": self.timeout_s,
        }
