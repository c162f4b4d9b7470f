"""What a terminal says of itself: serial, clock, firmware; its people; and the bytes read again.

Real: sockets, the store, the virtual terminal. Asserted: what is kept, what an operator is told.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from punchgate.domain.error import AlreadyExists, Invalid, NotFound
from punchgate.domain.ids import DeviceId
from punchgate.domain.terminal import Known
from punchgate.protocols.zk.memory import Enrol, SetEnabled
from punchgate.store import terminals
from punchgate.usecases import accounts, audit, devices
from punchgate.usecases import terminal_register as register
from punchgate.usecases.terminals import TerminalTrouble, UserChange
from tests.engines import stage as stages
from tests.engines.stage import ID, Stage
from tests.gateway import MAIN
from tests.metrics import counted
from tests.simulators import virtual
from tests.simulators.virtual import NOON, Playing


async def _register(stage: Stage, playing: Playing, device_id: str, serial: str | None) -> None:
    new = register.New(
        id=device_id,
        serial=serial,
        terminal=register.Changes(host="127.0.0.1", port=playing.port, realtime=False),
    )
    clock = stage.gateway.clock
    await register.add(stage.gateway.context, MAIN, new, actor="test", now=clock())


async def _device(stage: Stage, device_id: str) -> Any:
    return (await register.get(stage.gateway.context, MAIN, DeviceId(device_id))).device


async def test_a_terminal_without_a_serial_gets_its_own_before_anything_is_recorded(
    tmp_path: Path,
) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path) as stage:
        await _register(stage, playing, "bodega", None)
        before = await _device(stage, "bodega")
        assert register.is_provisional(before)
        assert (await stage.read(device_id="bodega")).recorded == 50
        assert (await _device(stage, "bodega")).serial == "VT43700001"
        assert {each.serial for each in await stage.stored()} == {"VT43700001"}
        assert await stage.problems() == set()
        actions = [each.action for each in await audit.list_entries(stage.gateway.context, MAIN)]
        assert actions == ["device.serial", "terminal.add", "device.add"]


async def test_a_serial_that_was_given_stays_and_another_one_is_a_problem(tmp_path: Path) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path) as stage:
        await _register(stage, playing, "bodega", "MINE")
        await stage.read(device_id="bodega")
        assert (await _device(stage, "bodega")).serial == "MINE"
        assert {each.serial for each in await stage.stored()} == {"MINE"}
        assert await stage.problems() == {"serial_differs"}
        playing.terminal.memory.options["~SerialNumber"] = "MINE"
        await stage.read(device_id="bodega")
        assert await stage.problems() == set()


async def test_one_terminal_is_not_recorded_under_two_names(tmp_path: Path) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path) as stage:
        await _register(stage, playing, "one", "VT43700001")
        await _register(stage, playing, "two", None)
        await stage.read(device_id="one")
        with pytest.raises(TerminalTrouble, match="of the device 'one'") as caught:
            await stage.read(device_id="two")
        assert caught.value.cause == "protocol"
        assert len(await stage.stored()) == 50


async def test_terminals_that_changed_their_addresses_are_not_recorded_as_each_other(
    tmp_path: Path,
) -> None:
    async with (
        virtual.playing(serial="VT-1") as first,
        virtual.playing(serial="VT-2", records=60, seed=2) as second,
        stages.open(tmp_path) as stage,
    ):
        await _register(stage, first, "one", "VT-1")
        await _register(stage, second, "two", "VT-2")
        for name in ("one", "two"):
            await stage.read(device_id=name)
        await stage.change("one", port=second.port)
        await stage.change("two", port=first.port)
        for name, other in (("one", "two"), ("two", "one")):
            with pytest.raises(TerminalTrouble, match=f"of the device '{other}'"):
                await stage.read(device_id=name)
        assert len(await stage.stored()) == 110
        await stage.change("one", port=first.port)
        await stage.change("two", port=second.port)
        for name in ("one", "two"):
            assert (await stage.read(device_id=name)).recorded == 0
        assert len(await stage.stored()) == 110


async def test_a_serial_of_somebody_elses_device_keeps_no_log_from_being_read(
    tmp_path: Path,
) -> None:
    async with virtual.playing(serial="VT-1") as playing, stages.open(tmp_path) as stage:
        await _register(stage, playing, "one", "MINE")
        context, now = stage.gateway.context, stage.gateway.clock()
        other = await accounts.add(context, "other", actor="test", now=now)
        await devices.add(context, other.no, devices.New(serial="VT-1"), actor="test", now=now)
        assert (await stage.read(device_id="one")).recorded == 50


async def test_a_terminal_that_tells_no_serial_keeps_the_one_it_has(tmp_path: Path) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path) as stage:
        del playing.terminal.memory.options["~SerialNumber"]
        await _register(stage, playing, "bodega", None)
        await stage.read(device_id="bodega")
        serial = (await _device(stage, "bodega")).serial
        playing.terminal.memory.options["~SerialNumber"] = "LATE1"
        await stage.read(device_id="bodega")
        # Its punches have the first one in their ids.
        assert (await _device(stage, "bodega")).serial == serial
        assert await stage.problems() == {"serial_differs"}


@pytest.mark.parametrize(("skew_s", "told"), [(0, False), (60, False), (61, True), (-90, True)])
async def test_a_clock_that_is_off_by_more_than_a_minute_is_a_problem(
    skew_s: int, *, told: bool, tmp_path: Path
) -> None:
    async with (
        virtual.playing(skew_s=skew_s) as playing,
        stages.open(tmp_path, playing) as stage,
    ):
        before = counted("punchgate_device_clock_skew_seconds_sum")
        await stage.read()
        assert (await stage.known()).known.clock_skew_s == skew_s
        assert counted("punchgate_device_clock_skew_seconds_sum") == before + abs(skew_s)
        assert ("clock_skew" in await stage.problems()) is told
        await stage.terminals.set_time(MAIN, ID)
        assert await stage.terminals.read_time(MAIN, ID) == NOON
        assert (await stage.known()).known.clock_skew_s == 0
        assert await stage.problems() == set()


async def test_the_clock_is_set_in_the_zone_of_the_device(tmp_path: Path) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        from punchgate.usecases import devices  # noqa: PLC0415 (for this alone)

        await devices.set_device(
            stage.gateway.context, MAIN, ID, devices.Changes(zone="Asia/Kolkata"),
            actor="test", now=stage.gateway.clock(),
        )  # fmt: skip
        await stage.terminals.set_time(MAIN, ID)
        half_past = timedelta(hours=5, minutes=30)
        assert playing.terminal.memory.wall_time() == NOON + half_past


async def test_another_firmware_voids_the_layout_and_is_told(tmp_path: Path) -> None:
    async with virtual.playing(layout="8B") as playing, stages.open(tmp_path, playing) as stage:
        await stage.read()
        known = (await stage.known()).known
        assert (known.layout, known.firmware) == ("8B", "Ver 6.60 Apr 26 2016")
        stale = Known(**{
            **{name: getattr(known, name) for name in Known.__slots__},
            "layout": "40", "firmware": "Ver 5.0",
        })  # fmt: skip
        await stage.gateway.context.writer.run(lambda tx: terminals.note_known(tx, MAIN, ID, stale))
        assert (await stage.read()).rows == 50
        assert (await stage.known()).known.layout == "8B"
        assert await stage.problems() == {"firmware_changed"}
        await stage.read()
        assert await stage.problems() == set()


async def test_a_log_in_no_layout_is_kept_as_one_entry_and_the_watermark_stays(
    tmp_path: Path,
) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        await stage.read()
        before = await stage.known()
        memory: Any = playing.terminal.memory
        memory._attendance = lambda: b"\xfe\xdc\xba\x98" * 500
        read = await stage.read()
        assert (read.rows, read.recorded, read.quarantined) == (0, 0, 1)
        assert await stage.held() == ["layout_unknown"]
        assert await stage.problems() == {"layout_unknown"}
        assert (await stage.known()).watermark == before.watermark


async def test_a_log_that_was_cleared_is_read_whole_and_told(tmp_path: Path) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        await stage.read()
        playing.terminal.memory.log.clear()
        for _ in range(6):
            playing.clock.forward(60)
            playing.terminal.memory.punch()
        stage.gateway.clock.ms += 600_000
        read = await stage.read()
        assert (read.rows, read.recorded, read.oldest) == (6, 6, NOON + timedelta(minutes=1))
        assert "log_cleared" in await stage.problems()
        assert len(await stage.stored()) == 56
        await stage.read()
        assert "log_cleared" not in await stage.problems()


async def test_an_empty_log_is_read_without_a_word(tmp_path: Path) -> None:
    async with virtual.playing(records=0) as playing, stages.open(tmp_path, playing) as stage:
        read = await stage.read()
        assert (read.rows, read.oldest, read.quarantined) == (0, None, 0)
        assert (await stage.known()).last_error is None


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_log_of_a_hundred_thousand_rows_read_twice_changes_nothing(tmp_path: Path) -> None:
    async with (
        virtual.playing(users=200, records=100_000) as playing,
        stages.open(tmp_path, playing) as stage,
    ):
        first = await stage.read()
        assert (first.rows, first.quarantined) == (100_000, 0)
        stored = first.recorded
        # Nobody punches twice in one second, but for the rows that a log repeats.
        assert stored == len(stages.rows(playing))
        again = await stage.read()
        assert again == (100_000, first.oldest, 0, 0)
        # Without the memory of the last reading every row goes through the door again.
        await stage.change(watermark=None)
        assert await stage.read() == (100_000, first.oldest, 0, 0)
        assert len(await stage.stored()) == stored


async def test_people_are_read_added_changed_and_taken_off(tmp_path: Path) -> None:
    async with (
        virtual.playing("finger-slots", users=3) as playing,
        stages.open(tmp_path, playing, disable_for="writes") as stage,
    ):
        caller = stage.terminals
        people = await caller.read_users(MAIN, ID)
        assert [each.user_code for each in people] == ["1001", "1002", "1003"]
        added = await caller.add_user(
            MAIN, ID, "77", UserChange("María José", "1234", 14, 4_000_000_000)
        )
        assert (added.user_code, added.privilege, added.card) == ("77", 14, 4_000_000_000)
        with pytest.raises(AlreadyExists):
            await caller.add_user(MAIN, ID, "77", UserChange("X"))
        changed = await caller.set_user(MAIN, ID, "77", UserChange(name="J", card=0))
        assert changed == added.__class__(added.uid, "77", "J", 14, 0)
        assert changed in await caller.read_users(MAIN, ID)
        with pytest.raises(NotFound):
            await caller.set_user(MAIN, ID, "78", UserChange(name="J"))
        with pytest.raises(Invalid):
            await caller.add_user(MAIN, ID, "ü", UserChange("X"))
        await caller.remove_user(MAIN, ID, "77")
        assert await caller.read_users(MAIN, ID) == people
        with pytest.raises(NotFound):
            await caller.remove_user(MAIN, ID, "77")
        assert playing.terminal.memory.is_enabled
        assert any(isinstance(each, SetEnabled) for each in playing.terminal.memory.orders)
        assert (await stage.known()).known.users == 3


async def test_a_finger_is_asked_for_where_the_person_is(tmp_path: Path) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        await stage.terminals.enrol_finger(MAIN, ID, "1002", 6)
        assert Enrol("1002", 6) in playing.terminal.memory.orders
        with pytest.raises(NotFound):
            await stage.terminals.enrol_finger(MAIN, ID, "9", 6)


async def test_a_terminal_says_what_it_is(tmp_path: Path) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        info = await stage.terminals.read_info(MAIN, ID)
        said = ("VT43700001", "Virtual terminal", "ZEM760_TFT", "Ver 6.60 Apr 26 2016", 5, NOON)
        assert info == said


async def test_a_device_that_is_no_terminal_is_not_found(tmp_path: Path) -> None:
    async with stages.open(tmp_path) as stage:
        await stage.gateway.add_device("SN1")
        with pytest.raises(NotFound):
            await stage.read(device_id="sn1")
        with pytest.raises(NotFound):
            await stage.terminals.read_time(MAIN, DeviceId("sn1"))
