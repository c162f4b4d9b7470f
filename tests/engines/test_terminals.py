"""Reading a terminal: every row is stored once, whatever its layout and however it is sent."""

from pathlib import Path

import pytest

from punchgate.protocols.zk.layouts import LayoutName
from tests.engines import stage as stages
from tests.simulators import virtual


@pytest.mark.parametrize("layout", ["40", "49", "22", "16", "8A", "8B"])
async def test_every_row_of_every_layout_is_stored_once(layout: LayoutName, tmp_path: Path) -> None:
    async with (
        virtual.playing(layout=layout) as playing,
        stages.open(tmp_path, playing) as stage,
    ):
        read = await stage.read()
        stored = await stage.stored()
        assert (read.rows, read.recorded, read.quarantined) == (50, 50, 0)
        assert stages.facts(stored) == stages.rows(playing) or layout in ("8A", "8B")
        assert (await stage.known()).known.layout == layout
        await stages.until(playing.terminal)
        assert stages.is_left_in_peace(playing.terminal)
