"""Local times that the clock skips or shows twice, and the order of a device's own items.

Real: the app, the store, the packaged zone rules. Berlin's clocks went forward on 29 March 2026 at
02:00 and back on 25 October 2026 at 03:00.
"""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.contracts.ingest_v1.conftest import Stage

BERLIN = {"sn": "SN2", "auth-token": "token-two"}


@pytest.fixture
async def berlin(stage: Stage) -> Stage:
    """Give the stage with a device in Berlin, on 1 November 2026."""
    stage.gateway.clock.ms = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp() * 1000)
    await stage.gateway.add_device("SN2", token="token-two", zone="Europe/Berlin")
    return stage


async def send(stage: Stage, *times: object) -> list[dict[str, Any]]:
    items = [{"user_id": str(code), "att_time": time} for code, time in enumerate(times, 1)]
    answer = await stage.post(items, BERLIN)
    assert answer.status == 200
    results: list[dict[str, Any]] = answer.json()["results"]
    # The punches are days old by now, which is another test's.
    return [
        {**one, "flags": [flag for flag in one.get("flags", []) if flag != "late_upload"]}
        for one in results
    ]


def instants(stage: Stage) -> list[str]:
    """Give the stored instants by person."""
    rows = stage.rows("SELECT at FROM punch ORDER BY CAST(user_code AS INTEGER)")
    return [datetime.fromtimestamp(at, UTC).strftime("%d %H:%M:%S") for (at,) in rows]


async def test_a_skipped_time_moves_forward_by_the_gap(berlin: Stage) -> None:
    (one,) = await send(berlin, "2026-03-29 02:30:00")
    assert one["flags"] == ["nonexistent_local_time"]
    assert instants(berlin) == ["29 01:30:00"]
    # The device's own words are its identity.
    assert berlin.rows("SELECT wall_time, utc_offset_s FROM punch") == [
        ("2026-03-29 02:30:00", 7_200)
    ]


async def test_in_a_batch_the_order_of_the_items_tells_the_pass(berlin: Stage) -> None:
    results = await send(
        berlin,
        "2026-10-25 02:30:00",
        "2026-10-25 02:50:00",
        # Earlier than the one before: the clock has been set back in between.
        "2026-10-25 02:10:00",
        "2026-10-25 03:10:00",
    )
    assert [one["flags"] for one in results] == [
        ["ambiguous_local_time"],
        ["ambiguous_local_time"],
        ["ambiguous_local_time", "fold_inferred"],
        [],
    ]
    assert instants(berlin) == ["25 00:30:00", "25 00:50:00", "25 01:10:00", "25 02:10:00"]


async def test_what_the_device_sent_before_tells_the_pass_too(berlin: Stage) -> None:
    await send(berlin, "2026-10-25 02:50:00")
    answer = await berlin.post({"user_id": "2", "att_time": "2026-10-25 02:10:00"}, BERLIN)
    assert answer.headers["punch-status"] == "recorded"
    assert instants(berlin) == ["25 00:50:00", "25 01:10:00"]
    flags = berlin.rows("SELECT flags FROM punch WHERE user_code = '2'")
    assert flags == [("ambiguous_local_time fold_inferred late_upload",)]


async def test_another_device_says_nothing_about_the_pass(berlin: Stage) -> None:
    await berlin.gateway.add_device("SN3", token="token-three", zone="Europe/Berlin")
    item = {"user_id": "1", "att_time": "2026-10-25 02:50:00"}
    await berlin.post(item, {"sn": "SN3", "auth-token": "token-three"})
    (one,) = await send(berlin, "2026-10-25 02:10:00")
    assert one["flags"] == ["ambiguous_local_time"]


@pytest.mark.parametrize(
    ("time", "at"),
    [
        ("2026-10-25 02:30:00+02:00", "25 00:30:00"),
        ("2026-10-25 02:30:00+01:00", "25 01:30:00"),
        ("2026-10-25T01:30:00Z", "25 01:30:00"),
        (1792891800, "25 01:30:00"),
    ],
)
async def test_an_offset_decides_without_a_flag(berlin: Stage, time: object, at: str) -> None:
    (one,) = await send(berlin, time)
    assert one["flags"] == []
    assert instants(berlin) == [at]
    assert berlin.rows("SELECT wall_time FROM punch") == [("2026-10-25 02:30:00",)]


async def test_both_passes_of_one_wall_time_are_one_punch(berlin: Stage) -> None:
    first, second = await send(berlin, "2026-10-25T00:30:00Z", "x")
    assert (first["status"], second["status"]) == ("recorded", "quarantined")
    item = {"user_id": "1", "att_time": "2026-10-25T01:30:00Z"}
    assert (await berlin.post(item, BERLIN)).headers["punch-status"] == "duplicate"


@pytest.mark.parametrize(
    ("form", "source"),
    [
        ("2026-06-21 09:30:00", "device"),
        ("2026-06-21T09:30:00+05:30", "offset"),
        (1782014400, "epoch"),
    ],
)
async def test_how_the_zone_was_known_is_kept(stage: Stage, form: object, source: str) -> None:
    await stage.post({"user_id": "1", "att_time": form})
    assert stage.rows("SELECT zone_source, zone, utc_offset_s, at, wall_time FROM punch") == [
        (source, "Asia/Kolkata", 19_800, 1_782_014_400, "2026-06-21 09:30:00")
    ]


async def test_a_device_without_a_zone_has_the_installation_s(stage: Stage) -> None:
    await stage.gateway.add_device("SN2", token="token-two")
    await stage.post({"user_id": "1", "att_time": "2026-06-21 09:30:00"}, BERLIN)
    assert stage.rows("SELECT zone_source, zone FROM punch") == [("installation", "UTC")]
