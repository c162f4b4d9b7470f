"""The fields of small requests and answers, told by name.

The vectors are put together byte by byte from docs/protocols/zk-4370.md, not by our own code.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.protocols.zk import annotate, fields, packets
from punchgate.protocols.zk.commands import Command, Reply
from punchgate.protocols.zk.packets import Packet

_WEEK = bytes((8, 0, 17, 30)) * 6 + bytes((23, 57, 0, 0))
_WORKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
_DAYS = {**dict.fromkeys(_WORKDAYS, "08:00-17:30"), "Saturday": "23:57-00:00"}
_GROUP = {"group": "77", "zone 1": "8", "zone 2": "7", "zone 3": "6", "verify style": "142"}
_COMBINATION = {
    "combination": "7", "group 1": "1", "group 2": "2", "group 3": "0", "group 4": "0",
    "group 5": "0", "how many": "2",
}  # fmt: skip
_OWN = {"own zones": "1", "zone 1": "3", "zone 2": "0", "zone 3": "0"}
_OWN_BYTES = "01000000 03000000 00000000 00000000"


def _told(*said: Packet) -> dict[str, str]:
    *_, last = annotate.explain(b"".join(packets.frame(packet) for packet in said))
    return {note.name: note.meaning for note in last.notes[6:]}


@pytest.mark.parametrize(
    ("command", "data", "told"),
    [
        (Command.DELETE_USER, "0201", {"row number": "258"}),
        (Command.DELETE_USERTEMP, "0201 05", {"row number": "258", "finger": "5"}),
        (Command.GET_USERTEMP, "0201 05", {"row number": "258", "finger": "5"}),
        (Command.USERTEMP_RRQ, "0201 05", {"row number": "258", "finger": "5"}),
        (Command.DEL_FPTMP, "3432" + "00" * 22 + "09", {"user code": "42", "finger": "9"}),
        (Command.STARTENROLL, "3432" + "00" * 22 + "0901",
         {"user code": "42", "finger": "9", "flag": "1"}),
        (Command.STARTENROLL, "2a000000 09", {"user code": "42", "finger": "9"}),
        (Command.CLEAR_DATA, "04", {"what": "4"}),
        (Command.USERGRP_RRQ, "05000000", {"row number": "5"}),
        (Command.USERGRP_WRQ, "05000000 02", {"row number": "5", "group": "2"}),
        (Command.USERTZ_WRQ, "05000000" + _OWN_BYTES, {"row number": "5", **_OWN}),
        (Command.GRPTZ_WRQ, "4d 0800 0700 0600 8e", _GROUP),
        (Command.ULG_WRQ, "07 01 02 00 00 00 0200", _COMBINATION),
        (Command.TZ_WRQ, "30000000" + _WEEK.hex(), {"time zone": "48", **_DAYS}),
        (Command.UNLOCK, "1e000000", {"open for": "30"}),
        (Command.DISABLEDEVICE, "3c000000", {"seconds": "60"}),
        (Command.TESTVOICE, "02000000", {"voice": "2"}),
        (Command.VERIFY_WRQ, "0d00 8d" + "00" * 21,
         {"row number": "13", "verify mode": "141", "rest": "21 bytes"}),
        (Command.TMP_WRITE, "0201 05 01 f401",
         {"row number": "258", "finger": "5", "flag": "1", "size": "500"}),
        (Command.WRITE_LCD, "0100 00 20 4869", {"line": "1", "rest": "4 bytes"}),
        (Command.REG_EVENT, "ffff0000", {"events": "65535"}),
        (Command.PREPARE_DATA, "f401 0000", {"size": "500", "zero": "0"}),
        # Shorter than what it should hold.
        (Command.UNLOCK, "1e", {"data": "1 bytes"}),
        (Command.STARTENROLL, "2a", {"data": "*"}),
    ],
)  # fmt: skip
def test_an_order_is_told(command: int, data: str, told: dict[str, str]) -> None:
    assert _told(Packet(command, 7, 1, bytes.fromhex(data))) == told


@pytest.mark.parametrize(
    ("command", "data", "told"),
    [
        (Command.GET_PINWIDTH, "0e", {"user code width": "14"}),
        (Command.DOORSTATE_RRQ, "01", {"door": "open"}),
        (Command.DOORSTATE_RRQ, "00", {"door": "closed"}),
        (Command.USERGRP_RRQ, "02", {"group": "2"}),
        (Command.USERTZ_RRQ, _OWN_BYTES, _OWN),
        (Command.GRPTZ_RRQ, "4d 0800 0700 0600 8e", _GROUP),
        (Command.ULG_RRQ, "07 01 02 00 00 00 0200", _COMBINATION),
        (Command.TZ_RRQ, "3000" + _WEEK.hex() + "0000",
         {"time zone": "48", **_DAYS, "rest": "2 bytes"}),
        (Command.VERIFY_RRQ, "0d00 8d" + "00" * 21,
         {"row number": "13", "verify mode": "141", "rest": "21 bytes"}),
        (Command.GET_PINWIDTH, "", {}),
    ],
)  # fmt: skip
def test_an_answer_is_told_by_its_question(command: int, data: str, told: dict[str, str]) -> None:
    answer = Packet(Reply.ACK_OK, 7, 1, bytes.fromhex(data))
    assert _told(Packet(command, 7, 1), answer) == told


def test_a_refusal_is_no_answer() -> None:
    refusal = Packet(Reply.ACK_ERROR, 7, 1, b"\1")
    assert _told(Packet(Command.DOORSTATE_RRQ, 7, 1), refusal) == {"data": "1 bytes"}


@given(st.sampled_from(list(Command)), st.binary(max_size=60))
def test_I7_any_data_is_told_to_its_last_byte(command: Command, data: bytes) -> None:
    for parts in (fields.asked(command, data), fields.answered(command, Reply.ACK_OK, data)):
        if parts is not None:
            assert sum(part.size for part in parts) == len(data)
            assert [part.offset for part in parts][:1] in ([0], [])
