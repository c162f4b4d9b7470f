"""The client's column of the error table: pure, so each row of it is asserted."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.simulators import note, retry

BACKOFF_S, LATER_S = 4.0, 60.0


def decide(status: int, code: str, headers: dict[str, str] | None = None) -> retry.Decision:
    body = json.dumps({"ok": False, "error": {"code": code, "message": "…"}}).encode()
    reply = retry.Reply(status, headers or {}, body)
    return retry.decide(reply, backoff_s=BACKOFF_S, later_s=LATER_S)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "invalid_punch", retry.SetAside("invalid_punch")),
        (400, "invalid_body", retry.SetAside("invalid_body")),
        (403, "inactive_subscription", retry.WhenValid(LATER_S)),
        (404, "unknown_device", retry.Again(LATER_S)),
        (408, "request_timeout", retry.Again(BACKOFF_S)),
        (413, "body_too_large", retry.Split()),
        (413, "batch_too_large", retry.Split()),
        (429, "rate_limited", retry.Again(BACKOFF_S)),
        (500, "internal_error", retry.Again(BACKOFF_S)),
        (502, "", retry.Again(BACKOFF_S)),
        (503, "storage_unavailable", retry.Again(BACKOFF_S)),
        (503, "unavailable", retry.Again(BACKOFF_S)),
        (504, "", retry.Again(BACKOFF_S)),
    ],
)
def test_an_answer_is_acted_on_as_the_table_says(
    status: int, code: str, expected: retry.Decision
) -> None:
    assert decide(status, code) == expected


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (301, ""),
        (400, "missing_serial"),
        (400, "invalid_serial"),
        (401, "invalid_token"),
        (403, ""),
        (404, "unknown_operation"),
        (405, "method_not_allowed"),
        (415, "unsupported_encoding"),
        (501, ""),
    ],
)
def test_what_only_a_person_can_repair_stops_the_terminal_with_a_reason(
    status: int, code: str
) -> None:
    decision = decide(status, code)
    assert isinstance(decision, retry.Stop)
    assert len(decision.reason) > 20


def test_an_answer_that_is_not_of_this_contract_is_read_by_its_status() -> None:
    for body in (b"", b"<html>", b"[]", b'{"error":7}', b"\xff"):
        reply = retry.Reply(503, {}, body)
        assert reply.code() == ""
        assert retry.decide(reply, backoff_s=1.0, later_s=2.0) == retry.Again(1.0)


@pytest.mark.parametrize("name", ["Retry-After", "retry-after", "RETRY-AFTER"])
def test_a_retry_after_comes_before_our_own_schedule(name: str) -> None:
    assert decide(429, "rate_limited", {name: "7"}) == retry.Again(7.0)
    assert decide(503, "unavailable", {name: " 5 "}) == retry.Again(5.0)


@pytest.mark.parametrize("text", ["", "soon", "-1", "1.5", "٣", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_retry_after_that_cannot_be_read_is_as_good_as_none(text: str) -> None:
    assert decide(503, "unavailable", {"Retry-After": text}) == retry.Again(BACKOFF_S)


def test_nobody_makes_a_terminal_wait_for_a_year() -> None:
    assert decide(503, "unavailable", {"Retry-After": "31536000"}) == retry.Again(3600.0)


def test_waits_double_from_one_second_to_sixty() -> None:
    longest = [retry.Backoff().after(attempt, 1.0) for attempt in range(8)]
    shortest = [retry.Backoff().after(attempt, 0.0) for attempt in range(8)]
    assert longest == [1, 2, 4, 8, 16, 32, 60, 60]
    assert shortest == [0.5, 1, 2, 4, 8, 16, 30, 30]


@given(attempt=st.integers(0, 100_000), chance=st.floats(0, 1))
def test_a_wait_is_never_longer_than_its_bound(attempt: int, chance: float) -> None:
    assert 0.5 <= retry.Backoff().after(attempt, chance) <= 60.0


ID = "01KVMR7XE0SABR24PA3EYWNYP2"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Punch-Status": "recorded", "Punch-Id": ID}, note.Answer("recorded", ID)),
        ({"punch-status": "duplicate", "punch-id": ID}, note.Answer("duplicate", ID)),
        (
            {
                "Punch-Status": "quarantined",
                "Quarantine-Id": ID,
                "Quarantine-Reason": "future_time",
            },
            note.Answer("quarantined", ID, "future_time"),
        ),
        ({}, note.Answer("recorded")),
    ],
)
def test_one_punch_is_acknowledged_by_its_body_and_explained_by_headers(
    headers: dict[str, str], expected: note.Answer
) -> None:
    assert retry.answers_of(retry.Reply(200, headers, b'{"ok":true}'), 1) == (expected,)


def test_a_batch_is_acknowledged_item_by_item() -> None:
    body = {
        "ok": True,
        "results": [
            {"ok": True, "status": "recorded", "punch_id": ID},
            {"ok": True, "status": "duplicate", "punch_id": ID},
            {
                "ok": True,
                "status": "quarantined",
                "reason": "unreadable_time",
                "quarantine_id": "Q",
            },
        ],
    }
    answers = retry.answers_of(retry.Reply(200, {}, json.dumps(body).encode()), 3)
    assert answers == (
        note.Answer("recorded", ID),
        note.Answer("duplicate", ID),
        note.Answer("quarantined", "Q", "unreadable_time"),
    )


RESULT = '{"ok":true,"status":"recorded"}'


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>captive portal</html>",
        "[]",
        '{"ok":false}',
        '{"ok":1}',
        '{"ok":true}',
        '{"ok":true,"results":{}}',
        f'{{"ok":true,"results":[{RESULT}]}}',
        f'{{"ok":true,"results":[{RESULT},{RESULT},{RESULT}]}}',
        f'{{"ok":true,"results":[{RESULT},null]}}',
        f'{{"ok":true,"results":[{RESULT},{{"ok":false}}]}}',
    ],
)
def test_a_success_that_does_not_name_every_item_acknowledges_none(body: str) -> None:
    assert retry.answers_of(retry.Reply(200, {}, body.encode()), 2) is None
