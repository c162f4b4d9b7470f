"""The body of an event, beside the tree that docs/reference/events.md describes.

The bodies are written by hand for speed; `json.dumps` of the tree is what they must equal, whatever
names people and devices have. Pure; nothing is simulated.
"""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.domain import event
from punchgate.domain.device import Device
from punchgate.domain.ids import AccountNo, DeviceId, PunchId, SerialNumber, UserCode
from punchgate.domain.punch import Punch

DEVICE = Device(
    AccountNo(1), DeviceId("principal"), SerialNumber("SN7A2300583"), "Main Gate", site="HQ"
)
SAMPLE = Punch(
    account=AccountNo(1),
    punch_id=PunchId("01KVMR7XE0SABR24PA3EYWNYP2"),
    device_id=DeviceId("principal"),
    serial=SerialNumber("SN7A2300583"),
    user_code=UserCode("1001"),
    wall_time="2026-06-21 09:30:00",
    time_text="2026-06-21 09:30:00",
    zone="Asia/Kolkata",
    zone_source="device",
    utc_offset_s=19_800,
    at=1_782_014_400,
    received_at=1_782_014_403_118,
    direction_code=1,
    direction="check-out",
    verify_code=50,
    verify="app",
    code_table="http",
    transport="http",
    latitude=None,
    longitude=None,
    accuracy_m=None,
    temperature_c=None,
    mask=None,
    work_code=None,
    flags="",
    raw=b"",
)
#: The `data` of the published sample, as it is printed.
PUBLISHED = """{
  "punch_id":"01KVMR7XE0SABR24PA3EYWNYP2",
  "person":{"code":"1001","custom_id":"STU-001","name":"Rahul Sharma"},
  "device":{"id":"principal","serial":"SN7A2300583","name":"Main Gate","site":"HQ"},
  "at":"2026-06-21T04:00:00Z","at_local":"2026-06-21T09:30:00","zone":"Asia/Kolkata",
  "utc_offset":"+05:30","zone_source":"device",
  "received_at":"2026-06-21T04:00:03.118Z",
  "direction":"check-out","direction_code":1,"verify":"app","verify_code":50,"code_table":"http",
  "transport":"http",
  "position":null,"temperature_c":null,"mask":null,"has_photo":false,"flags":[]}"""


def recorded(punch: Punch, *, device: Device = DEVICE, name: str | None = None) -> event.Event:
    return event.punch_recorded(
        punch,
        person=event.person_json(punch.user_code, None, name),
        device=event.device_json(device),
    )


def tree(punch: Punch, *, device: Device = DEVICE, name: str | None = None) -> dict[str, object]:
    """Build what the reference describes, in its order, without any text of ours."""
    at = datetime.fromtimestamp(punch.at, UTC)
    local = datetime.fromtimestamp(punch.at + punch.utc_offset_s, UTC)
    received = datetime.fromtimestamp(punch.received_at // 1000, UTC).replace(
        microsecond=punch.received_at % 1000 * 1000
    )
    position = {
        "latitude": punch.latitude,
        "longitude": punch.longitude,
        "accuracy_m": punch.accuracy_m,
    }
    sign = "+" if punch.utc_offset_s >= 0 else "-"
    hours, rest = divmod(abs(punch.utc_offset_s), 3600)
    return {
        "punch_id": punch.punch_id,
        "person": {"code": punch.user_code, "custom_id": None, "name": name},
        "device": {
            "id": device.id,
            "serial": device.serial,
            "name": device.name,
            "site": device.site,
        },
        "at": at.isoformat().replace("+00:00", "Z"),
        "at_local": local.replace(tzinfo=None).isoformat(),
        "zone": punch.zone,
        "utc_offset": f"{sign}{hours:02d}:{rest // 60:02d}",
        "zone_source": punch.zone_source,
        "received_at": received.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "direction": punch.direction,
        "direction_code": punch.direction_code,
        "verify": punch.verify,
        "verify_code": punch.verify_code,
        "code_table": punch.code_table,
        "transport": punch.transport,
        "position": None if punch.latitude is None else position,
        "temperature_c": punch.temperature_c,
        "mask": punch.mask,
        "has_photo": False,
        "flags": punch.flags.split(),
    }


def dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def test_the_published_sample_comes_out() -> None:
    person = event.person_json("1001", "STU-001", "Rahul Sharma")
    made = event.punch_recorded(SAMPLE, person=person, device=event.device_json(DEVICE))
    assert made.body == dumped(json.loads(PUBLISHED))


def test_an_entry_names_its_person_and_its_instants() -> None:
    made = recorded(SAMPLE)
    assert made[:5] == (
        "evt_01KVMR7XE0SABR24PA3EYWNYP2",
        "person:1001",
        "punch.recorded",
        1_782_014_400_000,
        1_782_014_403_118,
    )
    assert made.type in event.EVENT_TYPES


@pytest.mark.parametrize(
    "name",
    [
        "O'Brien",
        'Ann "Nan" Lee',
        "back\\slash",
        "Zoë 日本語",
        "👩🏽‍🚀 in space",
        "tab\tline\nbreak\rbell\x07null\x00",
        "\u2028line separator\u2029",
        "\x7fdelete\x1f",
        "</script>",
        "",
    ],
)
def test_awkward_names_are_the_same_json(name: str) -> None:
    device = Device(AccountNo(1), DeviceId("d"), SerialNumber("S"), name, site=name)
    punch = SAMPLE._replace(user_code=UserCode(name))
    body = recorded(punch, device=device, name=name).body
    assert body == dumped(tree(punch, device=device, name=name))
    assert json.loads(body) == tree(punch, device=device, name=name)


@pytest.mark.parametrize(
    "punch",
    [
        SAMPLE._replace(latitude=18.52, longitude=73.85, accuracy_m=12.0),
        SAMPLE._replace(latitude=-0.0, longitude=1e-7),
        SAMPLE._replace(latitude=0.0, longitude=0.0, accuracy_m=None),
        SAMPLE._replace(temperature_c=36.6, mask=True),
        SAMPLE._replace(mask=False),
        SAMPLE._replace(direction_code=None, direction="unspecified", verify_code=None),
        SAMPLE._replace(flags="fold_inferred"),
        SAMPLE._replace(flags="ambiguous_local_time fold_inferred late_upload"),
        SAMPLE._replace(utc_offset_s=-12_600, zone="America/St_Johns"),
        SAMPLE._replace(utc_offset_s=0, zone="UTC", zone_source="installation"),
        SAMPLE._replace(received_at=1_782_014_403_000),
        SAMPLE._replace(received_at=1_782_014_403_007),
        SAMPLE._replace(at=946_684_800, transport="zk", code_table="pull"),
    ],
)
def test_every_field_is_the_same_json(punch: Punch) -> None:
    assert recorded(punch).body == dumped(tree(punch))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    st.builds(
        lambda at, offset, received, code: SAMPLE._replace(
            at=at, utc_offset_s=offset * 900, received_at=received, user_code=UserCode(code)
        ),
        st.integers(946_684_800, 4_102_444_800),
        st.integers(-48, 56),
        st.integers(946_684_800_000, 4_102_444_800_999),
        TEXTS,
    ),
    TEXTS | st.none(),
    TEXTS | st.none(),
)
def test_any_punch_is_the_same_json(punch: Punch, name: str | None, site: str | None) -> None:
    device = Device(AccountNo(1), DeviceId("d"), SerialNumber("S"), name, site=site)
    body = recorded(punch, device=device, name=name).body
    assert body == dumped(tree(punch, device=device, name=name))


def test_nothing_secret_enters_an_entry() -> None:
    canary = "canary-4711"
    punch = SAMPLE._replace(raw=canary.encode(), time_text=canary, work_code=canary)
    device = Device(
        AccountNo(1), DeviceId("d"), SerialNumber("S"), token_hash=canary.encode(), zone="UTC"
    )
    assert canary not in "".join(str(part) for part in recorded(punch, device=device))


@pytest.mark.parametrize(
    ("offset_s", "text"),
    [(0, "+00:00"), (19_800, "+05:30"), (-12_600, "-03:30"), (50_400, "+14:00"), (-60, "-00:01")],
)
def test_an_offset_is_written_with_its_sign(offset_s: int, text: str) -> None:
    assert event.offset_text(offset_s) == text
