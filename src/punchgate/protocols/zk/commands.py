"""The numbers of the protocol: what is asked, what is answered, what happens by itself.

Names only. A packet holds plain numbers, because a peer may send any.

Source: docs/protocols/zk-4370.md, "Commands and replies".
"""

from enum import IntEnum
from typing import Final


class Command(IntEnum):
    """What a client asks of a terminal."""

    DB_RRQ = 7
    USER_WRQ = 8
    USERTEMP_RRQ = 9
    USERTEMP_WRQ = 10
    OPTIONS_RRQ = 11
    OPTIONS_WRQ = 12
    ATTLOG_RRQ = 13
    CLEAR_DATA = 14
    CLEAR_ATTLOG = 15
    DELETE_USER = 18
    DELETE_USERTEMP = 19
    CLEAR_ADMIN = 20
    USERGRP_RRQ = 21
    USERGRP_WRQ = 22
    USERTZ_RRQ = 23
    USERTZ_WRQ = 24
    GRPTZ_RRQ = 25
    GRPTZ_WRQ = 26
    TZ_RRQ = 27
    TZ_WRQ = 28
    ULG_RRQ = 29
    ULG_WRQ = 30
    UNLOCK = 31
    CLEAR_ACC = 32
    CLEAR_OPLOG = 33
    OPLOG_RRQ = 34
    GET_FREE_SIZES = 50
    ENABLE_CLOCK = 57
    STARTVERIFY = 60
    STARTENROLL = 61
    CANCELCAPTURE = 62
    STATE_RRQ = 64
    WRITE_LCD = 66
    CLEAR_LCD = 67
    GET_PINWIDTH = 69
    DOORSTATE_RRQ = 75
    VERIFY_WRQ = 79
    VERIFY_RRQ = 80
    TMP_WRITE = 87
    GET_USERTEMP = 88
    SAVE_USERTEMPS = 110
    CHECKSUM_BUFFER = 119
    DEL_FPTMP = 134
    GET_TIME = 201
    SET_TIME = 202
    REG_EVENT = 500
    CONNECT = 1000
    EXIT = 1001
    ENABLEDEVICE = 1002
    DISABLEDEVICE = 1003
    RESTART = 1004
    POWEROFF = 1005
    SLEEP = 1006
    RESUME = 1007
    REFRESHDATA = 1013
    REFRESHOPTION = 1014
    TESTVOICE = 1017
    GET_VERSION = 1100
    AUTH = 1102
    PREPARE_DATA = 1500
    DATA = 1501
    FREE_DATA = 1502
    PREPARE_BUFFER = 1503
    READ_BUFFER = 1504


class Reply(IntEnum):
    """What a terminal answers; it also answers with PREPARE_DATA and DATA."""

    ACK_OK = 2000
    ACK_ERROR = 2001
    ACK_DATA = 2002
    ACK_RETRY = 2003
    ACK_REPEAT = 2004
    ACK_UNAUTH = 2005
    ACK_ERROR_CMD = 65533
    ACK_ERROR_INIT = 65532
    ACK_ERROR_DATA = 65531
    ACK_UNKNOWN = 65535


class LiveEvent(IntEnum):
    """What happens at a terminal; the number stands in the session field of REG_EVENT."""

    ATTENDANCE = 1
    FINGER = 2
    USER_ENROLLED = 4
    FINGER_ENROLLED = 8
    KEY_PRESSED = 16
    UNLOCKED = 32
    VERIFIED = 128
    SAMPLE_SCORE = 256
    ALARM = 512


#: Replies that carry on a request instead of refusing it.
ACCEPTED: Final = frozenset({Reply.ACK_OK, Reply.ACK_DATA, Command.PREPARE_DATA, Command.DATA})

#: They destroy what only the terminal has, or take it out of service: never without an operator's
#: explicit order, which is written down.
DESTRUCTIVE: Final = frozenset({
    Command.CLEAR_DATA, Command.CLEAR_ATTLOG, Command.CLEAR_ADMIN, Command.CLEAR_ACC,
    Command.CLEAR_OPLOG, Command.POWEROFF,
})  # fmt: skip


def name(number: int) -> str:
    """Give the name of a command or a reply, or its number where it has none."""
    for names in (Command, Reply):
        try:
            return names(number).name
        except ValueError:
            continue
    return str(number)
