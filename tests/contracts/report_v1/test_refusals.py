"""Everything but parameters: path, method, key, scope, limit, size, and faults of our own.

Real: the app, the store, its file. Faults are made by breaking the file, or by handing in what no
configuration could hold; nothing is patched.
"""

import sqlite3
from dataclasses import replace
from typing import Any, cast

import pytest

from punchgate import telemetry
from punchgate.contracts import report_v1
from punchgate.contracts.report_v1 import errors
from punchgate.domain.error import NotFound, PunchgateError
from punchgate.domain.ids import KeyId
from punchgate.domain.key import SCOPES
from punchgate.store.error import StoreBusy, StoreUnavailable
from punchgate.usecases import accounts, keys
from tests import asgi
from tests.asgi import Response
from tests.contracts.report_v1.conftest import PATH, Stage
from tests.gateway import MAIN, NOON

DAY = "start_date=2025-04-27&end_date=2025-04-27"
HOUR_MS = 3_600_000


def refusal(answer: Response) -> tuple[int, str]:
    """Give status and sentence, once the form and the common headers are right."""
    form = answer.json()
    assert list(form) == ["success", "error", "code"]
    assert form["success"] is False
    assert form["code"] == answer.status
    check_headers(answer)
    return answer.status, form["error"]


def check_headers(answer: Response) -> None:
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers
    assert int(answer.headers["content-length"]) == len(answer.body)


async def test_any_other_path_is_not_found(stage: Stage) -> None:
    for path in ("", "summary/", "Summary", "summary/x", "summaries", "..%2Fsummary", "%00"):
        for method in ("GET", "POST", "OPTIONS"):
            answer = await asgi.call(stage.app, method, f"/api/v1/attendance/{path}")
            assert refusal(answer) == (404, "Not found")
            assert "ratelimit" not in answer.headers


async def test_any_other_method_is_not_allowed(stage: Stage) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"):
        answer = await stage.ask(DAY, method=method)
        assert refusal(answer) == (405, "Method not allowed")
        assert answer.headers["allow"] == "GET, HEAD"


async def test_head_is_get_without_the_body(stage: Stage) -> None:
    get, head = await stage.ask(DAY), await stage.ask(DAY, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(get.body))
    assert (await stage.ask("", method="HEAD")).status == 400
    missing = await asgi.call(stage.app, "HEAD", "/api/v1/attendance/x")
    assert (missing.status, missing.body) == (404, b"")


async def test_every_bad_key_gets_the_same_answer(stage: Stage) -> None:
    gateway = stage.gateway
    revoked = await gateway.add_key()
    key_id = KeyId(revoked.split("_")[1])
    await keys.revoke(gateway.context, MAIN, key_id, actor="test", now=gateway.clock())
    expired = await gateway.add_key(expires_at=NOON + 1)
    gateway.clock.ms = NOON + 1
    other = stage.key[:-8] + ("A" if stage.key[-8] != "A" else "B") + stage.key[-7:]
    bad = [revoked, expired, other, "", " ", "x", stage.key[:-1], stage.key + "x", "é", "pgk_"]
    answers = [await stage.ask(DAY, key=key) for key in bad]
    answers.append(await asgi.call(stage.app, "GET", f"{PATH}?{DAY}"))
    answers.append(await asgi.call(stage.app, "GET", f"{PATH}?{DAY}&X-API-Key={stage.key}"))
    answers.append(await asgi.call(stage.app, "GET", f"{PATH}?{DAY}&api_key={stage.key}"))
    bearer = {"Authorization": f"Bearer {stage.key}"}
    answers.append(await asgi.call(stage.app, "GET", f"{PATH}?{DAY}", bearer))
    twice = [("X-API-Key", stage.key), ("X-API-Key", revoked)]
    answers.append(await asgi.call(stage.app, "GET", f"{PATH}?{DAY}", twice))
    for answer in answers:
        assert refusal(answer) == (401, "Missing or invalid API key")
    assert all(answer == answers[0] for answer in answers)
    assert (await stage.ask(DAY)).status == 200


