"""Conversations with a terminal: generators that yield what to ask and receive what is answered.

Answers for the order of requests and for what an answer means. Sockets, deadlines and repetition
belong to whoever drives them (`client.py` shows how). After a ProtocolError or a timeout a session
is not used again, but for `farewell`.
"""

import struct
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final, Literal

from punchgate.protocols.zk import commands, commkey, events, moment, tables, users
from punchgate.protocols.zk.client import Ask, Conversation
from punchgate.protocols.zk.commands import Command, Reply
from punchgate.protocols.zk.packets import Packet
from punchgate.protocols.zk.tables import FreeSizes
from punchgate.protocols.zk.users import User, UserChange
from punchgate.wire.error import ProtocolError

_U16: Final = struct.Struct("<H")
_U32: Final = struct.Struct("<I")

#: Until somebody has seen on that terminal what the number means: 3 seconds, or 30 at worst.
UNCONFIRMED_UNLOCK: Final = 30

#: What we ask of a terminal once in a session and compare with the last time.
OPTIONS: Final = (
    "~SerialNumber", "~DeviceName", "~Platform", "~OEMVendor", "MAC", "~ZKFPVersion",
    "ZKFaceVersion", "FaceFunOn", "~PIN2Width", "~IsABCPinEnable", "WorkCode", "~ExtendFmt",
    "~UserExtFmt",
)  # fmt: skip

#: Characters of an option or a version that are kept; a real one has a few dozen.
_TEXT: Final = 200

UnlockUnit = Literal["tenth", "second"]
EnrolForm = Literal["text", "number"]


class WrongKey(ProtocolError):
    """The terminal wants a comm key, or another one. Not to be tried again by itself."""


class Refused(ProtocolError):
    """The terminal answered a request with an error."""

    def __init__(self, command: int, code: int) -> None:
        super().__init__(f"{commands.name(command)} was refused with {commands.name(code)}.")
        self.command = command
        self.code = code


def ask(command: int, data: bytes = b"", *, is_ordered: bool = False) -> Conversation[Packet]:
    """Ask something that is answered in one packet.

    Errors:  Refused.
    """
    answer = yield Ask(command, data, is_ordered=is_ordered)
    if answer.command not in commands.ACCEPTED:
        raise Refused(command, answer.command)
    return answer


def connect(key: int = 0) -> Conversation[None]:
    """Begin a session, with the key where the terminal wants one.

    Errors:  WrongKey; Refused.
    """
    answer = yield Ask(Command.CONNECT)
    if answer.command == Reply.ACK_UNAUTH:
        if not key:
            raise WrongKey("The terminal wants a comm key.")
        answer = yield Ask(Command.AUTH, commkey.scramble(key, answer.session))
        if answer.command == Reply.ACK_UNAUTH:
            raise WrongKey("The comm key is wrong.")
    if answer.command != Reply.ACK_OK:
        raise Refused(Command.CONNECT, answer.command)


def farewell(*, is_disabled: bool) -> Conversation[None]:
    """Leave: let go of a table, let people punch again if we kept them from it, and go."""
    yield Ask(Command.FREE_DATA)
    if is_disabled:
        yield Ask(Command.ENABLEDEVICE)
    yield Ask(Command.EXIT)


def leave() -> Conversation[None]:
    """End a session in which nothing is held."""
    yield Ask(Command.EXIT)


def read_free_sizes() -> Conversation[FreeSizes]:
    """Read the counters; all are unknown where the terminal refuses."""
    try:
        answer = yield from ask(Command.GET_FREE_SIZES)
    except Refused:
        return FreeSizes()
    return tables.read_free_sizes(answer.data)


def read_options(names: Iterable[str] = OPTIONS) -> Conversation[dict[str, str]]:
    """Read options; those that the terminal does not have are missing."""
    found = {}
    for name in names:
        try:
            answer = yield from ask(Command.OPTIONS_RRQ, name.encode() + b"\0")
        except Refused:
            continue
        said, equals, value = answer.data.partition(b"\0")[0].partition(b"=")
        if equals and said == name.encode():
            found[name] = _text(value)
    return found


def write_option(name: str, value: str) -> Conversation[None]:
    """Set an option, and have the terminal use it."""
    yield from ask(Command.OPTIONS_WRQ, f"{name}={value}".encode() + b"\0")
    yield from ask(Command.REFRESHOPTION)


def read_firmware() -> Conversation[str]:
    """Read what firmware this is."""
    answer = yield from ask(Command.GET_VERSION)
    return _text(answer.data.partition(b"\0")[0])


