"""The printed sample, byte for byte: the request as a client sends it, the answer as it is printed.

Real: the app, the store. The request's head is read from the sample; only the token is ours.
"""

from pathlib import Path

from tests import asgi
from tests.asgi import Response
from tests.contracts.ingest_v1.conftest import Stage

GOLDEN = Path(__file__).parents[1] / "golden"


async def send_printed(stage: Stage) -> Response:
    head, _, body = (GOLDEN / "ingest-v1-punch.request.http").read_bytes().partition(b"\r\n\r\n")
    request, *lines = head.decode().split("\r\n")
    method, target, _ = request.split(" ")
    pairs = [tuple(line.split(": ", 1)) for line in lines]
    headers = [(name, value.replace("$TOKEN", stage.token)) for name, value in pairs]
    return await asgi.call(stage.app, method, target, headers, body)


async def test_the_printed_request_gets_the_printed_answer(stage: Stage) -> None:
    answer = await send_printed(stage)
    assert answer.status == 200
    assert answer.body == (GOLDEN / "ingest-v1-punch.response.json").read_bytes()


async def test_what_the_printed_request_says_is_what_is_stored(stage: Stage) -> None:
    answer = await send_printed(stage)
    assert stage.rows(
        "SELECT punch_id, serial, user_code, wall_time, zone, direction_code, direction,"
        " verify_code, verify, transport, raw FROM punch"
    ) == [
        (
            answer.headers["punch-id"],
            "SN7A2300583",
            "1001",
            "2026-06-21 09:30:00",
            "Asia/Kolkata",
            1,
            "check-out",
            50,
            "app",
            "http",
            (GOLDEN / "ingest-v1-punch.request.json").read_bytes(),
        )
    ]


async def test_the_answer_says_more_in_its_headers_alone(stage: Stage) -> None:
    first, second = await send_printed(stage), await send_printed(stage)
    assert second.body == first.body
    assert first.headers["punch-status"] == "recorded"
    assert second.headers["punch-status"] == "duplicate"
    assert second.headers["punch-id"] == first.headers["punch-id"]