async def test_a_key_with_blanks_around_it_or_sent_twice_alike_is_the_key(stage: Stage) -> None:
    assert (await stage.ask(DAY, key=f" {stage.key} ")).status == 200
    twice = [("X-API-Key", stage.key), ("x-api-key", stage.key)]
    assert (await asgi.call(stage.app, "GET", f"{PATH}?{DAY}", twice)).status == 200


async def test_a_key_needs_the_scope_or_one_that_includes_it(stage: Stage) -> None:
    for scope in SCOPES:
        answer = await stage.ask(DAY, key=await stage.gateway.add_key(scopes=[scope]))
        assert answer.headers["ratelimit"] == '"report";r=99;t=3600'
        if scope in {"reports:read", "punches:read"}:
            assert answer.status == 200
        else:
            assert refusal(answer) == (403, "This API key may not read reports")


async def test_a_key_limited_to_devices_would_see_parts_of_days(stage: Stage) -> None:
    added = await stage.gateway.add_device("SN1")
    key = await stage.gateway.add_key(devices=[added.device.id])
    # The scope is judged before the parameters.
    assert refusal(await stage.ask("", key=key)) == (403, "This API key may not read reports")


async def test_I12_another_account_sees_nothing(stage: Stage) -> None:
    gateway = stage.gateway
    other = await accounts.add(gateway.context, "other", actor="test", now=gateway.clock())
    new = keys.New(name="other")
    made = await keys.add(gateway.context, other.no, new, actor="test", now=gateway.clock())
    await gateway.add_device("SN1")
    await gateway.punch("SN1", {"user_id": "1", "att_time": "2025-04-27 08:00:00"})
    assert len((await stage.ask(DAY)).json()["data"]["users"]) == 1
    there = await stage.ask(f"{DAY}&user_id=1", key=made.text)
    never = await stage.ask(f"{DAY}&user_id=999", key=made.text)
    assert there.status == 200
    assert there.body == never.body
    assert (await stage.ask(DAY, key=made.text)).json()["data"]["users"] == []


async def test_the_limit_is_a_window_that_begins_with_the_first_request(stage: Stage) -> None:
    clock = stage.gateway.clock
    app = report_v1.build(stage.gateway.edge, report_v1.Settings(rate_requests=3))
    limited = replace(stage, app=app)
    first = await limited.ask(DAY)
    assert first.headers["ratelimit-policy"] == '"report";q=3;w=3600'
    assert first.headers["ratelimit"] == '"report";r=2;t=3600'
    clock.ms += 1_500
    assert (await limited.ask("")).headers["ratelimit"] == '"report";r=1;t=3599'
    assert (await limited.ask(DAY)).headers["ratelimit"] == '"report";r=0;t=3599'
    clock.ms += 1_000_000
    for _ in range(3):
        answer = await limited.ask(DAY)
        assert refusal(answer) == (429, "Rate limit exceeded (3 requests/hour)")
        assert answer.headers["ratelimit"] == '"report";r=0;t=2599'
        assert answer.headers["retry-after"] == "2599"
    # Another key has a window of its own.
    assert (await limited.ask(DAY, key=await stage.gateway.add_key())).status == 200
    clock.ms = NOON + HOUR_MS - 1
    last = await limited.ask(DAY)
    assert (last.status, last.headers["retry-after"]) == (429, "1")
    clock.ms = NOON + HOUR_MS
    again = await limited.ask(DAY)
    assert (again.status, again.headers["ratelimit"]) == (200, '"report";r=2;t=3600')


async def test_a_limit_of_its_own_stands_before_the_setting(stage: Stage) -> None:
    own = await stage.gateway.add_key(report_requests=2)
    app = report_v1.build(stage.gateway.edge, report_v1.Settings(rate_requests=1))
    limited = replace(stage, app=app)
    for left in (1, 0):
        answer = await limited.ask(DAY, key=own)
        assert answer.status == 200
        assert answer.headers["ratelimit-policy"] == '"report";q=2;w=3600'
        assert answer.headers["ratelimit"] == f'"report";r={left};t=3600'
    answer = await limited.ask(DAY, key=own)
    assert refusal(answer) == (429, "Rate limit exceeded (2 requests/hour)")
    # Other keys have what the setting says.
    assert (await limited.ask(DAY)).headers["ratelimit-policy"] == '"report";q=1;w=3600'
    assert refusal(await limited.ask(DAY)) == (429, "Rate limit exceeded (1 requests/hour)")


