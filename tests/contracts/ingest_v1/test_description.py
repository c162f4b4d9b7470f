"""Real answers of ingest v1 against its own description, and its page against its table.

Real: the app, the store, the OpenAPI document, the page. An answer that the document does not
describe is a fault of the document.
"""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest

from punchgate.contracts.ingest_v1.openapi import CODES, describe
from punchgate.domain.codes import DIRECTION_POLICIES, DIRECTIONS, VERIFY_METHODS
from punchgate.store.fact import REFUSED_REASON
from punchgate.store.quarantine import BOUND
from punchgate.usecases import people
from punchgate.wire.event import UnreadableReason
from tests.asgi import Response
from tests.contracts.described import DOCUMENT, answer_schema, faults
from tests.contracts.ingest_v1.conftest import BASE, PUNCH, Stage
from tests.gateway import MAIN

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
    seen = set()
    for status, answer in DOCUMENT["paths"][BASE + "punch"]["post"]["responses"].items():
        examples = answer["content"]["application/json"].get("examples", {})
        for code, example in examples.items():
            sentence = example["value"]["error"]["message"]
            (line,) = [line for line in page.splitlines() if f"| {status} | `{code}` |" in line]
            # That one has four sentences, in a table of their own.
            assert sentence in (page if code == "invalid_punch" else line)
            seen.add(code)
    assert seen == set(CODES)


def test_the_page_of_quarantine_has_every_reason_and_no_other() -> None:
    page = (PAGE.parents[1] / "reference/quarantine.md").read_text("utf-8")
    reasons = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    known = {*get_args(UnreadableReason), "future_time", "ancient_time", REFUSED_REASON}
    assert sorted(reasons) == sorted(known)
    assert f"{BOUND:,} items" in page


async def test_the_page_of_events_prints_a_real_one(stage: Stage) -> None:
    gateway = stage.gateway
    await gateway.add_device(
        "SN2", token="token-two", name="Main Gate", site="HQ", zone="Asia/Kolkata"
    )
    changes = people.Changes(name="Rahul Sharma", custom_id="STU-001")
    await people.add(gateway.context, MAIN, "1001", changes, actor="test", now=gateway.clock())
    gateway.clock.ms = int(datetime(2026, 6, 21, 4, 0, 3, 118_000, UTC).timestamp() * 1000)
    place = {"lat": 12.9716, "lng": 77.5946, "accuracy": 15}
    headers = {"sn": "SN2", "auth-token": "token-two"}
    answer = await stage.post({**PUNCH, "location": place}, headers)
    page = (PAGE.parents[1] / "reference/events.md").read_text("utf-8")
    printed = page.partition("```json\n")[2].partition("```")[0]
    compact = json.dumps(json.loads(printed), separators=(",", ":"), ensure_ascii=False)
    ((body,),) = stage.rows("SELECT body FROM event")
    # The device of the page has the serial of the page, and so another id.
    own = compact.replace("SN7A2300583", "SN2").replace('"main-gate"', '"sn2"')
    own = own.replace("01KVMR7XE027M82NSCFD7T4QAR", answer.headers["punch-id"])
    assert body == own
    fields = re.findall(r"`(\w+)`", page.partition("| Field |")[2])
    assert json.loads(printed).keys() <= set(fields)
