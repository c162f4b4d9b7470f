"""A conversation that was captured: what is left out of it, and that it can be played back.

Real: the conversation, with a virtual terminal; the player, which our own client and a whole
gateway call; the file. Asserted: nobody's name, code, card or key is in it.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest

from punchgate.engines.zk import tape
from punchgate.engines.zk.tape import Tape
from punchgate.protocols.zk import tables, users
from punchgate.protocols.zk.commands import Command, Reply
from punchgate.protocols.zk.layouts import LayoutName
from punchgate.protocols.zk.packets import Packet
from punchgate.protocols.zk.users import UserChange
from punchgate.simulators import zk_tape
from tests.engines import stage as stages
from tests.gateway import MAIN
from tests.simulators import virtual
from tests.simulators.virtual import NOON

_KEY = 4321


async def _captured(
    directory: Path, *, layout: LayoutName = "8A", records: int = 60, udp: bool = False
) -> Tape:
    directory.mkdir(exist_ok=True)
    async with (
        virtual.playing(layout=layout, key=_KEY, records=records) as playing,
        stages.open(directory, playing, key=_KEY, udp=udp) as stage,
    ):
        people = playing.terminal.memory.people
        for uid, row in people.items():
            people[uid] = users.changed(row, UserChange(card=777_000 + uid, password="8642"))
        kept = Tape()
        await stage.terminals.capture(MAIN, stages.ID, kept.tap)
        return kept


@asynccontextmanager
async def _played(lines: Sequence[str]) -> AsyncIterator[int]:
    ready = asyncio.get_running_loop().create_future()
    playing = asyncio.create_task(
        zk_tape.play(zk_tape.read(lines), ("127.0.0.1", 0), ready=ready.set_result)
    )
    try:
        yield await ready
    finally:
        playing.cancel()
        await asyncio.wait([playing])


@pytest.mark.parametrize("layout", ["40", "49", "22", "16", "8A", "8B"])
async def test_nobody_can_be_found_in_a_capture(layout: LayoutName, tmp_path: Path) -> None:
    kept = await _captured(tmp_path, layout=layout)
    raw = "".join(kept.lines())
    clean = "".join(tape.scrub(kept, NOON).lines())
    names = [each.name.encode() for each in _people(kept)]
    # The rows that say a person by number have a user table beside them.
    secrets = [b"8642", *names] if names else []
    auth = next(packet for side, packet in kept.said if packet.command == Command.AUTH)
    for secret in [*secrets, auth.data]:
        assert secret.hex() in raw
        assert secret.hex() not in clean
    # Codes begin at 1001 there, and a card has a number behind 777000.
    words = [str(1_001 + number).encode() for number in range(5)]
    words += [(1_001 + number).to_bytes(4, "little") for number in range(5)]
    words += [(777_001 + number).to_bytes(4, "little") for number in range(5)]
    said = b"".join(packet.data for _, packet in kept.said)
    left = b"".join(packet.data for _, packet in tape.scrub(kept, NOON).said)
    assert any(word in said for word in words)
    assert [word for word in words if word in left] == []
    assert len(tape.scrub(kept, NOON).said) == len(kept.said)
    assert [each.command for _, each in kept.said] == [
        each.command for _, each in tape.scrub(kept, NOON).said
    ]


async def test_a_scrubbed_capture_plays_the_same_punches_of_other_people(tmp_path: Path) -> None:
    kept = await _captured(tmp_path / "one", layout="40", records=4_000)
    lines = list(tape.scrub(kept, NOON).lines())
    assert lines[0].startswith(zk_tape.HEAD)
    async with _played(lines) as port, stages.calling(tmp_path / "two", port, key=1) as stage:
        read = await stage.read()
        assert (read.rows, read.recorded, read.quarantined) == (4_000, 4_000, 0)
        stored = await stage.stored()
        assert {each.user_code for each in stored} == {str(900_001 + number) for number in range(5)}


async def test_a_raw_capture_plays_the_punches_as_they_were(tmp_path: Path) -> None:
    kept = await _captured(tmp_path / "one")
    async with _played(list(kept.lines())) as port:
        for again in (False, True):
            async with stages.calling(tmp_path / "two", port, key=99, again=again) as stage:
                assert (await stage.read()).rows == 60


async def test_a_capture_over_udp_plays_over_udp(tmp_path: Path) -> None:
    kept = await _captured(tmp_path / "one", records=700, udp=True)
    async with (
        _played(list(kept.lines())) as port,
        stages.calling(tmp_path / "two", port, key=1) as stage,
    ):
        await stage.change(is_udp=True)
        read = await stage.read()
        assert (read.rows, read.recorded, read.quarantined) == (700, 700, 0)


def test_a_table_that_nobody_can_read_is_blanked() -> None:
    kept = Tape()
    kept.tap("client", Packet(Command.PREPARE_BUFFER, 0, 1, b"\x01\x0d\0" + bytes(8)))
    kept.tap("terminal", Packet(Command.DATA, 0, 1, b"\x08\0\0\0Somebody"))
    clean = tape.scrub(kept, datetime(2026, 1, 1))  # noqa: DTZ001 (a wall time has no zone)
    assert clean.said[1][1].data == b"\x08\0\0\0" + bytes(8)


_PEOPLE = b"".join(
    users.changed(users.new(uid, f"57{uid:04}"), UserChange(name=f"Somebody {uid:04}"))
    for uid in range(1, 60)
)
_TABLE = tables.with_head(_PEOPLE)
_QUESTION = Packet(Command.PREPARE_BUFFER, 0, 1, tables.request(tables.Table.USERS))
_PART = Packet(Command.READ_BUFFER, 0, 2, tables.CHUNK_REQUEST.pack(0, len(_TABLE)))
_PREPARED = Packet(Command.PREPARE_DATA, 0, 2, tables.PREPARE.pack(len(_TABLE), 0x1000))
_PIECES = [
    Packet(Command.DATA, 0, 2, _TABLE[at : at + 1_024]) for at in range(0, len(_TABLE), 1_024)
]


@pytest.mark.parametrize("heard", [
    # In order; with a gap; with something twice; with a gap, and then whole; and twice whole.
    [_PREPARED, *_PIECES],
    [_PREPARED, *_PIECES[:1], *_PIECES[2:]],
    [_PREPARED, *_PIECES[:2], *_PIECES[1:]],
    [_PREPARED, *_PIECES[1:], _PREPARED, *_PIECES],
    [_PREPARED, *_PIECES, _PREPARED, *_PIECES[1:]],
])  # fmt: skip
def test_nobody_can_be_found_in_parts_that_came_with_gaps_or_twice(heard: list[Packet]) -> None:
    kept = Tape([("client", _QUESTION), ("client", _PART)])
    for packet in heard:
        kept.tap("terminal", packet)
    clean = tape.scrub(kept, NOON)
    for (_, before), (_, after) in zip(kept.said, clean.said, strict=True):
        assert len(after.data) == len(before.data)
        assert b"Somebody" not in after.data
        assert b"570" not in after.data


def test_what_comes_unasked_and_what_answers_nothing_known_is_blanked() -> None:
    said = [
        ("client", Packet(Command.CONNECT, 0, 0)),
        ("terminal", Packet(Command.REG_EVENT, 1, 0, b"Somebody")),
        ("terminal", Packet(Reply.ACK_DATA, 0, 0, b"Somebody")),
        ("client", Packet(Command.GET_VERSION, 0, 1)),
        ("terminal", Packet(Reply.ACK_OK, 0, 1, b"Ver 6.60\0")),
        ("client", Packet(Reply.ACK_OK, 0, 0)),
        ("terminal", Packet(Reply.ACK_OK, 0, 1, b"Ver 6.60\0")),
    ]
    clean = [packet.data for _, packet in tape.scrub(Tape(list(said)), NOON).said]
    blank = bytes(8)
    assert clean == [b"", blank, blank, b"", b"Ver 6.60\0", b"", b"Ver 6.60\0"]


@pytest.mark.parametrize("line", ["{}", "[]", "x", '{"from":"client","hex":"50"}'])
def test_a_line_that_is_no_packet_is_said_with_its_number(line: str) -> None:
    with pytest.raises(zk_tape.NotATape, match="Line 2"):
        zk_tape.read([zk_tape.HEAD, line])


def _people(kept: Tape) -> list[users.User]:
    is_table, data = False, b""
    for side, packet in kept.said:
        if side == "client" and packet.command == Command.PREPARE_BUFFER:
            is_table = packet.data[1] == Command.USERTEMP_RRQ
        elif side == "terminal" and packet.command == Command.DATA and is_table:
            data += packet.data
    return list(users.read_all(data[4:])) if data else []
