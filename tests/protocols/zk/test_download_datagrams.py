"""Reading tables over UDP: whatever happens to datagrams, no row is made of two halves.

Real: both roles of the codec. Simulated: the terminal's memory, and mishaps on the way.
"""

from collections.abc import Sequence

import pytest

from punchgate.protocols.zk import dialogue, download, tables
from punchgate.protocols.zk.commands import Command, Reply
from punchgate.protocols.zk.manner import Buffering, Manner
from punchgate.protocols.zk.packets import Packet
from punchgate.protocols.zk.tables import Table
from punchgate.protocols.zk.terminal import Terminal
from punchgate.wire.error import ProtocolError
from tests.protocols.zk import stage
from tests.protocols.zk.stage import Line, Memory, Mishap

_ROWS = stage.table("40", 300)
_PLAIN = Manner(buffering="refused", data_bytes=1_024)


def _read(
    rows: bytes, manner: Manner, mishap: Mishap, came: download.Came | None = None
) -> download.Download:
    known = Memory(tables={Table.ATTENDANCE: rows})
    line = Line(Terminal(known, known.apply, session=7, manner=manner), mishap=mishap)
    line.run(dialogue.connect())
    reading = download.read(Table.ATTENDANCE, part_bytes=tables.CHUNK_UDP, came=came)
    return line.run(reading)


@pytest.mark.parametrize("buffering", ["by_size", "refused"])
@pytest.mark.parametrize("count", [26, 300])
@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_datagrams_that_change_places_never_make_rows_of_two_halves(
    buffering: Buffering, count: int, nth: int
) -> None:
    rows = _ROWS[: 40 * count]
    manner = Manner(buffering=buffering, data_bytes=1_024)
    found = _read(rows, manner, _overtaking(nth))
    assert (found.rows, found.is_complete) == (rows, True)


def _overtaking(nth: int) -> Mishap:
    """Let one packet of a table, by its number, be overtaken by the next one."""
    held: list[Packet] = []
    seen = 0

    def mishap(answer: Packet) -> Sequence[Packet]:
        nonlocal seen
        seen += answer.command in {Command.PREPARE_DATA, Command.DATA}
        if seen == nth and answer.command in {Command.PREPARE_DATA, Command.DATA}:
            held.append(answer)
            return ()
        behind, held[:] = tuple(held), ()
        return (answer, *behind)

    return mishap


def test_a_table_that_never_comes_the_same_again_is_not_believed() -> None:
    readings, seen = 0, 0

    def mishap(answer: Packet) -> Sequence[Packet]:
        nonlocal readings, seen
        if answer.command == Command.PREPARE_DATA:
            readings, seen = readings + 1, 0
        seen += answer.command == Command.DATA
        return () if answer.command == Command.DATA and seen == readings else (answer,)

    came = download.Came()
    with pytest.raises(ProtocolError, match="get lost, or change places"):
        _read(_ROWS, _PLAIN, mishap, came)
    assert readings > 2
    assert len(came) == 0


def test_who_finds_no_room_for_a_table_of_many_datagrams_knows_how_much_it_takes() -> None:
    def hold(size_bytes: int) -> None:
        raise MemoryError(size_bytes)

    came = download.Came(hold)
    with pytest.raises(MemoryError):
        _read(_ROWS, _PLAIN, lambda answer: (answer,), came)
    assert came.announced_bytes == tables.TABLE_HEAD.size + len(_ROWS)


def test_two_datagrams_that_change_places_twice_are_not_believed() -> None:
    held: list[Packet] = []
    readings = 0

    def mishap(answer: Packet) -> Sequence[Packet]:
        nonlocal readings
        readings += answer.command == Command.PREPARE_DATA
        if readings < 3 and answer.command == Command.DATA and not held:
            held.append(answer)
            return ()
        behind, held[:] = tuple(held), ()
        return (answer, *behind)

    found = _read(_ROWS[: 40 * 50], _PLAIN, mishap)
    assert readings == 2 + download.ALIKE
    assert (found.rows, found.is_complete) == (_ROWS[: 40 * 50], True)


def test_over_udp_a_table_is_refused_in_the_middle_of_its_repetition() -> None:
    said = iter([False, True])

    def mishap(answer: Packet) -> Sequence[Packet]:
        if answer.command == Command.PREPARE_DATA and next(said):
            return (answer._replace(command=Reply.ACK_ERROR, data=b""),)
        return (answer,)

    with pytest.raises(ProtocolError, match="get lost, or change places"):
        _read(_ROWS, _PLAIN, mishap)
