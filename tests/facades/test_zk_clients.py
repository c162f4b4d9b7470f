"""The whole gateway before clients that are not ours: pyzk, node-zklib and zkteco-js.

Real: the published clients, each in its own process; the gateway as `serve` runs it, with its real
pauses; a store of 105,000 punches. Every row that a client prints is compared with what was
recorded. What each client can read is the table in docs/how-to/facade.md: the Node clients know
no comm key, and show nine characters of a code.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from punchgate import app
from punchgate.app import Running
from punchgate.config import Settings
from punchgate.usecases import people, punches
from punchgate.wire.event import PunchesSeen, Reading
from tests import gateway
from tests.clients import run
from tests.facades import stage
from tests.gateway import MAIN, Gateway

# pyzk is slow with large logs, and a machine may be slow too.
pytestmark = pytest.mark.timeout(run.DEADLINE_S + 60)

KEY: Final = 654_321
FEW: Final = 5_000
MANY: Final = 100_000
#: Codes that terminals and people use, none longer than what every client reads.
CODES: Final = ("1", "42", "0042", "1001", "123456789", "ANA7", "x-9_y.Z")
NAMES: Final = ("Ana Torres", "Łukasz Żółć", "李小龙", "", "Zoë " * 8)
#: Methods of the HTTP contract, and what a terminal calls them.
METHODS: Final[Mapping[int, int]] = {0: 1, 1: 15, 3: 2, 4: 0}
STATES: Final = (0, 1, 2, 3, 4, 5, 255)
_START: Final = datetime(2025, 1, 1, 6)  # noqa: DTZ001 (a wall time)

#: A row as pyzk tells it: user code, time, method, state.
Row = list[Any]


@dataclass(frozen=True)
class Recorded:
    """A directory with a store in it, and what was recorded, by device."""

    data: Path
    rows: Mapping[str, list[Row]]


#: The Node clients give up where the first answer takes long, as it does on a busy machine: that
#: says nothing of us, so it is for `make soak`.
_ALONE: Final = pytest.mark.skipif(
    int(os.environ.get("PUNCHGATE_LEDGER_ROUNDS", "5")) <= 5,
    reason="a large log for the Node clients is part of make soak",
)


@pytest.fixture(scope="module", name="recorded")
def recorded_once(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    data = tmp_path_factory.mktemp("recorded")
    return asyncio.run(_record(data, {"few": FEW, "many": MANY}))


@pytest.fixture(name="small")
async def small_store(tmp_path: Path) -> Recorded:
    return await _record(tmp_path, {"few": 50})


async def _record(data: Path, wanted: Mapping[str, int]) -> Recorded:
    async with gateway.open(data) as opened:
        for code, name in zip(CODES, NAMES, strict=False):
            changes = people.Changes(name=name)
            await people.add(opened.context, MAIN, code, changes, actor="test", now=opened.clock())
        rows = {device: await _fill(opened, device, count) for device, count in wanted.items()}
        # A Node client waits two seconds for the first answer; nothing else may be left to do.
        await opened.catch_up()
    return Recorded(data, rows)


async def _fill(opened: Gateway, device: str, count: int) -> list[Row]:
    """Record so many punches of a device, in an order that is not that of their times."""
    await opened.add_device(device.upper(), id=device)
    entry = await opened.entry(device.upper())
    methods = tuple(METHODS)
    readings, rows = [], []
    for at in range(count):
        code, wall_time = CODES[at % len(CODES)], _START + timedelta(seconds=191 * at)
        method, state = methods[at % len(methods)], STATES[at // 3 % len(STATES)]
        text = str(wall_time)
        readings.append(Reading(b"{}", code, wall_time, None, "wall", text, state, method))
        rows.append([code, text, METHODS[method], state])
    for start in reversed(range(0, count, 1_000)):
        seen = PunchesSeen(readings[start : start + 1_000])
        await punches.record(opened.context, entry, seen, transport="http", now=opened.clock())
    return rows


@asynccontextmanager
async def serving(recorded: Recorded, scope: str, **facade: Any) -> AsyncIterator[int]:
    """Run the gateway as `serve` does, and give the facade's port."""
    chosen = {"listen": "127.0.0.1:0", "scope": scope, **facade}
    settings = Settings(
        data=recorded.data,
        http={"listen": ""},  # type: ignore[arg-type]  # read as from a file
        devices={"listen": ""},  # type: ignore[arg-type]  # as above
        facade=chosen,  # type: ignore[arg-type]  # as above
    )
    ready: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    task = asyncio.ensure_future(app.serve(settings, ready=ready.set_result, stop=stop))
    waiting: list[asyncio.Future[Any]] = [ready, task]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield int(ready.result().facade.rpartition(":")[2])
    finally:
        stop.set()
        async with asyncio.timeout(40):
            await task


def _is_let_in() -> dict[str, Any]:
    return {"allow": ["127.0.0.0/8"]}


