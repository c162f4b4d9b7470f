"""What happens at a terminal while we listen: live events, read and written.

A live event is a hint, the log is the truth: what cannot be read is kept raw, never guessed, and
whoever listens reads the log then.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

from punchgate.protocols.zk import moment, records
from punchgate.protocols.zk.commands import LiveEvent
from punchgate.protocols.zk.layouts import Row
from punchgate.wire.event import Reading, Unreadable

#: Every event.
ALL: Final = 0xFFFF

_NUMBER: Final = struct.Struct("<HBB6s")
_CODE: Final = struct.Struct("<IBB6s")
_TEXT: Final = struct.Struct("<24sBB6s")

EventBytes = Literal[10, 12, 14, 32, 36, 37, 52]
#: The sizes of an attendance event: the fields, and bytes behind them that nobody has explained.
#: 32 is real (F19, QF-001), the others are read by the libraries in use.
_FORMS: Final[Mapping[int, struct.Struct]] = {
    10: _NUMBER, 12: _CODE, 14: _NUMBER, 32: _TEXT, 36: _TEXT, 37: _TEXT, 52: _TEXT,
}  # fmt: skip


class Enrolled(NamedTuple):
    """A finger was enrolled, or was not: 0 ok, 4 failed, 5 exists already, 6 cancelled."""

    result: int
    user_id: str | None = None
    finger: int | None = None


class Verified(NamedTuple):
    """Somebody was recognised; None for somebody unknown."""

    uid: int | None


class Score(NamedTuple):
    """How good a sample of a finger was: 0 or 100."""

    score: int


class Alarm(NamedTuple):
    """Something is wrong: misoperation, tamper, exit_button, door_closing, duress, passback."""

    kind: str
    uid: int | None = None


class Other(NamedTuple):
    """An event without a reading of ours: its number and its bytes."""

    event: int
    data: bytes


Seen = Reading | Unreadable | Enrolled | Verified | Score | Alarm | Other


def name(event: int) -> str:
    """Give the name of an event, or say that it has none."""
    try:
        return LiveEvent(event).name
    except ValueError:
        return "unknown"


def read(event: int, data: bytes, *, users: Mapping[int, str] | None = None) -> Sequence[Seen]:
    """Read the data of an event.

    Shapes:  an attendance event may hold several rows of one size; `users` gives the user code of a
             row number.
    Errors:  none.
    """
    match event:
        case LiveEvent.ATTENDANCE:
            return _attendance(data, users or {})
        case LiveEvent.FINGER_ENROLLED if len(data) >= 2:
            return [_enrolled(data)]
        case LiveEvent.VERIFIED if len(data) >= 4:
            uid = int.from_bytes(data[:4], "little")
            return [Verified(None if uid == 0xFFFFFFFF else uid)]
        case LiveEvent.SAMPLE_SCORE if data:
            return [Score(data[0])]
        case LiveEvent.ALARM if data:
            return [_alarm(data)]
    return [Other(event, data)]


def attendance(row: Row, *, size: EventBytes = 32) -> bytes:
    """Give the data of an attendance event.

    Errors:  ValueError for a row that does not fit into this size.
    """
    form = _FORMS[size]
    who = {_NUMBER: row.uid, _TEXT: row.user_id.encode("ascii", "replace")}.get(form)
    try:
        said = moment.said(row.packed).six()
        first = int(row.user_id) if who is None else who
        return form.pack(first, row.verify, row.state, said).ljust(size, b"\0")
    except struct.error as error:
        raise ValueError(f"A field does not fit into an event of {size} bytes.") from error


def enrolled(result: int, *, user_id: str = "", finger: int = 0, size_bytes: int = 0) -> bytes:
    """Give the data of an enrolment event."""
    if result:
        return struct.pack("<H6x", result)
    return struct.pack("<HH9sB", result, size_bytes, user_id.encode("ascii", "replace"), finger)


def _attendance(data: bytes, users: Mapping[int, str]) -> Sequence[Seen]:
    if len(data) in _FORMS:
        return [_row(data, _FORMS[len(data)], users)]
    readings = [
        rows
        for size, form in _FORMS.items()
        if data and len(data) % size == 0 and (rows := _rows(data, size, form, users))
    ]
    if len(readings) == 1:
        return readings[0]
    return [Unreadable(data, "unreadable_row", f"An event of {len(data)} bytes.")]


def _rows(
    data: bytes, size: int, form: struct.Struct, users: Mapping[int, str]
) -> Sequence[Reading]:
    """Give the rows of one size, none unless every one of them can be read."""
    rows = [_row(data[at : at + size], form, users) for at in range(0, len(data), size)]
    readings = [row for row in rows if isinstance(row, Reading)]
    return readings if len(readings) == len(rows) else []


def _row(row: bytes, form: struct.Struct, users: Mapping[int, str]) -> Reading | Unreadable:
    who, verify, state, six = form.unpack_from(row)
    flags: tuple[str, ...] = ()
    code: str | None
    if form is _TEXT:
        code = records.user_code(who)
    elif form is _CODE:
        code = str(who)
    else:
        code = users.get(who, "")
        if not code:
            code, flags = f"uid:{who}", ("no_user",)
    if not code:
        return Unreadable(row, "bad_user_id", records.BAD_CODE)
    said = moment.said_in_six(six)
    wall_time = said.wall_time()
    if wall_time is None:
        return Unreadable(row, "unreadable_time", f"{said} is on no calendar.", code)
    return Reading(row, code, wall_time, None, "wall", str(said), state, verify, flags=flags)


def _enrolled(data: bytes) -> Enrolled:
    result = int.from_bytes(data[:2], "little")
    if result or len(data) < 14:
        return Enrolled(result)
    return Enrolled(result, data[4:13].partition(b"\0")[0].decode("ascii", "replace"), data[13])


_ALARMS: Final = {0x3A: "misoperation", 0x37: "tamper", 0x35: "exit_button", 0x54: "door_closing"}
_WARNINGS: Final = {20: "duress", 22: "passback"}


def _alarm(data: bytes) -> Alarm:
    if len(data) == 12 and data[:4] == b"\xff\xff\xff\xff":
        kind, uid = struct.unpack_from("<HH", data, 4)
        return Alarm(_WARNINGS.get(kind, f"warning {kind}"), uid)
    return Alarm(_ALARMS.get(data[0], f"alarm {data[0]}"))
