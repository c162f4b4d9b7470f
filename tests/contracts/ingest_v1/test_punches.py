"""One punch: its headers, and each row of what is refused, quarantined or recorded with a flag.

Real: the app, the store. Every row is sent twice, as a single body and between two good neighbours
of a batch.
"""

import json
from typing import Any, NamedTuple

import pytest

from tests import asgi
from tests.contracts.ingest_v1.conftest import BASE, OK, PUNCH, SERIAL, TIME, Stage, error

HUGE = 10**5_000
NO_USER = "user_id is missing."
BAD_USER = "user_id must be a string or an integer."
NO_TIME = "att_time is missing."
BAD_TIME = "att_time must be a string or a number."


class Row(NamedTuple):
    """A row of the page: an item, how it is refused alone, and why it is held otherwise."""

    item: Any
    refused: tuple[str, str] | None
    reason: str


def changed(**fields: Any) -> dict[str, Any]:
    return {**PUNCH, **fields}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in PUNCH.items() if key != name}


INVALID_BODY = (
    "invalid_body",
    "The body must be a JSON object or an array of JSON objects in UTF-8.",
)
NO_USERS: list[Any] = [{}, [], ["1001"], True, False, 10.5]
NO_TIMES: list[Any] = [{}, [], [TIME], True]
ROWS = [
    *[Row(item, INVALID_BODY, "not_an_object") for item in (None, True, 7, 1.5, "1001")],
    *[
        Row(item, ("invalid_punch", NO_USER), "missing_user_id")
        for item in (
            {}, without("user_id"), changed(user_id=None), changed(user_id=""),
            changed(user_id=" \t"),
        )
    ],
    *[
        Row(changed(user_id=user), ("invalid_punch", BAD_USER), "bad_user_id")
        for user in NO_USERS
    ],
    *[
        Row(item, ("invalid_punch", NO_TIME), "missing_att_time")
        for item in (without("att_time"), changed(att_time=None), changed(att_time=""))
    ],
    *[
        Row(changed(att_time=time), ("invalid_punch", BAD_TIME), "unreadable_time")
        for time in NO_TIMES
    ],
    *[
        Row(changed(user_id=user), None, "bad_user_id")
        for user in ("x" * 65, "10\n01", "10\x0001", 10**20, HUGE)
    ],
    *[
        Row(changed(att_time=time), None, "unreadable_time")
        for time in (
            "yesterday", " ", "2026-06-31 09:30:00", "2026-06-21 24:00:00", "21.06.2026 09:30", 17,
            -1, HUGE,
        )
    ],
    *[
        Row(changed(att_time=time), None, "future_time")
        for time in (
            "2026-06-21 17:35:01", "2026-06-21T12:05:01Z", 1_782_043_501, "9999-12-31 23:59:59",
        )
    ],
    *[
        Row(changed(att_time=time), None, "ancient_time")
        for time in (
            "1999-12-31 23:59:59", "1999-12-31T18:29:59Z", "0001-01-01 00:00:00", 100_000_000,
        )
    ],
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
async def test_what_cannot_be_a_punch_is_refused_or_kept(stage: Stage, row: Row) -> None:
    answer = await stage.post(json_bytes(row.item))
    if row.refused is not None:
        assert (answer.status, answer.body) == (400, error(*row.refused))
        assert stage.rows("SELECT count(*) FROM quarantine") == [(0,)]
    else:
        assert (answer.status, answer.body) == (200, OK)
        assert answer.headers["punch-status"] == "quarantined"
        assert answer.headers["quarantine-reason"] == row.reason
        assert "punch-id" not in answer.headers
        assert stage.rows("SELECT quarantine_id, reason, raw FROM quarantine") == [
            (answer.headers["quarantine-id"], row.reason, json_bytes(row.item))
        ]
    assert stage.rows("SELECT count(*) FROM punch") == [(0,)]


@pytest.mark.parametrize("row", ROWS)
async def test_I11_in_a_batch_it_touches_none_of_its_neighbours(stage: Stage, row: Row) -> None:
    body = b"[%s,%s,%s]" % (
        json_bytes(PUNCH), json_bytes(row.item), json_bytes(changed(user_id="1002")),
    )  # fmt: skip
    answer = await stage.post(body)
    before, held, after = answer.json()["results"]
    assert (before["status"], after["status"]) == ("recorded", "recorded")
    assert list(held) == ["ok", "status", "reason", "quarantine_id"]
    assert (held["ok"], held["status"], held["reason"]) == (True, "quarantined", row.reason)
    assert stage.rows("SELECT user_code FROM punch ORDER BY user_code") == [("1001",), ("1002",)]
    assert stage.rows("SELECT quarantine_id, raw FROM quarantine") == [
        (held["quarantine_id"], json_bytes(row.item))
    ]


def json_bytes(item: Any) -> bytes:
    # The interpreter refuses to write a number of five thousand digits.
    plain = {"user_id": HUGE, "att_time": HUGE}
    if isinstance(item, dict):
        item = {name: "HUGE" if plain.get(name) == value else value for name, value in item.items()}
    return json.dumps(item).replace('"HUGE"', "1" + "0" * 5_000).encode()


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        ({}, []),
        ({"att_state": "sideways"}, ["unknown_state"]),
        ({"att_state": 77}, ["unknown_state"]),
        ({"att_state": None}, []),
        ({"att_state": "CheckIn"}, []),
        ({"input_type": "nose"}, ["unknown_input_type"]),
        ({"input_type": 77}, ["unknown_input_type"]),
        ({"temperature": 19.9}, ["bad_temperature"]),
        ({"temperature": "36.6"}, []),
        ({"photo": "no base64"}, ["bad_photo"]),
        ({"photo": "/9j/4AA="}, ["photo_dropped"]),
        ({"latitude": 12.9}, ["bad_location"]),
        ({"location": {"lat": 91, "lng": 0}}, ["bad_location"]),
        ({"location": {"lat": 0, "lng": 0}}, ["suspicious_location"]),
        ({"location": "12.9716,77.5946"}, []),
        ({"att_time": "2026-06-20 17:29:59"}, ["late_upload"]),
        ({"att_state": "x", "temperature": 99}, ["unknown_state", "bad_temperature"]),
    ],
)
async def test_an_optional_field_that_cannot_be_used_is_a_flag(
    stage: Stage, fields: dict[str, Any], flags: list[str]
) -> None:
    alone = await stage.post(changed(**fields))
    assert (alone.status, alone.body) == (200, OK)
    assert alone.headers["punch-status"] == "recorded"
    assert stage.rows("SELECT flags FROM punch") == [(" ".join(flags),)]
    (again,) = await stage.batch(changed(**fields))
    assert again["status"] == "duplicate"
    assert again.get("flags", []) == flags
    assert list(again) == ["ok", "status", "punch_id", *(["flags"] if flags else [])]