@pytest.mark.slow
@pytest.mark.parametrize("device", ["few", "many"])
async def test_pyzk_with_the_key_reads_every_row(recorded: Recorded, device: str) -> None:
    async with serving(recorded, f"device:{device}", key=str(KEY)) as port:
        told = await run.pyzk(port, "sizes", "users", "attendance", key=KEY)
    rows = recorded.rows[device]
    assert told["sizes"] == {"users": len(CODES), "records": len(rows), "fingers": 0}
    assert told["attendance"] == rows
    assert [user["user_id"] for user in told["users"]] == list(CODES)
    # pyzk calls somebody without a name after the code.
    names = [user["name"] for user in told["users"]]
    assert names[:3] == list(NAMES[:3])
    assert names[3:] == [
        "NN-1001",
        "Zoë Zoë Zoë Zoë Zo",
        "NN-ANA7",
        "NN-x-9_y.Z",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("client", run.NODE_CLIENTS)
@pytest.mark.parametrize("device", ["few", pytest.param("many", marks=_ALONE)])
async def test_a_node_client_reads_every_row(recorded: Recorded, client: str, device: str) -> None:
    async with serving(recorded, f"device:{device}", **_is_let_in()) as port:
        told = await run.node(client, port, "sizes", "users", "attendance")
    rows = recorded.rows[device]
    assert told["sizes"] == {
        "userCounts": len(CODES),
        "logCounts": len(rows),
        "logCapacity": MANY,
    }
    assert [user["userId"] for user in told["users"]] == list(CODES)
    assert told["users"][0]["name"] == "Ana Torres"
    assert [_of_node(row) for row in told["attendance"]] == [row[:2] for row in rows]
    if client == "zkteco":
        shown = [[row["type"], row["state"]] for row in told["attendance"]]
        assert shown == [[method, state] for _, _, method, state in rows]


@pytest.mark.slow
async def test_a_whole_account_of_more_shows_the_newest(recorded: Recorded) -> None:
    both = sorted(recorded.rows["few"] + recorded.rows["many"], key=lambda row: str(row[1]))
    async with serving(recorded, "account", max_rows=2_000, **_is_let_in()) as port:
        told = await run.pyzk(port, "attendance")
    assert told["attendance"] == both[-2_000:]


@pytest.mark.slow
async def test_pyzk_asks_about_the_terminal_and_its_clock(small: Recorded) -> None:
    async with serving(small, "device:few", zone="Asia/Kolkata", **_is_let_in()) as port:
        told = await run.pyzk(port, "about", "clock", "templates", "disable", "enable")
    assert told["about"]["serial"] == "FEW"
    assert told["about"]["name"] == "Punchgate"
    assert told["templates"] == []
    assert (told["disable"], told["enable"]) == (True, True)
    assert datetime.fromisoformat(told["clock"]).year >= 2026


@pytest.mark.slow
async def test_pyzk_with_a_wrong_key_is_told_so(small: Recorded) -> None:
    async with serving(small, "account", key=str(KEY)) as port:
        told = await run.pyzk(port, "users", key=KEY + 1)
    assert "Unauthenticated" in told["error"]
    assert "users" not in told


@pytest.mark.slow
@pytest.mark.parametrize("task", ["set_user", "delete_user", "clear", "unlock", "restart", "enrol"])
async def test_what_pyzk_orders_is_refused_and_the_store_stays(small: Recorded, task: str) -> None:
    kept = await _contents(small)
    async with serving(small, "account", **_is_let_in()) as port:
        told = await run.pyzk(port, task)
        assert told.get(task) is not True
        assert (await run.pyzk(port, "attendance"))["attendance"] == small.rows["few"]
    assert await _contents(small) == kept


@pytest.mark.slow
@pytest.mark.parametrize(
    ("client", "task"),
    [("zklib", "clear"), ("zkteco", "clear"), ("zkteco", "set_user"), ("zkteco", "delete_user")],
)
async def test_what_a_node_client_orders_changes_nothing(
    small: Recorded, client: str, task: str
) -> None:
    # They do not look at the number of the answer: what is refused they call done.
    kept = await _contents(small)
    async with serving(small, "account", **_is_let_in()) as port:
        told = await run.node(client, port, task, "attendance")
    assert [_of_node(row) for row in told["attendance"]] == [row[:2] for row in small.rows["few"]]
    assert await _contents(small) == kept


@pytest.mark.slow
async def test_pyzk_captures_new_punches(tmp_path: Path) -> None:
    async with gateway.open(tmp_path) as opened:
        await opened.add_device("SN1")
        async with stage.before(opened) as before, run.listening(before.port) as hear:
            for second in range(2):
                wall_time = str(_START + timedelta(seconds=second))
                item = {"user_id": "0042", "att_time": wall_time, "att_state": 1, "input_type": 1}
                await opened.punch("SN1", item)
                assert await hear() == ["0042", wall_time, 15, 1]


async def _contents(recorded: Recorded) -> dict[str, list[Any]]:
    async with gateway.open(recorded.data) as opened:
        kept = await stage.contents(opened)
    # A running gateway computes days and tells of them.
    del kept["event"]
    return kept


def _of_node(row: Mapping[str, Any]) -> list[str]:
    """Give the user code and the time that a Node client told, each in its own words."""
    code = row.get("user_id") or row.get("deviceUserId")
    if "recordTime" in row:
        return [str(code), str(datetime.fromisoformat(row["recordTime"].removesuffix("Z")))]
    # As JavaScript writes a date: `Thu Oct 15 2026 08:27:16 GMT+0000 (…)`.
    said = datetime.strptime(row["record_time"][:24], "%a %b %d %Y %H:%M:%S")  # noqa: DTZ007 (a wall time)
    return [str(code), str(said)]
