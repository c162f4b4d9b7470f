"""The OpenAPI document: valid in form, complete, and true of the published samples.

Real: the document that the registry makes, and the samples byte for byte. What servers answer is
held against it in each contract's own suite.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from punchgate import registry
from punchgate.contracts.ingest_v1 import errors as ingest_errors
from punchgate.contracts.ingest_v1 import openapi as ingest_openapi
from punchgate.contracts.ingest_v1.errors import Refusal
from punchgate.contracts.report_v1 import errors as report_errors
from punchgate.httpkit.answers import Answer
from tests.contracts import described
from tests.contracts.described import DOCUMENT, faults, walk

GOLDEN = Path(__file__).parent / "golden"


#: What is posted to: the rest takes no body, or means nothing by it.
WITH_BODY = ("/punch", "/devices", "/users", "/enroll-finger")


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _is_of(path: str, mounted: tuple[str, ...]) -> bool:
    return path in mounted or any(
        own != "/" and own.endswith("/") and path.startswith(own) for own in mounted
    )


def test_the_document_has_what_every_document_must_have() -> None:
    assert list(DOCUMENT) == ["openapi", "info", "tags", "paths", "components"]
    assert DOCUMENT["openapi"] == "3.1.0"
    assert {"title", "version"} <= DOCUMENT["info"].keys()
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT
    assert registry.openapi() == DOCUMENT


def test_every_contract_is_described_under_its_own_prefix() -> None:
    assert {tag["name"] for tag in DOCUMENT["tags"]} == {row.name for row in registry.CONTRACTS}
    for path, _, operation in operations():
        (owner,) = [row for row in registry.CONTRACTS if _is_of(path, row.paths)]
        assert operation["tags"] == [owner.name]
    for name in DOCUMENT["components"]["schemas"]:
        assert name.split(".")[0] in {row.name for row in registry.CONTRACTS}


def test_what_is_one_of_several_can_be_no_other() -> None:
    # An object may have more than is described: a whole answer fits a shorter one's schema, too.
    for node in walk(DOCUMENT):
        kinds = [kind_of(option) for option in node.get("oneOf", ())]
        assert len(set(kinds)) == len(kinds)


def kind_of(schema: dict[str, Any]) -> str:
    """Give the type of what a schema allows."""
    found = described.resolve(schema["$ref"]) if "$ref" in schema else schema
    kind: str = found["type"]
    return kind


def test_every_reference_resolves() -> None:
    references = [node["$ref"] for node in walk(DOCUMENT) if "$ref" in node]
    assert len(references) > 20
    for reference in references:
        assert isinstance(described.resolve(reference), dict)


def test_every_schema_is_used() -> None:
    used = {node["$ref"].rpartition("/")[2] for node in walk(DOCUMENT) if "$ref" in node}
    assert DOCUMENT["components"]["schemas"].keys() == used


def test_every_operation_is_complete() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids)) == 27
    schemes = DOCUMENT["components"]["securitySchemes"]
    for path, method, operation in operations():
        assert operation["summary"].endswith("."), path
        assert all(name in schemes for one in operation["security"] for name in one)
        takes_body = method == "put" or (method == "post" and path.endswith(WITH_BODY))
        assert ("requestBody" in operation) == takes_body, path
        for status, answer in operation["responses"].items():
            assert 200 <= int(status) <= 599
            assert answer["description"]
            assert "schema" in described.content(answer)


def test_every_example_is_what_its_schema_says() -> None:
    seen = 0
    for _, _, operation in operations():
        for answer in operation["responses"].values():
            content = described.content(answer)
            examples = [one["value"] for one in content.get("examples", {}).values()]
            examples += [content["example"]] if "example" in content else []
            for example in examples:
                assert faults(example, content["schema"]) == []
                seen += 1
    assert seen > 50


def test_every_refusal_of_ingest_is_described_where_it_can_happen() -> None:
    table = [one for one in vars(ingest_errors).values() if isinstance(one, Refusal)]
    table += [
        ingest_errors.invalid_punch("user_id is missing."),
        ingest_errors.body_too_large(1),
        ingest_errors.batch_too_large(1),
        ingest_errors.rate_limited(1),
        ingest_errors.method_not_allowed("POST"),
    ]
    assert {one.code for one in table} == set(ingest_openapi.CODES)
    punch = DOCUMENT["paths"]["/api/attendance/v1/punch"]["post"]["responses"]
    for refusal in table:
        answer = punch[str(refusal.status)]
        assert refusal.code in answer["content"]["application/json"]["examples"]
        wanted = {name.decode() for name, _ in refusal.headers if name != b"connection"}
        assert wanted <= {name.lower() for name in answer["headers"]}
    assert "Request-Id" in punch["500"]["headers"]


def test_every_refusal_of_report_is_described() -> None:
    table = {one.status for one in vars(report_errors).values() if isinstance(one, Answer)}
    answers = DOCUMENT["paths"]["/api/v1/attendance/summary"]["get"]["responses"]
    assert {str(status) for status in table | {200, 400, 429}} == set(answers)


@pytest.mark.parametrize(
    ("name", "path", "method", "status"),
    [
        ("ingest-v1-punch.response.json", "/api/attendance/v1/punch", "post", 200),
        ("report-v1-summary.json", "/api/v1/attendance/summary", "get", 200),
        ("report-v1-summary-user.json", "/api/v1/attendance/summary", "get", 200),
        ("report-v1-error.json", "/api/v1/attendance/summary", "get", 400),
        ("terminals-attendance.json", "/devices/{device_id}/attendance", "get", 200),
        ("terminals-attendance.404.json", "/devices/{device_id}/attendance", "get", 404),
        ("terminals-attendance.500.json", "/devices/{device_id}/attendance", "get", 500),
        ("terminals-attendance-all.json", "/attendance/all", "get", 200),
    ],
)
def test_the_published_answers_are_what_the_document_says(
    name: str, path: str, method: str, status: int
) -> None:
    printed = json.loads((GOLDEN / name).read_text("utf-8"))
    assert faults(printed, described.answer_schema(path, method, status)) == []


def test_the_published_request_is_what_the_document_says() -> None:
    printed = json.loads((GOLDEN / "ingest-v1-punch.request.json").read_text("utf-8"))
    body = DOCUMENT["paths"]["/api/attendance/v1/punch"]["post"]["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    assert faults(printed, schema) == []
    assert faults([printed], schema) == []
    for broken in ({}, {"user_id": "1"}, {**printed, "user_id": []}, "x", [printed] * 1_001):
        assert faults(broken, schema) != []


def test_a_reader_of_the_document_notices_what_is_wrong() -> None:
    schema = described.answer_schema("/api/attendance/v1/validity", "get", 200)
    good = {
        "ok": True, "valid": True, "status": "active", "valid_until": None, "days_left": None,
        "server_time": "2026-06-21T04:00:02Z",
    }  # fmt: skip
    assert faults(good, schema) == []
    for wrong in (
        {"status": "maybe"}, {"valid": 1}, {"days_left": "3"}, {"more": 1}, {"valid_until": 7},
    ):  # fmt: skip
        assert faults({**good, **wrong}, schema) != []
    assert faults({"ok": True}, schema) != []
