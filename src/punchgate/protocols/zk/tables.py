"""The tables of a terminal: their names on the wire, how many rows they have, and the small rows.

Answers for the counters of GET_FREE_SIZES, for templates and for the operation log. People are in
`users.py`, attendance in `records.py`.

A table on the wire is `u32 bytes of rows` and then the rows.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Final, NamedTuple

from punchgate.protocols.zk import moment
from punchgate.protocols.zk.commands import Command

#: In front of the rows of every table: how many bytes follow.
TABLE_HEAD: Final = struct.Struct("<I")
#: What PREPARE_BUFFER asks for: 1, the table's command, and two numbers that only some tables use.
TABLE_REQUEST: Final = struct.Struct("<bHii")
#: A part of a buffered table: offset and length.
CHUNK_REQUEST: Final = struct.Struct("<ii")
#: The answer to PREPARE_BUFFER: the size stands at offset 1, and once more behind it.
BUFFER_ANSWER: Final = struct.Struct("<bIII")
#: The data of PREPARE_DATA: how many bytes follow, and a word that differs between terminals.
PREPARE: Final = struct.Struct("<II")

#: Longest part of a table that may be asked for.
CHUNK_TCP: Final = 0xFFC0
#: Over UDP 16 KiB may be; a part of one datagram has no order that could be wrong.
CHUNK_UDP: Final = 1_024


class Table(IntEnum):
    """A table, by the command that reads it."""

    TEMPLATES = Command.DB_RRQ
    USERS = Command.USERTEMP_RRQ
    ATTENDANCE = Command.ATTLOG_RRQ
    OPERATIONS = Command.OPLOG_RRQ


#: The first of the two numbers behind the table's command.
_ARGUMENT: Final = {Table.TEMPLATES: 2, Table.USERS: 5, Table.ATTENDANCE: 0, Table.OPERATIONS: 0}


def request(table: Table) -> bytes:
    """Give the data of PREPARE_BUFFER for a table."""
    return TABLE_REQUEST.pack(1, table, _ARGUMENT[table], 0)


@dataclass(frozen=True, slots=True)
class FreeSizes:
    """What a terminal holds and could hold, as it says.

    A 0 means unknown, not none: there are terminals that say 0 records and have some.
    """

    users: int = 0
    fingers: int = 0
    records: int = 0
    operations: int = 0
    admins: int = 0
    passwords: int = 0
    finger_capacity: int = 0
    user_capacity: int = 0
    record_capacity: int = 0
    fingers_free: int = 0
    users_free: int = 0
    records_free: int = 0
    faces: int = 0
    face_capacity: int = 0


_INT: Final = struct.Struct("<i")
#: Where each field stands; the rest is 0 or unknown. Source: docs/protocols/zk-4370.md,
#: "Free sizes"; real for 92 bytes, and the first 80 of 112.
_OFFSETS: Final = dict(
    zip(
        (each.name for each in fields(FreeSizes)),
        (16, 24, 32, 40, 48, 52, 56, 60, 64, 68, 72, 76, 80, 88),
        strict=True,
    )
)


def read_free_sizes(data: bytes) -> FreeSizes:
    """Read the counters, as far as they reach; a negative one is unknown."""
    return FreeSizes(**{
        name: max(_INT.unpack_from(data, offset)[0], 0)
        for name, offset in _OFFSETS.items()
        if offset + _INT.size <= len(data)
    })  # fmt: skip


def write_free_sizes(sizes: FreeSizes, *, length: int = 92) -> bytes:
    """Give the counters in a form of so many bytes: 4, 80, 92 and 112 are known."""
    data = bytearray(length)
    for name, offset in _OFFSETS.items():
        if offset + _INT.size <= length:
            _INT.pack_into(data, offset, getattr(sizes, name))
    return bytes(data)


def rows_of(table: bytes) -> bytes:
    """Give the rows of a table, as many as it says and as are there."""
    if len(table) < TABLE_HEAD.size:
        return b""
    return table[TABLE_HEAD.size : TABLE_HEAD.size + TABLE_HEAD.unpack_from(table)[0]]


def with_head(rows: bytes) -> bytes:
    """Put the length in front of rows."""
    return TABLE_HEAD.pack(len(rows)) + rows


_TEMPLATE_HEAD: Final = struct.Struct("<HHBB")


@dataclass(frozen=True, slots=True)
class Template:
    """A finger of a person, as the terminal keeps it.

    Layout (little-endian):

        0      2     4        5      6
        | size | uid | finger | flag | template, size - 6
          u16    u16   u8       u8

    Codes:   `finger` 0 to 9; `flag` 0 invalid, 1 valid, 3 under duress.
    Source:  docs/protocols/zk-4370.md, "Template entry"; not seen on hardware by us.
    """

    uid: int
    finger: int
    flag: int
    template: bytes = field(repr=False)


def read_templates(rows: bytes) -> Iterator[Template]:
    """Read templates until the rows end or make no sense."""
    at = 0
    while at + _TEMPLATE_HEAD.size <= len(rows):
        size, uid, finger, flag = _TEMPLATE_HEAD.unpack_from(rows, at)
        if size < _TEMPLATE_HEAD.size or at + size > len(rows):
            return
        yield Template(uid, finger, flag, rows[at + _TEMPLATE_HEAD.size : at + size])
        at += size


def write_template(entry: Template) -> bytes:
    """Give a template as a row of its table."""
    size = _TEMPLATE_HEAD.size + len(entry.template)
    head = _TEMPLATE_HEAD.pack(size, entry.uid, entry.finger, entry.flag)
    return head + entry.template


OPERATION_ROW: Final = struct.Struct("<HBBIHHHH")


class Operation(NamedTuple):
    """A line of the operation log: what somebody did at the terminal.

    Layout (little-endian):

        0      2           3   4      8    10   12   14   16
        | zero | operation | ? | time | p1 | p2 | p3 | p4 |
          u16    u8          u8  u32    u16  u16  u16  u16

    Codes:   6 is an enrolled finger; the others are those of the push protocol.
    Source:  docs/protocols/zk-4370.md, "Operation log"; one real row (F19).
    """

    operation: int
    said: moment.Said
    parameters: tuple[int, int, int, int]


def read_operations(rows: bytes) -> Iterator[Operation]:
    """Read the whole rows of the operation log."""
    whole = len(rows) - len(rows) % OPERATION_ROW.size
    for _, operation, _, packed, *parameters in OPERATION_ROW.iter_unpack(rows[:whole]):
        first, second, third, fourth = parameters
        yield Operation(operation, moment.said(packed), (first, second, third, fourth))


def write_operation(row: Operation) -> bytes:
    """Give a line of the operation log."""
    return OPERATION_ROW.pack(0, row.operation, 0, row.said.packed(), *row.parameters)
