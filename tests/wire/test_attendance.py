"""The punch object: each row of docs/contracts/ingest-v1.md. Pure; nothing is simulated."""

import base64
import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.wire import attendance
from punchgate.wire.event import Reading, Unreadable, UnreadableReason

WALL = datetime(2026, 6, 21, 9, 30)  # noqa: DTZ001 (a wall time)
TIME = "2026-06-21 09:30:00"
PLAIN = {"user_id": "1001", "att_time": TIME, "att_state": 1, "input_type": 50}
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + b"x" * 40).decode()


def read(item: object) -> Reading | Unreadable:
    return attendance.read(item, json.dumps(item).encode())


def reading(**fields: Any) -> Reading:
    """Read a punch that is good but for the given fields, and is therefore recorded."""
    seen = read({"user_id": "1001", "att_time": TIME} | fields)
    assert isinstance(seen, Reading)
    return seen


def test_the_published_sample_is_read() -> None:
    raw = (
        b'{ "user_id":"1001", "att_time":"2026-06-21 09:30:00",\n "att_state":1, "input_type":50 }'
    )
    assert attendance.read(json.loads(raw), raw) == Reading(
        raw, "1001", WALL, None, "wall", TIME, 1, 50
    )


@pytest.mark.parametrize("fields", [{"extra": 1}, {"location": None}, {"work_code": None}])
def test_the_short_way_and_the_long_way_agree(fields: dict[str, Any]) -> None:
    short, long = read(PLAIN), read(PLAIN | fields)
    assert short[1:] == long[1:]


def test_only_the_two_required_fields_make_a_punch() -> None:
    seen = reading()
    assert seen == Reading(
        b'{"user_id": "1001", "att_time": "2026-06-21 09:30:00"}',
        "1001", WALL, None, "wall", TIME,
    )  # fmt: skip


USERS: list[Any] = [{}, [], ["1001"], True, False, 10.5, 1001.0]
TIMES: list[Any] = [{}, [], [TIME], True, False]
NO_PUNCH: list[tuple[Any, UnreadableReason, str]] = [
    ([], "not_an_object", ""),
    ([PLAIN], "not_an_object", ""),
    ("1001", "not_an_object", ""),
    (7, "not_an_object", ""),
    (1.5, "not_an_object", ""),
    (True, "not_an_object", ""),
    (None, "not_an_object", ""),
    ({}, "missing_user_id", "user_id is missing."),
    ({"User_ID": "1", "att_time": TIME}, "missing_user_id", "user_id is missing."),
    ({"user_id": None, "att_time": TIME}, "missing_user_id", "user_id is missing."),
    ({"user_id": "", "att_time": TIME}, "missing_user_id", "user_id is missing."),
    ({"user_id": " \t ", "att_time": TIME}, "missing_user_id", "user_id is missing."),
    *[
        (
            {"user_id": user, "att_time": TIME},
            "bad_user_id",
            "user_id must be a string or an integer.",
        )
        for user in USERS
    ],
    ({"user_id": "1"}, "missing_att_time", "att_time is missing."),
    ({"user_id": "1", "att_time": None}, "missing_att_time", "att_time is missing."),
    ({"user_id": "1", "att_time": ""}, "missing_att_time", "att_time is missing."),
    *[
        (
            {"user_id": "1", "att_time": when},
            "unreadable_time",
            "att_time must be a string or a number.",
        )
        for when in TIMES
    ],
]


@pytest.mark.parametrize(("item", "reason", "detail"), NO_PUNCH)
def test_what_has_not_the_shape_of_a_punch_says_so(
    item: Any, reason: UnreadableReason, detail: str
) -> None:
    assert read(item)[:3] == (json.dumps(item).encode(), reason, detail)


KEPT: list[tuple[Any, UnreadableReason]] = [
    ({"user_id": "x" * 65, "att_time": TIME}, "bad_user_id"),
    ({"user_id": 10**20, "att_time": TIME}, "bad_user_id"),
    ({"user_id": -(10**20), "att_time": TIME}, "bad_user_id"),
    ({"user_id": "10\x0001", "att_time": TIME}, "bad_user_id"),
    ({"user_id": "10\n01", "att_time": TIME}, "bad_user_id"),
    ({"user_id": "10\x7f01", "att_time": TIME}, "bad_user_id"),
    ({"user_id": "10\x8501", "att_time": TIME}, "bad_user_id"),
    ({"user_id": "10\ud80001", "att_time": TIME}, "bad_user_id"),
    ({"user_id": "1", "att_time": "yesterday"}, "unreadable_time"),
    ({"user_id": "1", "att_time": "  "}, "unreadable_time"),
    ({"user_id": "1", "att_time": "2026-02-30 09:30:00"}, "unreadable_time"),
    ({"user_id": "1", "att_time": "2026-06-21 24:00:00"}, "unreadable_time"),
    ({"user_id": "1", "att_time": 17}, "unreadable_time"),
    ({"user_id": "1", "att_time": -1.5}, "unreadable_time"),
    (PLAIN | {"att_time": "2026-06-31 09:30:00"}, "unreadable_time"),
]


