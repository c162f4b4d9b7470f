"""What a terminal answers to a question of one packet, from its memory.

Pure: a request's data in, the answer's number and data out. Tables, events and changes are in
`terminal.py`.
"""

import struct
from collections.abc import Callable
from typing import Final

from punchgate.protocols.zk import tables
from punchgate.protocols.zk.commands import Command, Reply
from punchgate.protocols.zk.manner import Manner
from punchgate.protocols.zk.memory import Memory

_U32: Final = struct.Struct("<I")

Answer = tuple[int, bytes]
_UNKNOWN: Final[Answer] = (Reply.ACK_ERROR, b"")

_SETTINGS: Final = frozenset({
    Command.USERGRP_RRQ, Command.USERTZ_RRQ, Command.GRPTZ_RRQ, Command.TZ_RRQ, Command.ULG_RRQ,
    Command.VERIFY_RRQ,
})  # fmt: skip


def answer(memory: Memory, manner: Manner, command: int, data: bytes) -> Answer | None:
    """Answer a question; None where the command is none."""
    if command in _SETTINGS:
        setting = memory.setting(command, data)
        return _UNKNOWN if setting is None else (Reply.ACK_OK, setting)
    if command == Command.OPTIONS_RRQ:
        return _option(memory, data)
    if command == Command.GET_FREE_SIZES:
        return Reply.ACK_OK, _free_sizes(memory, manner)
    tell = _TELLERS.get(command)
    return None if tell is None else (Reply.ACK_OK, tell(memory))


def _option(memory: Memory, data: bytes) -> Answer:
    # With or without the NUL: some clients send none.
    name = data.partition(b"\0")[0]
    value = memory.option(name.decode("utf-8", "replace"))
    if value is None:
        return _UNKNOWN
    return Reply.ACK_OK, name + b"=" + value.encode() + b"\0"


def _free_sizes(memory: Memory, manner: Manner) -> bytes:
    sizes = memory.free_sizes() if manner.has_counts else tables.FreeSizes()
    return tables.write_free_sizes(sizes, length=manner.free_sizes_bytes)


_TELLERS: Final[dict[int, Callable[[Memory], bytes]]] = {
    Command.GET_VERSION: lambda memory: memory.firmware.encode() + b"\0",
    Command.GET_PINWIDTH: lambda memory: bytes((memory.pin_width,)),
    Command.DOORSTATE_RRQ: lambda memory: bytes((memory.is_door_open,)),
    Command.GET_TIME: lambda memory: _U32.pack(memory.now().packed()),
}
