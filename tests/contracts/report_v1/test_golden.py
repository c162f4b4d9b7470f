"""The printed samples, reproduced by the fixtures that the contract's page describes.

Both summaries are abridged by their author: the dates, the pages and each printed row must be equal
in compact form, byte for byte.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from punchgate.usecases import people
from tests import asgi
from tests.contracts.report_v1.conftest import Stage
from tests.gateway import MAIN

# A school of 56 people takes a while to enrol.
pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parents[1] / "golden"
RAHUL = people.Changes(name="Rahul Sharma", custom_id="STU-001", type="Student")
IN, OUT = 0, 1


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def golden(name: str) -> Any:
    return json.loads((GOLDEN / name).read_text("utf-8"))


def target(name: str) -> str:
    """Give the request target of a printed request."""
    method, printed, _ = (GOLDEN / name).read_text("ascii").splitlines()[0].split(" ")
    assert method == "GET"
    return printed


async def enrol(stage: Stage, number: int) -> None:
    """Add persons 1 to `number`; the last one is Rahul Sharma."""
    gateway = stage.gateway
    for code in range(1, number + 1):
        changes = RAHUL if code == number else people.Changes()
        await people.add(
            gateway.context, MAIN, str(code), changes, actor="test", now=gateway.clock()
        )


def punch(code: int, time: str, state: int) -> dict[str, Any]:
    return {"user_id": str(code), "att_time": time, "att_state": state, "input_type": 1}


async def fill_school(stage: Stage) -> None:
    await stage.gateway.add_device("SN1", name="Main Gate")
    await stage.gateway.add_device("SN2", name="Cafeteria")
    await enrol(stage, 56)
    await stage.gateway.punch(
        "SN1",
        punch(56, "2025-04-27 08:15:30", IN),
        punch(56, "2025-04-27 17:45:00", OUT),
        *[punch(1 + n % 50, f"2025-04-{20 + n % 7} 09:00:00", IN) for n in range(44)],
    )
    await stage.gateway.punch(
        "SN2",
        punch(56, "2025-04-27 12:30:00", OUT),
        punch(56, "2025-04-27 13:00:00", IN),
    )


async def fill_one_student(stage: Stage) -> None:
    await stage.gateway.add_device("SN1", name="Main Gate")
    await enrol(stage, 56)
    await stage.gateway.punch(
        "SN1",
        punch(56, "2025-04-27 08:15:30", IN),
        punch(56, "2025-04-27 17:45:00", OUT),
        punch(56, "2025-04-26 08:20:00", IN),
        punch(56, "2025-04-26 18:00:00", OUT),
        *[punch(56, f"2025-04-{day} 08:00:00", IN) for day in range(20, 25)],
    )


@pytest.mark.parametrize("rows", ["stale", "computed"])
async def test_the_printed_summary_comes_out(stage: Stage, rows: str) -> None:
    await fill_school(stage)
    if rows == "computed":
        await stage.gateway.catch_up()
    printed = golden("report-v1-summary.json")
    answer = await asgi.call(
        stage.app, "GET", target("report-v1-all-users.request.http"), {"X-API-Key": stage.key}
    )
    assert answer.status == 200
    given = answer.json()
    for key in ("date_range", "pagination"):
        assert compact(given["data"][key]) == compact(printed["data"][key])
    assert compact(given["data"]["users"][0]) == compact(printed["data"]["users"][0])
    assert list(given) == list(printed)
    assert list(given["data"]) == list(printed["data"])
    assert len(given["data"]["users"]) == 20
    # What was sent was in the compact form already.
    assert answer.body == compact(given)


@pytest.mark.parametrize("rows", ["stale", "computed"])
async def test_the_printed_summary_of_one_person_comes_out(
    stage: Stage,
    rows: str,
) -> None:
    await fill_one_student(stage)
    if rows == "computed":
        await stage.gateway.catch_up()
    printed = golden("report-v1-summary-user.json")
    answer = await stage.ask("start_date=2025-04-20&end_date=2025-04-27&user_id=56")
    given = answer.json()["data"]
    for key in ("date_range", "pagination"):
        assert compact(given[key]) == compact(printed["data"][key])
    for number in (0, 1):
        assert compact(given["users"][number]) == compact(printed["data"]["users"][number])
    assert len(given["users"]) == 7
    assert not any("custom_id" in user for user in given["users"])


@pytest.mark.parametrize("name", ["by-user-id", "by-custom-id"])
async def test_the_printed_filters_find_the_same_person(
    stage: Stage,
    name: str,
) -> None:
    await fill_school(stage)
    printed = target(f"report-v1-{name}.request.http")
    answer = await asgi.call(stage.app, "GET", printed, {"X-API-Key": stage.key})
    (user,) = answer.json()["data"]["users"]
    assert user["user_name"] == "Rahul Sharma"
    assert ("custom_id" in user) == (name == "by-custom-id")


async def test_every_page_together_is_every_row_once(stage: Stage) -> None:
    await fill_school(stage)
    seen: list[tuple[str, int]] = []
    for page in (1, 2, 3):
        data = (await stage.ask(f"start_date=2025-04-20&end_date=2025-04-27&page={page}")).json()[
            "data"
        ]
        assert data["pagination"]["has_next"] == (page < 3)
        assert data["pagination"]["has_prev"] == (page > 1)
        seen += [(user["date"], user["user_id"]) for user in data["users"]]
    assert len(set(seen)) == len(seen) == 45
    # Newest day first, then by number.
    assert seen == sorted(seen, key=lambda row: (-int(row[0].replace("-", "")), row[1]))


async def test_an_error_has_the_printed_form(stage: Stage) -> None:
    printed = golden("report-v1-error.json")
    answer = await stage.ask()
    assert answer.status == 400
    assert answer.body == compact(printed | {"error": "start_date is required"})