@pytest.mark.parametrize(("item", "reason"), KEPT)
def test_what_has_the_shape_but_cannot_be_read_is_kept_without_a_refusal(
    item: Any, reason: UnreadableReason
) -> None:
    assert read(item)[:3] == (json.dumps(item).encode(), reason, "")
    # a table of literals


@pytest.mark.parametrize(
    ("user", "code"), [("1001", "1001"), (42, "42"), (" 7 ", "7"), ("x" * 65, None), ([], None)]
)
@pytest.mark.parametrize("when", ["yesterday", "", None, []])
def test_whom_an_unreadable_item_speaks_of_is_known_where_it_can_be(
    user: Any, code: str | None, when: Any
) -> None:
    found = read({"user_id": user, "att_time": when})
    assert isinstance(found, Unreadable)
    assert found.user_code == code


IN_ORDER: list[tuple[Any, UnreadableReason]] = [
    ({"user_id": "", "att_time": ""}, "missing_user_id"),
    ({"user_id": [], "att_time": ""}, "bad_user_id"),
    # Shape comes before content: the missing time is refused before the long code is quarantined.
    ({"user_id": "x" * 65, "att_time": ""}, "missing_att_time"),
    ({"user_id": "x" * 65, "att_time": []}, "unreadable_time"),
    ({"user_id": "x" * 65, "att_time": "yesterday"}, "bad_user_id"),
]


@pytest.mark.parametrize(("item", "reason"), IN_ORDER)
def test_of_two_faults_the_first_of_the_table_is_told(item: Any, reason: UnreadableReason) -> None:
    seen = read(item)
    assert isinstance(seen, Unreadable)
    assert seen.reason == reason


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("0042", "0042"),
        ("42", "42"),
        ("  1001 ", "1001"),
        ("a b", "a b"),
        ("x" * 64, "x" * 64),
        (" " + "x" * 64 + " ", "x" * 64),
        ("नमस्ते", "नमस्ते"),
        ("a-1_2.3/4", "a-1_2.3/4"),
        (42, "42"),
        (0, "0"),
        (-7, "-7"),
        (10**20 - 1, "9" * 20),
    ],
)
def test_a_user_code_is_the_text_without_blanks_around_it(sent: Any, code: str) -> None:
    assert reading(user_id=sent).user_code == code


@pytest.mark.parametrize(
    ("sent", "wall_time", "instant", "form"),
    [
        ("2026-06-21T09:30", WALL, None, "wall"),
        ("2026-06-21T09:30:00+05:30", None, 1_782_014_400, "offset"),
        (1_782_014_400, None, 1_782_014_400, "epoch"),
        ("1782014400123", None, 1_782_014_400, "epoch"),
    ],
)
def test_a_time_is_read_in_every_form_and_kept_as_text(
    sent: Any, wall_time: datetime | None, instant: int | None, form: str
) -> None:
    seen = reading(att_time=sent)
    assert (seen.wall_time, seen.instant, seen.time_form) == (wall_time, instant, form)
    assert seen.time_text == str(sent)


@pytest.mark.parametrize(
    ("sent", "code", "flags"),
    [
        (None, None, ()),
        (0, 0, ()),
        (255, 255, ()),
        (77, 77, ()),
        ("1", 1, ()),
        (" 3 ", 3, ()),
        (2**31 - 1, 2**31 - 1, ()),
        ("in", 0, ()),
        ("OUT", 1, ()),
        ("CheckIn", 0, ()),
        ("checkout", 1, ()),
        ("BreakOut", 2, ()),
        ("breakIN", 3, ()),
        ("OverTimeIn", 4, ()),
        ("overtimeout", 5, ()),
        (2**31, None, ("unknown_state",)),
        (-1, None, ("unknown_state",)),
        ("-1", None, ("unknown_state",)),
        ("", None, ("unknown_state",)),
        ("sideways", None, ("unknown_state",)),
        ("²", None, ("unknown_state",)),
        ("9" * 11, None, ("unknown_state",)),
        (1.0, None, ("unknown_state",)),
        (True, None, ("unknown_state",)),
        ([1], None, ("unknown_state",)),
        ({}, None, ("unknown_state",)),
    ],
)
def test_a_direction_is_a_number_or_one_of_eight_names(
    sent: Any, code: int | None, flags: tuple[str, ...]
) -> None:
    seen = reading(att_state=sent)
    assert (seen.direction_code, seen.flags) == (code, flags)
    assert reading(att_state=sent, input_type=1)[6] == code


