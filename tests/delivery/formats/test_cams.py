"""The three `cams` forms, held against what their page prints and says.

Real: rendering. The samples of the page are compared as text; the values are tables.
"""

import base64
import json
from typing import Any, Final
from urllib.parse import parse_qsl

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from punchgate import registry
from punchgate.delivery.form import Rendered
from punchgate.domain.codes import DIRECTIONS, VERIFY_METHODS
from punchgate.domain.endpoint import Endpoint, FormatName
from punchgate.domain.event import EVENT_TYPES, Entry
from tests.delivery import samples

_FORMS: Final[tuple[FormatName, ...]] = ("cams", "cams-v2", "cams-v1")


def rendered(
    name: FormatName, entry: Entry | None = None, endpoint: Endpoint | None = None
) -> Rendered:
    form = registry.FORMATS[name]
    found = form.render(entry or samples.entry(), endpoint or samples.endpoint(name), "main")
    assert found is not None
    return found


def punched(**fields: Any) -> Entry:
    return samples.entry(data={**samples.PUNCH, **fields})


def real_time(entry: Entry, endpoint: Endpoint | None = None) -> dict[str, Any]:
    whole: dict[str, dict[str, Any]] = json.loads(rendered("cams", entry, endpoint).content)
    return whole["RealTime"]


def test_the_printed_callback_comes_out() -> None:
    entry = punched(direction="check-in", verify="finger", temperature_c=36.8)
    entry = entry._replace(received_at=samples.AT + 5_000)
    assert rendered("cams", entry).content.decode() == (
        '{"RealTime":{"OperationID":"39680j3oi0bg","LabelName":"Main Gate","SerialNumber":'
        '"SN7A2300583","PunchLog":{"Type":"CheckIn","Temperature":"36.8","FaceMask":false,'
        '"InputType":"Fingerprint","UserId":"1001","LogTime":"2026-06-21 09:30:00 GMT +0530"},'
        '"AuthToken":"endpoint-token-1","Time":"2026-06-21 04:00:05 GMT +0000"}}'
    )


def test_the_printed_callback_of_version_two_comes_out() -> None:
    body = rendered("cams-v2", punched(direction="check-in", verify="finger"))
    assert body.content_type == "application/x-www-form-urlencoded"
    ((name, value),) = parse_qsl(body.content.decode("ascii"), strict_parsing=True)
    assert name == "request_data"
    assert value == (
        '{"ServiceTagId":"SN7A2300583","ApiRequestInfo":{"AuthToken":"endpoint-token-1",'
        '"Operation":"RealTimePunchLog","OperationTime":"1782014400","UserId":"1001",'
        '"OperationReferenceId":"39680j3oi0bg","OperationData":{"AttendanceType":"CheckIn",'
        '"InputType":"Fingerprint"}}}'
    )


def test_version_one_has_five_fields_in_their_order() -> None:
    body = rendered("cams-v1", punched(person={"code": "00 1&ñ"}))
    assert body.content_type == "application/x-www-form-urlencoded"
    assert parse_qsl(body.content.decode("ascii"), strict_parsing=True) == [
        ("stgid", "SN7A2300583"),
        ("userid", "00 1&ñ"),
        ("att_time", "1782014400"),
        ("att_type", "o"),
        ("auth_token", "endpoint-token-1"),
    ]


def test_the_device_stands_in_the_address_of_version_three_alone() -> None:
    assert rendered("cams").query == (("stgid", "SN7A2300583"),)
    assert rendered("cams-v2").query == ()
    assert rendered("cams-v1").query == ()


_DIRECTIONS: Final = {
    "check-in": ("CheckIn", "i"),
    "check-out": ("CheckOut", "o"),
    "break-out": ("BreakOut", "o"),
    "break-in": ("BreakIn", "i"),
    "overtime-in": ("OverTimeIn", "i"),
    "overtime-out": ("OverTimeOut", "o"),
    "unspecified": ("CheckIn", "i"),
}


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_direction_has_its_word_in_each_form(direction: str) -> None:
    word, letter = _DIRECTIONS[direction]
    entry = punched(direction=direction)
    assert real_time(entry)["PunchLog"]["Type"] == word
    assert f"%22AttendanceType%22%3A%22{word}%22" in rendered("cams-v2", entry).content.decode()
    assert f"&att_type={letter}&" in rendered("cams-v1", entry).content.decode()


def test_an_endpoint_says_what_no_direction_means() -> None:
    entry = punched(direction="unspecified", direction_code=None)
    for unspecified_as, word, letter in (("in", "CheckIn", "i"), ("out", "CheckOut", "o")):
        endpoint = samples.endpoint("cams", unspecified_as=unspecified_as)
        assert real_time(entry, endpoint)["PunchLog"]["Type"] == word
        assert word in rendered("cams-v2", entry, endpoint).content.decode()
        assert f"att_type={letter}" in rendered("cams-v1", entry, endpoint).content.decode()
    # Only a punch without one is asked about.
    out = samples.endpoint("cams", unspecified_as="out")
    assert real_time(punched(direction="break-in"), out)["PunchLog"]["Type"] == "BreakIn"


_METHODS: Final = {
    "finger": "Fingerprint",
    "face": "Face",
    "palm": "Palm",
    "card": "Card",
    "password": "Password",
    "app": "Others",
    "other": "Others",
    "unknown": "Others",
}


@pytest.mark.parametrize("method", VERIFY_METHODS)
def test_a_verify_method_has_its_word(method: str) -> None:
    entry = punched(verify=method)
    assert real_time(entry)["PunchLog"]["InputType"] == _METHODS[method]
    assert f"%22{_METHODS[method]}%22" in rendered("cams-v2", entry).content.decode()


