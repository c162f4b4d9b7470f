"""`gateway-v3`: the callbacks that its page prints, and what it passes over. Nothing is sent."""

import json
from typing import Any

import pytest

from punchgate import registry
from punchgate.delivery.form import batch_id
from punchgate.domain.codes import DIRECTIONS, VERIFY_METHODS
from punchgate.domain.event import EVENT_TYPES, Entry
from tests.delivery import samples

_FORMAT = registry.FORMATS["gateway-v3"]
_ENDPOINT = samples.endpoint("gateway-v3")


def content(entry: Entry) -> str:
    rendered = _FORMAT.render(entry, _ENDPOINT, "main")
    assert rendered is not None
    assert (rendered.content_type, rendered.query) == ("application/json", ())
    return rendered.content.decode()


def said(**fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(content(samples.entry(data={**samples.PUNCH, **fields})))
    return found


def test_the_printed_punch_comes_out() -> None:
    assert content(samples.entry()) == (
        '{"DeviceSN":"SN7A2300583","EmployeeCode":"1001","AttendanceLog":"2026-06-21 09:30:00",'
        '"Type":"app","Direction":"CheckOut","Event":"OnAttendance",'
        '"EventID":"evt_01KVMR7XE0SABR24PA3EYWNYP2","PunchID":"01KVMR7XE0SABR24PA3EYWNYP2",'
        '"LabelName":"Main Gate","Name":"Rahul Sharma","CustomID":"STU-001",'
        '"TimeZone":"Asia/Kolkata","UTCTime":"2026-06-21T04:00:00Z","Temperature":null,'
        '"FaceMask":null,"Latitude":null,"Longitude":null,"HasPhoto":false,"Flags":[]}'
    )


def test_the_printed_loss_of_a_device_comes_out() -> None:
    assert content(samples.entry("device.offline")) == (
        '{"DeviceSN":"SN7A2300583","Status":"offline","Since":"2026-06-21T04:04:30Z",'
        '"LastSeen":"2026-06-21T04:00:00Z","Event":"OnDeviceStatus",'
        '"EventID":"evt_01KVM5BQEG294BFGWMS9K8JSE7","LabelName":"Main Gate","Problem":null,'
        '"Detail":null}'
    )


def test_a_device_that_returns_is_online() -> None:
    found = json.loads(content(samples.entry("device.online")))
    assert (found["Status"], found["Since"]) == ("online", "2026-06-21T04:10:00Z")


def test_it_carries_what_has_a_callback() -> None:
    assert [kind for kind in EVENT_TYPES if _FORMAT.carries(kind)] == [
        "punch.recorded",
        "device.online",
        "device.offline",
    ]


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_direction_has_its_word(direction: str) -> None:
    words = {
        "check-in": "CheckIn",
        "check-out": "CheckOut",
        "break-out": "BreakOut",
        "break-in": "BreakIn",
        "overtime-in": "OverTimeIn",
        "overtime-out": "OverTimeOut",
        "unspecified": "Unspecified",
    }
    assert said(direction=direction)["Direction"] == words[direction]


@pytest.mark.parametrize("method", VERIFY_METHODS)
def test_a_verify_method_has_its_word(method: str) -> None:
    words = {"finger": "fingerprint", "unknown": "other"}
    assert said(verify=method)["Type"] == words.get(method, method)


def test_what_is_known_of_a_punch_is_said() -> None:
    found = said(
        position={"latitude": 18.52, "longitude": 73.85, "accuracy_m": None},
        temperature_c=36.84,
        mask=False,
        flags=["late_upload"],
    )
    assert (found["Latitude"], found["Longitude"]) == (18.52, 73.85)
    assert (found["Temperature"], found["FaceMask"]) == (36.84, False)
    assert found["Flags"] == ["late_upload"]


def test_a_tombstone_says_what_is_to_be_forgotten() -> None:
    assert content(samples.entry(data=samples.ERASED)) == (
        '{"Event":"OnAttendance","EventID":"evt_01KVMR7XE0SABR24PA3EYWNYP2",'
        '"PunchID":"01KVMR7XE0SABR24PA3EYWNYP2","Erased":true}'
    )


def test_a_batch_is_a_callback_that_lists_callbacks() -> None:
    entries = [samples.entry(), samples.entry("device.offline"), samples.entry("device.online")]
    assert _FORMAT.render_batch is not None
    rendered = _FORMAT.render_batch(entries, _ENDPOINT, "main")
    assert rendered is not None
    assert json.loads(rendered.content) == {
        "Event": "Batch",
        "EventID": batch_id(entries),
        "Events": [json.loads(content(entry)) for entry in entries],
    }
