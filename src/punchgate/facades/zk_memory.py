"""What the facade remembers for one session: one snapshot of its scope, and a clock.

A `Memory` as `protocols/zk/terminal.py` reads it. Before the client is let in there is nothing in
it; afterwards nothing of it changes, so that counts and tables agree. When the snapshot is taken is
`zk.py`'s.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from punchgate import __version__
from punchgate.domain import localtime
from punchgate.domain.event import Position
from punchgate.facades.zk_rows import Rows
from punchgate.protocols.zk import layouts, moment, users
from punchgate.protocols.zk.moment import Said
from punchgate.protocols.zk.tables import FreeSizes, Table
from punchgate.reports.terminal_view import Scope, Taken

#: What a person's code has room for.
PIN_WIDTH: Final = layouts.USER_ID_BYTES
FIRMWARE: Final = f"Ver 6.60 Punchgate {__version__}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at the scope: the rows, and what was read beside them."""

    rows: Rows
    taken: Taken

    @property
    def position(self) -> Position:
        """Give the place in the log from which on there is news."""
        return self.taken.position


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """What the facade says of itself, the same in every session."""

    scope: Scope
    #: Punches that it shows at most.
    most_rows: int
    #: IANA zone of its clock.
    zone: str
    #: Milliseconds since 1970-01-01 UTC.
    now: Callable[[], int]
    #: The address that it listens on, without the port.
    host: str = "0.0.0.0"  # noqa: S104 (an answer, not a socket)


class FacadeMemory:
    """The memory of one session."""

    firmware = FIRMWARE
    pin_width = PIN_WIDTH
    #: Idle: nobody ever stands in front of it.
    activity = 0
    is_door_open = False

    def __init__(self, face: Face) -> None:
        self._face = face
        self._options: Mapping[str, str] = {}
        #: None until the client is let in.
        self.snapshot: Snapshot | None = None

    def hold(self, snapshot: Snapshot) -> None:
        """Answer from this snapshot until the session ends."""
        self.snapshot = snapshot
        self._options = _options(self._face, snapshot.taken)

    def now(self) -> Said:
        """Give the time in the facade's zone."""
        zone = localtime.find_zone(self._face.zone)
        wall_time, _ = localtime.wall_at(self._face.now() // 1000, zone)
        return moment.of(wall_time)

    def rows(self, table: Table) -> bytes:
        """Give the rows of a table; there are no templates and no operations."""
        rows = self._rows()
        match table:
            case Table.USERS:
                return rows.people
            case Table.ATTENDANCE:
                return rows.punches
            case Table.TEMPLATES | Table.OPERATIONS:
                return b""

    def free_sizes(self) -> FreeSizes:
        """Give the counters of the same snapshot."""
        rows = self._rows()
        return FreeSizes(
            users=rows.people_count,
            records=rows.punch_count,
            user_capacity=users.UID_MAX,
            record_capacity=self._face.most_rows,
            users_free=users.UID_MAX - rows.people_count,
            records_free=self._face.most_rows - rows.punch_count,
        )

    def option(self, name: str) -> str | None:
        """Give an option's value."""
        return self._options.get(name)

    def template(self, uid: int, finger: int) -> bytes | None:  # noqa: ARG002 (there is none)
        """Give no template."""
        return None

    def setting(self, command: int, selector: bytes) -> bytes | None:  # noqa: ARG002 (as above)
        """Give no access setting."""
        return None

    def _rows(self) -> Rows:
        return Rows() if self.snapshot is None else self.snapshot.rows


def _options(face: Face, taken: Taken) -> dict[str, str]:
    # The same in every session and after every start: software files a terminal under these.
    number = crc32(f"{face.scope.account}/{face.scope}".encode())
    serials = list((taken.devices or {}).values())
    own = serials[0] if face.scope.kind == "device" and serials else f"PG{number:08X}"
    return {
        "~SerialNumber": own,
        "~DeviceName": "Punchgate",
        "~Platform": "Punchgate_TFT",
        "~OEMVendor": "Punchgate",
        "~OS": "1",
        "~SSR": "1",
        # Locally administered: it is no device's.
        "MAC": "02:50:" + number.to_bytes(4, "big").hex(":"),
        "IPAddress": face.host,
        "~ZKFPVersion": "10",
        "ZKFaceVersion": "7",
        "FaceFunOn": "0",
        "~PIN2Width": str(PIN_WIDTH),
        "~IsABCPinEnable": "1",
        "WorkCode": "0",
        "~ExtendFmt": "0",
        "~UserExtFmt": "1",
    }
