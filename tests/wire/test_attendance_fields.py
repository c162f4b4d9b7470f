"""The optional fields of the punch object: position, temperature, mask, work code, photo.

Each published row beside what becomes of it. Pure; nothing is simulated.
"""

import base64
import json
from typing import Any

import pytest

from punchgate.wire import attendance
from punchgate.wire.event import Reading, Unreadable

TIME = "2026-06-21 09:30:00"
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + b"x" * 40).decode()


def read(item: object) -> Reading | Unreadable:
    return attendance.read(item, json.dumps(item).encode())


def reading(**fields: Any) -> Reading:
    """Read a punch that is good but for the given fields, and is therefore recorded."""
    seen = read({"user_id": "1001", "att_time": TIME} | fields)
    assert isinstance(seen, Reading)
    return seen


HERE = (12.9716, 77.5946)
BAD: tuple[None, None, None, tuple[str, ...]] = (None, None, None, ("bad_location",))
POSITIONS: list[tuple[dict[str, Any], tuple[Any, ...]]] = [
    ({}, (None, None, None, ())),
    *[
        ({name: {"lat": 12.9716, "lng": 77.5946, "accuracy": 15}}, (*HERE, 15.0, ()))
        for name in ("location", "geolocation", "geo", "gps", "position")
    ],
    *[
        ({"location": {north: "12.9716", east: " 77.5946 "}}, (*HERE, None, ()))
        for north in ("latitude", "lat")
        for east in ("longitude", "lng", "lon", "long")
    ],
    *[
        ({"lat": 12.9716, "lon": 77.5946, name: 100_000}, (*HERE, 100_000.0, ()))
        for name in ("accuracy", "location_accuracy", "radius")
    ],
    ({"latitude": "12.9716", "longitude": "77.5946"}, (*HERE, None, ())),
    ({"location": {"type": "Point", "coordinates": [77.5946, 12.9716]}}, (*HERE, None, ())),
    ({"gps": {"type": "Point", "coordinates": [77.5946, 12.9716, 920]}}, (*HERE, None, ())),
    ({"location": "12.9716,77.5946"}, (*HERE, None, ())),
    ({"position": " 12.9716, 77.5946 "}, (*HERE, None, ())),
    ({"location": "12.9716,77.5946", "accuracy": "8"}, (*HERE, 8.0, ())),
    # The first form that matches wins.
    ({"location": {"lat": 1, "lng": 2}, "lat": 3, "lng": 4}, (1.0, 2.0, None, ())),
    ({"gps": {"lat": 1, "lng": 2}, "location": "3,4"}, (1.0, 2.0, None, ())),
    ({"location": "3,4", "lat": 1, "lng": 2}, (1.0, 2.0, None, ())),
    ({"location": {}, "lat": 1, "lng": 2}, (1.0, 2.0, None, ())),
    ({"location": None, "lat": 1, "lng": 2, "altitude": 920}, (1.0, 2.0, None, ())),
    ({"location": {"lat": 91, "lng": 2}, "lat": 1, "lng": 2}, BAD),
    # Edges.
    ({"lat": 90, "lng": -180, "accuracy": 0}, (90.0, -180.0, 0.0, ())),
    ({"lat": -90, "lng": 180}, (-90.0, 180.0, None, ())),
    ({"lat": 90.0001, "lng": 0}, BAD),
    ({"lat": 0, "lng": 180.0001}, BAD),
    ({"lat": 1, "lng": 2, "accuracy": -1}, BAD),
    ({"lat": 1, "lng": 2, "accuracy": 100_000.5}, BAD),
    ({"lat": 1, "lng": 2, "accuracy": "near"}, BAD),
    ({"lat": 0, "lng": 0}, (0.0, 0.0, None, ("suspicious_location",))),
    ({"location": "0,0"}, (0.0, 0.0, None, ("suspicious_location",))),
    ({"lat": 0, "lng": 0.5}, (0.0, 0.5, None, ())),
    # Half a position, and other things that are none.
    ({"lat": 1}, BAD),
    ({"longitude": 1}, BAD),
    ({"location": {"lat": 1}}, BAD),
    ({"location": {}}, BAD),
    ({"location": {"accuracy": 5}}, BAD),
    ({"location": "12.9716"}, BAD),
    ({"location": "12.9716,77.5946,15"}, BAD),
    ({"location": "Bangalore"}, BAD),
    ({"location": ""}, BAD),
    ({"location": 12.9716}, BAD),
    ({"location": [12.9716, 77.5946]}, BAD),
    ({"location": {"type": "Point", "coordinates": [77.5946]}}, BAD),
    ({"location": {"type": "Point", "coordinates": "77.5946,12.9716"}}, BAD),
    ({"location": {"type": "Polygon", "coordinates": [77.5946, 12.9716]}}, BAD),
    ({"lat": "nan", "lng": 1}, BAD),
    ({"lat": float("nan"), "lng": 1}, BAD),
    ({"lat": True, "lng": 1}, BAD),
    ({"lat": 10**400, "lng": 1}, BAD),
    # Alone it says nothing about a place.
    ({"accuracy": 5}, (None, None, None, ())),
]


