"""A conversation that was captured: what is left out of it, and that it can be played back.

Real: the conversation, with a virtual terminal; the player, which our own client and a whole
gateway call; the file. Asserted: nobody's name, code, card or key is in it.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest

from punchgate.engines.zk import tape
from punchgate.engines.zk.tape import Tape
from punchgate.netkit import stream
from punchgate.protocols.zk import users
from punchgate.protocols.zk.commands import Command
from punchgate.protocols.zk.layouts import LayoutName
from punchgate.protocols.zk.packets import Packet, TcpCodec
from punchgate.protocols.zk.users import UserChange
from punchgate.simulators import zk_tape
from tests.engines import stage as stages
from tests.gateway import MAIN
from tests.simulators import virtual
from tests.simulators.virtual import NOON

_KEY = 4321


async def _captured(directory: Path, *, layout: LayoutName = "8A", records: int = 60) -> Tape:
    directory.mkdir(exist_ok=True)
    async with (
        virtual.playing(layout=layout, key=_KEY, records=records) as playing,
        stages.open(directory, playing, key=_KEY) as stage,
    ):
        people = playing.terminal.memory.people
        for uid, row in people.items():
            people[uid] = users.changed(row, UserChange(card=777_000 + uid, password="8642"))
        kept = Tape()
        await stage.terminals.capture(MAIN, stages.ID, kept.tap)
        return kept


@asynccontextmanager
async def _played(lines: Sequence[str]) -> AsyncIterator[int]:
    player = zk_tape.Player(zk_tape.read(lines))

    async def pause(_: float) -> None:
        return

    listener = await stream.listen(("127.0.0.1", 0), player.over, TcpCodec, pause=pause)
    try:
        yield listener.port
    finally:
        await listener.close()


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
        assert {each.user_code for each in stored} == {str(1_001 + number) for number in range(5)}


async def test_a_raw_capture_plays_the_punches_as_they_were(tmp_path: Path) -> None:
    kept = await _captured(tmp_path / "one")
    async with _played(list(kept.lines())) as port:
        for again in (False, True):
            async with stages.calling(tmp_path / "two", port, key=99, again=again) as stage:
                assert (await stage.read()).rows == 60


def test_a_table_that_nobody_can_read_is_blanked() -> None:
    kept = Tape()
    kept.tap("client", Packet(Command.PREPARE_BUFFER, 0, 1, b"\x01\x0d\0" + bytes(8)))
    kept.tap("terminal", Packet(Command.DATA, 0, 1, b"\x08\0\0\0Somebody"))
    clean = tape.scrub(kept, datetime(2026, 1, 1))  # noqa: DTZ001 (a wall time has no zone)
    assert clean.said[1][1].data == b"\x08\0\0\0" + bytes(8)


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
