"""The front that we ship, run by a real nginx.

Real: nginx, TLS, the configuration, and in the last tests the gateway. Simulated: in the others the
gateway behind it, which answers as told and notes what reached it.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.journeys import front, gateway
from tests.journeys.front_stage import Answer, Behind, Stage, said_to
from tests.ports import free_port

pytestmark = pytest.mark.slow

PUNCH = b'{ "user_id":"1001", "att_time":"2026-06-21 09:30:00", "att_state":1, "input_type":50 }'
BASE = "/api/attendance/v1"
CAP = 1_048_576


def error(code: str, message: str) -> bytes:
    return f'{{"ok":false,"error":{{"code":"{code}","message":"{message}"}}}}'.encode()


UNKNOWN_OPERATION = error("unknown_operation", "No such operation.")
METHOD_NOT_ALLOWED = error("method_not_allowed", "This method is not allowed here.")
REQUEST_TIMEOUT = error("request_timeout", "The request took too long to arrive.")
BODY_TOO_LARGE = error("body_too_large", "The body is larger than 1048576 bytes.")
RATE_LIMITED = error("rate_limited", "Too many requests.")
UNAVAILABLE = error("unavailable", "The gateway is not available; try again.")


def head(framing: str) -> bytes:
    """Write the head of a punch with this line about its body."""
    return f"POST {BASE}/punch HTTP/1.1\r\nHost: gw\r\nsn: SN1\r\n{framing}\r\n\r\n".encode()


@asynccontextmanager
async def staged(home: Path, changes: Mapping[str, str] | None = None) -> AsyncIterator[Stage]:
    behind = Behind()
    app = web.Application(client_max_size=4 * CAP)
    app.router.add_route("*", "/{path:.*}", behind.handle)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server(max_field_size=4 * 16_384)
    async with server:
        assert server.port is not None
        with front.running(home / "front", server.port, changes) as running:
            connector = aiohttp.TCPConnector(limit=50)
            async with aiohttp.ClientSession(connector=connector) as session:
                yield Stage(running, behind, session)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as opened:
        yield opened


@pytest.fixture
async def impatient(tmp_path: Path) -> AsyncIterator[Stage]:
    """Give a front for which a second is a long time to wait for a body."""
    async with staged(tmp_path, {"client_body_timeout 30s;": "client_body_timeout 1s;"}) as opened:
        yield opened


@pytest.fixture
async def draining(tmp_path: Path) -> AsyncIterator[Stage]:
    """Give a front whose burst is used up however slowly a machine asks."""
    async with staged(tmp_path, {"rate=120r/s": "rate=1r/s"}) as opened:
        yield opened


def is_ours(answer: Answer, status: int, body: bytes) -> None:
    """Assert that an answer of nginx is the contract's, byte for byte."""
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert "date" in answer.headers


async def test_a_punch_passes_unchanged_in_both_directions(stage: Stage) -> None:
    headers = {"sn": "SN7A2300583", "auth-token": "secret", "X-Forwarded-For": "203.0.113.9"}
    answer = await stage.ask("POST", f"{BASE}/punch?x=1", data=PUNCH, headers=headers)
    assert (answer.status, answer.body) == (200, b'{"ok":true}')
    assert answer.headers["punch-status"] == "recorded"
    # Devices set their clocks by it: it has to be the gateway's, not the front's.
    assert answer.headers["date"] == "Sun, 21 Jun 2026 04:00:02 GMT"
    [(method, path, seen, body)] = stage.behind.requests
    assert (method, path, body) == ("POST", f"{BASE}/punch?x=1", PUNCH)
    assert (seen["sn"], seen["auth-token"]) == ("SN7A2300583", "secret")
    # What the client said of its address is gone.
    assert seen["x-forwarded-for"] == "127.0.0.1"
    assert seen["x-forwarded-proto"] == "https"
    assert seen["host"] == "localhost"


