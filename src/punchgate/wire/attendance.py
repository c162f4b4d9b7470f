"""The punch object that HTTP ingest, native TCP and MQTT share: a JSON value in, a reading out.

Answers for its fields, the order of its checks and the words of its refusals
(docs/contracts/ingest-v1.md). It knows no device, no zone and no clock: whether a code is known, a
time is impossible or a punch is a repeat is decided later.
"""

import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, NoReturn

from punchgate.wire import moment
from punchgate.wire.event import Reading, Unreadable

USER_CODE_MAX: Final = 64
#: Integers of up to 20 digits stand for user codes: no 64-bit number is refused.
_USER_NUMBER_LIMIT: Final = 10**20
WORK_CODE_MAX: Final = 32
#: Codes are kept as signed 32-bit numbers, the widest that a column of both databases shares.
_CODE_MAX: Final = 2**31 - 1
TEMPERATURE_MIN_C: Final = 20.0
TEMPERATURE_MAX_C: Final = 50.0
ACCURACY_MAX_M: Final = 100_000.0
PHOTO_MAX_BYTES: Final = 512 * 1024

#: Control characters, and halves of surrogate pairs: JSON can spell those, UTF-8 and therefore the
#: store cannot.
_UNFIT: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NUMBER: Final = re.compile(r"[+-]?\d{1,20}(?:\.\d{1,40})?", re.ASCII)
_DIGITS: Final = re.compile(r"\d{1,10}", re.ASCII)

_STATE_NAMES: Final[Mapping[str, int]] = {
    "in": 0,
    "checkin": 0,
    "out": 1,
    "checkout": 1,
    "breakout": 2,
    "breakin": 3,
    "overtimein": 4,
    "overtimeout": 5,
}
_PLACES: Final = ("location", "geolocation", "geo", "gps", "position")
_LATITUDES: Final = ("latitude", "lat")
_LONGITUDES: Final = ("longitude", "lng", "lon", "long")
_ACCURACIES: Final = ("accuracy", "location_accuracy", "radius")

# A string, a bracket, or the text between: enough to tell a name of the outermost object from
# everything else. Possessive, and with a closing quote that may be missing, so that no byte is
# looked at twice.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[{}\[\]:,]|[^"{}\[\]:,\s]++', re.DOTALL)

_MISSING_USER: Final = "user_id is missing."
_BAD_USER: Final = "user_id must be a string or an integer."
_MISSING_TIME: Final = "att_time is missing."
_BAD_TIME: Final = "att_time must be a string or a number."


class _Position(NamedTuple):
    latitude: float | None = None
    longitude: float | None = None
    accuracy_m: float | None = None


_NOWHERE: Final = _Position()


def read(item: object, raw: bytes) -> Reading | Unreadable:
    """Read one punch object, however odd; nothing is raised.

    Shapes:  `item` is the decoded JSON value, `raw` the bytes it was decoded from; they are kept
             with the reading, with the characters of a photo cut out.
    Errors:  what has not the shape of a punch is an `Unreadable` with the contract's sentence as
             its `detail` (or with the reason `not_an_object`): a caller with a single punch refuses
             it. An `Unreadable` without a sentence is acknowledged and kept, as is everything that
             fails inside a batch. An optional field that cannot be used is left out, and a flag
             says so.
    Source:  docs/contracts/ingest-v1.md, sections 4.2 to 4.5; checks run in the order of its table.
    """
    if not isinstance(item, dict):
        return Unreadable(raw, "not_an_object")
    return _read_plain(item, raw) or _read_any(item, raw)


def read_bytes(raw: bytes) -> Reading | Unreadable:
    """Read the bytes of one punch object, as `read` does; for bytes that were kept, and for lines.

    Errors:  none; what is no JSON in UTF-8, or is nested too deep to be decoded, is `not_json`.
    """
    try:
        item = json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return Unreadable(raw, "not_json")
    return read(item, raw)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON.")


