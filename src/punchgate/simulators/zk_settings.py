"""The options and access settings of a virtual terminal: what a new one has, and how it is told.

What was written later is kept in `zk_memory.py`.
"""

import struct
from collections.abc import Mapping
from random import Random
from typing import Final

from punchgate.protocols.zk.commands import Command
from punchgate.simulators.zk_faults import Faults

#: Access settings, by the command that reads them: how many bytes of the number of the group or
#: time zone stand in the answer, what a new terminal has (nothing is limited), and what follows.
_SETTINGS: Final[Mapping[int, tuple[int, bytes, bytes]]] = {
    Command.USERGRP_RRQ: (0, b"\x01", b""),
    Command.USERTZ_RRQ: (0, struct.pack("<IIII", 1, 1, 0, 0), b""),
    Command.GRPTZ_RRQ: (1, struct.pack("<HHHB", 1, 0, 0, 0), b""),
    Command.TZ_RRQ: (2, b"\x00\x00\x17\x3b" * 7, b"\0\0"),
    Command.ULG_RRQ: (1, struct.pack("<5BH", 1, 0, 0, 0, 0, 1), b""),
    Command.VERIFY_RRQ: (2, bytes(22), b""),
}


def answer(command: int, number: int, written: bytes | None) -> bytes | None:
    """Give what reading a setting answers: what was written, or what a new terminal has."""
    if command not in _SETTINGS:
        return None
    width, factory, tail = _SETTINGS[command]
    value = factory if written is None else written
    return number.to_bytes(2, "little")[:width] + value + tail


def options(serial: str, *, seed: int, faults: Faults) -> dict[str, str]:
    """Give the options of a new terminal."""
    chance = Random(f"{seed}/mac")  # noqa: S311 (an invented terminal)
    mac = ":".join(f"{byte:02x}" for byte in b"\x00\x17\x61" + chance.randbytes(3))
    return {
        "~SerialNumber": serial,
        "~DeviceName": "Virtual terminal",
        "~Platform": "ZEM760_TFT",
        "~OEMVendor": "Punchgate",
        "~OS": "1",
        "~SSR": "1",
        "MAC": mac,
        "IPAddress": "127.0.0.1",
        "~ZKFPVersion": "10",
        "ZKFaceVersion": "7",
        "FaceFunOn": "1",
        "~PIN2Width": "9",
        "~IsABCPinEnable": str(int("codes-alphanumeric" in faults)),
        "WorkCode": "0",
        "~ExtendFmt": "0",
        "~UserExtFmt": "1",
        "LockOn": "5",
    }
