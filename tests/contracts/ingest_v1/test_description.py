"""Real answers of ingest v1 against its own description, and its page against its table.

Real: the app, the store, the OpenAPI document, the page. An answer that the document does not
describe is a fault of the document.
"""

from pathlib import Path

import pytest

from punchgate.contracts.ingest_v1.openapi import CODES, describe
from punchgate.domain.codes import DIRECTION_POLICIES, DIRECTIONS, VERIFY_METHODS
from tests.asgi import Response
from tests.contracts.described import DOCUMENT, answer_schema, faults
from tests.contracts.ingest_v1.conftest import BASE, PUNCH, Stage

PAGE = Path(__file__).parents[3] / "docs/contracts/ingest-v1.md"


def check(answer: Response, operation: str, method: str) -> None:
    """Hold body and headers of a real answer against the document."""
    described = DOCUMENT["paths"][BASE + operation][method.lower()]["responses"]
    schema = answer_schema(BASE + operation, method.lower(), answer.status)
    assert faults(answer.json(), schema) == []
    known = {name.lower() for name in described[str(answer.status)]["headers"]}
    common = {
        "content-type", "content-length", "cache-control", "x-content-type-options",
        "referrer-policy", "connection",
    }  # fmt: skip
    assert answer.headers.keys() - common <= known


@pytest.mark.parametrize(
    "body",
    [
        PUNCH,
        {**PUNCH, "att_time": "yesterday"},
        [],
        [PUNCH, PUNCH, {**PUNCH, "att_state": 77}, None],
        {},
        b"x",
        [PUNCH] * 1_001,
    ],
)
async def test_every_answer_to_a_punch_is_described(stage: Stage, body: object) -> None:
    check(await stage.post(body), "punch", "POST")
    check(await stage.post(body, {"sn": "SN2"}), "punch", "POST")


@pytest.mark.parametrize("operation", ["heartbeat", "validity", "config"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_every_answer_to_a_question_is_described(
    stage: Stage, operation: str, method: str
) -> None:
    for headers in (None, {}, {"sn": "!"}, {"sn": "SN2"}, {**stage.headers, "auth-token": "x"}):
        check(await stage.ask(operation, method, headers), operation, method)
    limited = stage.with_settings(rate_requests=1)
    for _ in range(2):
        check(await limited.ask(operation, method), operation, method)


async def test_a_failed_commit_is_described(stage: Stage) -> None:
    stage.break_store()
    check(await stage.post(PUNCH), "punch", "POST")


def test_the_words_of_config_are_the_house_s() -> None:
    schemas = describe()["components"]["schemas"]
    fields = schemas["ingest_v1.Configuration"]["properties"]
    assert set(fields["att_state"]["additionalProperties"]["enum"]) == set(DIRECTIONS)
    assert set(fields["input_type"]["additionalProperties"]["enum"]) == set(VERIFY_METHODS)
    assert set(fields["direction_policy"]["enum"]) == set(DIRECTION_POLICIES)


def test_the_page_has_every_error_with_its_sentence() -> None:
    page = PAGE.read_text("utf-8")
    responses = {
        status: answer
        for operation in (("punch", "post"), ("config", "get"))
        for status, answer in DOCUMENT["paths"][BASE + operation[0]][operation[1]][
            "responses"
        ].items()
        if status != "200"
    }
    seen = set()
    for status, answer in responses.items():
        for code, example in answer["content"]["application/json"]["examples"].items():
            sentence = example["value"]["error"]["message"]
            row = f"| {status} | `{code}` | "
            (line,) = [line for line in page.splitlines() if line.startswith(row)]
            assert sentence in page if code == "invalid_punch" else sentence in line
            seen.add(code)
    assert seen == set(CODES)