def _read_plain(item: dict[str, Any], raw: bytes) -> Reading | None:
    """Read the shape that nearly every punch has, at a fifth of the cost; None for all others."""
    if len(item) != 4:
        return None
    get = item.get
    code, text, state, method = get("user_id"), get("att_time"), get("att_state"), get("input_type")
    if (
        type(code) is str
        and type(text) is str
        and type(state) is int
        and type(method) is int
        and 0 <= state <= _CODE_MAX
        and 0 <= method <= _CODE_MAX
        and code.isalnum()
        and len(code) <= USER_CODE_MAX
    ):
        wall_time = moment.read_plain(text)
        if wall_time is not None:
            return Reading(raw, code, wall_time, None, "wall", text, state, method)
    return None


def _read_any(item: dict[str, Any], raw: bytes) -> Reading | Unreadable:
    if "photo" in item:
        raw = _cut_photo(raw)
    user: Any = item.get("user_id")
    when: Any = item.get("att_time")
    # Shape before content, for both: a wrong type of the time is told before a user code that is
    # too long.
    if (fault := _user_fault(user, raw)) is not None:
        return fault
    code = _user_code(user)
    if (fault := _time_fault(when, raw)) is not None:
        return fault._replace(user_code=code)
    if code is None:
        return Unreadable(raw, "bad_user_id")
    at = moment.read(when)
    if at is None:
        return Unreadable(raw, "unreadable_time", user_code=code)
    flags: list[str] = []
    state = _state(item.get("att_state"), flags)
    method = _method(item.get("input_type"), flags)
    position = _position(item, flags)
    temperature = _temperature(item.get("temperature"), flags)
    mask = _mask(_first(item, ("mask", "face_mask")), flags)
    work_code = _work_code(item.get("work_code"), flags)
    _judge_photo(item.get("photo"), flags)
    return Reading(
        raw, code, at.wall_time, at.instant, at.form, at.text, state, method,
        *position, temperature, mask, work_code, tuple(flags),
    )  # fmt: skip


def _user_fault(user: object, raw: bytes) -> Unreadable | None:
    if user is None or (isinstance(user, str) and not user.strip()):
        return Unreadable(raw, "missing_user_id", _MISSING_USER)
    if isinstance(user, bool) or not isinstance(user, str | int):
        return Unreadable(raw, "bad_user_id", _BAD_USER)
    return None


def _time_fault(when: object, raw: bytes) -> Unreadable | None:
    if when is None or when == "":
        return Unreadable(raw, "missing_att_time", _MISSING_TIME)
    if isinstance(when, bool) or not isinstance(when, str | int | float):
        return Unreadable(raw, "unreadable_time", _BAD_TIME)
    return None


def _user_code(user: Any) -> str | None:
    if isinstance(user, int):
        return str(user) if abs(user) < _USER_NUMBER_LIMIT else None
    code = user.strip()
    return code if len(code) <= USER_CODE_MAX and not _UNFIT.search(code) else None


def _state(value: object, flags: list[str]) -> int | None:
    code = _code(value)
    if code is None and isinstance(value, str):
        code = _STATE_NAMES.get(value.strip().lower())
    if code is None and value is not None:
        flags.append("unknown_state")
    return code


def _method(value: object, flags: list[str]) -> int | None:
    code = _code(value)
    if code is None and value is not None:
        flags.append("unknown_input_type")
    return code


def _code(value: object) -> int | None:
    """Read a code that some device may use; whether this one does is for its own table."""
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _CODE_MAX:
        return value
    return None


