"""The order of the checks: a request with two faults is told the earlier one.

Real: the app, the store. Every fault of the page stands in its published place; every pair of them
that one request can have at once is sent.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, NamedTuple

import pytest

from punchgate.domain.ids import DeviceId
from punchgate.usecases import devices
from tests.asgi import Response
from tests.contracts.ingest_v1.conftest import PUNCH, SERIAL, Stage
from tests.gateway import MAIN


@dataclass
class Asked:
    """A request in the making, good until a fault is put in."""

    headers: dict[str, str]
    operation: str = "punch"
    method: str = "POST"
    body: Any = field(default_factory=lambda: PUNCH)
    #: What is wrong around the request and not in it.
    around: set[str] = field(default_factory=set)


def _set(name: str, value: object) -> Callable[[Asked], None]:
    return lambda asked: setattr(asked, name, value)


def _header(name: str, value: str | None) -> Callable[[Asked], None]:
    def change(asked: Asked) -> None:
        asked.headers.pop(name, None)
        if value is not None:
            asked.headers[name] = value

    return change


def _around(name: str) -> Callable[[Asked], None]:
    return lambda asked: asked.around.add(name)


class Fault(NamedTuple):
    """One fault; two of one part cannot be put into one request."""

    status: int
    code: str
    part: str
    put: Callable[[Asked], None]


FAULTS = [
    Fault(404, "unknown_operation", "path", _set("operation", "nothing")),
    Fault(405, "method_not_allowed", "method", _set("method", "PUT")),
    Fault(413, "body_too_large", "length", _header("content-length", "1048577")),
    Fault(429, "rate_limited", "source", _around("source")),
    Fault(400, "missing_serial", "sn", _header("sn", None)),
    Fault(400, "invalid_serial", "sn", _header("sn", "!")),
    Fault(404, "unknown_device", "sn", _header("sn", "SN2")),
    Fault(401, "invalid_token", "token", _header("auth-token", "wrong")),
    Fault(429, "rate_limited", "device", _around("device")),
    Fault(403, "inactive_subscription", "subscription", _around("subscription")),
    Fault(415, "unsupported_encoding", "encoding", _header("content-encoding", "gzip")),
    Fault(413, "body_too_large", "body", _set("body", [b"x" * 1_048_576, b"x"])),
    Fault(400, "invalid_body", "body", _set("body", b"x")),
    Fault(400, "invalid_punch", "body", _set("body", {})),
    Fault(413, "batch_too_large", "body", _set("body", [PUNCH] * 1_001)),
    Fault(503, "storage_unavailable", "store", _around("store")),
]
PAIRS = [(one, other) for one, other in combinations(FAULTS, 2) if one.part != other.part]


async def send(stage: Stage, *faults: Fault) -> Response:
    asked = Asked(stage.headers)
    for fault in faults:
        fault.put(asked)
    if "subscription" in asked.around:
        changes = devices.Changes(is_suspended=True)
        await devices.set_device(
            stage.gateway.context, MAIN, DeviceId("main-gate"), changes, actor="test", now=0
        )
    limits = {"rate_requests": 1} if "device" in asked.around else {}
    if "source" in asked.around:
        limits["fail_requests"] = 1
    limited = stage.with_settings(monotonic=lambda: 0.0, **limits)
    assert (await limited.ask("heartbeat")).status == 200
    assert (await limited.ask("heartbeat", headers={})).status == 400
    if "store" in asked.around:
        stage.break_store()
    if asked.operation == "punch" and asked.method == "POST":
        return await limited.post(asked.body, asked.headers)
    return await limited.ask(asked.operation, asked.method, asked.headers, b"{}")


def told(answer: Response) -> tuple[int, str]:
    return answer.status, answer.json()["error"]["code"]


async def test_a_request_without_a_fault_is_good(stage: Stage) -> None:
    assert (await send(stage)).status == 200


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=lambda fault: f"{fault.part}-{fault.status}")
async def test_of_two_faults_the_earlier_is_told(stage: Stage, one: Fault, other: Fault) -> None:
    assert told(await send(stage, one, other)) == (one.status, one.code)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.part}-{fault.status}")
async def test_a_fault_alone_is_told(stage: Stage, fault: Fault) -> None:
    assert told(await send(stage, fault)) == (fault.status, fault.code)
    assert stage.headers["sn"] == SERIAL
