"""Terminals that we call: what may be asked of one, whoever carries it out.

The conversations are `engines/terminals.py`; contracts and commands know this page of them only.
Everything read goes through `punches.record`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from punchgate.domain.error import PunchgateError
from punchgate.domain.ids import AccountNo, DeviceId

#: timeout: no answer in time · refused: nobody listens there · unreachable: no way there ·
#: wrong_key: the comm key · reset: closed in mid-conversation · protocol: it broke the rules ·
#: busy: another conversation held it until the deadline · not_allowed: an address we do not call ·
#: declined: it answered a request with an error · inactive: its punches are not taken now.
Cause = Literal[
    "timeout",
    "refused",
    "unreachable",
    "wrong_key",
    "reset",
    "protocol",
    "busy",
    "not_allowed",
    "declined",
    "inactive",
]


class TerminalTrouble(PunchgateError):
    """A conversation with a terminal failed; `cause` says how, the text says it to a person."""

    slug = "terminal.unreachable"

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail


class LogRead(NamedTuple):
    """A whole reading of a terminal's log, after everything in it was recorded.

    Shapes:  `oldest` is the wall time of its oldest readable row, None for an empty log. Of the
             rows, `recorded` are new; the rest was there, or is in quarantine. Receipts are not
             kept: a log may have half a million rows.
    """

    rows: int
    oldest: datetime | None
    quarantined: int
    recorded: int = 0


@dataclass(frozen=True, slots=True)
class TerminalUser:
    """Someone on a terminal; the password and templates never leave it."""

    uid: int
    user_code: str
    name: str
    #: 0 user, 2 enroller, 6 manager, 14 administrator.
    privilege: int
    card: int


class UserChange(NamedTuple):
    """What to set of a user; None leaves a value as it is, an empty password removes it."""

    name: str | None = None
    password: str | None = None
    privilege: int | None = None
    card: int | None = None


class Info(NamedTuple):
    """What a terminal says of itself; texts are empty and numbers None where it does not."""

    serial: str
    name: str
    platform: str
    firmware: str
    users: int | None
    time: datetime | None


class Caller(Protocol):
    """Who talks to terminals. One conversation per terminal at a time, across all processes.

    Errors:  every call: TerminalTrouble; NotFound for a device that is no terminal of the account;
             StoreUnavailable and StoreBusy where what was read could not be recorded.
    """

    async def read_log(
        self, account: AccountNo, device_id: DeviceId, *, is_live: bool, deadline_s: float | None
    ) -> LogRead:
        """Read and record the whole log. Callers that wait for the same terminal share a reading.

        `is_live`: somebody waits for it, so the terminal may be disabled meanwhile as it is set.
        """
        ...

    async def read_users(self, account: AccountNo, device_id: DeviceId) -> list[TerminalUser]:
        """Read who is on it, in its order."""
        ...

    async def add_user(
        self, account: AccountNo, device_id: DeviceId, user_code: str, change: UserChange
    ) -> TerminalUser:
        """Put somebody new on it; AlreadyExists, Invalid for what it cannot hold."""
        ...

    async def set_user(
        self, account: AccountNo, device_id: DeviceId, user_code: str, change: UserChange
    ) -> TerminalUser:
        """Change somebody on it; NotFound."""
        ...

    async def remove_user(self, account: AccountNo, device_id: DeviceId, user_code: str) -> None:
        """Take somebody off it; NotFound."""
        ...

    async def enrol_finger(
        self, account: AccountNo, device_id: DeviceId, user_code: str, finger: int
    ) -> None:
        """Have it ask for a finger; NotFound. Never repeated by itself."""
        ...

    async def read_info(self, account: AccountNo, device_id: DeviceId) -> Info:
        """Ask what it is."""
        ...

    async def read_time(self, account: AccountNo, device_id: DeviceId) -> datetime | None:
        """Read its clock; None where that cannot be read."""
        ...

    async def set_time(self, account: AccountNo, device_id: DeviceId) -> None:
        """Set its clock to the present time of its zone."""
        ...
