"""Rows as the page's edge cases give them: punches in, the published row out.

Real: the app, the store, every use case. Invented: the time.
"""

from datetime import date
from typing import Any

import pytest

from punchgate.usecases import people, policies
from tests.contracts.report_v1.conftest import Stage
from tests.gateway import MAIN

RANGE = "start_date=2025-04-26&end_date=2025-04-29"
IN, OUT, NONE = 0, 1, 255

#: Time and direction code of each punch; then `first_in`, `last_out`, `working_hours`, and event
#: and details of each activity.
DAYS: dict[str, tuple[list[tuple[str, int]], tuple[str | None, str | None, str | None], str]] = {
    "one entry": ([("08:00:00", IN)], ("08:00:00", None, None), "entry"),
    "one exit": ([("17:00:00", OUT)], (None, "17:00:00", None), "exit"),
    "undirected": (
        [("07:05:30", NONE), ("10:10:56", NONE), ("16:00:00", NONE)],
        ("07:05:30", "16:00:00", "8h 54m"),
        "general general general",
    ),
    "one undirected": ([("07:05:30", NONE)], ("07:05:30", None, None), "general"),
    "an exit before the first entry": (
        [("08:58:00", OUT), ("08:59:30", IN), ("18:00:00", OUT)],
        ("08:59:30", "18:00:00", "9h 0m"),
        "exit entry exit",
    ),
    "a near-duplicate": (
        [("09:00:00", IN), ("09:00:12", IN), ("17:00:00", OUT)],
        ("09:00:00", "17:00:00", "8h 0m"),
        "entry entry:duplicate exit",
    ),
    "every direction": (
        [("08:00:00", 0), ("12:00:00", 2), ("12:30:00", 3), ("17:00:00", 1), ("18:00:00", 4),
         ("19:05:59", 5), ("20:00:00", 77)],
        ("08:00:00", "19:05:59", "11h 5m"),
        "entry exit entry exit entry exit general",
    ),
    "less than a minute": (
        [("08:00:00", IN), ("08:00:59", OUT)], ("08:00:00", "08:00:59", "0h 0m"), "entry exit"
    ),
    "the same instant": (
        [("07:00:00", IN), ("08:00:00", OUT), ("08:00:00", IN)],
        ("07:00:00", "08:00:00", "1h 0m"),
        "entry entry exit",
    ),
    "the edges of the day": (
        [("00:00:00", IN), ("23:59:59", OUT)], ("00:00:00", "23:59:59", "23h 59m"), "entry exit"
    ),
}  # fmt: skip


def punch(when: str, state: int, code: str = "1001") -> dict[str, Any]:
    return {"user_id": code, "att_time": when, "att_state": state, "input_type": 1}


async def rows(stage: Stage, query: str = RANGE) -> list[dict[str, Any]]:
    answer = await stage.ask(query)
    assert answer.status == 200, answer.body
    users: list[dict[str, Any]] = answer.json()["data"]["users"]
    return users


@pytest.mark.parametrize("name", DAYS)
async def test_a_day_is_shown_as_the_page_says(stage: Stage, name: str) -> None:
    sent, shown, events = DAYS[name]
    await stage.gateway.add_device("SN1", name="Main Gate")
    await stage.gateway.punch("SN1", *[punch(f"2025-04-27 {at}", state) for at, state in sent])
    (row,) = await rows(stage)
    given = tuple(row[key] and row[key][11:] for key in ("first_in", "last_out"))
    assert (*given, row["working_hours"]) == shown
    assert (
        " ".join(
            activity["event"] + (f":{activity['details']}" if activity["details"] else "")
            for activity in row["activities"]
        )
        == events
    )
    assert [activity["time"][11:] for activity in row["activities"]] == sorted(at for at, _ in sent)
    assert row["date"] == "2025-04-27"


async def test_a_duplicate_is_found_over_two_devices(stage: Stage) -> None:
    await stage.gateway.add_device("SN1", name="A")
    await stage.gateway.add_device("SN2")
    await stage.gateway.punch("SN1", punch("2025-04-27 09:00:00", IN))
    await stage.gateway.punch("SN2", punch("2025-04-27 09:00:12", IN))
    (row,) = await rows(stage)
    # A device without a name is shown by its serial.
    assert [(one["camera"], one["details"]) for one in row["activities"]] == [
        ("A", None),
        ("SN2", "duplicate"),
    ]


NIGHT = [punch("2025-04-27 22:00:00", IN), punch("2025-04-28 06:00:00", OUT)]


