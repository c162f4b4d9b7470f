"""What a request wants changed, read from its bytes.

Answers for the shape of each changing request; whether it is done is for whoever owns the memory.
Uploads of more than one packet are put together in `terminal.py`.
"""

import struct
from collections.abc import Callable
from typing import Final

from punchgate.protocols.zk import memory, moment
from punchgate.protocols.zk.commands import Command
from punchgate.wire.error import ProtocolError

_U16: Final = struct.Struct("<H")
_U32: Final = struct.Struct("<I")
_USER_ROWS: Final = (28, 72)
_USER_CODE: Final = 24

#: Nothing is lost by answering them with "done" where nothing can be changed.
HARMLESS: Final = frozenset({
    Command.ENABLEDEVICE, Command.DISABLEDEVICE, Command.REFRESHDATA, Command.REFRESHOPTION,
    Command.STARTVERIFY, Command.CANCELCAPTURE,
})  # fmt: skip

_ORDERS: Final = frozenset({
    Command.USERTEMP_WRQ, Command.USERGRP_WRQ, Command.USERTZ_WRQ, Command.GRPTZ_WRQ,
    Command.TZ_WRQ, Command.ULG_WRQ, Command.VERIFY_WRQ, Command.UNLOCK, Command.ENABLE_CLOCK,
    Command.STARTVERIFY, Command.CANCELCAPTURE, Command.WRITE_LCD, Command.CLEAR_LCD,
    Command.RESTART, Command.POWEROFF, Command.SLEEP, Command.RESUME, Command.REFRESHDATA,
    Command.REFRESHOPTION, Command.TESTVOICE,
})  # fmt: skip

_CLEARS: Final = frozenset({
    Command.CLEAR_DATA, Command.CLEAR_ATTLOG, Command.CLEAR_ADMIN, Command.CLEAR_ACC,
    Command.CLEAR_OPLOG,
})  # fmt: skip


def is_one(command: int) -> bool:
    """Say whether a request of one packet changes something."""
    return command in _ORDERS or command in _CLEARS or command in _READERS


def read(command: int, data: bytes) -> memory.Change:
    """Read what a request wants changed.

    Errors:  ProtocolError where its data is too short or says nothing.
    """
    if command in _ORDERS:
        return memory.Order(command, data)
    if command in _CLEARS:
        return memory.Clear(command, data[0] if data else None)
    try:
        return _READERS[command](data)
    except (struct.error, LookupError, ValueError) as error:
        raise ProtocolError(f"The data of command {command} makes no sense.") from error


def _save_user(data: bytes) -> memory.Change:
    if len(data) not in _USER_ROWS:
        raise ValueError(len(data))
    return memory.SaveUser(data)


def _delete_user(data: bytes) -> memory.Change:
    return memory.DeleteUser(_U16.unpack_from(data)[0])


def _delete_template(data: bytes) -> memory.Change:
    finger = data[_U16.size] if len(data) > _U16.size else 0
    return memory.DeleteTemplate(finger, uid=_U16.unpack_from(data)[0])


def _delete_template_of(data: bytes) -> memory.Change:
    return memory.DeleteTemplate(data[_USER_CODE], user_id=_text(data[:_USER_CODE]))


def _set_option(data: bytes) -> memory.Change:
    name, equals, value = data.partition(b"\0")[0].partition(b"=")
    if not equals:
        raise ValueError("an option without a value")
    return memory.SetOption(name.decode("utf-8", "replace"), value.decode("utf-8", "replace"))


def _set_time(data: bytes) -> memory.Change:
    return memory.SetTime(moment.said(_U32.unpack_from(data)[0]))


def _enable(_: bytes) -> memory.Change:
    return memory.SetEnabled(is_enabled=True)


def _disable(data: bytes) -> memory.Change:
    seconds = _U32.unpack_from(data)[0] if len(data) >= _U32.size else None
    # pyzk and its kin send no number, or 0: until somebody enables it again.
    return memory.SetEnabled(is_enabled=False, seconds=seconds or None)


def _enrol(data: bytes) -> memory.Change:
    if len(data) > _USER_CODE:
        return memory.Enrol(_text(data[:_USER_CODE]), data[_USER_CODE])
    return memory.Enrol(str(_U32.unpack_from(data)[0]), data[_U32.size])


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("ascii", "replace")


_READERS: Final[dict[int, Callable[[bytes], memory.Change]]] = {
    Command.USER_WRQ: _save_user,
    Command.DELETE_USER: _delete_user,
    Command.DELETE_USERTEMP: _delete_template,
    Command.DEL_FPTMP: _delete_template_of,
    Command.OPTIONS_WRQ: _set_option,
    Command.SET_TIME: _set_time,
    Command.ENABLEDEVICE: _enable,
    Command.DISABLEDEVICE: _disable,
    Command.STARTENROLL: _enrol,
}
