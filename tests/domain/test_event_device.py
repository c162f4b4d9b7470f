"""The entries about devices, beside the published samples. Pure; nothing is simulated."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.domain import event_device
from punchgate.domain.device import Device, offline_after_s
from punchgate.domain.event import EVENT_TYPES
from punchgate.domain.event_device import Stranger, Transition
from punchgate.domain.ids import AccountNo, DeviceId, SerialNumber

#: 2026-06-21 04:00:00 UTC in milliseconds.
FOUR = 1_782_014_400_000
NOW = FOUR + 270_002
TAIL = bytes(range(10))
DEVICE = Device(
    AccountNo(1),
    DeviceId("principal"),
    SerialNumber("SN7A2300583"),
    "Main Gate",
    site="HQ",
    heartbeat_interval_s=30,
)
CAME = Transition(DEVICE, FOUR, FOUR, "10.0.0.31", "offline")
WENT = Transition(DEVICE, FOUR + 270_000, FOUR, "10.0.0.31", "online")
STRANGER = Stranger(SerialNumber("CKJF201260123"), "iclock", "10.0.0.44", FOUR)

OBJECT = '{"id":"principal","serial":"SN7A2300583","name":"Main Gate","site":"HQ"}'


def test_the_published_online_comes_out() -> None:
    made = event_device.online(CAME, now=NOW, tail=TAIL)
    assert made.body == (
        f'{{"device":{OBJECT},"since":"2026-06-21T04:00:00Z","was":"offline",'
        '"last_seen_at":"2026-06-21T04:00:00Z","address":"10.0.0.31"}'
    )
    assert (made.type, made.key) == ("device.online", "device:principal")
    assert (made.occurred_at, made.received_at) == (FOUR, NOW)


def test_the_published_offline_comes_out() -> None:
    made = event_device.offline(WENT, now=NOW, tail=TAIL)
    assert made.body == (
        f'{{"device":{OBJECT},"since":"2026-06-21T04:04:30Z","was":"online",'
        '"last_seen_at":"2026-06-21T04:00:00Z","expected_every_s":30}'
    )
    assert (made.type, made.key) == ("device.offline", "device:principal")
    assert (made.occurred_at, made.received_at) == (FOUR + 270_000, NOW)


def test_the_published_stranger_comes_out_with_null_for_what_it_did_not_say() -> None:
    made = event_device.unclaimed(STRANGER, now=NOW, tail=TAIL)
    assert made.body == (
        '{"serial":"CKJF201260123","engine":"iclock","address":"10.0.0.44",'
        '"model":null,"firmware":null,"first_seen_at":"2026-06-21T04:00:00Z"}'
    )
    assert (made.type, made.key) == ("device.unclaimed", "device:CKJF201260123")
    assert (made.occurred_at, made.received_at) == (FOUR, NOW)


def test_every_kind_is_one_that_the_log_knows() -> None:
    made = (
        event_device.online(CAME, now=NOW, tail=TAIL),
        event_device.offline(WENT, now=NOW, tail=TAIL),
        event_device.unclaimed(STRANGER, now=NOW, tail=TAIL),
    )
    assert {each.type for each in made} <= set(EVENT_TYPES)


def test_an_id_is_a_ulid_of_the_moment_and_of_the_bytes_that_were_handed_in() -> None:
    first = event_device.online(CAME, now=NOW, tail=TAIL).id
    other = event_device.online(CAME, now=NOW, tail=TAIL[::-1]).id
    later = event_device.online(CAME, now=NOW + 1, tail=bytes(10)).id
    assert first == "evt_01KVM5KX5J000G40R40M30E209"
    assert first[:14] == other[:14]
    assert first != other
    assert later > max(first, other)


@pytest.mark.parametrize(("interval_s", "after_s"), [(60, 180), (10, 30), (3_600, 10_800)])
def test_three_intervals_of_its_own_make_a_device_offline(interval_s: int, after_s: int) -> None:
    device = Device(AccountNo(1), DeviceId("d"), SerialNumber("S"), heartbeat_interval_s=interval_s)
    assert offline_after_s(device) == after_s


TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(TEXTS, TEXTS, TEXTS)
def test_awkward_names_stay_json(name: str | None, site: str | None, address: str | None) -> None:
    device = Device(AccountNo(1), DeviceId("d"), SerialNumber("S"), name, site=site)
    turned = Transition(device, FOUR, FOUR, address, "never")
    read = json.loads(event_device.online(turned, now=NOW, tail=TAIL).body)
    assert read["device"] == {"id": "d", "serial": "S", "name": name, "site": site}
    assert (read["address"], read["was"]) == (address, "never")


def test_no_token_of_a_device_enters_an_entry() -> None:
    device = Device(AccountNo(1), DeviceId("d"), SerialNumber("S"), token_hash=b"canary-4711")
    turned = Transition(device, FOUR, FOUR, None, "online")
    for tell in (event_device.online, event_device.offline):
        assert "canary" not in repr(tell(turned, now=NOW, tail=TAIL))
