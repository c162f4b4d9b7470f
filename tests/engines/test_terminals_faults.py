"""What goes wrong on the way, at every step of a reading: nothing is lost, nobody is locked out.

Real: sockets, the store, the virtual terminal that misbehaves. Asserted: the cause that is named,
that the terminal ends enabled and without a connection, and that every row is stored once.
"""

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from punchgate.protocols.zk import packets
from punchgate.protocols.zk.commands import Command, Reply
from punchgate.protocols.zk.layouts import LayoutName
from punchgate.protocols.zk.packets import Packet
from punchgate.simulators import zk_faults
from punchgate.usecases.terminals import TerminalTrouble
from tests.engines import stage as stages
from tests.engines.stage import LONG_S, PACE, SHORT_S, Stage
from tests.metrics import counted
from tests.ports import free_port
from tests.simulators import virtual

_KEY: Final = 1234
#: The steps of a live reading, in their order.
_STEPS: Final = (
    "connect", "auth", "options", "version", "time", "disable", "count", "prepare", "chunk",
    "free", "enable", "exit",
)  # fmt: skip
_CAUSE: Final = {"drop": "reset", "reset": "reset", "silent": "timeout"}
#: What the table had by then is complete: the reading is good although the session was not.
_HARMLESS: Final = frozenset({
    ("before", "free"), ("after", "chunk"), ("after", "free"), ("before", "enable"),
    ("after", "enable"), ("before", "exit"), ("after", "exit"),
})  # fmt: skip
#: Rows that cannot be punches, among fifty.
_HELD: Final = {
    "junk-prefix": ["unreadable_row"],
    "cut-row": ["cut_row"],
    "impossible-dates": [
        "ancient_time", "future_time", "future_time", "unreadable_time", "unreadable_time",
    ],
    "future-dates": ["future_time"] * 5,
}  # fmt: skip
#: A cut row, and a table that was announced shorter than it is: the last ones never came.
_NEVER_SENT: Final = {"cut-row": 1, "size-short": 3}
_LIES: Final = frozenset({"size-short", "size-long", "size-4g", "head-short", "head-long"})
_ON_THE_WIRE: Final = tuple(
    name for name in zk_faults.FAULTS if not name.startswith(("udp", "event"))
)


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("kind", ["drop", "reset", "silent"])
async def test_a_session_that_breaks_at_any_step_loses_nothing_and_locks_nobody_out(
    kind: str, place: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        playings = [
            await stack.enter_async_context(
                virtual.playing(
                    f"{kind}-{place}-{step}", key=_KEY, seed=number * 10, serial=f"VT-{step}"
                )
            )
            for number, step in enumerate(_STEPS)
        ]
        stage = await stack.enter_async_context(
            stages.open(tmp_path, *playings, key=_KEY, timeout_s=_patience_s(kind))
        )
        ended = await asyncio.gather(*(_ending(stage, number) for number in range(len(_STEPS))))
        for step, playing, how in zip(_STEPS, playings, ended, strict=True):
            await stages.until(playing.terminal)
            assert playing.terminal.memory.is_enabled, step
            # A pause after an answer is only felt by the next request.
            expected = "well" if (place, step) in _HARMLESS else _CAUSE[kind]
            assert how == expected, step
        for number in range(len(_STEPS)):
            await stage.change(stages.named(number), timeout_s=LONG_S)
        again = await asyncio.gather(*(_ending(stage, number) for number in range(len(_STEPS))))
        assert again == ["well"] * len(_STEPS)
        await _assert_all_stored(stage, playings)


@pytest.mark.parametrize("kind", ["drop", "reset", "silent"])
async def test_what_came_before_a_table_broke_off_is_recorded_and_is_no_reading(
    kind: str, tmp_path: Path
) -> None:
    async with (
        virtual.playing(f"{kind}-before-chunk:2", records=4_000) as playing,
        stages.open(tmp_path, playing, timeout_s=_patience_s(kind)) as stage,
    ):
        with pytest.raises(TerminalTrouble) as caught:
            await stage.read()
        assert caught.value.cause == _CAUSE[kind]
        # 65,472 bytes of a part, without the head of the table and the row that was cut.
        assert len(await stage.stored()) == 1_636
        known = await stage.known()
        assert (known.watermark, known.last_error) == (None, str(caught.value))
        await stages.until(playing.terminal)
        assert playing.terminal.memory.is_enabled

        await stage.change(timeout_s=LONG_S)
        again = await stage.read()
        assert (again.rows, again.recorded, again.quarantined) == (4_000, 4_000 - 1_636, 0)
        assert stages.facts(await stage.stored()) == stages.rows(playing)
        assert await stage.problems() == set()


@pytest.mark.parametrize("layout", ["40", "8A"])
@pytest.mark.parametrize("name", _ON_THE_WIRE)
async def test_whatever_a_terminal_is_like_each_row_is_stored_once_or_quarantined(
    name: str, layout: LayoutName, tmp_path: Path
) -> None:
    async with (
        virtual.playing(name, layout=layout) as playing,
        stages.open(tmp_path, playing, timeout_s=LONG_S) as stage,
    ):
        read = await stage.read()
        stored, said = stages.facts(await stage.stored()), stages.rows(playing)
        held = _HELD.get(name, [])
        if name == "no-user" and layout == "8A":
            assert {code for code, _, _ in stored - said} == {
                f"uid:{code}" for code, _, _ in said - stored
            } or {code.partition(":")[0] for code, _, _ in stored - said} == {"uid"}
        elif name in _LIES and layout == "8A":
            assert stored == said
        else:
            never = _NEVER_SENT.get(name, 0)
            impossible = 0 if name == "junk-prefix" else len(held) - (name == "cut-row")
            assert stored < said or stored == said
            assert len(said - stored) == never + impossible
        assert await stage.held() == held
        assert read.quarantined == len(held)
        await stages.until(playing.terminal)
        assert stages.is_left_in_peace(playing.terminal)

        # Once more: nothing is new, and nothing is there twice.
        count = len(await stage.stored())
        again = await stage.read()
        assert (again.recorded, again.quarantined) == (0, len(held))
        assert again.oldest == read.oldest
        assert len(await stage.stored()) == count
        assert await stage.held() == held


@pytest.mark.parametrize("code", zk_faults.ERRORS)
async def test_an_error_reply_is_named_and_the_terminal_is_enabled(
    code: int, tmp_path: Path
) -> None:
    async with (
        virtual.playing(f"error-{code}-disable") as playing,
        stages.open(tmp_path, playing) as stage,
    ):
        with pytest.raises(TerminalTrouble, match=r"DISABLEDEVICE was refused") as caught:
            await stage.read()
        assert caught.value.cause == "declined"
        await stages.until(playing.terminal)
        assert playing.terminal.memory.is_enabled
        assert (await stage.known()).disabled_at is None
        assert (await stage.known()).last_error == str(caught.value)


@pytest.mark.parametrize("code", zk_faults.ERRORS)
async def test_a_log_that_is_announced_and_refused_is_not_an_empty_one(
    code: int, tmp_path: Path
) -> None:
    async with (
        virtual.playing(f"error-{code}-chunk:*", records=2_000) as playing,
        stages.open(tmp_path, playing) as stage,
    ):
        before = counted("punchgate_codec_errors_total", protocol="zk")
        with pytest.raises(TerminalTrouble, match=r"Nothing came of the log") as caught:
            await stage.read()
        assert caught.value.cause == "protocol"
        assert counted("punchgate_codec_errors_total", protocol="zk") == before + 1
        assert playing.terminal.memory.is_enabled
        assert (await stage.known()).watermark is None


async def test_a_terminal_that_will_not_be_enabled_is_told_and_still_read(tmp_path: Path) -> None:
    async with (
        virtual.playing("error-2001-enable:*") as playing,
        stages.open(tmp_path, playing) as stage,
    ):
        assert (await stage.read()).recorded == 50
        assert (await stage.read(is_live=False)).rows == 50
        assert (await stage.read()).rows == 50
        assert (await stage.known()).disabled_at is not None
        assert await stage.problems() == {"terminal_disabled"}


async def test_a_log_that_cannot_be_buffered_is_read_the_old_way(tmp_path: Path) -> None:
    async with (
        virtual.playing("error-4989-prepare:*") as playing,
        stages.open(tmp_path, playing) as stage,
    ):
        assert (await stage.read()).recorded == 50


async def test_a_wrong_comm_key_is_a_cause_of_its_own(tmp_path: Path) -> None:
    async with (
        virtual.playing(key=_KEY) as playing,
        stages.open(tmp_path, playing, key=99) as stage,
    ):
        with pytest.raises(TerminalTrouble) as caught:
            await stage.read()
        assert caught.value.cause == "wrong_key"
        assert "1234" not in str(caught.value)
        assert "99" not in caught.value.detail.replace(str(playing.port), "")


async def test_nobody_who_listens_is_refused_over_tcp_and_over_udp(tmp_path: Path) -> None:
    async with stages.open(tmp_path) as stage:
        await stages.register(stage.gateway, free_port())
        with pytest.raises(TerminalTrouble) as caught:
            await stage.read()
        assert caught.value.cause == "refused"
        await stage.change(is_udp=True)
        with pytest.raises(TerminalTrouble) as caught:
            await stage.read()
        assert caught.value.cause == "refused"


async def test_a_name_that_does_not_resolve_is_unreachable(tmp_path: Path) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        await stage.change(host="nowhere.invalid")
        with pytest.raises(TerminalTrouble) as caught:
            await stage.read()
        assert caught.value.cause == "unreachable"


@pytest.mark.parametrize("host", ["169.254.169.254", "0.0.0.0", "::ffff:169.254.1.1"])  # noqa: S104 (called)
async def test_an_address_is_judged_again_at_each_connection(host: str, tmp_path: Path) -> None:
    async with virtual.playing() as playing, stages.open(tmp_path, playing) as stage:
        # As if its name had led there: the row was written without the check.
        await stage.change(host=host)
        with pytest.raises(TerminalTrouble) as caught:
            await stage.read()
        assert caught.value.cause == "not_allowed"


@pytest.mark.parametrize(
    "faults",
    [
        (), ("udp-loss",), ("udp-double:50",), ("udp-reorder:50",), ("udp-reorder:5",),
        ("udp-reorder:1", "buffer-refused"),
        ("udp-loss:5", "udp-double:20", "udp-reorder:20"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("layout", ["40", "8A"])
async def test_over_udp_every_row_is_stored_once_whatever_happens_to_datagrams(
    layout: LayoutName, faults: tuple[str, ...], tmp_path: Path
) -> None:
    # What is lost is soon asked for again, and so many times that no busy machine is a dead one.
    pace = replace(PACE, resend_s=0.03, resends=60)
    async with (
        virtual.playing(*faults, records=700, layout=layout, seed=3) as playing,
        stages.open(tmp_path, playing, udp=True, pace=pace) as stage,
    ):
        for _ in range(10):
            await _ending(stage, 0)
            if (await stage.known()).watermark is not None:
                break
        assert stages.facts(await stage.stored()) == stages.rows(playing)
        assert await stage.held() == []
        assert playing.terminal.memory.is_enabled


async def test_events_without_end_are_no_answer(tmp_path: Path) -> None:
    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        event = packets.frame(Packet(Command.REG_EVENT, 1, 0))
        async with asyncio.TaskGroup() as group:
            # Our acknowledgements are taken, so that they are nothing that we wait for.
            group.create_task(_swallow(reader))
            writer.write(packets.frame(Packet(Reply.ACK_OK, 7, 0)))
            while not writer.is_closing():
                writer.write(event * 1_000)
                with suppress(OSError):
                    await writer.drain()

    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    async with server, stages.open(tmp_path) as stage:
        port = server.sockets[0].getsockname()[1]
        await stages.register(stage.gateway, port, timeout_s=SHORT_S)
        # Within the time of one answer, not of the whole conversation.
        with pytest.raises(TerminalTrouble, match="did not answer in time"):
            await stage.read(is_live=False)


def _patience_s(kind: str) -> float:
    """Give how long an answer is waited for: what is lost is told, silence alone takes its time."""
    return SHORT_S if kind == "silent" else LONG_S


async def _swallow(reader: asyncio.StreamReader) -> None:
    with suppress(OSError):
        while await reader.read(65_536):
            pass


async def _ending(stage: Stage, number: int) -> str:
    try:
        await stage.read(device_id=stages.named(number))
    except TerminalTrouble as trouble:
        return trouble.cause
    return "well"


async def _assert_all_stored(stage: Stage, playings: list[virtual.Playing]) -> None:
    stored = await stage.stored()
    for number, playing in enumerate(playings):
        own = [each for each in stored if each.device_id == stages.named(number)]
        assert stages.facts(own) == stages.rows(playing), _STEPS[number]
        assert len(own) == 50
    assert await stage.held() == []
