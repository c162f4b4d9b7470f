"""A conversation with a terminal, kept as it was said: for support, and for tests without hardware.

A tape is text: a head that begins with `#`, then one packet on a line as JSON, framed as on TCP
whatever carried it. Names, user codes, cards, passwords and keys are replaced before it is written
(`scrub`): the bytes keep their places and lengths, so that what was wrong with them still is.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from punchgate.protocols.zk import choice, layouts, packets, tables, users
from punchgate.protocols.zk.commands import Command, Reply
from punchgate.protocols.zk.layouts import LayoutName
from punchgate.protocols.zk.packets import Packet
from punchgate.protocols.zk.tables import Table
from punchgate.protocols.zk.users import USER_72, UserChange

#: How a tape begins; `punchgate replay` knows it by this.
HEAD: Final = "# punchgate capture zk/1"

Side = Literal["client", "terminal"]

#: Where a row says whom by a code of its own; by its number it says nobody outside the terminal.
_CODES: Final[dict[LayoutName, slice]] = {
    "40": slice(2, 26), "49": slice(2, 26), "22": slice(2, 8), "16": slice(0, 4),
}  # fmt: skip
#: Codes that stand for others; six digits fit into every row, and hardly a terminal has them.
_FIRST_CODE: Final = 900_001
#: What is answered to these is about the terminal; whatever else is answered may be about people.
_ABOUT_IT: Final = frozenset({
    Command.OPTIONS_RRQ, Command.GET_VERSION, Command.GET_TIME, Command.GET_FREE_SIZES,
    Command.PREPARE_BUFFER,
})  # fmt: skip


@dataclass(slots=True)
class Tape:
    """What was said, in its order."""

    said: list[tuple[str, Packet]] = field(default_factory=list)

    def tap(self, side: str, packet: Packet) -> None:
        """Keep one packet."""
        self.said.append((side, packet))

    def lines(self) -> Iterator[str]:
        """Write the tape, line by line."""
        yield HEAD
        for side, packet in self.said:
            yield json.dumps({"from": side, "hex": packets.frame(packet).hex()})


def scrub(tape: Tape, now: datetime) -> Tape:
    """Give a tape without names, user codes, cards, passwords and keys.

    `now` is a wall time: rows lie before it. A table that cannot be read is blanked as a whole.
    """
    scrubber = _Scrubber(list(tape.said), now)
    scrubber.run()
    return Tape(scrubber.said)


class _Scrubber:
    def __init__(self, said: list[tuple[str, Packet]], now: datetime) -> None:
        self.said = said
        self._now = now
        self._codes: dict[bytes, int] = {}
        self._table: int | None = None
        #: The bytes of the table, and which packet brought which of them.
        self._data = bytearray()
        self._places: list[tuple[int, int]] = []
        self._at = self._begin = 0
        #: Where the part under way ends, as far as was said.
        self._end: int | None = None
        self._question: int | None = None
        #: How many people the terminal says it has; 0 is unknown.
        self._count = 0

    def run(self) -> None:
        for number, (side, packet) in enumerate(list(self.said)):
            if side == "client":
                self._asked(number, packet)
            elif packet.command == Command.PREPARE_DATA:
                self._turn(self._begin)
                self._end = self._begin + int.from_bytes(packet.data[:4], "little")
            elif packet.command == Command.DATA:
                self._came(number, packet.data)
            elif packet.command != Reply.ACK_OK or self._question not in _ABOUT_IT:
                self._put(number, bytes(len(packet.data)))
            elif self._question == Command.GET_FREE_SIZES:
                self._count = tables.read_free_sizes(packet.data).users
        self._settle()

    def _asked(self, number: int, packet: Packet) -> None:
        if packet.command != Reply.ACK_OK:
            self._question = packet.command
        match packet.command:
            case Command.AUTH:
                # Whoever has the four bytes and the session has the key.
                self._put(number, bytes(len(packet.data)))
            case Command.PREPARE_BUFFER:
                self._settle()
                self._table = tables.TABLE_REQUEST.unpack(packet.data)[1]
            case Command.READ_BUFFER:
                self._turn(tables.CHUNK_REQUEST.unpack(packet.data)[0])
            case Command.FREE_DATA | Command.EXIT:
                self._settle()
            case Table.USERS | Table.ATTENDANCE if self._table != packet.command:
                self._settle()
                self._table = packet.command
            case Table.USERS | Table.ATTENDANCE:
                self._turn(0)

    def _turn(self, begin: int) -> None:
        """Go on to a part, which may be the last one anew."""
        if self._end is not None and self._at != self._end:
            # With a gap in it no row stands in its place: what is a name there nobody knows.
            del self._data[self._begin :]
        self._at = self._begin = begin
        self._end = None

    def _came(self, number: int, data: bytes) -> None:
        end = self._at + len(data)
        if self._end is not None and end > self._end:
            # Something came twice.
            self._put(number, bytes(len(data)))
            return
        self._data[self._at : end] = data
        self._places.append((number, self._at))
        self._at = end

    def _settle(self) -> None:
        """Scrub the table that was read, and put its parts where they came from."""
        self._turn(0)
        head = tables.TABLE_HEAD.size
        clean = bytes(self._data[:head]) + self._clean(bytes(self._data[head:]))
        for number, start in self._places:
            length = len(self.said[number][1].data)
            self._put(number, clean[start : start + length].ljust(length, b"\0"))
        self._data.clear()
        self._places.clear()
        self._table = None

    def _clean(self, rows: bytes) -> bytes:
        if self._table == Table.USERS:
            return self._users(rows)
        found = choice.choose(rows, choice.Known(self._now)) if rows else None
        if self._table != Table.ATTENDANCE or found is None:
            return bytes(len(rows))
        return self._attendance(rows, found.layout, found.skip)

    def _attendance(self, rows: bytes, layout: LayoutName, skip: int) -> bytes:
        place = _CODES.get(layout)
        if place is None:
            return rows
        result = bytearray(rows)
        width = layouts.LAYOUTS[layout].width
        for start in range(skip, len(rows), width):
            first, end = start + place.start, min(start + place.stop, len(rows))
            if first < end:
                result[first:end] = self._code(bytes(rows[first:end]), is_number=layout == "16")
        return bytes(result)

    def _users(self, rows: bytes) -> bytes:
        width = users.width_of(rows, count=self._count)
        place = slice(48, 72) if width == USER_72.size else slice(24, 28)
        result = bytearray()
        for start in range(0, len(rows) - width + 1, width):
            row = rows[start : start + width]
            if not users.read(row).is_person:
                result += row[:3] + bytes(width - 3)
                continue
            code = self._code(row[place], is_number=width != USER_72.size)
            name = f"Person {len(self._codes)}"
            clean = users.changed(row, UserChange(name=name, card=0, password=""))
            result += clean[: place.start] + code + clean[place.stop :]
        return bytes(result.ljust(len(rows), b"\0"))

    def _code(self, said: bytes, *, is_number: bool) -> bytes:
        key = str(int.from_bytes(said, "little")).encode() if is_number else said.split(b"\0")[0]
        if not key:
            return bytes(len(said))
        number = self._codes.setdefault(key, _FIRST_CODE + len(self._codes))
        if is_number:
            return number.to_bytes(4, "little")[: len(said)]
        return str(number).encode().ljust(len(said), b"\0")[: len(said)]

    def _put(self, number: int, data: bytes) -> None:
        side, packet = self.said[number]
        self.said[number] = (side, packet._replace(data=data))