@pytest.mark.parametrize(("fields", "expected"), POSITIONS)
def test_a_position_is_found_in_each_of_its_forms(
    fields: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    seen = reading(**fields)
    assert (seen.latitude, seen.longitude, seen.accuracy_m, seen.flags) == expected


@pytest.mark.parametrize(
    ("fields", "temperature", "mask", "work_code", "flags"),
    [
        ({"temperature": 36.6}, 36.6, None, None, ()),
        ({"temperature": "36.6"}, 36.6, None, None, ()),
        ({"temperature": 20}, 20.0, None, None, ()),
        ({"temperature": 50.0}, 50.0, None, None, ()),
        ({"temperature": 19.9}, None, None, None, ("bad_temperature",)),
        ({"temperature": 97.7}, None, None, None, ("bad_temperature",)),
        ({"temperature": "warm"}, None, None, None, ("bad_temperature",)),
        ({"temperature": True}, None, None, None, ("bad_temperature",)),
        ({"mask": True}, None, True, None, ()),
        ({"mask": 0}, None, False, None, ()),
        ({"face_mask": 1}, None, True, None, ()),
        ({"mask": None, "face_mask": False}, None, False, None, ()),
        ({"mask": False, "face_mask": True}, None, False, None, ()),
        ({"mask": 2}, None, None, None, ("bad_mask",)),
        ({"mask": "yes"}, None, None, None, ("bad_mask",)),
        ({"mask": 1.0}, None, None, None, ("bad_mask",)),
        ({"mask": []}, None, None, None, ("bad_mask",)),
        ({"work_code": "Site 7"}, None, None, "Site 7", ()),
        ({"work_code": 7}, None, None, "7", ()),
        ({"work_code": "x" * 32}, None, None, "x" * 32, ()),
        ({"work_code": "x" * 33}, None, None, None, ("bad_work_code",)),
        ({"work_code": "a\tb"}, None, None, None, ("bad_work_code",)),
        ({"work_code": "\udc00"}, None, None, None, ("bad_work_code",)),
        ({"work_code": 10**32}, None, None, None, ("bad_work_code",)),
        ({"work_code": True}, None, None, None, ("bad_work_code",)),
        ({"work_code": 1.5}, None, None, None, ("bad_work_code",)),
        (
            {"work_code": [], "mask": "?", "temperature": 0, "lat": 1, "att_state": "?"},
            None,
            None,
            None,
            ("unknown_state", "bad_location", "bad_temperature", "bad_mask", "bad_work_code"),
        ),
    ],
)
def test_an_optional_field_that_cannot_be_used_is_left_out_with_a_flag(
    fields: dict[str, Any],
    temperature: float | None,
    mask: bool | None,  # noqa: FBT001 (a column of the table)
    work_code: str | None,
    flags: tuple[str, ...],
) -> None:
    seen = reading(**fields)
    assert (seen.temperature_c, seen.mask, seen.work_code) == (temperature, mask, work_code)
    assert seen.flags == flags


@pytest.mark.parametrize(
    ("photo", "flags"),
    [
        (None, ()),
        (JPEG, ("photo_dropped",)),
        (JPEG[:20] + "\r\n" + JPEG[20:], ("photo_dropped",)),
        (
            base64.b64encode(b"\xff\xd8\xff" + b"x" * (512 * 1024 - 3)).decode(),
            ("photo_dropped",),
        ),
        (base64.b64encode(b"\xff\xd8\xff" + b"x" * (512 * 1024 - 2)).decode(), ("bad_photo",)),
        (base64.b64encode(b"\x89PNG\r\n").decode(), ("bad_photo",)),
        ("not base64!", ("bad_photo",)),
        ("é", ("bad_photo",)),
        ("", ("bad_photo",)),
        (7, ("bad_photo",)),
        ([JPEG], ("bad_photo",)),
        ({"data": JPEG, "more": {"a": '"}'}}, ("bad_photo",)),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_no_photo_is_kept_and_a_flag_says_what_it_was(photo: Any, flags: tuple[str, ...]) -> None:
    item = {"user_id": "1001", "photo": photo, "att_time": TIME}
    seen = read(item)
    assert isinstance(seen, Reading)
    assert seen.flags == flags
    assert json.loads(seen.raw) == item | {"photo": ""}


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b'{"photo":"abc","user_id":"1"}', b'{"photo":"","user_id":"1"}'),
        (b'\xef\xbb\xbf {"photo" : "a\\"b}" , "n" : 1 }', b'\xef\xbb\xbf {"photo" :"", "n" : 1 }'),
        (b'{"photo":"a","photo":"b"}', b'{"photo":"","photo":""}'),
        (b'{"ph\\u006fto":"abc"}', b'{"ph\\u006fto":""}'),
        (b'{"photo":{"k":[1,"}",{}]},"z":[1]}', b'{"photo":"","z":[1]}'),
        (
            b'{"a":{"photo":"kept"},"b":"photo","photo":1}',
            b'{"a":{"photo":"kept"},"b":"photo","photo":""}',
        ),
        (b'{"a\\\\":"photo","photo":null}', b'{"a\\\\":"photo","photo":""}'),
    ],
)
def test_the_characters_of_a_photo_are_cut_out_and_nothing_else(raw: bytes, kept: bytes) -> None:
    item = json.loads(raw.decode("utf-8-sig"))
    seen = attendance.read({"photo": "", **item}, raw)
    assert seen.raw == kept


def test_bytes_that_are_no_json_are_walked_once() -> None:
    # A quote that never closes was tried again from each escaped quote behind it: minutes for 1 MB.
    raw = b'{"photo":"' + b'\\"' * 500_000
    assert attendance.read({"photo": ""}, raw).raw == raw
    # Nor is a name with an escape that does not exist any name of ours.
    assert attendance.read({"photo": ""}, b'{"phot\\x":1}').raw == b'{"phot\\x":1}'


def test_a_photo_in_what_cannot_be_read_is_cut_out_too() -> None:
    seen = read({"user_id": "1", "att_time": "yesterday", "photo": JPEG})
    assert isinstance(seen, Unreadable)
    assert seen.reason == "unreadable_time"
    assert JPEG.encode() not in seen.raw
