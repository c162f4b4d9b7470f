"""How often one may ask, for which paths by which methods, with which bodies; and faults of ours.

Real: the app, the store, its file. Faults are made by breaking the file, or by handing in a clock
that cannot be read; nothing is patched.
"""

import sqlite3
from dataclasses import replace
from typing import Any

import pytest

from punchgate import telemetry
from punchgate.contracts import terminals_rest
from punchgate.contracts.terminals_rest import errors
from punchgate.domain.error import NotFound, PunchgateError
from punchgate.store.endpoints import SecretsClosed
from punchgate.store.error import StoreBusy, StoreUnavailable
from punchgate.usecases import devices
from tests import asgi
from tests.asgi import Response
from tests.contracts.terminals_rest.conftest import HERE, OUTSIDE, Stage, error

NO_KEY = (401, "No autorizado.")


async def test_the_limit_counts_every_request_of_a_key_or_an_address(stage: Stage) -> None:
    stage.set(rate_requests=3)
    first = await stage.ask("/devices")
    assert first.headers["ratelimit-policy"] == '"terminals";q=3;w=60'
    assert first.headers["ratelimit"] == '"terminals";r=2;t=20'
    assert (await stage.ask("/devices/x/y")).headers["ratelimit"].startswith('"terminals";r=1;')
    refused = await replace(stage, key="wrong").ask("/devices")
    assert error(refused) == NO_KEY
    assert refused.headers["ratelimit"].startswith('"terminals";r=0;')
    late = await stage.ask("/devices")
    assert error(late) == (429, "Demasiadas solicitudes.")
    assert 1 <= int(late.headers["retry-after"]) <= 20
    assert late.headers["ratelimit"].startswith('"terminals";r=0;')
    # Another address and a key have a share of their own.
    assert (await replace(stage, peer="127.0.0.2").ask("/devices")).status == 200
    key = await stage.gateway.add_key()
    assert (await replace(stage, key=key).ask("/devices")).status == 200
    # That we are here is said all the same, and no more.
    await stage.gateway.add_device("SN1", id="puerta", engine="zk")
    short = await stage.ask("/")
    assert (short.status, list(short.json())) == (200, ["status", "timestamp"])


async def test_a_quota_of_none_is_no_limit(stage: Stage) -> None:
    stage.set(rate_requests=0)
    assert "ratelimit" not in (await stage.ask("/devices")).headers


async def test_other_paths_are_no_routes(stage: Stage) -> None:
    for path in (
        "/devices/x/y", "/devices/x/attendance/z", "/devices//attendance", "/devices//",
        "/devices/x//", "/attendance", "/attendance/", "/attendance/all/x", "/attendance/ALL",
        "/devices/x/users/1/enroll", "/devices/x/users//enroll-finger", "/Devices", "/devicesx",
        "/devices/x/attendance//",
    ):  # fmt: skip
        for method in ("GET", "POST", "BREW"):
            assert error(await stage.ask(path, method)) == (404, "Ruta no encontrada."), path


ALLOWED = [
    ("/", "GET, HEAD"),
    ("/attendance/all", "GET, HEAD"),
    ("/devices", "GET, HEAD, POST"),
    ("/devices/x", "GET, HEAD, PUT, DELETE"),
    ("/devices/x/attendance", "GET, HEAD"),
    ("/devices/x/sync-time", "POST"),
    ("/devices/x/users", "GET, HEAD, POST"),
    ("/devices/x/users/1", "PUT, DELETE"),
    ("/devices/x/users/1/enroll-finger", "POST"),
]


@pytest.mark.parametrize(("path", "allowed"), ALLOWED)
async def test_other_methods_are_not_allowed(stage: Stage, path: str, allowed: str) -> None:
    wrong = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}
    for method in wrong - set(allowed.split(", ")):
        answer = await stage.ask(path, method)
        if method != "HEAD":
            assert error(answer) == (405, "Metodo no permitido.")
        assert answer.status == 405
        assert answer.headers["allow"] == allowed


