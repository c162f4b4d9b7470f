"""What is recorded of some devices, as a log: order, filters, slices, and whose it is.

Real: the store on both databases, the one door. Invented: punches and devices.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.domain.ids import AccountNo, DeviceId, UserCode
from punchgate.reports import terminals
from punchgate.reports.terminals import Query
from tests import gateway
from tests.gateway import MAIN, Gateway

BEGIN = datetime(2026, 6, 1)  # noqa: DTZ001 (a wall time)
ANY = Query()
ONE, TWO = DeviceId("sn1"), DeviceId("sn2")


async def read(
    gate: Gateway,
    since: Mapping[DeviceId, datetime | None],
    query: Query = ANY,
    account: AccountNo = MAIN,
) -> list[list[Any]]:
    database = gate.context.database
    return [part async for part in terminals.log(database, account, since, query)]


def flat(parts: list[list[Any]]) -> list[Any]:
    return [each for part in parts for each in part]


async def fill(gate: Gateway, serial: str, *items: tuple[str, str]) -> None:
    punches = [{"user_id": code, "att_time": time, "att_state": 0} for code, time in items]
    for start in range(0, len(punches), 1_000):
        await gate.punch(serial, *punches[start : start + 1_000])


@pytest.mark.slow
async def test_slices_together_are_the_whole_log_in_order(
    tmp_path: Path, database_url: str
) -> None:
    async with gateway.open(tmp_path, database_url) as gate:
        await gate.add_device("SN1")
        await gate.add_device("SN2")
        # Three at each moment, so that equal times lie across the borders of slices.
        moments = [str(BEGIN + timedelta(seconds=n)) for n in range(terminals.SLICE)]
        await fill(gate, "SN1", *((code, at) for at in moments for code in ("2", "10")))
        await fill(gate, "SN2", *(("1", at) for at in moments))
        parts = await read(gate, {ONE: None, TWO: None})
        rows = flat(parts)
        assert len(rows) == len(set(rows)) == 3 * terminals.SLICE
        assert len(parts) > 2
        wanted = [
            (at, device, code)
            for at in reversed(moments)
            for device, code in ((ONE, "10"), (ONE, "2"), (TWO, "1"))
        ]
        assert [(row.wall_time, row.device_id, row.user_code) for row in rows] == wanted
        for limit in (1, 2, 3, 4, terminals.SLICE, terminals.SLICE + 1, 10 * terminals.SLICE):
            assert (
                flat(await read(gate, {ONE: None, TWO: None}, Query(limit=limit))) == rows[:limit]
            )


async def test_each_device_begins_at_its_own_time(tmp_path: Path, database_url: str) -> None:
    async with gateway.open(tmp_path, database_url) as gate:
        for serial in ("SN1", "SN2", "SN3"):
            await gate.add_device(serial)
            await fill(gate, serial, *((str(n), f"2026-06-0{n} 08:00:00") for n in range(1, 5)))
        since = {ONE: datetime(2026, 6, 3, 8), TWO: datetime(2026, 6, 3, 8, 0, 1)}  # noqa: DTZ001 (wall times)
        rows = flat(await read(gate, since))
        assert [(row.device_id, row.user_code) for row in rows] == [
            (ONE, "4"),
            (TWO, "4"),
            (ONE, "3"),
        ]
        every = flat(await read(gate, {ONE: None, TWO: since[TWO]}))
        assert len(every) == 5
        assert await read(gate, {}) == []


async def test_filters_are_exact(tmp_path: Path, database_url: str) -> None:
    async with gateway.open(tmp_path, database_url) as gate:
        await gate.add_device("SN1")
        await fill(
            gate,
            "SN1",
            ("5", "2025-12-31 23:59:59"),
            ("05", "2026-01-01 00:00:00"),
            ("15", "2026-06-10 10:10:10"),
        )

        async def codes(**query: Any) -> list[str]:
            return [row.user_code for row in flat(await read(gate, {ONE: None}, Query(**query)))]

        assert await codes(user_code=UserCode("5")) == ["5"]
        for beginning, expected in (
            ("2025", ["5"]),
            ("2026", ["15", "05"]),
            ("2026-", ["15", "05"]),
            ("2026-0", ["15", "05"]),
            ("2026-01", ["05"]),
            ("2026-01-0", ["05"]),
            ("2026-01-01 00:00:00", ["05"]),
            ("2026-06-10 10:1", ["15"]),
            ("2026-1", []),
            ("2026-06-31", []),
            ("0000", []),
            ("9999", []),
            ("9999-12-31", []),
        ):
            assert await codes(beginning=beginning) == expected, beginning


async def test_I12_a_log_of_another_account_is_empty(tmp_path: Path) -> None:
    async with gateway.open(tmp_path) as gate:
        await gate.add_device("SN1")
        await fill(gate, "SN1", ("1", "2026-06-10 10:10:10"))
        other = AccountNo(MAIN + 1)
        assert flat(await read(gate, {ONE: None}, account=other)) == []
        database = gate.context.database
        assert await terminals.list_registered(database, other) == []
        assert await terminals.find(database, other, ONE) is None
        assert await terminals.state(database, other, ONE) is None


@given(
    at=st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(9999, 12, 31, 23, 59, 59)),  # noqa: DTZ001 (wall times)
    length=st.integers(4, 19),
)
def test_every_moment_lies_in_the_period_of_its_beginnings(at: datetime, length: int) -> None:
    text = str(at.replace(microsecond=0))
    period = terminals._period(text[:length])
    assert period is not None
    first, after = period
    assert first <= at.replace(microsecond=0)
    assert after is None or at < after