@pytest.mark.parametrize(
    ("measured", "text"), [(None, ""), (36.84, "36.8"), (37, "37.0"), (36.96, "37.0"), (0, "0.0")]
)
def test_a_temperature_is_a_text_that_is_always_there(measured: float | None, text: str) -> None:
    assert real_time(punched(temperature_c=measured))["PunchLog"]["Temperature"] == text


@pytest.mark.parametrize(("mask", "said"), [(None, False), (False, False), (True, True)])
def test_a_mask_is_true_or_false(mask: bool | None, said: bool) -> None:  # noqa: FBT001 (a table)
    assert real_time(punched(mask=mask))["PunchLog"]["FaceMask"] is said


@pytest.mark.parametrize(
    ("offset", "said"), [("+05:30", "+0530"), ("-03:00", "-0300"), ("+00:00", "+0000")]
)
def test_the_time_is_the_clock_on_the_wall_with_its_offset(offset: str, said: str) -> None:
    entry = punched(utc_offset=offset)
    assert real_time(entry)["PunchLog"]["LogTime"] == f"2026-06-21 09:30:00 GMT {said}"


def test_what_is_not_known_of_device_and_endpoint_is_an_empty_text() -> None:
    endpoint = samples.endpoint("cams", auth_token=None)
    said = real_time(punched(device=samples.DEVICE | {"name": None}), endpoint)
    assert said["LabelName"] == said["AuthToken"] == ""
    assert rendered("cams-v1", None, endpoint).content.endswith(b"&auth_token=")


@pytest.mark.parametrize("name", _FORMS)
def test_an_erased_punch_is_passed_over(name: FormatName) -> None:
    form, entry = registry.FORMATS[name], samples.entry(data=samples.ERASED)
    assert form.render(entry, samples.endpoint(name), "main") is None


@pytest.mark.parametrize("name", _FORMS)
def test_only_punches_have_a_form(name: FormatName) -> None:
    form = registry.FORMATS[name]
    assert [kind for kind in EVENT_TYPES if form.carries(kind)] == ["punch.recorded"]
    for kind in EVENT_TYPES[1:]:
        assert form.render(samples.entry(kind), samples.endpoint(name), "main") is None


@pytest.mark.parametrize("name", ["cams-v2", "cams-v1"])
def test_the_older_forms_send_events_one_by_one(name: str) -> None:
    assert registry.FORMATS[name].render_batch is None
    assert registry.FORMATS[name].batch_max == 1


def bulk(entries: list[Entry], endpoint: Endpoint | None = None) -> Rendered | None:
    render_batch = registry.FORMATS["cams"].render_batch
    assert render_batch is not None
    return render_batch(entries, endpoint or samples.endpoint("cams"), "main")


def test_a_bulk_request_lists_the_punches_of_one_device() -> None:
    entries = samples.several(3)
    entries.insert(1, samples.entry(data=samples.ERASED, event_id="evt_erased"))
    sent = bulk(entries)
    assert sent is not None
    assert sent.query == (("stgid", "SN7A2300583"),)
    row = {
        "Type": "CheckOut",
        "UserID": "1001",
        "UserId": "1001",
        "LogTime": "2026-06-21 09:30:00 GMT +0530",
        "InputType": "Others",
    }
    assert json.loads(sent.content) == {
        "PunchLog": {"ReturnRowCount": "3", "Log": [row, row, row]},
        "SerialNumber": "SN7A2300583",
        "AuthToken": "endpoint-token-1",
        "Time": "2026-06-21 04:00:02 GMT +0000",
    }


def test_a_bulk_request_of_tombstones_alone_is_passed_over() -> None:
    assert bulk([samples.entry(data=samples.ERASED)] * 2) is None


def test_a_bulk_request_is_of_one_device_and_at_most_fifty() -> None:
    form = registry.FORMATS["cams"]
    assert form.batch_max == 50
    assert form.batch_of is not None
    groups = [
        form.batch_of(entry)
        for entry in (
            samples.entry(),
            samples.entry(data=samples.FULL_PUNCH),
            samples.entry(data=samples.ERASED),
        )
    ]
    assert groups == ["SN7A2300583", "SN&1/2", ""]


def opened(content: bytes) -> bytes:
    """Decrypt as a client program does, without our vault."""
    cipher = Cipher(algorithms.AES(samples.SECURITY_KEY.encode()), modes.ECB())  # noqa: S305 (theirs)
    decryptor = cipher.decryptor()
    padded = decryptor.update(base64.b64decode(content, validate=True)) + decryptor.finalize()
    assert padded.endswith(bytes([padded[-1]]) * padded[-1])
    return padded[: -padded[-1]]


def test_with_a_security_key_the_same_body_is_encrypted() -> None:
    endpoint = samples.endpoint("cams", security_key=samples.SECURITY_KEY)
    plain, sealed = rendered("cams"), rendered("cams", None, endpoint)
    assert opened(sealed.content) == plain.content
    assert b"\n" not in sealed.content
    assert (sealed.content_type, sealed.query) == (plain.content_type, plain.query)
    batch, sealed_batch = bulk(samples.several(2)), bulk(samples.several(2), endpoint)
    assert batch is not None
    assert sealed_batch is not None
    assert opened(sealed_batch.content) == batch.content


@pytest.mark.parametrize("name", ["cams-v2", "cams-v1"])
def test_the_older_forms_know_no_encryption(name: FormatName) -> None:
    endpoint = samples.endpoint(name, security_key=samples.SECURITY_KEY)
    assert rendered(name, None, endpoint) == rendered(name)
