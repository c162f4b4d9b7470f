"""The table of errors: every row, byte for byte, with its headers.

Real: the app, the store, its file. A failing commit is a file whose table is gone; a full queue is
a writer that is held up while ten thousand wait; a fault of ours is a clock that raises.
"""

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest

from punchgate import telemetry
from punchgate.contracts import ingest_v1
from punchgate.contracts.ingest_v1 import errors
from punchgate.domain.error import NotFound, PunchgateError
from punchgate.store.error import StoreBusy, StoreUnavailable, StoreUnsafe
from punchgate.store.writer import QUEUE_BOUND
from tests import asgi
from tests.asgi import Response
from tests.contracts.ingest_v1.conftest import OK, PUNCH, SERIAL, Stage, error

INTERNAL = error("internal_error", "The request was not acknowledged; send it again.")
UNKNOWN_OPERATION = error("unknown_operation", "No such operation.")
NOT_ALLOWED = error("method_not_allowed", "This method is not allowed here.")
INVALID_TOKEN = error(
    "invalid_token", "The auth-token header is missing or not valid for this device."
)


def check(answer: Response, status: int, body: bytes, **headers: str) -> None:
    """Compare status, body and headers; no others of the optional ones may be there."""
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-length"] == str(len(body))
    assert answer.headers["ratelimit-policy"].startswith(('"device";q=', '"source";q='))
    assert answer.headers["ratelimit"].startswith(('"device";r=', '"source";r='))
    optional = ("allow", "connection", "retry-after", "www-authenticate", "request-id")
    given = {name: answer.headers[name] for name in optional if name in answer.headers}
    assert given == {name.replace("_", "-"): value for name, value in headers.items()}
    assert not any(name.startswith("access-control-") for name in answer.headers)
    assert "punch-status" not in answer.headers


@pytest.mark.parametrize("operation", ["punch", "heartbeat", "validity", "config"])
async def test_no_serial(stage: Stage, operation: str) -> None:
    answer = await stage.ask(operation, "POST", {"auth-token": stage.token})
    check(answer, 400, error("missing_serial", "The sn header is missing."))


@pytest.mark.parametrize(
    "serial",
    [
        "",
        " ",
        "-SN1",
        ".SN1",
        "SN 1",
        "SN1/2",
        "SN1;",
        "x" * 65,
        "SÑ1",
        "SN1,SN1",
        "SN\x001",
        "../a",
    ],
)
async def test_a_serial_that_is_none(stage: Stage, serial: str) -> None:
    answer = await stage.ask("heartbeat", headers={"sn": serial, "auth-token": stage.token})
    check(answer, 400, error("invalid_serial", "The sn header is not a valid device serial."))


@pytest.mark.parametrize(
    "body", [b"", b" ", b"x", b"7", b'"x"', b"true", b"null", b"{", b"[", b'{"user_id":"\xff"}']
)
async def test_a_body_that_is_no_object(stage: Stage, body: bytes) -> None:
    message = "The body must be a JSON object or an array of JSON objects in UTF-8."
    check(await stage.post(body), 400, error("invalid_body", message))
    # Only `punch` reads it.
    check_ok(await stage.ask("heartbeat", "POST", body=body))


def check_ok(answer: Response) -> None:
    assert (answer.status, answer.body) == (200, OK)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user_id": None}, "user_id is missing."),
        ({"user_id": 1.5}, "user_id must be a string or an integer."),
        ({"att_time": None}, "att_time is missing."),
        ({"att_time": []}, "att_time must be a string or a number."),
    ],
)
async def test_a_single_body_without_the_shape_of_a_punch(
    stage: Stage, change: dict[str, object], message: str
) -> None:
    check(await stage.post({**PUNCH, **change}), 400, error("invalid_punch", message))
    assert stage.rows("SELECT count(*) FROM punch") == [(0,)]
    assert stage.rows("SELECT count(*) FROM quarantine") == [(0,)]


async def test_a_missing_token_and_a_wrong_one_get_the_same_answer(stage: Stage) -> None:
    for headers in ({"sn": SERIAL}, {"sn": SERIAL, "auth-token": "wrong"}):
        answer = await stage.ask("punch", "POST", headers)
        check(answer, 401, INVALID_TOKEN, www_authenticate="auth-token")


