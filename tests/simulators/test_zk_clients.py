"""The virtual terminal before clients that are not ours: pyzk, zkteco-js and node-zklib.

Real: the published clients, each in its own process, and sockets on loopback; every row that they
print is compared. What each of them can read is the table in docs/protocols/zk-4370.md: the Node
clients know no comm key, one width of each table, and need a gap between frames, so their terminal
is the command, in a process of its own, with its real pauses.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pytest

from punchgate.protocols.zk import moment
from punchgate.protocols.zk.layouts import LayoutName
from punchgate.simulators.zk_memory import VirtualMemory
from tests.clients import run
from tests.simulators import virtual

# pyzk is slow with large logs, and a machine may be slow too.
pytestmark = pytest.mark.timeout(run.DEADLINE_S + 60)

_MANY = 100_000
#: Enough for the Node clients on an idle machine; `node_client.js` says what helps on another.
_GAP_MS = "5"
#: The sizes that pyzk can read.
_PYZK_LAYOUTS: tuple[LayoutName, ...] = ("8A", "16", "40")


@pytest.mark.slow
@pytest.mark.parametrize("layout", _PYZK_LAYOUTS)
async def test_pyzk_reads_a_hundred_thousand_rows(layout: LayoutName) -> None:
    async with virtual.playing(layout=layout, users=50, records=_MANY) as playing:
        told = await run.pyzk(playing.port, "attendance")
        assert told["attendance"] == _expected(playing.terminal.memory)


@pytest.mark.slow
@pytest.mark.parametrize("key", [0, 123_456])
@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize("layout", _PYZK_LAYOUTS)
async def test_pyzk_reads_every_width_on_both_transports_with_and_without_a_key(
    layout: LayoutName, *, udp: bool, key: int
) -> None:
    async with virtual.playing(layout=layout, users=50, records=3_000, key=key) as playing:
        told = await run.pyzk(playing.port, "sizes", "users", "attendance", key=key, udp=udp)
        memory = playing.terminal.memory
        assert told["sizes"] == {"users": 50, "records": 3_000, "fingers": 50}
        assert [user["user_id"] for user in told["users"]] == [str(1_001 + at) for at in range(50)]
        assert told["attendance"] == _expected(memory)
        assert memory.is_enabled


@pytest.mark.slow
async def test_pyzk_reads_names_cards_and_permissions() -> None:
    async with virtual.playing(users=12) as playing:
        told = await run.pyzk(playing.port, "users")
    people = told["users"]
    assert [person["privilege"] for person in people] == [14] + [0] * 11
    assert all(bool(person["card"]) == bool(person["uid"] % 2) for person in people)
    assert any(not person["name"].isascii() for person in people)
    assert not any("\ufffd" in person["name"] for person in people)


@pytest.mark.slow
async def test_pyzk_with_a_wrong_key_is_told_so() -> None:
    async with virtual.playing(key=1234) as playing:
        told = await run.pyzk(playing.port, "users", key=1235)
        assert "users" not in told
        assert "Unauthenticated" in told["error"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "faults", [("merge",), ("prepare-random",), ("buffer-whole",), ("free-112",)]
)
async def test_pyzk_copes_with_the_ways_of_other_terminals(faults: tuple[str, ...]) -> None:
    # Not among them: several DATA packets to a chunk on TCP, and frames in pieces. There pyzk
    # itself gives up, by luck.
    async with virtual.playing(*faults, users=20, records=60) as playing:
        told = await run.pyzk(playing.port, "attendance")
        assert told["attendance"] == _expected(playing.terminal.memory)


@pytest.mark.slow
async def test_pyzk_reads_a_terminal_of_old_with_28_byte_users() -> None:
    async with virtual.playing("users-28", layout="8A", users=20, records=500) as playing:
        told = await run.pyzk(playing.port, "users", "attendance", udp=True)
        assert [user["user_id"] for user in told["users"]] == [str(1_001 + at) for at in range(20)]
        assert told["attendance"] == _expected(playing.terminal.memory)


@pytest.mark.slow
async def test_pyzk_asks_about_the_terminal_and_its_clock() -> None:
    async with virtual.playing(skew_s=90) as playing:
        told = await run.pyzk(playing.port, "about", "clock", "templates")
    assert told["about"]["serial"] == "VT43700001"
    assert told["about"]["firmware"] == "Ver 6.60 Apr 26 2016"
    assert told["clock"] == "2026-06-21 12:01:30"
    assert [template[:3] for template in told["templates"]] == [[at, 0, 1] for at in range(1, 6)]


@pytest.mark.slow
async def test_what_pyzk_orders_is_done() -> None:
    async with virtual.playing() as playing:
        memory = playing.terminal.memory
        told = await run.pyzk(
            playing.port, "set_user", "delete_user", "unlock", "disable", "users", "clear"
        )
        assert told["unlock"] is told["disable"] is True
        assert [user["user_id"] for user in told["users"]] == [
            "1002",
            "1003",
            "1004",
            "1005",
            "7777",
        ]
        assert told["users"][-1]["name"] == "New person"
        assert (memory.is_door_open, memory.is_enabled) == (True, False)
        assert memory.free_sizes().records == 0
        playing.clock.forward(4)
        assert (await run.pyzk(playing.port, "enable"))["enable"] is True
        assert (memory.is_door_open, memory.is_enabled) == (False, True)


@pytest.mark.slow
async def test_pyzk_enrols_a_finger_and_sees_it() -> None:
    # A real pause between two events: pyzk takes one for each read.
    async with _command() as port:
        told = await run.pyzk(port, "enrol", "templates")
        assert told["enrol"] is True
        assert [1, 3, 1] in [template[:3] for template in told["templates"]]


@pytest.mark.slow
async def test_pyzk_captures_live_punches() -> None:
    async with virtual.playing() as playing, run.listening(playing.port) as hear:
        for code in ("1001", "1002"):
            await playing.terminal.somebody_punches()
            assert (await hear())[:2] == [code, "2026-06-21 12:00:00"]


@pytest.mark.slow
async def test_pyzk_restarts_a_terminal() -> None:
    async with virtual.playing() as playing:
        assert (await run.pyzk(playing.port, "restart"))["restart"] is True


@pytest.mark.slow
@pytest.mark.parametrize("client", run.NODE_CLIENTS)
@pytest.mark.parametrize("records", [5, 5_000])
async def test_a_node_client_reads_users_sizes_and_rows(client: str, records: int) -> None:
    async with _command("--records", str(records), "--users", "40", "--frame-gap", _GAP_MS) as port:
        told = await run.node(client, port, "sizes", "users", "attendance")
        reference = await run.pyzk(port, "attendance")
    assert told["sizes"] == {"userCounts": 40, "logCounts": records, "logCapacity": _MANY}
    assert [(user["uid"], user["userId"]) for user in told["users"]] == [
        (at, str(1_000 + at)) for at in range(1, 41)
    ]
    assert _of_node(told["attendance"]) == [row[:2] for row in reference["attendance"]]


@pytest.mark.slow
@pytest.mark.parametrize("client", run.NODE_CLIENTS)
async def test_a_node_client_reads_a_hundred_thousand_rows(client: str) -> None:
    async with _command("--records", str(_MANY), "--users", "40", "--frame-gap", _GAP_MS) as port:
        told = await run.node(client, port, "attendance")
    rows = _of_node(told["attendance"])
    assert len(rows) == _MANY
    times = [time for _, time in rows]
    assert times == sorted(times)
    assert {code for code, _ in rows} == {str(1_000 + at) for at in range(1, 41)}


@pytest.mark.slow
@pytest.mark.parametrize("client", run.NODE_CLIENTS)
async def test_a_node_client_cannot_send_a_key(client: str) -> None:
    async with virtual.playing(key=1234) as playing:
        told = await run.node(client, playing.port, "users", timeout_s=2)
        assert not told.get("users")


def _expected(memory: VirtualMemory) -> list[list[Any]]:
    view = memory.log.view()
    expected = []
    for index in range(len(view)):
        row = view[index]
        said = str(moment.said(row.packed))
        expected.append([str(1_000 + row.uid), said, row.verify, row.state])
    return expected


def _of_node(told: list[dict[str, Any]]) -> list[list[str]]:
    """Give the user codes and times that a Node client told, each in its own words."""
    return [[str(_code(row)), _wall_time(row)] for row in told]


def _code(row: dict[str, Any]) -> Any:
    return row.get("user_id") or row.get("deviceUserId")


def _wall_time(row: dict[str, Any]) -> str:
    if "recordTime" in row:
        return str(datetime.fromisoformat(row["recordTime"].removesuffix("Z")))
    # As JavaScript writes a date: `Thu Oct 15 2026 08:27:16 GMT+0000 (…)`.
    text = row["record_time"][:24]
    return str(datetime.strptime(text, "%a %b %d %Y %H:%M:%S"))  # noqa: DTZ007 (a wall time)


@asynccontextmanager
async def _command(*options: str) -> AsyncIterator[int]:
    """Run `punchgate simulate zk` in a process of its own, and give its port."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "punchgate", "simulate", "zk", "--listen", "127.0.0.1:0"),
        *("--json", *options),
        stdout=asyncio.subprocess.PIPE,
        stdin=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(120):
            said = json.loads(await process.stdout.readline())
        yield int(said["address"].rpartition(":")[2])
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(120):
            await process.wait()
    assert process.returncode == 0
