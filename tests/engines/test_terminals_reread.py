"""The kept bytes of a terminal's rows, read again: by their length and by what the terminal said.

Real: the codec, and at the end the engine, the store and a virtual terminal on loopback.
"""

from datetime import datetime
from pathlib import Path

import pytest

from punchgate.domain.ids import UserCode
from punchgate.domain.terminal import Hints
from punchgate.engines.zk import reread
from punchgate.protocols.zk import layouts, moment, records
from punchgate.protocols.zk.layouts import LayoutName, Row
from punchgate.store import problems
from punchgate.usecases import people, quarantine, terminal_people
from punchgate.usecases.terminal_orders import Place
from punchgate.wire.event import Reading, Unreadable
from tests.engines import stage as stages
from tests.gateway import MAIN
from tests.simulators import virtual

_PACKED = moment.Said(2000, 1, 1, 0, 0, 7).packed()
_WALL_TIME = datetime(2000, 1, 1, 0, 0, 7)  # noqa: DTZ001 (a wall time has no zone)


@pytest.mark.parametrize("layout", ["40", "49", "22", "16", "8A", "8B"])
@pytest.mark.parametrize("codes", [{}, {5: "777"}])
def test_the_kept_bytes_of_a_row_are_read_again_whatever_their_time(
    layout: LayoutName, codes: dict[int, str]
) -> None:
    raw = layouts.get(layout).encode(Row(5, "12", _PACKED, 1, 1))
    read = reread.read_bytes(raw, Hints(codes=codes))
    assert isinstance(read, Reading)
    assert (read.wall_time, read.direction_code, read.raw) == (_WALL_TIME, 1, raw)
    by_number = codes.get(5, "uid:5")
    assert read.user_code == (by_number if layout in {"8A", "8B"} else "12")
    assert read.flags == (("no_user",) if read.user_code == "uid:5" else ())


@pytest.mark.parametrize(
    ("said", "layout"), [("8A", "8A"), ("8B", "8B"), (None, "8B"), ("40", "8B"), ("16", "8B")]
)
def test_eight_bytes_are_what_the_terminal_said_else_what_they_look_like(
    said: str | None, layout: LayoutName
) -> None:
    # A row of either layout may look like one of the other: this one has a zero where 8A has time.
    raw = bytes([5, 0, 1, 0, 0x40, 0x33, 0x22, 0x11])
    read = reread.read_bytes(raw, Hints(layout=said))
    assert isinstance(read, Reading)
    (wanted,) = records.Reader(layout, since=None).read(raw)
    assert read == wanted


def test_sixteen_bytes_are_read_in_the_order_that_is_set() -> None:
    raw = layouts.get("16", order16="state_method").encode(Row(5, "12", _PACKED, 15, 1))
    usual = reread.read_bytes(raw, Hints())
    as_set = reread.read_bytes(raw, Hints(order16="state_method"))
    assert isinstance(usual, Reading)
    assert isinstance(as_set, Reading)
    assert (usual.verify_code, usual.direction_code) == (1, 15)
    assert (as_set.verify_code, as_set.direction_code) == (15, 1)


def test_a_live_event_by_number_is_somebody_as_well() -> None:
    raw = bytes([5, 0, 1, 0, 26, 6, 20, 9, 0, 0])
    read = reread.read_bytes(raw, Hints(codes={5: "777"}))
    assert isinstance(read, Reading)
    assert read.user_code == "777"


@pytest.mark.parametrize("size", [0, 1, 23, 2_000])
def test_bytes_that_are_no_row_stay_unreadable(size: int) -> None:
    assert isinstance(reread.read_bytes(bytes(size), Hints()), Unreadable)


@pytest.mark.parametrize("layout", ["8A", "8B"])
async def test_a_released_row_is_the_punch_that_it_would_have_been(
    layout: LayoutName, tmp_path: Path
) -> None:
    async with (
        virtual.playing("future-dates", layout=layout) as playing,
        stages.open(tmp_path, playing) as stage,
    ):
        await stage.read()
        before = len(await stage.stored())
        place = Place(stage.terminals, MAIN, stages.ID)
        context, now = stage.gateway.context, stage.gateway.clock()
        codes = {each.user_code for each in await terminal_people.read(context, place)}
        held = await quarantine.list_items(context, MAIN, limit=1_000)
        assert {each.reason for each in held} == {"future_time"}
        for item in held:
            await quarantine.release(context, MAIN, item.id, actor="test", now=now)
        stored = await stage.stored()
        assert len(stored) == before + len(held)
        assert {each.user_code for each in stored} <= codes

        # Two years on, the same rows are no news.
        await stage.change(watermark=None)
        stage.gateway.clock.ms += 3 * 366 * 86_400_000
        assert (await stage.read()).recorded == 0
        assert len(await stage.stored()) == len(stored)


async def test_what_is_held_of_a_number_goes_with_the_person(tmp_path: Path) -> None:
    async with (
        virtual.playing("future-dates", layout="8A", users=2) as playing,
        stages.open(tmp_path, playing) as stage,
    ):
        await stage.read()
        context, now = stage.gateway.context, stage.gateway.clock()
        place = Place(stage.terminals, MAIN, stages.ID)
        codes = [each.user_code for each in await terminal_people.read(context, place)]
        held = await quarantine.list_items(context, MAIN, limit=1_000)
        gone = 0
        for code in codes:
            traces = await people.erase(context, MAIN, UserCode(code), actor="test", now=now)
            gone += traces.quarantined
        assert gone == len(held) > 0
        assert await quarantine.list_items(context, MAIN, limit=1_000) == []
        assert not await context.database.read(
            lambda tx: problems.list_problems(tx, MAIN, only_open=True, limit=9)
        )