async def test_a_subscription_that_is_not_active(stage: Stage) -> None:
    await stage.gateway.add_device("SN2", token="token-two", is_suspended=True)
    answer = await stage.post(PUNCH, {"sn": "SN2", "auth-token": "token-two"})
    message = "The attendance subscription of this device is not active."
    check(answer, 403, error("inactive_subscription", message))
    assert stage.rows("SELECT count(*) FROM punch") == [(0,)]


@pytest.mark.parametrize("operation", ["punch", "heartbeat", "validity", "config"])
async def test_a_device_that_nobody_has_claimed(stage: Stage, operation: str) -> None:
    answer = await stage.ask(operation, "POST", {"sn": "SN2", "auth-token": stage.token})
    check(answer, 404, error("unknown_device", "This device is not registered."))


@pytest.mark.parametrize(
    "path",
    [
        "/api/attendance/",
        "/api/attendance/v1",
        "/api/attendance/v1/",
        "/api/attendance/v1//punch",
        "/api/attendance/v1/punch//",
        "/api/attendance/v1/Punch",
        "/api/attendance/v1/punch/x",
        "/api/attendance/v1/punches",
        "/api/attendance/v2/punch",
    ],
)
async def test_any_other_path(stage: Stage, path: str) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        answer = await asgi.call(stage.app, method, path, stage.headers)
        check(answer, 404, UNKNOWN_OPERATION)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "get"])
async def test_any_other_method(stage: Stage, method: str) -> None:
    check(await stage.ask("punch", method), 405, NOT_ALLOWED, allow="POST")
    for operation in ("heartbeat", "validity", "config"):
        answer = await stage.ask(operation, method)
        check(answer, 405, NOT_ALLOWED, allow="GET, HEAD, POST")


async def test_a_punch_is_only_posted(stage: Stage) -> None:
    check(await stage.ask("punch"), 405, NOT_ALLOWED, allow="POST")
    assert (await stage.ask("punch", "HEAD")).headers["allow"] == "POST"


async def test_a_body_that_comes_too_slowly(stage: Stage) -> None:
    ticks = iter(range(0, 1_000, 10))
    slow = stage.with_settings(monotonic=lambda: float(next(ticks)))
    for operation in ("punch", "heartbeat"):
        answer = await slow.ask(operation, "POST", body=[b"{", b"}"])
        message = "The request took too long to arrive."
        check(answer, 408, error("request_timeout", message), connection="close")


@pytest.mark.parametrize("operation", ["punch", "heartbeat", "validity", "config"])
async def test_a_body_beyond_the_cap(stage: Stage, operation: str) -> None:
    declared = {**stage.headers, "content-length": "1048577"}
    expected = error("body_too_large", "The body is larger than 1048576 bytes.")
    answer = await stage.ask(operation, "POST", declared, b"{}")
    check(answer, 413, expected, connection="close")
    parts = [b"x" * 1_048_576, b"x"]
    answer = await stage.ask(operation, "POST", body=parts)
    check(answer, 413, expected, connection="close")


async def test_the_cap_in_the_message_is_the_one_in_force(stage: Stage) -> None:
    small = stage.with_settings(body_max_bytes=2_000)
    check(
        await small.post(b" " * 2_001),
        413,
        error("body_too_large", "The body is larger than 2000 bytes."),
        connection="close",
    )
    assert (await small.post(b"[]".ljust(2_000))).status == 200


async def test_too_many_items(stage: Stage) -> None:
    expected = error("batch_too_large", "At most 1000 punches in one request.")
    check(await stage.post([PUNCH] * 1_001), 413, expected)
    # Not even what is no punch at all is kept.
    check(await stage.post([None] * 1_001), 413, expected)
    assert stage.rows("SELECT count(*) FROM punch") == [(0,)]
    assert stage.rows("SELECT count(*) FROM quarantine") == [(0,)]


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "gzip, identity", "x"])
async def test_a_compressed_body(stage: Stage, encoding: str) -> None:
    headers = {**stage.headers, "content-encoding": encoding}
    expected = error("unsupported_encoding", "Only an uncompressed body is accepted.")
    check(await stage.post(PUNCH, headers), 415, expected)
    check(await stage.ask("heartbeat", "POST", headers, b"{}"), 415, expected)