async def test_a_recorded_punch_has_these_headers(stage: Stage) -> None:
    answer = await stage.post(PUNCH)
    own = {"punch-id", "punch-status", "quarantine-id", "quarantine-reason"}
    assert {name for name in answer.headers if name in own} == {"punch-id", "punch-status"}
    (punch_id,) = stage.rows("SELECT punch_id FROM punch")[0]
    assert answer.headers["punch-id"] == punch_id
    assert len(punch_id) == 26


async def test_the_same_unreadable_item_is_kept_once(stage: Stage) -> None:
    first = await stage.post({**PUNCH, "att_time": "x"})
    second = await stage.post({**PUNCH, "att_time": "x"})
    assert first.headers["punch-status"] == second.headers["punch-status"] == "quarantined"
    assert first.headers["quarantine-id"] == second.headers["quarantine-id"]
    # The bytes of an item are what recognises it: also inside a batch, and not those around it.
    results = await stage.batch(PUNCH, {**PUNCH, "att_time": "x"}, {**PUNCH, "att_time": "x"})
    assert {one["quarantine_id"] for one in results[1:]} == {first.headers["quarantine-id"]}
    assert stage.rows("SELECT count(*) FROM quarantine") == [(1,)]
    await stage.gateway.add_device("SN2", token="token-two")
    other = await stage.post({**PUNCH, "att_time": "x"}, {"sn": "SN2", "auth-token": "token-two"})
    assert other.headers["quarantine-id"] != first.headers["quarantine-id"]


async def test_five_minutes_ahead_are_forgiven(stage: Stage) -> None:
    answer = await stage.post(changed(att_time="2026-06-21 17:35:00"))
    assert answer.headers["punch-status"] == "recorded"


async def test_the_first_second_of_2000_is_not_ancient(stage: Stage) -> None:
    answer = await stage.post(changed(att_time="2000-01-01 00:00:00"))
    assert answer.headers["punch-status"] == "recorded"


async def test_one_trailing_slash_is_accepted(stage: Stage) -> None:
    body = json.dumps(PUNCH).encode()
    answer = await asgi.call(stage.app, "POST", BASE + "punch/", stage.headers, body)
    assert (answer.status, answer.body) == (200, OK)
    assert (await stage.ask("config/")).json()["sn"] == SERIAL


async def test_what_the_body_is_called_does_not_matter(stage: Stage) -> None:
    for kind in ("application/x-www-form-urlencoded", "text/plain", "application/xml", ""):
        answer = await stage.post(PUNCH, {**stage.headers, "content-type": kind})
        assert (answer.status, answer.body) == (200, OK)


async def test_names_are_case_sensitive_and_unknown_ones_are_kept(stage: Stage) -> None:
    answer = await stage.post({"User_ID": "1", "att_time": TIME})
    assert answer.body == error("invalid_punch", NO_USER)
    item = {**PUNCH, "Att_State": 0, "shift": "night"}
    await stage.post(item)
    assert stage.rows("SELECT direction_code, raw FROM punch") == [(1, json.dumps(item).encode())]