async def test_a_key_may_have_no_limit_and_one_may_have_the_only_limit(stage: Stage) -> None:
    free = await stage.gateway.add_key(report_requests=0)
    app = report_v1.build(stage.gateway.edge, report_v1.Settings(rate_requests=1))
    for _ in range(3):
        answer = await replace(stage, app=app).ask(DAY, key=free)
        assert (answer.status, "ratelimit" in answer.headers) == (200, False)
    bound = await stage.gateway.add_key(report_requests=1)
    app = report_v1.build(stage.gateway.edge, report_v1.Settings(rate_requests=0))
    limited = replace(stage, app=app)
    assert (await limited.ask(DAY, key=bound)).headers["ratelimit"] == '"report";r=0;t=3600'
    assert (await limited.ask(DAY, key=bound)).status == 429
    assert "ratelimit" not in (await limited.ask(DAY)).headers


async def test_a_limit_that_was_changed_counts_within_a_second(stage: Stage) -> None:
    gateway = stage.gateway
    text = await gateway.add_key(report_requests=1)
    assert (await stage.ask(DAY, key=text)).status == 200
    assert (await stage.ask(DAY, key=text)).status == 429
    await keys.limit(
        gateway.context,
        MAIN,
        KeyId(text.split("_")[1]),
        report_requests=3,
        actor="test",
        now=gateway.clock(),
    )
    gateway.clock.ms += 1_000
    # The one that was used stays used.
    assert (await stage.ask(DAY, key=text)).headers["ratelimit"] == '"report";r=1;t=3599'


async def test_a_window_that_is_no_hour_is_named_in_seconds(stage: Stage) -> None:
    settings = report_v1.Settings(rate_requests=1, rate_window_s=60)
    limited = replace(stage, app=report_v1.build(stage.gateway.edge, settings))
    assert (await limited.ask(DAY)).status == 200
    answer = await limited.ask(DAY)
    assert refusal(answer) == (429, "Rate limit exceeded (1 requests/60 seconds)")
    assert answer.headers["retry-after"] == "60"


async def test_a_request_without_a_valid_key_does_not_count(stage: Stage) -> None:
    await stage.ask(DAY, key="wrong")
    await stage.ask(DAY, method="POST")
    assert (await stage.ask(DAY)).headers["ratelimit"] == '"report";r=99;t=3600'


async def test_a_quota_of_none_is_no_limit(stage: Stage) -> None:
    app = report_v1.build(stage.gateway.edge, report_v1.Settings(rate_requests=0))
    answer = await replace(stage, app=app).ask(DAY)
    assert answer.status == 200
    assert "ratelimit" not in answer.headers
    assert "ratelimit-policy" not in answer.headers


@pytest.mark.parametrize(
    ("length", "status"), [("65536", 200), ("065536", 200), ("65537", 413), ("9" * 5000, 413)]
)
async def test_a_declared_body_beyond_the_cap_is_refused_unread(
    stage: Stage, length: str, status: int
) -> None:
    headers = {"X-API-Key": stage.key, "Content-Length": length}
    answer = await asgi.call(stage.app, "GET", f"{PATH}?{DAY}", headers)
    assert answer.status == status
    if status == 413:
        assert refusal(answer) == (413, "Request too large")
        assert answer.headers["connection"] == "close"
        assert answer.headers["ratelimit"] == '"report";r=99;t=3600'
        assert (await stage.ask(DAY)).headers["ratelimit"] == '"report";r=98;t=3600'


