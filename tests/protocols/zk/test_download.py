"""Reading whole tables, from terminals of every manner and over a line that loses things.

Real: both roles of the codec. Simulated: the terminal's memory, and mishaps on the way.
"""

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.protocols.zk import dialogue, download, tables
from punchgate.protocols.zk.client import Ask, Conversation
from punchgate.protocols.zk.commands import Command, Reply
from punchgate.protocols.zk.manner import Manner
from punchgate.protocols.zk.packets import Packet
from punchgate.protocols.zk.tables import Table
from punchgate.protocols.zk.terminal import Terminal
from punchgate.wire.error import ProtocolError
from tests.protocols.zk import stage
from tests.protocols.zk.stage import Line, Memory, Mishap

_ROWS = stage.table("40", 4_000)


def _line(rows: bytes, manner: Manner | None = None, mishap: Mishap | None = None) -> Line:
    known = Memory(tables={Table.ATTENDANCE: rows})
    terminal = Terminal(known, known.apply, session=7, manner=manner)
    line = Line(terminal) if mishap is None else Line(terminal, mishap=mishap)
    line.run(dialogue.connect())
    return line


def _read(
    line: Line,
    *,
    part_bytes: int = tables.CHUNK_TCP,
    limit_bytes: int = download.TABLE_LIMIT,
) -> download.Download:
    return line.run(download.read(Table.ATTENDANCE, part_bytes=part_bytes, limit_bytes=limit_bytes))


@pytest.mark.parametrize(
    ("manner", "way"),
    [
        (Manner(), "parts"),
        (Manner(buffering="whole"), "whole"),
        (Manner(buffering="refused"), "plain"),
        (Manner(data_bytes=1_024), "parts"),
        (Manner(data_session=lambda _: 0xBEEF, end_session=lambda _: 124), "parts"),
        (Manner(refused={Command.PREPARE_BUFFER: 4_989}), "plain"),
    ],
)
def test_a_table_is_read_whole_in_every_manner(manner: Manner, way: download.Way) -> None:
    line = _line(_ROWS, manner)
    found = _read(line)
    assert (found.rows, found.way, found.is_complete) == (_ROWS, way, True)
    assert found.head + found.rows == tables.with_head(_ROWS)
    assert line.said[-1].command == Command.FREE_DATA


@pytest.mark.parametrize("count", [0, 1, 24, 25])
@pytest.mark.parametrize("buffering", ["by_size", "parts", "whole", "refused"])
def test_a_small_table_is_read_whole_too(count: int, buffering: str) -> None:
    manner = {
        "by_size": Manner(),
        "parts": Manner(buffering="parts"),
        "whole": Manner(buffering="whole"),
        "refused": Manner(buffering="refused"),
    }[buffering]
    found = _read(_line(_ROWS[: 40 * count], manner))
    assert (found.rows, found.is_complete) == (_ROWS[: 40 * count], True)


def test_parts_are_asked_for_in_order_and_no_longer_than_they_may_be() -> None:
    line = _line(_ROWS)
    _read(line, part_bytes=65_472)
    asked = [
        tables.CHUNK_REQUEST.unpack(packet.data)
        for packet in line.said
        if packet.command == Command.READ_BUFFER
    ]
    assert asked == [(0, 65_472), (65_472, 65_472), (130_944, 160_004 - 130_944)]


@pytest.mark.parametrize(
    ("manner", "found_rows"),
    [
        (Manner(announced=lambda size: size - 40), _ROWS[:-40]),
        (Manner(announced=lambda size: size + 40), _ROWS),
        (Manner(announced=lambda _: 0xFFFFFFFF), _ROWS),
        (Manner(headed=lambda size: size - 40), _ROWS),
        (Manner(headed=lambda _: 0xFFFFFFFF), _ROWS),
    ],
)
def test_a_lie_about_the_size_leaves_the_table_incomplete_and_its_rows_read(
    manner: Manner, found_rows: bytes
) -> None:
    line = _line(_ROWS, manner)
    found = _read(line)
    assert found.rows == found_rows
    assert not found.is_complete
    assert line.said[-1].command == Command.FREE_DATA


def test_no_more_is_read_than_the_limit() -> None:
    found = _read(_line(_ROWS), limit_bytes=100_000)
    assert 100_000 <= len(found.head + found.rows) < 100_000 + 65_472
    assert not found.is_complete


