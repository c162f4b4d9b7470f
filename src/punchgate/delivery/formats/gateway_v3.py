"""`gateway-v3`: flat objects in the words of the 38-operation API, signed as Standard Webhooks.

It carries what has a callback there: punches (`OnAttendance`) and whether a device is reachable
(`OnDeviceStatus`). Other types have no form in it and are passed over.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from punchgate.delivery import render, signing, vendor
from punchgate.delivery.form import Format, Rendered, batch_id
from punchgate.domain.endpoint import Endpoint
from punchgate.domain.event import Entry

_CALLBACKS: Final[Mapping[str, str]] = {
    "punch.recorded": "OnAttendance",
    "device.online": "OnDeviceStatus",
    "device.offline": "OnDeviceStatus",
}
_METHODS: Final[Mapping[str, str]] = {
    "finger": "fingerprint",
    "face": "face",
    "palm": "palm",
    "card": "card",
    "password": "password",
    "app": "app",
}


def _event(entry: Entry, _endpoint: Endpoint, _account: str) -> Rendered:
    return Rendered(render.encoded(render.text(_flat(entry))), render.JSON)


def _batch(entries: Sequence[Entry], _endpoint: Endpoint, _account: str) -> Rendered:
    """Render several events as a callback `Batch` that lists theirs."""
    whole = {
        "Event": "Batch",
        "EventID": batch_id(entries),
        "Events": [_flat(entry) for entry in entries],
    }
    return Rendered(render.encoded(render.text(whole)), render.JSON)


def _flat(entry: Entry) -> dict[str, Any]:
    data = render.read(entry)
    if render.is_erased(data):
        return _erased(entry, data)
    return _punch(entry, data) if entry.type == "punch.recorded" else _device(entry, data)


def _punch(entry: Entry, data: Mapping[str, Any]) -> dict[str, Any]:
    at_local = data.get("at_local")
    return {
        "DeviceSN": render.find(data, "device.serial"),
        "EmployeeCode": render.find(data, "person.code"),
        "AttendanceLog": None if at_local is None else str(at_local).replace("T", " "),
        "Type": _METHODS.get(str(data.get("verify")), "other"),
        "Direction": vendor.DIRECTIONS.get(str(data.get("direction")), "Unspecified"),
        "Event": _CALLBACKS[entry.type],
        "EventID": entry.id,
        "PunchID": data.get("punch_id"),
        "LabelName": render.find(data, "device.name"),
        "Name": render.find(data, "person.name"),
        "CustomID": render.find(data, "person.custom_id"),
        "TimeZone": data.get("zone"),
        "UTCTime": data.get("at"),
        "Temperature": data.get("temperature_c"),
        "FaceMask": data.get("mask"),
        "Latitude": render.find(data, "position.latitude"),
        "Longitude": render.find(data, "position.longitude"),
        "HasPhoto": data.get("has_photo"),
        "Flags": data.get("flags"),
    }


def _device(entry: Entry, data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "DeviceSN": render.find(data, "device.serial"),
        "Status": entry.type.removeprefix("device."),
        "Since": data.get("since"),
        "LastSeen": data.get("last_seen_at"),
        "Event": _CALLBACKS[entry.type],
        "EventID": entry.id,
        "LabelName": render.find(data, "device.name"),
        "Problem": None,
        "Detail": None,
    }


def _erased(entry: Entry, data: Mapping[str, Any]) -> dict[str, Any]:
    """Say that what was sent under this id is to be forgotten."""
    return {
        "Event": _CALLBACKS[entry.type],
        "EventID": entry.id,
        "PunchID": data.get("punch_id"),
        "Erased": True,
    }


FORMAT: Final = Format(
    name="gateway-v3",
    types=frozenset(_CALLBACKS),
    render=_event,
    render_batch=_batch,
    sign=signing.standard,
    accepted=render.accepted,
)