def _number(value: object, low: float, high: float) -> float | None:
    """Read a number or a numeric string within bounds, ends included; None for anything else."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
        return float(value)
    return None


def _first(item: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((item[name] for name in names if item.get(name) is not None), None)


def _position(item: Mapping[str, Any], flags: list[str]) -> _Position:
    """Read the position in the first of its three forms that is there."""
    found = _find_position(item)
    if found is None:
        return _NOWHERE
    position = _checked(*found)
    if position is _NOWHERE:
        flags.append("bad_location")
    elif position.latitude == position.longitude == 0:
        flags.append("suspicious_location")
    return position


def _find_position(item: Mapping[str, Any]) -> tuple[Any, Any, Any] | None:
    """Give latitude, longitude and accuracy as they were sent; None when there are none."""
    places = [item[name] for name in _PLACES if item.get(name) is not None]
    for place in places:
        if isinstance(place, dict):
            named = _named(place) or _geojson(place)
            if named is not None:
                return named
    beside = _named(item)
    if beside is not None:
        return beside
    accuracy = _first(item, _ACCURACIES)
    for place in places:
        if isinstance(place, str):
            parts = place.split(",", 2)
            return (parts[0], parts[1], accuracy) if len(parts) == 2 else (None, None, None)
    return (None, None, None) if places else None


def _named(place: Mapping[str, Any]) -> tuple[Any, Any, Any] | None:
    latitude, longitude = _first(place, _LATITUDES), _first(place, _LONGITUDES)
    if latitude is None and longitude is None:
        return None
    return latitude, longitude, _first(place, _ACCURACIES)


def _geojson(place: Mapping[str, Any]) -> tuple[Any, Any, Any] | None:
    coordinates = place.get("coordinates")
    if place.get("type") != "Point" or not isinstance(coordinates, list):
        return None
    # Longitude comes first there.
    longitude, latitude = coordinates[:2] if len(coordinates) >= 2 else (None, None)
    return latitude, longitude, _first(place, _ACCURACIES)


def _checked(latitude: object, longitude: object, accuracy: object) -> _Position:
    north = _number(latitude, -90, 90)
    east = _number(longitude, -180, 180)
    metres = _number(accuracy, 0, ACCURACY_MAX_M)
    if north is None or east is None or (metres is None and accuracy is not None):
        return _NOWHERE
    return _Position(north, east, metres)


def _temperature(value: object, flags: list[str]) -> float | None:
    temperature = _number(value, TEMPERATURE_MIN_C, TEMPERATURE_MAX_C)
    if temperature is None and value is not None:
        flags.append("bad_temperature")
    return temperature


def _mask(value: object, flags: list[str]) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in {0, 1}:
        return value == 1
    if value is not None:
        flags.append("bad_mask")
    return None


def _work_code(value: object, flags: list[str]) -> str | None:
    if isinstance(value, str) and len(value) <= WORK_CODE_MAX and not _UNFIT.search(value):
        return value
    if type(value) is int and abs(value) < 10**WORK_CODE_MAX:
        return str(value)
    if value is not None:
        flags.append("bad_work_code")
    return None


def _judge_photo(value: object, flags: list[str]) -> None:
    """Flag a photo either way: none is kept in this version, so a usable one is dropped too."""
    if value is not None:
        flags.append("photo_dropped" if _is_jpeg(value) else "bad_photo")


def _is_jpeg(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        # Encoders for mail break base64 into lines; nothing else may stand between its characters.
        photo = binascii.a2b_base64("".join(value.split()), strict_mode=True)
    except ValueError:
        return False
    return photo.startswith(b"\xff\xd8\xff") and len(photo) <= PHOTO_MAX_BYTES


def _cut_photo(raw: bytes) -> bytes:
    """Put an empty string in the place of every `photo` of the outermost object.

    All other bytes stay as they are. Every one, because the last of two equal names counts and the
    first would otherwise be kept. The value may be of any kind: an object or an array goes as a
    whole.
    """
    kept: list[bytes] = []
    end = depth = start = 0
    name = b""
    is_photo = False
    for match in _TOKEN.finditer(raw):
        token = match[0]
        if depth == 1 and token == b":":
            is_photo, start = _is_photo_name(name), match.end()
        elif depth == 1 and token in b",}" and is_photo:
            kept += (raw[end:start], b'""')
            end, is_photo = match.start(), False
        depth += (token in b"{[") - (token in b"}]")
        name = token
    return b"".join((*kept, raw[end:]))


def _is_photo_name(token: bytes) -> bool:
    if b"\\" not in token:
        return token == b'"photo"'
    try:
        return bool(json.loads(token, strict=False) == "photo")
    except ValueError:
        return False