@pytest.mark.parametrize(
    ("sent", "code", "flags"),
    [
        (None, None, ()),
        (0, 0, ()),
        (50, 50, ()),
        ("4", 4, ()),
        (1234, 1234, ()),
        ("face", None, ("unknown_input_type",)),
        ("in", None, ("unknown_input_type",)),
        (-1, None, ("unknown_input_type",)),
        (False, None, ("unknown_input_type",)),
        (1.5, None, ("unknown_input_type",)),
        ([], None, ("unknown_input_type",)),
    ],
)
def test_a_method_is_a_number_and_has_no_names(
    sent: Any, code: int | None, flags: tuple[str, ...]
) -> None:
    seen = reading(input_type=sent)
    assert (seen.verify_code, seen.flags) == (code, flags)
    assert reading(att_state=1, input_type=sent)[7] == code


def test_a_thousand_digits_are_no_number() -> None:
    # `int` refuses to read them and `str` to write them, each with an error of its own.
    huge = 10**5000
    seen = attendance.read(PLAIN | {"work_code": huge, "temperature": huge, "att_state": huge}, b"")
    assert isinstance(seen, Reading)
    assert seen.flags == ("unknown_state", "bad_temperature", "bad_work_code")
    refused = attendance.read({"user_id": huge, "att_time": TIME}, b"")
    assert refused == Unreadable(b"", "bad_user_id")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"{'user_id':1}",
        b'{"user_id":"\xff"}',
        b'{"user_id":"1"} x',
        b'{"user_id":"1","lat":NaN}',
        b'{"user_id":"1","lat":-Infinity}',
        b'{"user_id":' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        '{"user_id":"1"}'.encode("utf-16"),
    ],
    ids=lambda raw: repr(raw)[:30],
)
def test_bytes_that_are_no_json_are_kept_as_they_are(raw: bytes) -> None:
    assert attendance.read_bytes(raw) == Unreadable(raw, "not_json")


@pytest.mark.parametrize("item", [PLAIN, PLAIN | {"photo": 1}, {}, [], {"user_id": "नमस्ते"}])
def test_bytes_are_read_like_the_value_that_they_stand_for(item: Any) -> None:
    raw = json.dumps(item, ensure_ascii=False).encode()
    assert attendance.read_bytes(raw) == attendance.read(item, raw)
    assert attendance.read_bytes(b"\xef\xbb\xbf" + raw)[1:] == attendance.read(item, raw)[1:]


JSON_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters(codec=None), max_size=70)
    | st.sampled_from([TIME, "in", "1", "12.9,77.5", 1_782_014_400, JPEG, "2026-06-21T24:00Z"])
)
NAMES = st.sampled_from(
    [
        *("user_id", "att_time", "att_state", "input_type", "location", "geo", "lat", "lng"),
        *("latitude", "accuracy", "type", "coordinates", "temperature", "mask", "face_mask"),
        *("work_code", "photo", "other"),
    ]
)
JSON = st.recursive(
    JSON_LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=12),
    max_leaves=12,
)


@given(JSON | st.dictionaries(NAMES, JSON, max_size=14))
def test_I7_any_json_value_gives_a_reading_or_says_why_not(item: Any) -> None:
    seen = read(item)
    if isinstance(seen, Unreadable):
        assert seen.reason != "not_an_object" or not isinstance(item, dict)
        return
    assert isinstance(seen, Reading)
    assert (seen.wall_time is None) != (seen.instant is None)
    assert 1 <= len(seen.user_code) <= 64
    assert seen.user_code == seen.user_code.strip()
    # What is kept can be stored: no halves of surrogate pairs, no numbers out of range.
    "".join((seen.user_code, seen.time_text, seen.work_code or "")).encode()
    assert all(0 <= (code or 0) < 2**31 for code in (seen.direction_code, seen.verify_code))
    assert (seen.latitude is None) == (seen.longitude is None)
    assert len(seen.time_text) <= 64
    if isinstance(item.get("photo"), str) and item["photo"]:
        assert json.loads(seen.raw)["photo"] == ""


@given(
    st.dictionaries(
        st.sampled_from(["temperature", "mask", "work_code", "photo", "location"]), JSON
    )
)
def test_I11_a_bad_optional_field_touches_nothing_else(fields: dict[str, Any]) -> None:
    seen = reading(att_state=1, input_type=50, **fields)
    assert seen[1:8] == ("1001", WALL, None, "wall", TIME, 1, 50)


@given(st.lists(JSON, max_size=6), st.integers(min_value=0, max_value=6))
def test_I11_a_good_item_is_read_the_same_whatever_stands_beside_it(
    others: list[Any], place: int
) -> None:
    others.insert(place, PLAIN)
    seen = [read(item) for item in others]
    assert seen[min(place, len(others) - 1)] == read(PLAIN)
