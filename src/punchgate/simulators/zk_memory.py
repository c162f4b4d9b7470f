"""What a virtual terminal remembers: people, fingers, its log, its clock, its door, its settings.

A `Memory` as `protocols/zk/terminal.py` reads it. What it is told to change is carried out in
`zk_changes.py`; the log's rows are computed in `zk_log.py` when they are read.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from punchgate.protocols.zk import events, layouts, moment, tables
from punchgate.protocols.zk.events import EventBytes
from punchgate.protocols.zk.layouts import Layout, LayoutName
from punchgate.protocols.zk.memory import Change, Rows
from punchgate.protocols.zk.moment import Said
from punchgate.protocols.zk.tables import FreeSizes, Operation, Table, Template
from punchgate.simulators import zk_log, zk_people, zk_rows, zk_settings
from punchgate.simulators.zk_faults import Faults
from punchgate.simulators.zk_log import Log, Punched

FIRMWARE: Final = "Ver 6.60 Apr 26 2016"
#: The layouts by the bytes of their row, as the command line names them.
ROW_SIZES: Final[Mapping[str, LayoutName]] = {
    "8": "8A", "8b": "8B", "16": "16", "22": "22", "40": "40", "49": "49",
}  # fmt: skip
#: Levels of a permission from manager up.
_ADMINS: Final = (6, 14)
#: Seen between the rows of SpeedFace terminals: "not measured" twice.
_JUNK: Final = b"\xff255\0\0\0\0\0"
_CAPACITY: Final = 100_000
_USER_CAPACITY: Final = 10_000
_FINGER_CAPACITY: Final = 10_000
#: What an ordinary size of the live event is; 32 bytes were seen on real terminals.
_EVENT_BYTES: Final[EventBytes] = 32
_EVENT_SIZES: Final[Mapping[int, EventBytes]] = {
    10: 10, 12: 12, 14: 14, 36: 36, 37: 37, 52: 52,
}  # fmt: skip
#: Orders that are remembered for who looks: the newest.
_ORDERS_KEPT: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What is invented in a terminal.

    Shapes:  `last` is the last day of the log; two days before today keeps the night shift's
             morning in the past.
    """

    users: int = 10
    records: int = 1_000
    layout: LayoutName = "40"
    last: date
    seed: int = 1
    #: Empty is one of its seed, and of its port once it stands there.
    serial: str = ""
    faults: Faults = field(default_factory=Faults)