async def test_an_encoding_that_is_none_is_accepted(stage: Stage) -> None:
    for encoding in ("identity", "Identity", ""):
        check_ok(await stage.post(PUNCH, {**stage.headers, "content-encoding": encoding}))
    twice = [*stage.headers.items(), ("content-encoding", "identity"), ("content-encoding", "gzip")]
    assert (await stage.post(PUNCH, twice)).status == 415


async def test_too_many_requests(stage: Stage) -> None:
    limited = stage.with_settings(monotonic=lambda: 0.0, rate_requests=1)
    check_ok(await limited.ask("heartbeat"))
    answer = await limited.ask("heartbeat")
    check(answer, 429, error("rate_limited", "Too many requests."), retry_after="60")


def broken_clock() -> int:
    raise RuntimeError("/etc/secret: SELECT token FROM vault")


def clock_with_a_strange_error() -> int:
    raise PunchgateError("/etc/secret: SELECT token FROM vault")


@pytest.mark.parametrize("clock", [broken_clock, clock_with_a_strange_error])
async def test_a_fault_of_ours_says_no_more_than_its_id(stage: Stage, clock: object) -> None:
    await stage.ask("heartbeat")
    edge = replace(stage.gateway.edge, now=clock)  # type: ignore[arg-type]  # a broken one
    broken = replace(stage, app=ingest_v1.build(edge, ingest_v1.Settings()))
    first, second = await broken.post(PUNCH), await broken.ask("config")
    for answer in (first, second):
        check(answer, 500, INTERNAL, request_id=answer.headers["request-id"])
        assert len(answer.headers["request-id"]) >= 16
        assert b"secret" not in answer.body + repr(answer.headers).encode()
    assert first.headers["request-id"] != second.headers["request-id"]


def shed() -> float:
    samples = [sample for family in telemetry.SHED.collect() for sample in family.samples]
    return sum(each.value for each in samples if each.name == "punchgate_shed_total")


async def test_a_commit_that_fails(stage: Stage) -> None:
    stage.break_store()
    before = shed()
    expected = error("storage_unavailable", "The punch could not be stored; send it again.")
    for body in (PUNCH, [PUNCH, {**PUNCH, "user_id": "1002"}], [PUNCH, {}]):
        check(await stage.post(body), 503, expected, retry_after="5")
    assert shed() == before
    # Nothing of the request is kept: the bad neighbour of the third body neither.
    assert stage.rows("SELECT count(*) FROM quarantine") == [(0,)]


async def test_a_full_queue(stage: Stage) -> None:
    writer, held_up = stage.gateway.context.writer, threading.Event()
    before = shed()
    try:
        tasks: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(writer.run(lambda _: held_up.wait(60)))
        ]
        tasks += [asyncio.ensure_future(writer.record([])) for _ in range(QUEUE_BOUND - 1)]
        while writer.waiting < QUEUE_BOUND:
            await asyncio.wait(tasks, timeout=0)
        answer = await stage.post(PUNCH)
        # What needs no commit is answered all the same.
        check_ok(await stage.ask("heartbeat"))
    finally:
        held_up.set()
    await asyncio.gather(*tasks)
    expected = error("unavailable", "The gateway is not available; try again.")
    check(answer, 503, expected, retry_after="5")
    check_ok(await stage.post(PUNCH))
    assert shed() == before + 1
    assert telemetry.REGISTRY.get_sample_value("punchgate_shed_total", {"reason": "busy"})


def test_the_table_of_inner_errors_is_total() -> None:
    assert errors.of(StoreBusy("full")) is errors.UNAVAILABLE
    assert errors.of(StoreUnavailable("gone")) is errors.STORAGE_UNAVAILABLE
    assert errors.of(StoreUnsafe("not flushed")) is errors.STORAGE_UNAVAILABLE
    # What no use case behind this contract raises is a fault of ours.
    assert errors.of(NotFound("device")) is None
    assert errors.of(PunchgateError("anything")) is None