@pytest.mark.parametrize(
    "manner", [Manner(), Manner(buffering="whole"), Manner(buffering="refused")]
)
def test_memory_is_asked_for_as_bytes_come_and_never_because_they_are_announced(
    manner: Manner,
) -> None:
    asked: list[int] = []
    liar = replace(manner, announced=lambda _: 0xFFFFFFFF)
    found = _line(_ROWS, liar).run(
        download.read(Table.ATTENDANCE, came=download.Came(asked.append))
    )
    assert found.rows == _ROWS
    assert asked == sorted(asked)
    assert asked[-1] == len(tables.with_head(_ROWS))


def test_a_table_that_was_read_is_in_memory_once() -> None:
    size = 2 * 1024 * 1024
    tracemalloc.start()
    try:
        found = _pour(download.read(Table.ATTENDANCE), size)
        rows = found.rows
        held_bytes, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(rows) == size - 4
    # Twice while it is handed over; what grows has an eighth in reserve.
    assert held_bytes < 1.1 * size
    assert most_bytes < 2.3 * size


def _pour(conversation: Conversation[download.Download], size: int) -> download.Download:
    """Answer with a table of zeros, of which one part is in memory."""
    part = bytes(tables.CHUNK_TCP)
    done = Packet(Reply.ACK_OK, 7, 1, b"\0" + size.to_bytes(4, "little"))
    step = next(conversation)
    while True:
        answer = done
        if isinstance(step, Ask) and step.command == Command.READ_BUFFER:
            _, wanted = tables.CHUNK_REQUEST.unpack(step.data)
            answer = Packet(Command.DATA, 7, 1, part[:wanted])
        try:
            step = conversation.send(answer)
        except StopIteration as end:
            found: download.Download = end.value
            return found


def test_what_came_of_a_table_that_broke_off_is_kept() -> None:
    class Full(Exception):
        pass

    def hold(size_bytes: int) -> None:
        if size_bytes > 100_000:
            raise Full

    came = download.Came(hold)
    with pytest.raises(Full):
        _line(_ROWS).run(download.read(Table.ATTENDANCE, came=came))
    # One part of 65,472 bytes; the second did not fit.
    assert (len(came), came.announced_bytes) == (65_472, 160_004)
    found = came.taken()
    assert (found.head + found.rows, found.is_complete) == (
        tables.with_head(_ROWS)[:65_472],
        False,
    )
    assert len(came) == 0


def test_neither_way_known_is_refused_with_the_first_answer() -> None:
    manner = Manner(refused={Command.PREPARE_BUFFER: 4_989, Command.ATTLOG_RRQ: 65_535})
    with pytest.raises(dialogue.Refused, match="PREPARE_BUFFER was refused with 4989"):
        _read(_line(_ROWS, manner))


def test_templates_have_no_plain_way() -> None:
    line = _line(_ROWS, Manner(buffering="refused"))
    with pytest.raises(dialogue.Refused):
        line.run(download.read(Table.TEMPLATES))
    assert Command.DB_RRQ not in [packet.command for packet in line.said]


def _losing(nth: int) -> Mishap:
    """Lose one DATA packet, by its number."""
    seen = 0

    def mishap(answer: Packet) -> Sequence[Packet]:
        nonlocal seen
        seen += answer.command == Command.DATA
        return () if answer.command == Command.DATA and seen == nth else (answer,)

    return mishap


@pytest.mark.parametrize("nth", [1, 5, 64])
def test_a_part_with_a_lost_packet_is_asked_for_again(nth: int) -> None:
    found = _read(_line(_ROWS, Manner(data_bytes=1_024), _losing(nth)))
    assert (found.rows, found.is_complete) == (_ROWS, True)


def test_a_part_that_never_comes_whole_ends_the_table() -> None:
    def mishap(answer: Packet) -> Sequence[Packet]:
        return (answer._replace(data=answer.data[:-1]),)

    found = _read(_line(_ROWS, Manner(buffering="parts"), _only(Command.DATA, mishap)))
    assert not found.is_complete
    assert tables.with_head(_ROWS).startswith(found.head + found.rows)


def _only(command: int, mishap: Mishap) -> Mishap:
    return lambda answer: mishap(answer) if answer.command == command else (answer,)


@pytest.mark.parametrize("part_bytes", [2_048, 16_384])
def test_a_part_with_a_packet_that_came_twice_is_asked_for_again(part_bytes: int) -> None:
    twice = iter([True])

    def mishap(answer: Packet) -> Sequence[Packet]:
        return (answer, answer) if next(twice, False) else (answer,)

    line = _line(_ROWS, Manner(data_bytes=1_024), _only(Command.DATA, mishap))
    found = _read(line, part_bytes=part_bytes)
    assert (found.rows, found.is_complete) == (_ROWS, True)