async def test_the_size_is_judged_after_key_scope_and_limit(stage: Stage) -> None:
    large = ("Content-Length", "65537")

    async def ask(key: str, query: str = "") -> Response:
        headers = [("X-API-Key", key), large]
        return await asgi.call(limited.app, "GET", f"{PATH}?{query}", headers)

    app = report_v1.build(stage.gateway.edge, report_v1.Settings(rate_requests=1))
    limited = replace(stage, app=app)
    writer = await stage.gateway.add_key(scopes=["punches:write"])
    assert (await ask("wrong")).status == 401
    assert (await ask(writer)).status == 403
    # Before the parameters, of which none is right.
    assert (await ask(stage.key)).status == 413
    assert (await ask(stage.key)).status == 429


def _refused_keys() -> float:
    sample = telemetry.REGISTRY.get_sample_value
    return sample("punchgate_auth_failures_total", {"contract": "report_v1"}) or 0.0


async def test_refused_keys_are_counted_and_nothing_else_is(stage: Stage) -> None:
    before = _refused_keys()
    await stage.ask(DAY)
    await stage.ask(DAY, key=await stage.gateway.add_key(scopes=["punches:write"]))
    await stage.ask(DAY, method="POST", key="wrong")
    assert _refused_keys() == before

    await stage.ask(DAY, key="wrong")
    await asgi.call(stage.app, "GET", f"{PATH}?{DAY}")

    assert _refused_keys() == before + 2


@pytest.mark.parametrize(("size", "status"), [(65_536, 200), (65_537, 413)])
async def test_a_body_of_unknown_length_is_cut_off_at_the_cap(
    stage: Stage, size: int, status: int
) -> None:
    parts = [b"x" * 60_000, b"x" * (size - 60_000)]
    answer = await asgi.call(stage.app, "GET", f"{PATH}?{DAY}", {"X-API-Key": stage.key}, parts)
    assert answer.status == status
    if status == 413:
        assert refusal(answer) == (413, "Request too large")


@pytest.mark.parametrize("table", ["api_key", "rate_window", "workday"])
async def test_a_store_that_cannot_be_asked_is_said_at_every_step(stage: Stage, table: str) -> None:
    await stage.gateway.add_device("SN1")
    await stage.gateway.punch("SN1", {"user_id": "1", "att_time": "2025-04-27 08:00:00"})
    with sqlite3.connect(stage.gateway.context.database.address.path) as file:
        file.execute(f"DROP TABLE {table}")
    file.close()
    answer = await stage.ask(DAY)
    assert refusal(answer) == (503, "The store is not available")
    assert answer.headers["retry-after"] == "5"


def broken_clock() -> int:
    raise RuntimeError("/etc/secret: SELECT token FROM vault")


async def test_a_fault_of_ours_says_no_more_than_its_id(stage: Stage) -> None:
    edge = replace(stage.gateway.edge, now=broken_clock)
    answer = await replace(stage, app=report_v1.build(edge, report_v1.Settings())).ask(DAY)
    assert refusal(answer) == (500, "Internal error")
    assert len(answer.headers["request-id"]) >= 16
    assert b"secret" not in answer.body + repr(answer.headers).encode()


async def test_a_fault_behind_the_key_carries_the_limit_too(stage: Stage) -> None:
    await stage.gateway.add_device("SN1")
    await stage.gateway.punch("SN1", {"user_id": "1", "att_time": "2025-04-27 08:00:00"})
    # No configuration can hold this; it is the plainest way to a bug behind every check.
    settings = report_v1.Settings(default_user_type=cast("Any", object()))
    answer = await replace(stage, app=report_v1.build(stage.gateway.edge, settings)).ask(DAY)
    assert refusal(answer) == (500, "Internal error")
    assert answer.headers["ratelimit"] == '"report";r=99;t=3600'
    again = await replace(stage, app=report_v1.build(stage.gateway.edge, settings)).ask(DAY)
    assert again.headers["request-id"] != answer.headers["request-id"]


def test_the_table_of_errors_is_total() -> None:
    for error in (StoreBusy("full"), StoreUnavailable("gone")):
        assert errors.of(error) is errors.NO_STORE
    # What no use case behind this contract raises is a fault of ours.
    assert errors.of(NotFound("device")) is None
    assert errors.of(PunchgateError("anything")) is None
