"""The same punch any number of times: one row, one event, and an acknowledgement for everyone.

Real: the app, the store, its writer. What "the same" means is the identity of the page: account,
device, user code, wall time to the second, raw direction code.
"""

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.contracts.ingest_v1.conftest import OK, PUNCH, Stage


@pytest.mark.slow
async def test_I3_a_thousand_posts_at_once_are_one_row_and_one_event(stage: Stage) -> None:
    answers = await asyncio.gather(*(stage.post(PUNCH) for _ in range(1_000)))
    assert all((answer.status, answer.body) == (200, OK) for answer in answers)
    assert Counter(answer.headers["punch-status"] for answer in answers) == {
        "recorded": 1,
        "duplicate": 999,
    }
    ((punch_id,),) = stage.rows("SELECT punch_id FROM punch")
    assert {answer.headers["punch-id"] for answer in answers} == {punch_id}
    assert stage.rows("SELECT id, type FROM event") == [(f"evt_{punch_id}", "punch.recorded")]


async def test_I3_single_bodies_and_batches_at_once_are_one_row_too(stage: Stage) -> None:
    singles = [stage.post(PUNCH) for _ in range(50)]
    batches = [stage.post([PUNCH] * 20) for _ in range(50)]
    answers = await asyncio.gather(*singles, *batches)
    seen = Counter(
        status
        for answer in answers
        for status in (
            [one["status"] for one in answer.json()["results"]]
            if "results" in answer.json()
            else [answer.headers["punch-status"]]
        )
    )
    assert seen == {"recorded": 1, "duplicate": 50 + 50 * 20 - 1}
    assert stage.rows("SELECT count(*) FROM punch") == [(1,)]
    assert stage.rows("SELECT count(*) FROM event") == [(1,)]


SAME: list[dict[str, Any]] = [
    {"user_id": 1001},
    {"user_id": " 1001 "},
    {"att_time": "2026-06-21T09:30:00"},
    {"att_time": "2026-06-21 09:30"},
    {"att_time": "2026-06-21 09:30:00.999"},
    {"att_time": "2026-06-21T04:00:00Z"},
    {"att_time": "2026-06-21 09:30:00 GMT +0530"},
    {"att_time": 1782014400},
    {"att_time": "1782014400000"},
    {"att_state": "1"},
    {"att_state": "CheckOut"},
    {"att_state": "out"},
    {"input_type": 3, "temperature": 36.6, "extra": [1]},
]


@pytest.mark.parametrize("fields", SAME)
async def test_I3_the_same_punch_said_in_other_words_is_a_duplicate(
    stage: Stage, fields: dict[str, Any]
) -> None:
    first = await stage.post(PUNCH)
    stage.gateway.clock.ms += 400 * 86_400_000
    again = await stage.post({**PUNCH, **fields})
    assert again.headers["punch-status"] == "duplicate"
    assert again.headers["punch-id"] == first.headers["punch-id"]
    # The first copy's facts stand.
    assert stage.rows("SELECT verify_code, temperature_c, time_text FROM punch") == [
        (50, None, "2026-06-21 09:30:00")
    ]


OTHER: list[dict[str, Any]] = [
    {"user_id": "01001"},
    {"user_id": "1002"},
    {"att_time": "2026-06-21 09:30:01"},
    {"att_time": "2026-06-21T09:30:00Z"},
    {"att_state": 0},
    {"att_state": None},
    {"att_state": 77},
]


@pytest.mark.parametrize("fields", OTHER)
async def test_another_person_second_or_direction_is_another_punch(
    stage: Stage, fields: dict[str, Any]
) -> None:
    first, second = await stage.batch(PUNCH, {**PUNCH, **fields})
    assert (first["status"], second["status"]) == ("recorded", "recorded")
    assert first["punch_id"] != second["punch_id"]


async def test_another_device_makes_another_punch(stage: Stage) -> None:
    await stage.gateway.add_device("SN2", token="token-two", zone="Asia/Kolkata")
    first = await stage.post(PUNCH)
    second = await stage.post(PUNCH, {"sn": "SN2", "auth-token": "token-two"})
    assert second.headers["punch-status"] == "recorded"
    assert second.headers["punch-id"] != first.headers["punch-id"]


@pytest.mark.parametrize("state", ["sideways", 255, "255", -1, 1.5, [], True])
async def test_a_direction_that_cannot_be_read_counts_as_none(stage: Stage, state: object) -> None:
    silent = {name: value for name, value in PUNCH.items() if name != "att_state"}
    first, second = await stage.batch(silent, {**PUNCH, "att_state": state})
    assert (first["status"], second["status"]) == ("recorded", "duplicate")