async def test_head_is_get_without_the_body(stage: Stage) -> None:
    get, head = await stage.ask("/devices"), await stage.ask("/devices", "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(get.body))


async def test_every_answer_forbids_to_be_kept(stage: Stage) -> None:
    for answer in (
        await stage.ask("/"),
        await stage.ask("/devices"),
        await stage.ask("/devices/x"),
    ):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"x", b"{", b"[]", b"[{}]", b'"x"', b"1", b"null", b"true", b"\xff", b"{}x",
     b'{"a":"\xff"}', b"[" * 60_000, b'{"a":1e999}'],
)  # fmt: skip
async def test_a_body_that_is_no_object_is_refused(stage: Stage, body: bytes) -> None:
    await stage.register("x")
    for method, path in (
        ("POST", "/devices"),
        ("PUT", "/devices/x"),
        ("POST", "/devices/x/users"),
        ("PUT", "/devices/x/users/1"),
        ("POST", "/devices/x/users/1/enroll-finger"),
    ):
        assert error(await stage.ask(path, method, body)) == (400, "Body JSON requerido.")


async def test_any_content_type_is_read_as_json(stage: Stage) -> None:
    body = b'\xef\xbb\xbf{"id":"a","name":"A","ip":"10.0.0.1"}'
    for number, kind in enumerate(("text/plain", "application/x-www-form-urlencoded", "")):
        content = body.replace(b'"a"', f'"a{number}"'.encode())
        answer = await stage.ask("/devices", "POST", content, [("Content-Type", kind)])
        assert answer.status == 200, answer.body


async def test_a_body_beyond_the_cap_is_refused(stage: Stage) -> None:
    large = b" " * 65_537
    for method, path in (
        ("POST", "/devices"),
        ("GET", "/devices"),
        ("POST", "/devices/x/sync-time"),
    ):
        answer = await stage.ask(path, method, large)
        assert error(answer) == (413, "Cuerpo demasiado grande."), path
        assert answer.headers["connection"] == "close"
    fits = b'{"id":"a","name":"A","ip":"10.0.0.1"}'.ljust(65_536)
    assert (await stage.ask("/devices", "POST", fits)).status == 200


@pytest.mark.parametrize("table", ["api_key", "device", "punch"])
async def test_a_store_that_cannot_be_asked_is_said(stage: Stage, table: str) -> None:
    await stage.register("principal")
    key = await stage.gateway.add_key()
    with sqlite3.connect(stage.gateway.context.database.address.path) as file:
        file.execute(f"DROP TABLE {table}")
    file.close()
    answer = await replace(stage, key=key).ask("/devices/principal/attendance?source=store")
    assert error(answer) == (503, "Almacenamiento no disponible.")
    assert answer.headers["retry-after"] == "5"


async def test_the_root_says_nothing_about_the_store(stage: Stage) -> None:
    with sqlite3.connect(stage.gateway.context.database.address.path) as file:
        file.execute("DROP TABLE device")
    file.close()
    answer = await stage.ask("/")
    assert answer.body == b'{"status":"online","timestamp":"2026-06-21 12:00:00"}'


def broken_clock() -> int:
    raise RuntimeError("/etc/secret: SELECT token FROM vault")


async def test_a_fault_of_ours_says_no_more_than_its_id(stage: Stage) -> None:
    edge = replace(stage.gateway.edge, now=broken_clock)
    stage.app = terminals_rest.build(edge, stage.settings)
    key = await stage.gateway.add_key()
    for found in (await stage.ask("/"), await replace(stage, key=key).ask("/devices")):
        assert error(found) == (500, "Error interno.")
        assert len(found.headers["request-id"]) >= 16
        assert b"secret" not in found.body + repr(found.headers).encode()


async def test_whoever_leaves_before_the_body_is_there_gets_no_answer(stage: Stage) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/devices", "query_string": b"",
        "headers": [(b"host", b"localhost")], "client": (HERE, 1),
    }  # fmt: skip
    await stage.app(scope, receive, send)
    assert sent == []


def _refused_keys() -> float:
    sample = telemetry.REGISTRY.get_sample_value
    return sample("punchgate_auth_failures_total", {"contract": "terminals_rest"}) or 0.0


async def test_refused_keys_are_counted(stage: Stage) -> None:
    before = _refused_keys()
    await stage.ask("/devices")
    await replace(stage, peer=OUTSIDE).ask("/devices")
    assert _refused_keys() == before
    await replace(stage, key="wrong").ask("/devices")
    assert _refused_keys() == before + 1


def test_the_table_of_errors_is_total() -> None:
    for one in (StoreBusy("full"), StoreUnavailable("gone"), SecretsClosed("no key")):
        assert errors.of(one) is errors.NO_STORE
    for other in (NotFound("x"), PunchgateError("x"), devices.IdTaken("x")):
        assert errors.of(other) is None


async def test_a_host_given_twice_is_nobodys(stage: Stage) -> None:
    answer: Response = await asgi.call(stage.app, "GET", "/devices", [("host", "localhost")])
    assert error(answer) == NO_KEY
