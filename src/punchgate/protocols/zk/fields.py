"""The fields of small requests and answers: orders, doors, groups and time zones, by name.

Answers for what stands where in data of a few numbers. Larger things are read by modules of their
own: `users.py`, `tables.py`, `events.py`.

Source: docs/protocols/zk-4370.md, "Commands" and "Access"; reading a time zone is real (F19).
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from punchgate.protocols.zk.commands import Command, Reply

#: What a terminal is doing; the answer to STATE_RRQ has it in its session field.
ACTIVITIES: Final = ("idle", "enrolling", "identifying", "in a menu", "busy", "writing a card")

_DAYS: Final = (
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
)  # fmt: skip


class Part(NamedTuple):
    """One field of some data: where it stands, its name and what it says."""

    offset: int
    size: int
    name: str
    meaning: str


#: A field's name and its bytes: a number, or a text where it has more than four.
_Form = Sequence[tuple[str, int]]

_WHOSE: Final[_Form] = (("row number", 2),)
_FINGER: Final[_Form] = (*_WHOSE, ("finger", 1))
_ZONES: Final[_Form] = (("zone 1", 2), ("zone 2", 2), ("zone 3", 2))
_GROUP: Final[_Form] = (("group", 1), *_ZONES, ("verify style", 1))
_COMBINATION: Final[_Form] = (
    ("combination", 1), *((f"group {number}", 1) for number in range(1, 6)), ("how many", 2),
)  # fmt: skip
_OWN_ZONES: Final[_Form] = (("own zones", 4), ("zone 1", 4), ("zone 2", 4), ("zone 3", 4))
#: From hour, from minute, to hour, to minute.
_WEEK: Final[_Form] = tuple((day, 4) for day in _DAYS)

_ASKED: Final[Mapping[int, _Form]] = {
    Command.USERTEMP_RRQ: _FINGER,
    Command.CLEAR_DATA: (("what", 1),),
    Command.DELETE_USER: _WHOSE,
    Command.DELETE_USERTEMP: _FINGER,
    Command.USERGRP_RRQ: (("row number", 4),),
    Command.USERGRP_WRQ: (("row number", 4), ("group", 1)),
    Command.USERTZ_RRQ: (("row number", 4),),
    Command.USERTZ_WRQ: (("row number", 4), *_OWN_ZONES),
    Command.GRPTZ_RRQ: (("group", 1),),
    Command.GRPTZ_WRQ: _GROUP,
    Command.TZ_RRQ: (("time zone", 4),),
    Command.TZ_WRQ: (("time zone", 4), *_WEEK),
    Command.ULG_RRQ: (("combination", 1),),
    Command.ULG_WRQ: _COMBINATION,
    Command.UNLOCK: (("open for", 4),),
    Command.STARTENROLL: (("user code", 24), ("finger", 1), ("flag", 1)),
    Command.WRITE_LCD: (("line", 2),),
    Command.VERIFY_WRQ: (*_WHOSE, ("verify mode", 1)),
    Command.VERIFY_RRQ: _WHOSE,
    Command.TMP_WRITE: (*_FINGER, ("flag", 1), ("size", 2)),
    Command.GET_USERTEMP: _FINGER,
    Command.DEL_FPTMP: (("user code", 24), ("finger", 1)),
    Command.REG_EVENT: (("events", 4),),
    Command.DISABLEDEVICE: (("seconds", 4),),
    Command.TESTVOICE: (("voice", 4),),
    # Before an upload; before a download it has two numbers of four bytes.
    Command.PREPARE_DATA: (("size", 2), ("zero", 2)),
}
#: A terminal of UDP models asks for a finger of a number.
_ENROL_NUMBER: Final[_Form] = (("user code", 4), ("finger", 1))

_ANSWERED: Final[Mapping[int, _Form]] = {
    Command.USERGRP_RRQ: (("group", 1),),
    Command.USERTZ_RRQ: _OWN_ZONES,
    Command.GRPTZ_RRQ: _GROUP,
    Command.TZ_RRQ: (("time zone", 2), *_WEEK),
    Command.ULG_RRQ: _COMBINATION,
    Command.GET_PINWIDTH: (("user code width", 1),),
    Command.DOORSTATE_RRQ: (("door", 1),),
    Command.VERIFY_RRQ: (*_WHOSE, ("verify mode", 1)),
}


def asked(command: int, data: bytes) -> Sequence[Part] | None:
    """Read the data of a request, None where it is none of these or too short."""
    is_number = command == Command.STARTENROLL and len(data) < _ASKED[command][0][1]
    return _read(_ENROL_NUMBER if is_number else _ASKED.get(command), data)


def answered(command: int, reply: int, data: bytes) -> Sequence[Part] | None:
    """Read the data that answers a request, None where it is none of these or too short."""
    return _read(_ANSWERED.get(command), data) if reply == Reply.ACK_OK else None


def _read(form: _Form | None, data: bytes) -> Sequence[Part] | None:
    if form is None or sum(size for _, size in form) > len(data):
        return None
    parts, at = [], 0
    for name, size in form:
        parts.append(Part(at, size, name, _said(name, data[at : at + size])))
        at += size
    if at < len(data):
        parts.append(Part(at, len(data) - at, "rest", f"{len(data) - at} bytes"))
    return parts


def _said(name: str, data: bytes) -> str:
    number = int.from_bytes(data, "little")
    if name in _DAYS:
        return "{:02}:{:02}-{:02}:{:02}".format(*data)
    if name == "door":
        return "open" if number == 1 else "closed"
    if len(data) > 4:
        text = data.partition(b"\0")[0].decode("utf-8", "replace")
        return text if text.isprintable() else f"{len(data)} bytes"
    return str(number)