async def test_connections_to_the_gateway_are_kept(stage: Stage) -> None:
    for _ in range(20):
        await stage.ask("POST", f"{BASE}/heartbeat", headers={"sn": "SN1"})
    assert len(stage.behind.requests) == 20
    # One for each nginx worker that happened to be asked.
    assert len(stage.behind.connections) <= 8


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/readyz",
        "/metrics",
        "/api/v1/attendance/summary",
        "/api/attendance/v1",
        "/api/attendance/v2/punch",
    ],
)
async def test_nothing_but_the_device_paths_reaches_the_gateway(stage: Stage, path: str) -> None:
    answer = await stage.ask("GET", path, allow_redirects=False)
    is_ours(answer, 404, UNKNOWN_OPERATION)
    assert stage.behind.requests == []


async def test_a_declared_body_above_the_cap_is_refused_before_it_is_sent(stage: Stage) -> None:
    said = await stage.stall(head(f"Content-Length: {10 * 2**30}"))
    first, body = said.split(b"\r\n\r\n", 1)
    assert first.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nConnection: close" in first
    assert body == BODY_TOO_LARGE
    assert stage.behind.requests == []


async def test_an_undeclared_body_is_cut_off_at_the_cap(stage: Stage) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b" " * (CAP // 8)

    answer = await stage.ask("POST", f"{BASE}/punch", data=chunks(), headers={"sn": "SN1"})
    is_ours(answer, 413, BODY_TOO_LARGE)
    assert stage.behind.requests == []


async def test_an_undeclared_body_of_exactly_the_cap_passes_without_touching_the_disk(
    stage: Stage,
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(1024):
            yield b" " * (CAP // 1024)

    # The workers of this nginx may not write into the test's directory: a body on disk is a 500.
    answer = await stage.ask("POST", f"{BASE}/punch", data=chunks(), headers={"sn": "SN1"})
    assert answer.status == 200
    assert len(stage.behind.requests[0][3]) == CAP
    assert list((stage.front.home / "client_body").iterdir()) == []


async def test_a_body_of_exactly_the_cap_passes(stage: Stage) -> None:
    answer = await stage.ask("POST", f"{BASE}/punch", data=b" " * CAP, headers={"sn": "SN1"})
    assert answer.status == 200
    assert len(stage.behind.requests[0][3]) == CAP


async def test_the_gateway_sees_whole_requests_with_their_length(stage: Stage) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield PUNCH[:10]
        yield PUNCH[10:]

    await stage.ask("POST", f"{BASE}/punch", data=chunks(), headers={"sn": "SN1"})
    [(_, _, seen, body)] = stage.behind.requests
    assert body == PUNCH
    assert seen["content-length"] == str(len(PUNCH))


@pytest.mark.parametrize(
    "framing", ["Content-Length: 90", "Transfer-Encoding: chunked"], ids=["length", "chunked"]
)
async def test_a_body_that_does_not_arrive_is_answered_and_never_passed_on(
    impatient: Stage, framing: str
) -> None:
    start = b"1\r\n{\r\n" if "chunked" in framing else b"{"
    said = await impatient.stall(head(framing) + start)
    first, body = said.split(b"\r\n\r\n", 1)
    assert first.startswith(b"HTTP/1.1 408 ")
    assert b"\r\nConnection: close" in first
    assert body == REQUEST_TIMEOUT
    assert impatient.behind.requests == []


async def test_a_header_above_sixteen_kilobytes_is_refused(stage: Stage) -> None:
    fits = {"sn": "SN1", "auth-token": "x" * 14_000}
    assert (await stage.ask("POST", f"{BASE}/heartbeat", headers=fits)).status == 200
    large = {"sn": "SN1", "auth-token": "x" * 17_000}
    assert (await stage.ask("POST", f"{BASE}/heartbeat", headers=large)).status == 400
    assert len(stage.behind.requests) == 1


async def test_more_than_the_burst_of_one_device_is_answered_with_429(draining: Stage) -> None:
    async def beat(serial: str) -> Answer:
        return await draining.ask("POST", f"{BASE}/heartbeat", headers={"sn": serial})

    refused: Answer | None = None
    passed = 0
    while refused is None:
        answers = await asyncio.gather(*(beat("SN1") for _ in range(50)))
        passed += sum(answer.status == 200 for answer in answers)
        refused = next((answer for answer in answers if answer.status != 200), None)
    is_ours(refused, 429, RATE_LIMITED)
    assert refused.headers["retry-after"] == "1"
    assert passed >= 2000
    # Another device at the same address has its own share.
    assert (await beat("SN2")).status == 200


async def test_more_than_two_hundred_requests_at_once_of_one_address_are_answered_with_429(
    stage: Stage,
) -> None:
    full, release = asyncio.Event(), asyncio.Event()

    async def held(_: web.Request) -> web.StreamResponse:
        if len(stage.behind.requests) == 200:
            full.set()
        await release.wait()
        return web.Response(body=b'{"ok":true}', content_type="application/json")

    stage.behind.answer = held
    opened = [await stage.open() for _ in range(200)]
    for _, writer in opened:
        writer.write(head("Content-Length: 5") + b"12345")
    async with asyncio.timeout(gateway.LIMIT_S):
        await full.wait()
    answer = await stage.ask("POST", f"{BASE}/punch", data=PUNCH, headers={"sn": "SN2"})
    is_ours(answer, 429, RATE_LIMITED)
    release.set()
    for _, writer in opened:
        writer.close()


async def test_a_gateway_that_is_away_is_503_with_retry_after(tmp_path: Path) -> None:
    nobody = free_port()
    with front.running(tmp_path / "front", nobody) as running:
        async with aiohttp.ClientSession() as session:
            stage = Stage(running, Behind(), session)
            answer = await stage.ask("POST", f"{BASE}/punch", data=PUNCH, headers={"sn": "SN1"})
    is_ours(answer, 503, UNAVAILABLE)
    assert answer.headers["retry-after"] == "5"


async def test_a_gateway_that_breaks_off_is_503_and_not_408(stage: Stage) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    stage.behind.answer = cut
    answer = await stage.ask("POST", f"{BASE}/punch", data=PUNCH, headers={"sn": "SN1"})
    is_ours(answer, 503, UNAVAILABLE)


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (400, error("missing_serial", "The sn header is missing."), {}),
        (404, error("unknown_device", "This device is not registered."), {}),
        (413, error("batch_too_large", "At most 1000 punches in one request."), {}),
        (429, RATE_LIMITED, {"Retry-After": "17"}),
        (500, error("internal_error", "The request was not acknowledged; send it again."), {}),
        (
            503,
            error("storage_unavailable", "The punch could not be stored; send it again."),
            {"Retry-After": "5", "RateLimit": '"device";r=5999;t=1'},
        ),
    ],
)
async def test_what_the_gateway_answers_is_never_touched(
    stage: Stage, status: int, body: bytes, headers: dict[str, str]
) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(
            status=status, body=body, content_type="application/json", headers=headers
        )

    stage.behind.answer = answer
    said = await stage.ask("POST", f"{BASE}/punch", data=PUNCH, headers={"sn": "SN1"})
    assert (said.status, said.body) == (status, body)
    assert {name: said.headers[name.lower()] for name in headers} == headers


async def test_the_answer_to_the_largest_batch_passes(stage: Stage) -> None:
    result = '{"ok":true,"status":"recorded","punch_id":"01KVMR7XE0SABR24PA3EYWNYP2"}'
    body = f'{{"ok":true,"results":[{",".join([result] * 1000)}]}}'.encode()

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    stage.behind.answer = answer
    said = await stage.ask("POST", f"{BASE}/punch", data=PUNCH, headers={"sn": "SN1"})
    assert (said.status, said.body) == (200, body)


@pytest.mark.parametrize(
    ("path", "allow"), [("punch", "POST"), ("punch/", "POST"), ("config", "GET, HEAD, POST")]
)
async def test_a_method_that_nginx_itself_refuses_is_405_with_allow(
    stage: Stage, path: str, allow: str
) -> None:
    answer = await stage.ask("TRACE", f"{BASE}/{path}", headers={"sn": "SN1"})
    is_ours(answer, 405, METHOD_NOT_ALLOWED)
    assert answer.headers["allow"] == allow


def test_the_numbers_of_the_contract_stand_in_the_file_that_we_ship() -> None:
    assert front.directives("ssl_protocols") == ["TLSv1.2 TLSv1.3"]
    assert front.directives("client_max_body_size") == ["1m", "1m"]
    assert "30s" in front.directives("client_body_timeout")
    assert front.directives("limit_req") == ["zone=punchgate_requests burst=2000 nodelay"]
    assert front.directives("limit_conn") == ["punchgate_connections 200"]
    [zone] = front.directives("limit_req_zone")
    assert zone.endswith("rate=120r/s")
    assert front.directives("proxy_request_buffering")[-1] == "on"
    assert set(front.directives("proxy_cache")) == {"off"}


@dataclass
class House:
    gateway: gateway.Gateway
    front: front.Front
    token: str


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("house")
    with gateway.running(home / "data") as real:
        token = real.command("device", "add", "SN7A2300583", "--zone", "Asia/Kolkata")["token"]
        real.serve()
        with front.running(home / "front", real.devices_port) as running:
            yield House(real, running, token)


@asynccontextmanager
async def before(house: House) -> AsyncIterator[Stage]:
    async with aiohttp.ClientSession() as session:
        yield Stage(house.front, Behind(), session)


async def test_I1_a_punch_that_came_through_the_front_is_stored(house: House) -> None:
    headers = {"sn": "SN7A2300583", "auth-token": house.token}
    async with before(house) as stage:
        first = await stage.ask("POST", f"{BASE}/punch", data=PUNCH, headers=headers)
        again = await stage.ask("POST", f"{BASE}/punch/", data=PUNCH, headers=headers)
    assert (first.status, first.body) == (200, b'{"ok":true}')
    assert first.headers["punch-status"] == "recorded"
    assert again.headers["punch-status"] == "duplicate"
    # The published sample, and the id that is derived from it.
    assert first.headers["punch-id"] == again.headers["punch-id"]
    story = house.gateway.command("punch", "show", first.headers["punch-id"])
    assert first.headers["punch-id"] in json.dumps(story)


async def test_the_front_and_the_gateway_give_the_same_answers(house: House) -> None:
    """What nginx answers by itself has the bytes that the gateway would have sent."""
    asked: list[tuple[str, str, dict[str, object]]] = [
        ("GET", "/api/attendance/v1/nothing", {}),
        ("GET", f"{BASE}/punch", {"headers": {"sn": "SN7A2300583"}}),
        ("POST", f"{BASE}/heartbeat", {}),
        ("POST", f"{BASE}/heartbeat", {"headers": {"sn": "nobody"}}),
        ("POST", f"{BASE}/heartbeat", {"headers": {"sn": "SN7A2300583", "auth-token": "x"}}),
    ]
    async with before(house) as stage:
        for method, path, options in asked:
            through = await stage.ask(method, path, **options)
            url = f"http://127.0.0.1:{house.gateway.devices_port}{path}"
            async with stage.session.request(method, url, **options) as direct:  # type: ignore[arg-type] # (aiohttp's own options)
                assert (through.status, through.body) == (direct.status, await direct.read()), path
        large = head(f"Content-Length: {CAP + 1}")
        through_nginx = await stage.stall(large)
        gateway_at = await asyncio.open_connection("127.0.0.1", house.gateway.devices_port)
        directly = await said_to(*gateway_at, large)
        assert through_nginx.split(b"\r\n\r\n")[1] == directly.split(b"\r\n\r\n")[1]


async def test_a_device_sets_its_clock_by_any_answer(house: House) -> None:
    async with before(house) as stage:
        answer = await stage.ask("GET", f"{BASE}/config", headers={"sn": "nobody"})
    assert datetime.strptime(answer.headers["date"], "%a, %d %b %Y %H:%M:%S GMT").year >= 2026  # noqa: DTZ007 (a bare form is what is checked)