async def test_a_night_is_two_halves_by_the_calendar(stage: Stage) -> None:
    await stage.gateway.add_device("SN1")
    await stage.gateway.punch("SN1", *NIGHT)
    newest, oldest = await rows(stage)
    assert (newest["date"], newest["first_in"], newest["last_out"], newest["working_hours"]) == (
        "2025-04-28", None, "2025-04-28 06:00:00", None,
    )  # fmt: skip
    assert (oldest["date"], oldest["first_in"], oldest["last_out"], oldest["working_hours"]) == (
        "2025-04-27", "2025-04-27 22:00:00", None, None,
    )  # fmt: skip


async def test_a_night_is_one_row_by_sessions(stage: Stage) -> None:
    gateway = stage.gateway
    await policies.set_policy(
        gateway.context,
        MAIN,
        policies.StoredPolicy(date(2025, 1, 1), {"attribution": "session"}),
        actor="test",
        now=gateway.clock(),
    )
    await gateway.add_device("SN1")
    await gateway.punch("SN1", *NIGHT)
    (row,) = await rows(stage)
    assert (row["date"], row["first_in"], row["last_out"], row["working_hours"]) == (
        "2025-04-27", "2025-04-27 22:00:00", "2025-04-28 06:00:00", "8h 0m",
    )  # fmt: skip


async def test_times_are_those_of_the_device_and_hours_those_of_the_real_clock(
    stage: Stage,
) -> None:
    await stage.gateway.add_device("SN1", zone="Europe/Berlin")
    # The clocks went forward at two o'clock in the night to 30 March 2025.
    await stage.gateway.punch(
        "SN1", punch("2025-03-30 01:00:00", IN), punch("2025-03-30T03:00:00Z", OUT)
    )
    (row,) = await rows(stage, "start_date=2025-03-30&end_date=2025-03-30")
    assert (row["first_in"], row["last_out"], row["working_hours"]) == (
        "2025-03-30 01:00:00", "2025-03-30 05:00:00", "3h 0m",
    )  # fmt: skip


async def test_a_person_exists_since_the_first_punch(stage: Stage) -> None:
    await stage.gateway.add_device("SN1")
    await stage.gateway.punch("SN1", punch("2025-04-27 08:00:00", IN, "0042"))
    await stage.gateway.punch("SN1", punch("2025-04-27 08:00:00", IN, "42"))
    named = [
        (row["user_id"], row["custom_id"], row["user_name"], row["user_type"])
        for row in await rows(stage)
    ]
    assert named == [(1, None, "0042", "Employee"), (2, None, "42", "Employee")]


async def test_a_name_is_shown_as_it_is_written(stage: Stage) -> None:
    gateway = stage.gateway
    await gateway.add_device("SN1", name="दरवाज़ा")
    await people.add(
        gateway.context,
        MAIN,
        "7",
        people.Changes(name="Zoë <b>", custom_id="Ä-1", type="Besuch"),
        actor="test",
        now=gateway.clock(),
    )
    await gateway.punch("SN1", punch("2025-04-27 08:00:00", IN, "7"))
    answer = await stage.ask(f"{RANGE}&custom_id=%C3%84-1")
    assert '"custom_id":"Ä-1","user_name":"Zoë <b>","user_type":"Besuch"'.encode() in answer.body
    assert '"camera":"दरवाज़ा"'.encode() in answer.body


async def test_quarantined_punches_are_left_out(stage: Stage) -> None:
    await stage.gateway.add_device("SN1")
    receipts = await stage.gateway.punch(
        "SN1",
        punch("2025-04-27 08:00:00", IN),
        punch("2099-04-27 09:00:00", IN),
        punch("tomorrow", IN),
    )
    assert [receipt.status for receipt in receipts] == ["recorded", "quarantined", "quarantined"]
    answer = await stage.ask("start_date=2098-12-31&end_date=2099-12-31")
    assert answer.json()["data"]["users"] == []
    assert len(await rows(stage)) == 1


async def test_the_order_of_arrival_does_not_matter_and_an_acknowledged_punch_is_in(
    stage: Stage,
) -> None:
    await stage.gateway.add_device("SN1")
    await stage.gateway.punch("SN1", punch("2025-04-27 17:00:00", OUT))
    (before,) = await rows(stage)
    assert before["working_hours"] is None
    await stage.gateway.catch_up()
    await stage.gateway.punch("SN1", punch("2025-04-27 08:00:00", IN))
    (after,) = await rows(stage)
    assert after["working_hours"] == "9h 0m"
    await stage.gateway.punch("SN1", punch("2025-04-27 08:00:00", IN))
    assert await rows(stage) == [after]


async def test_both_ends_of_the_range_are_included(stage: Stage) -> None:
    await stage.gateway.add_device("SN1")
    await stage.gateway.punch(
        "SN1", *[punch(f"2025-04-{day} 08:00:00", IN) for day in (25, 26, 27, 28)]
    )
    found = await rows(stage, "start_date=2025-04-26&end_date=2025-04-27")
    assert [row["date"] for row in found] == ["2025-04-27", "2025-04-26"]