def read_time() -> Conversation[moment.Said]:
    """Read the terminal's clock; it may show what no calendar has."""
    answer = yield from ask(Command.GET_TIME)
    return moment.said(_number(answer, _U32))


def write_time(wall_time: datetime) -> Conversation[None]:
    """Set the terminal's clock, in its own zone; to be sent at the start of a second."""
    yield from ask(Command.SET_TIME, _U32.pack(moment.pack(wall_time)))
    yield from ask(Command.REFRESHDATA)


def disable(seconds: int = 60) -> Conversation[None]:
    """Keep people from punching for so long, should we be gone before `enable`."""
    yield from ask(Command.DISABLEDEVICE, _U32.pack(seconds))


def enable() -> Conversation[None]:
    """Let people punch again."""
    yield from ask(Command.ENABLEDEVICE)


def read_door() -> Conversation[bool]:
    """Say whether the door stands open."""
    answer = yield from ask(Command.DOORSTATE_RRQ)
    if not answer.data:
        raise ProtocolError("The state of the door is missing.")
    return answer.data[0] == 1


def unlock(
    seconds: int, *, unit: UnlockUnit = "tenth", is_confirmed: bool = False
) -> Conversation[int]:
    """Open the door for a time, and give the number that was sent.

    Units:   what the number means is a setting of the device; until it was confirmed on that
             terminal no more than 30 is sent.
    """
    number = seconds * 10 if unit == "tenth" else seconds
    sent = number if is_confirmed else min(number, UNCONFIRMED_UNLOCK)
    yield from ask(Command.UNLOCK, _U32.pack(sent))
    return sent


def restart() -> Conversation[None]:
    """Restart the terminal; it may go without an answer."""
    yield from ask(Command.RESTART)


def listen(mask: int = events.ALL) -> Conversation[None]:
    """Ask for live events until the session ends."""
    yield from ask(Command.REG_EVENT, _U32.pack(mask))


def enrol(user_id: str, finger: int, *, form: EnrolForm = "text") -> Conversation[None]:
    """Ask a person for a finger at the terminal; live events tell how it went.

    An existing template of that finger is to be deleted first, and events to be listened for.
    """
    if form == "text":
        data = user_id.encode("ascii").ljust(24, b"\0") + bytes((finger, 1))
    else:
        data = _U32.pack(int(user_id)) + bytes((finger,))
    yield from ask(Command.CANCELCAPTURE)
    yield from ask(Command.STARTENROLL, data)
    yield from ask(Command.STARTVERIFY)


def cancel_enrol() -> Conversation[None]:
    """End the wait for a finger."""
    yield from ask(Command.CANCELCAPTURE)


def delete_template(uid: int, finger: int) -> Conversation[None]:
    """Take one finger of a person away."""
    yield from ask(Command.DELETE_USERTEMP, _U16.pack(uid) + bytes((finger,)))
    yield from ask(Command.REFRESHDATA)


def put_user(
    people: Collection[User],
    user_id: str,
    change: UserChange,
    *,
    encoding: str = "utf-8",
    pin_width: int = 24,
) -> Conversation[int]:
    """Add a person, or change one, and give the row number.

    Shapes:  `people` is the user table as it was just read; an empty terminal has rows of 72.
    Errors:  ValueError, before anything is sent, for what the terminal cannot hold; Refused.
    """
    persons = [each for each in people if each.is_person]
    known = next((each for each in persons if each.user_id == user_id), None)
    if known is None:
        uid = users.lowest_free_uid({each.uid for each in people})
        width = len(persons[0].row) if persons else users.USER_72.size
        row = users.new(uid, user_id, width=width, pin_width=pin_width)
    else:
        uid, row = known.uid, known.row
    yield from ask(Command.USER_WRQ, users.changed(row, change, encoding=encoding))
    yield from ask(Command.REFRESHDATA)
    return uid


def delete_user(uid: int) -> Conversation[None]:
    """Take a person and the templates of that person away."""
    yield from ask(Command.DELETE_USER, _U16.pack(uid))
    yield from ask(Command.REFRESHDATA)


def _text(said: bytes) -> str:
    """Read what a terminal says of itself, as it may be kept and shown: printable, not too long."""
    text = said[: 4 * _TEXT].decode("utf-8", "replace")[:_TEXT]
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def _number(answer: Packet, form: struct.Struct) -> int:
    if len(answer.data) < form.size:
        raise ProtocolError(f"{answer}: too short.")
    number: int = form.unpack_from(answer.data)[0]
    return number