def test_I7_data_without_end_is_a_protocol_error() -> None:
    endless = _only(Command.DATA, lambda answer: (answer,) * 5)
    line = _line(_ROWS, Manner(data_bytes=1_024), endless)
    with pytest.raises(ProtocolError, match="More data came"):
        _read(line)


def test_a_part_longer_than_was_asked_for_is_a_protocol_error() -> None:
    def mishap(answer: Packet) -> Sequence[Packet]:
        return (answer._replace(data=b"\0\0\1\0"),)

    with pytest.raises(ProtocolError, match="longer than was asked for"):
        _read(_line(_ROWS, mishap=_only(Command.PREPARE_DATA, mishap)), part_bytes=1_024)


def test_a_request_that_was_sent_again_begins_its_answer_anew() -> None:
    held: list[Packet] = []

    def mishap(answer: Packet) -> Sequence[Packet]:
        if answer.command == Command.PREPARE_DATA and not held:
            held.append(answer)
            return (answer, Packet(Command.DATA, 7, answer.reply, b"lost with"), answer)
        return (answer,)

    assert _read(_line(_ROWS, mishap=mishap)).is_complete


@pytest.mark.parametrize(
    ("command", "data", "said"),
    [
        (Command.PREPARE_DATA, b"\1\0", "does not say how much"),
        (Reply.ACK_ERROR, b"", "ACK_ERROR came in the middle"),
        (Command.GET_TIME, b"", "GET_TIME came in the middle"),
    ],
)
def test_an_answer_without_sense_is_a_protocol_error(command: int, data: bytes, said: str) -> None:
    def mishap(answer: Packet) -> Sequence[Packet]:
        return (answer._replace(command=command, data=data),)

    with pytest.raises(ProtocolError, match=said):
        _read(_line(_ROWS, mishap=_only(Command.DATA, mishap)))


def test_a_missing_size_is_a_protocol_error() -> None:
    def mishap(answer: Packet) -> Sequence[Packet]:
        return (answer._replace(data=answer.data[:4]),)

    with pytest.raises(ProtocolError, match="size of a table"):
        _read(_line(_ROWS, mishap=_only(Reply.ACK_OK, mishap)))


def _held(conversation: Conversation[object], *answers: tuple[int, bytes]) -> object:
    """Give the result of a conversation that hears these answers, and nothing else."""
    next(conversation)
    *others, (command, data) = answers
    for earlier, said in others:
        conversation.send(Packet(earlier, 7, 1, said))
    with pytest.raises(StopIteration) as ended:
        conversation.send(Packet(command, 7, 1, data))
    return ended.value.value


def test_a_table_may_come_without_being_asked_for_in_parts() -> None:
    table = tables.with_head(_ROWS[:80])
    found = _held(
        download.read(Table.ATTENDANCE),
        (Command.PREPARE_DATA, tables.PREPARE.pack(84, 0)),
        (Command.DATA, table[:50]),
        (Command.DATA, table[50:]),
        (Reply.ACK_OK, b""),
        (Reply.ACK_OK, b""),
    )
    assert found == download.Download(table[:4], table[4:], 84, "whole")


def test_a_part_may_come_without_being_prepared() -> None:
    table = tables.with_head(_ROWS[:80])
    found = _held(
        download.read(Table.ATTENDANCE, part_bytes=50),
        (Reply.ACK_OK, tables.BUFFER_ANSWER.pack(0, 84, 84, 0)),
        (Command.DATA, table[:50]),
        (Command.DATA, table[50:]),
        (Reply.ACK_OK, b""),
    )
    assert found == download.Download(table[:4], table[4:], 84, "parts")


def test_a_template_may_come_in_one_packet() -> None:
    assert _held(download.read_template(9, 6), (Command.DATA, b"finger")) == b"finger"


def test_a_template_is_read() -> None:
    known = Memory(templates={(9, 6): bytes(range(250)) * 4})
    line = stage.line(known)
    line.run(dialogue.connect())
    assert line.run(download.read_template(9, 6)) == known.templates[9, 6]
    with pytest.raises(dialogue.Refused):
        line.run(download.read_template(9, 7))


_ANSWERS = st.builds(
    lambda command, data: (command, data),
    st.sampled_from([2000, 2001, 2005, 1500, 1501, 4_989]),
    st.binary(max_size=40),
)


@given(st.lists(_ANSWERS, min_size=1, max_size=30))
def test_I7_any_answers_end_in_a_table_or_a_protocol_error(
    answers: list[tuple[int, bytes]],
) -> None:
    conversation = download.read(Table.ATTENDANCE)
    next(conversation)
    for command, data in answers:
        try:
            conversation.send(Packet(command, 7, 1, data))
        except (StopIteration, ProtocolError):
            return
