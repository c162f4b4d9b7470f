"""Every refusal: its status, its form, its headers, and in which order the checks come.

Real: the app, the store, its file. Faults are made by breaking the file, or by handing in what no
configuration could hold; nothing is patched.
"""

import re
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from punchgate import telemetry
from punchgate.contracts import manage_v1
from punchgate.contracts.manage_v1 import errors, openapi
from punchgate.domain.error import NotFound, PunchgateError
from punchgate.domain.ids import KeyId
from punchgate.domain.key import SCOPES
from punchgate.httpkit.answers import Answer
from punchgate.store.error import StoreBusy, StoreUnavailable
from punchgate.usecases import keys
from tests import asgi, gateway
from tests.asgi import Response
from tests.contracts import described
from tests.contracts.manage_v1.conftest import PATH, Stage
from tests.gateway import MAIN, NOON

PAGE = Path(__file__).parents[3] / "docs/contracts/manage-v1.md"
INVALID = (400, "invalid-parameter")


def problem(answer: Response) -> tuple[int, str]:
    """Give status and kind, once the form and the common headers are right."""
    form = answer.json()
    assert list(form) == ["type", "title", "status", "detail"]
    assert form["status"] == answer.status
    assert form["title"]
    assert form["detail"].endswith(".")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert int(answer.headers["content-length"]) == len(answer.body)
    schema = described.DOCUMENT["paths"][PATH]["get"]["responses"][str(answer.status)]
    media = schema["content"]["application/problem+json"]
    assert described.faults(form, media["schema"]) == []
    kind = str(form["type"]).removeprefix("urn:punchgate:problem:")
    assert kind in media["examples"]
    return answer.status, kind


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Give a stage on SQLite, with the limit that is set when nobody sets one.

    Its monotonic clock stands still, so that what was taken is not given back before it is told.
    """
    async with gateway.open(tmp_path) as opened:
        edge = replace(opened.edge, monotonic=lambda: 0.0)
        app = manage_v1.build(edge, manage_v1.Settings())
        yield Stage(opened, app, await opened.add_key())


async def test_any_other_path_is_not_found(stage: Stage) -> None:
    for path in ("/v1/", "/v1/events/", "/v1/Events", "/v1/event", "/v1/events/x", "/v1/%00"):
        for method in ("GET", "POST", "OPTIONS"):
            answer = await asgi.call(stage.app, method, path)
            assert problem(answer) == (404, "not-found")
            assert "ratelimit" not in answer.headers


async def test_any_other_method_is_not_allowed(stage: Stage) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"):
        answer = await stage.ask(method=method)
        assert problem(answer) == (405, "method-not-allowed")
        assert answer.headers["allow"] == "GET, HEAD"


async def test_every_bad_key_gets_the_same_answer(stage: Stage) -> None:
    opened = stage.gateway
    revoked = await opened.add_key()
    key_id = KeyId(revoked.split("_")[1])
    await keys.revoke(opened.context, MAIN, key_id, actor="test", now=opened.clock())
    expired = await opened.add_key(expires_at=NOON + 1)
    opened.clock.ms = NOON + 1
    bad = [revoked, expired, "", " ", "x", stage.key[:-1], stage.key + "x", "é", "pgk_"]
    answers = [await stage.ask(key=key) for key in bad]
    answers.append(await asgi.call(stage.app, "GET", PATH))
    answers.append(await asgi.call(stage.app, "GET", f"{PATH}?X-API-Key={stage.key}"))
    bearer = {"Authorization": f"Bearer {stage.key}"}
    answers.append(await asgi.call(stage.app, "GET", PATH, bearer))
    twice = [("X-API-Key", stage.key), ("X-API-Key", revoked)]
    answers.append(await asgi.call(stage.app, "GET", PATH, twice))
    for answer in answers:
        assert problem(answer) == (401, "invalid-key")
        assert answer.headers["www-authenticate"] == "X-API-Key"
    assert all(answer == answers[0] for answer in answers)
    assert (await stage.ask()).status == 200
    assert (await stage.ask(key=f" {stage.key} ")).status == 200


async def test_refused_keys_are_counted(stage: Stage) -> None:
    def refused() -> float:
        sample = telemetry.REGISTRY.get_sample_value
        return sample("punchgate_auth_failures_total", {"contract": "manage_v1"}) or 0.0

    before = refused()
    await stage.ask()
    await stage.ask(key="wrong")
    assert refused() == before + 1


async def test_a_key_needs_the_scope(stage: Stage) -> None:
    for scope in SCOPES:
        answer = await stage.ask("limit=0", key=await stage.gateway.add_key(scopes=[scope]))
        # The scope is judged before the parameters.
        wanted = INVALID if scope == "events:read" else (403, "not-allowed")
        assert problem(answer) == wanted
        assert answer.headers["ratelimit"] == '"manage";r=599;t=1'


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=0", "limit"), ("limit=1001", "limit"), ("limit=-1", "limit"),
        ("limit=1.0", "limit"), ("limit=ten", "limit"), ("limit=%2B1", "limit"),
        ("limit=99999999999", "limit"),
        ("limit=1&limit=1", "limit"), ("wait=31", "wait"), ("wait=-1", "wait"),
        ("wait=0.5", "wait"), ("wait=1&wait=2", "wait"), ("limit=%D9%A3", "limit"),
        ("since=yesterday", "since"), ("since=2026-02-29", "since"), ("since=20260621", "since"),
        ("since=2026-06-21T12:00:00", "since"), ("since=2026-06-21T25:00:00Z", "since"),
        ("since=2026-06-21T24:00:00Z", "since"), ("since=2026-06-21T12:00Z", "since"),
        ("since=2026-06-21T12:00:00%2B25:00", "since"), ("since=1999-12-31", "since"),
        ("since=2101-01-01", "since"), ("since=0001-01-01T00:00:00%2B14:00", "since"),
        ("since=1782043200", "since"), ("since=2026-06-21&since=2026-06-21", "since"),
        ("cursor=x&since=2026-06-21", "cursor"), ("cursor=x&cursor=x", "cursor"),
        ("type=punch.recorded&type=punch.recorded", "type"), ("type=x", "type"),
        ("type=punch.recorded,", "type"), ("person=,", "person"), ("person=1,,2", "person"),
        ("person=%00", "person"), ("person=%FF", "person"), (f"person={'1' * 65}", "person"),
            ("device=a%0Ab", "device"),
        (f"device={','.join(map(str, range(501)))}", "device"), ("device=a&device=b", "device"),
        ("types=punch.recorded", "type"), ("_=1", "cursor"), ("Limit=1", "limit"),
    ],
)  # fmt: skip
async def test_a_parameter_that_will_not_do_is_named(stage: Stage, query: str, named: str) -> None:
    answer = await stage.ask(query)
    assert problem(answer) == INVALID
    assert named in answer.json()["detail"]
    assert answer.headers["ratelimit"] == '"manage";r=599;t=1'


@pytest.mark.parametrize(
    "query",
    [
        "limit=1", "limit=0001000", "limit=", "wait=0", "wait=", "since=", "cursor=",
        f"device={','.join(map(str, range(500)))}", f"person={'1' * 64}", "person=%20",
        "type=punch.recorded,punch.recorded",
    ],
)  # fmt: skip
async def test_a_parameter_at_its_bound_will_do(stage: Stage, query: str) -> None:
    assert (await stage.ask(query)).status == 200


@pytest.mark.parametrize("cursor", ["x", "%00", "é", "A" * 60, "A" * 16_000, "null", "="])
async def test_a_cursor_that_is_none_is_refused(stage: Stage, cursor: str) -> None:
    assert problem(await stage.ask(f"cursor={cursor}")) == (400, "invalid-cursor")


async def test_a_key_may_ask_so_often_in_a_minute_whatever_it_asks(stage: Stage) -> None:
    now = 0.0
    edge = replace(stage.gateway.edge, monotonic=lambda: now)
    limited = replace(stage, app=manage_v1.build(edge, manage_v1.Settings(rate_requests=3)))
    first = await limited.ask()
    assert first.headers["ratelimit-policy"] == '"manage";q=3;w=60'
    assert first.headers["ratelimit"] == '"manage";r=2;t=20'
    assert (await limited.ask("limit=0")).status == 400
    assert (await limited.ask("cursor=x")).headers["ratelimit"] == '"manage";r=0;t=60'
    for _ in range(2):
        answer = await limited.ask()
        assert problem(answer) == (429, "rate-limited")
        assert "3 requests a minute" in answer.json()["detail"]
        assert answer.headers["retry-after"] == "20"
    # Another key has a share of its own, a wrong one takes nothing.
    assert (await limited.ask(key=await stage.gateway.add_key())).status == 200
    writer = await stage.gateway.add_key(scopes=["punches:write"])
    assert (await limited.ask(key=writer)).status == 403
    now = 20.0
    assert (await limited.ask()).status == 200
    assert (await limited.ask()).status == 429


async def test_a_quota_of_none_is_no_limit(stage: Stage) -> None:
    app = manage_v1.build(stage.gateway.edge, manage_v1.Settings(rate_requests=0))
    answer = await replace(stage, app=app).ask()
    assert answer.status == 200
    assert "ratelimit" not in answer.headers


@pytest.mark.parametrize(("length", "status"), [("65536", 200), ("65537", 413)])
async def test_a_declared_body_beyond_the_cap_is_refused_unread(
    stage: Stage, length: str, status: int
) -> None:
    headers = {"X-API-Key": stage.key, "Content-Length": length}
    answer = await asgi.call(stage.app, "GET", f"{PATH}?limit=1", headers)
    assert answer.status == status
    if status == 413:
        assert problem(answer) == (413, "too-large")
        assert answer.headers["connection"] == "close"


async def test_a_body_of_unknown_length_is_cut_off_at_the_cap(stage: Stage) -> None:
    headers = {"X-API-Key": stage.key}
    small = await asgi.call(stage.app, "GET", PATH, headers, [b"x" * 60_000, b"x" * 5_536])
    large = await asgi.call(stage.app, "GET", PATH, headers, [b"x" * 60_000, b"x" * 5_537])
    assert small.status == 200
    assert problem(large) == (413, "too-large")


@pytest.mark.parametrize("table", ["api_key", "installation", "event"])
async def test_a_store_that_cannot_be_asked_is_said_at_every_step(stage: Stage, table: str) -> None:
    with sqlite3.connect(stage.gateway.context.database.address.path) as file:
        file.execute(f"DROP TABLE {table}")
    file.close()
    answer = await stage.ask()
    assert problem(answer) == (503, "store-unavailable")
    assert answer.headers["retry-after"] == "5"


def broken_clock() -> int:
    raise RuntimeError("/etc/secret: SELECT token FROM vault")


async def test_a_fault_of_ours_says_no_more_than_its_id(stage: Stage) -> None:
    edge = replace(stage.gateway.edge, now=broken_clock)
    answer = await replace(stage, app=manage_v1.build(edge, manage_v1.Settings())).ask()
    assert problem(answer) == (500, "internal")
    assert len(answer.headers["request-id"]) >= 16
    assert b"secret" not in answer.body + repr(answer.headers).encode()


def test_the_table_of_errors_is_total() -> None:
    for error in (StoreBusy("full"), StoreUnavailable("gone")):
        assert errors.of(error) is errors.NO_STORE
    assert errors.of(NotFound("device")) is None
    assert errors.of(PunchgateError("anything")) is None


def test_every_problem_stands_in_the_document_and_on_the_page() -> None:
    table = [one for one in vars(errors).values() if isinstance(one, Answer)]
    kinds = {kind(one) for one in table} | {
        "invalid-parameter", "rate-limited", "too-many-waiting",
    }  # fmt: skip
    answers = openapi.describe()["paths"][PATH]["get"]["responses"]
    examples = [
        answer["content"]["application/problem+json"]["examples"]
        for status, answer in answers.items()
        if status != "200"
    ]
    assert {name for each in examples for name in each} == kinds
    assert set(re.findall(r"^\| \d{3} \| `([a-z-]+)`", PAGE.read_text(), re.MULTILINE)) == kinds


def kind(answer: Answer) -> str:
    return answer.body.decode().partition("urn:punchgate:problem:")[2].partition('"')[0]
