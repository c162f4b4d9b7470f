"""`plain`: what becomes of nested objects, lists and what is not known. Pure; nothing is sent."""

import json
from typing import Any

import pytest

from punchgate import registry
from punchgate.delivery.form import Answer, batch_id
from punchgate.domain.event import EVENT_TYPES, Entry, EventType
from tests.delivery import samples

_PLAIN = registry.FORMATS["plain"]
_ENDPOINT = samples.endpoint("plain")


def flat(entry: Entry) -> dict[str, Any]:
    rendered = _PLAIN.render(entry, _ENDPOINT, "main")
    assert rendered is not None
    assert rendered.content_type == "application/json"
    found: dict[str, Any] = json.loads(rendered.content)
    return found


def test_the_printed_fields_stand_under_their_printed_names() -> None:
    found = flat(samples.entry())
    printed = {
        "id": "evt_01KVMR7XE0SABR24PA3EYWNYP2",
        "type": "punch.recorded",
        "timestamp": "2026-06-21T04:00:03.120Z",
        "account": "main",
        "punch_id": "01KVMR7XE0SABR24PA3EYWNYP2",
        "person_code": "1001",
        "person_name": "Rahul Sharma",
        "device_serial": "SN7A2300583",
        "at": "2026-06-21T04:00:00Z",
        "at_local": "2026-06-21T09:30:00",
        "direction": "check-out",
        "flags": "",
    }
    assert printed.items() <= found.items()
    assert list(found)[:5] == ["id", "type", "timestamp", "account", "punch_id"]


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_every_object_is_flat_and_nothing_is_lost(kind: EventType) -> None:
    found = flat(samples.entry(kind))
    assert not any(isinstance(value, (dict, list)) for value in found.values())
    # The four of the envelope, and one for each value below: no two share a name.
    assert len(found) == 4 + _leaves(samples.BODIES[kind])


def _leaves(value: Any) -> int:
    if isinstance(value, dict):
        return sum(_leaves(item) for item in value.values())
    return 1


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        ({"a": {"b": {"c": 1}}}, {"a_b_c": 1}),
        ({"a": None}, {"a": None}),
        ({"a": {}}, {}),
        ({"a": []}, {"a": ""}),
        ({"a": ["x", "y"]}, {"a": "x,y"}),
        ({"a": {"b": ["x"]}}, {"a_b": "x"}),
        ({"a": [1, 2.5, True, None, "x"]}, {"a": "1,2.5,true,,x"}),
        ({"a": [{"b": "é", "c": [1]}, {}]}, {"a": '{"b":"é","c":[1]},{}'}),
        ({"a": False, "b": 0, "c": 9.10}, {"a": False, "b": 0, "c": 9.1}),
        # A field of an event cannot take the place of one of the envelope's.
        ({"id": "other", "type": "x"}, {}),
    ],
)
def test_a_body_becomes_its_fields(data: dict[str, Any], fields: dict[str, Any]) -> None:
    found = flat(samples.entry(data=data))
    assert found["id"] == "evt_01KVMR7XE0SABR24PA3EYWNYP2"
    assert {name: found[name] for name in list(found)[4:]} == fields


def test_a_tombstone_says_that_it_is_one() -> None:
    found = flat(samples.entry(data=samples.ERASED))
    assert found["erased"] is True
    assert found["punch_id"] == "01KVMR7XE0SABR24PA3EYWNYP2"


def test_a_batch_lists_flat_objects() -> None:
    entries = samples.several(3)
    assert _PLAIN.render_batch is not None
    rendered = _PLAIN.render_batch(entries, _ENDPOINT, "main")
    assert rendered is not None
    whole = json.loads(rendered.content)
    assert list(whole) == ["id", "type", "timestamp", "account", "data"]
    assert (whole["id"], whole["type"]) == (batch_id(entries), "batch")
    assert whole["data"] == [flat(entry) for entry in entries]


def test_events_of_a_batch_can_fail_alone() -> None:
    entries = samples.several(2)
    body = json.dumps({"failed": [entries[1].id]}).encode()
    verdict = _PLAIN.accepted(Answer(200, {}, body, is_cut=False), entries, _ENDPOINT)
    assert verdict.is_accepted
    assert list(verdict.refused) == [entries[1].id]