class VirtualMemory:
    """The memory of one virtual terminal.

    Units:   `clock` gives the wall time of the place, `skew` is how far the terminal's is ahead.
    """

    firmware = FIRMWARE
    pin_width = 9

    def __init__(
        self, contents: Contents, clock: Callable[[], datetime], *, skew: timedelta = timedelta()
    ) -> None:
        faults = contents.faults
        self.faults = faults
        self.log = Log(
            users=contents.users,
            records=contents.records,
            last=contents.last,
            seed=contents.seed,
            faults=faults,
        )
        #: From row number to row.
        self.people: MutableMapping[int, bytes] = zk_people.invent(
            contents.users, seed=contents.seed, faults=faults
        )
        self.templates: MutableMapping[tuple[int, int], Template] = zk_people.invent_fingers(
            contents.users, seed=contents.seed
        )
        self.operations: list[Operation] = zk_people.invent_operations(
            self.templates, contents.last
        )
        #: Two terminals of one seed stand on two ports, and one gateway may call both.
        self._is_named = bool(contents.serial)
        self.serial = contents.serial or f"VT-{contents.seed}"
        self.options = zk_settings.options(self.serial, seed=contents.seed, faults=faults)
        self.settings: MutableMapping[tuple[int, int], bytes] = {}
        #: What it was told, the newest last.
        self.orders: deque[Change] = deque(maxlen=_ORDERS_KEPT)
        self.skew = skew
        self.activity = 0
        self.seed = contents.seed
        self._layout = _layout(contents)
        self._codes = zk_people.Codes(self.people, contents.layout, faults)
        self._clock = clock
        self._locked: tuple[datetime | None] | None = None
        self._door_open_until: datetime | None = None
        self._happened: deque[tuple[int, bytes]] = deque()
        self._next_uid = 0

    # -- what a terminal is asked -----------------------------------------------------------------

    @property
    def is_door_open(self) -> bool:
        """Say whether the door stands open."""
        return self._door_open_until is not None and self.wall_time() < self._door_open_until

    @property
    def is_enabled(self) -> bool:
        """Say whether people can punch."""
        if self._locked is None:
            return True
        until = self._locked[0]
        return until is not None and self.wall_time() >= until

    def wall_time(self) -> datetime:
        """Give the terminal's clock."""
        return self._clock() + self.skew

    def now(self) -> Said:
        """Give the terminal's clock as it says it."""
        return moment.of(self.wall_time())

    def rows(self, table: Table) -> Rows:
        """Give the rows of a table as they are now."""
        match table:
            case Table.ATTENDANCE:
                return self._attendance()
            case Table.USERS:
                return b"".join(self.people.values())
            case Table.TEMPLATES:
                return b"".join(map(tables.write_template, self.templates.values()))
            case Table.OPERATIONS:
                return b"".join(map(tables.write_operation, self.operations))

    def free_sizes(self) -> FreeSizes:
        """Give the counters."""
        records = len(self.log)
        return FreeSizes(
            users=len(self.people),
            fingers=len(self.templates),
            records=records,
            operations=len(self.operations),
            admins=sum(row[2] in _ADMINS for row in self.people.values()),
            finger_capacity=_FINGER_CAPACITY,
            user_capacity=_USER_CAPACITY,
            record_capacity=max(_CAPACITY, records),
            fingers_free=max(_FINGER_CAPACITY - len(self.templates), 0),
            users_free=max(_USER_CAPACITY - len(self.people), 0),
            records_free=max(_CAPACITY - records, 0),
        )

    def option(self, name: str) -> str | None:
        """Give an option's value."""
        return self.options.get(name)

    def template(self, uid: int, finger: int) -> bytes | None:
        """Give one template."""
        entry = self.templates.get((uid, finger))
        return None if entry is None else entry.template

    def setting(self, command: int, selector: bytes) -> bytes | None:
        """Give what was written for the same thing, or what a new terminal has."""
        number = int.from_bytes(selector[:2], "little")
        return zk_settings.answer(command, number, self.settings.get((command, number)))

    # -- what happens at it -----------------------------------------------------------------------

    def stand_at(self, port: int) -> None:
        """Take the place into the serial, unless one was given."""
        if not self._is_named:
            self.serial = self.options["~SerialNumber"] = f"VT{port}-{self.seed}"

    def punch(self) -> Punched:
        """Let the next person punch, and give the row that was kept."""
        uids = sorted(uid for uid, row in self.people.items() if zk_people.is_person(row))
        uid = uids[self._next_uid % len(uids)] if uids else 1
        # In and out in turn, once everybody has been there.
        state = self._next_uid // max(len(uids), 1) % 2
        self._next_uid += 1
        row = zk_log.at(uid, self.wall_time(), state=state)
        self.log.add(row)
        return row

    def event_of(self, row: Punched) -> bytes:
        """Give the data of the live event for a row."""
        size = _EVENT_SIZES.get(self.faults.chosen("event-") or 0, _EVENT_BYTES)
        written = self._row(row)
        # Twelve bytes hold a number, and so does the row of a terminal that has them.
        if size == 12 and not written.user_id.isdigit():
            written = written._replace(user_id=str(row.uid))
        return events.attendance(written, size=size)

    def lock(self, *, seconds: int | None) -> None:
        """Keep people from punching, for a time or for good."""
        if seconds is None or "disabled-for-good" in self.faults:
            self._locked = (None,)
        else:
            self._locked = (self.wall_time() + timedelta(seconds=seconds),)

    def unlock(self) -> None:
        """Let people punch again."""
        self._locked = None

    def open_door(self, for_s: float) -> None:
        """Open the door for a time."""
        self._door_open_until = self.wall_time() + timedelta(seconds=for_s)

    def note(self, event: int, data: bytes = b"") -> None:
        """Remember that something happened; sessions that listen are told."""
        self._happened.append((event, data))

    def happened(self) -> Iterable[tuple[int, bytes]]:
        """Give what happened and was not told yet."""
        while self._happened:
            yield self._happened.popleft()

    def _attendance(self) -> Rows:
        view = self.log.view()
        width = self._layout.width
        return zk_rows.ComputedRows(
            len(view),
            width,
            lambda index: self._layout.encode(self._row(view[index])),
            head=_JUNK if "junk-prefix" in self.faults else b"",
            cut=width // 2 if "cut-row" in self.faults else 0,
        )

    def _row(self, row: Punched) -> layouts.Row:
        return layouts.Row(
            row.uid, self._codes[row.uid], row.packed, verify=row.verify, state=row.state
        )


def _layout(contents: Contents) -> Layout:
    is_swapped = "order-swapped" in contents.faults
    return layouts.get(contents.layout, order16="state_method" if is_swapped else "method_state")
