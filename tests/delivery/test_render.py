"""What formats share: batches, tombstones, and which answer is a yes. Pure; nothing is sent."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.delivery import render
from punchgate.delivery.form import Answer, Verdict, batch_id
from tests.delivery import samples

_ENDPOINT = samples.endpoint()
_THREE = samples.several(3)
_IDS = [entry.id for entry in _THREE]


def judged(body: bytes, status: int = 200, *, is_cut: bool = False) -> Verdict:
    return render.accepted(Answer(status, {}, body, is_cut), _THREE, _ENDPOINT)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 207, 299])
@pytest.mark.parametrize("body", [b"", b"<html>", b'{"status":"error"}', b"\xff\xfe", b"null"])
def test_any_2xx_is_a_yes_whatever_its_body(status: int, body: bytes) -> None:
    assert judged(body, status) == Verdict(is_accepted=True)


@pytest.mark.parametrize("status", [100, 199, 300, 301, 304, 400, 403, 410, 429, 500, 503])
def test_anything_else_is_a_no_whatever_its_body(status: int) -> None:
    verdict = judged(b'{"status":"done"}', status)
    assert verdict == Verdict(is_accepted=False, reason=f"status {status}")


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        ('{"failed":[{"id":"A","reason":"unknown person"}]}', {"A": "unknown person"}),
        ('{"failed":["A","C"]}', {"A": "named as failed", "C": "named as failed"}),
        (
            '{"ok":1,"failed":[{"id":"A"},"B",{"id":"C","reason":7}]}',
            dict.fromkeys("ABC", "named as failed"),
        ),
        ('\n {"failed" : [ "B" ]}', {"B": "named as failed"}),
        # What was not sent cannot have failed.
        ('{"failed":["evt_other",{"id":"bat_1"}]}', {}),
        # Any other body accepts all.
        ('{"failed":[]}', {}),
        ('{"failed":2}', {}),
        ('{"failed":[null,7,{"reason":"x"},["A"]]}', {}),
        ('[{"failed":["A"]}]', {}),
        ('{"failed":["A"', {}),
    ],
)
def test_a_yes_may_name_events_that_failed(body: str, refused: dict[str, str]) -> None:
    ids = dict(zip("ABC", _IDS, strict=True))
    for letter, event_id in ids.items():
        body = body.replace(f'"{letter}"', f'"{event_id}"')
    verdict = judged(body.encode())
    assert verdict.is_accepted
    assert verdict.refused == {ids[letter]: reason for letter, reason in refused.items()}


def test_a_reason_is_cut_to_what_a_table_shows() -> None:
    body = json.dumps({"failed": [{"id": _IDS[0], "reason": "x" * 5_000}]}).encode()
    assert judged(body).refused == {_IDS[0]: "x" * 300}


def test_a_list_of_failed_events_that_was_cut_refuses_the_whole_batch() -> None:
    """Accepting the rest would lose those that stand behind the cut."""
    body = f'{{"failed":["{_IDS[0]}","evt_'.encode()
    assert judged(body, is_cut=True) == Verdict(
        is_accepted=False, reason="the list of failed events is too long to read"
    )


def test_a_long_page_that_names_nothing_is_still_a_yes() -> None:
    assert judged(b"<html>" + b" " * 16_000, is_cut=True).is_accepted
    assert judged(b'{"failed":[],"log":"' + b" " * 16_000, is_cut=True).is_accepted


def test_an_answer_nested_beyond_reason_is_an_answer() -> None:
    assert judged(b'{"failed":[' + b"[" * 16_000).is_accepted


@given(
    body=st.binary(max_size=64), tail=st.sampled_from([b"", b'"failed":[1', b'{"failed":["x"]}'])
)
def test_no_answer_raises(body: bytes, tail: bytes) -> None:
    assert judged(body + tail).refused == {}


def test_the_id_of_a_batch_follows_from_its_events_and_their_order() -> None:
    assert batch_id(_THREE) == batch_id(list(_THREE))
    assert batch_id(_THREE) != batch_id(_THREE[::-1])
    assert batch_id(_THREE) != batch_id(_THREE[:2])
    assert len(batch_id(_THREE)) == len("bat_") + 32


def test_a_batch_holds_whole_events_in_order_and_the_time_of_the_newest() -> None:
    sent = render.batch([_THREE[2], _THREE[0]], _ENDPOINT, 'A "quoted" account')
    whole = json.loads(sent.content)
    assert list(whole) == ["id", "type", "timestamp", "account", "data"]
    assert whole["id"] == batch_id([_THREE[2], _THREE[0]])
    assert whole["type"] == "batch"
    assert whole["timestamp"] == "2026-06-21T04:00:02.000Z"
    assert whole["account"] == 'A "quoted" account'
    singles = [
        json.loads(render.event(entry, _ENDPOINT, 'A "quoted" account').content)
        for entry in (_THREE[2], _THREE[0])
    ]
    assert whole["data"] == singles


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("person.code", "1001"),
        ("person", samples.PERSON),
        ("person.absent", None),
        ("position.latitude", None),
        ("at.code", None),
        ("absent.code", None),
        ("has_photo", False),
    ],
)
def test_a_field_is_found_by_its_names(path: str, expected: object) -> None:
    assert render.find(render.read(samples.entry()), path) == expected


def test_only_a_tombstone_is_erased() -> None:
    assert render.is_erased(samples.ERASED)
    assert not render.is_erased(samples.PUNCH)
    assert not render.is_erased({"erased": "true"})


def test_half_a_character_does_not_stop_a_delivery() -> None:
    assert render.encoded('{"name":"\ud83d"}') == b'{"name":"?"}'
