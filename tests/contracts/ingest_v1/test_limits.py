"""Rate limits: a device's share, a source's failures, and what every answer says of them.

Real: the app, the store. The clock that the limits are measured by is turned by hand.
"""

from dataclasses import dataclass

import pytest

from tests.asgi import Response
from tests.contracts.ingest_v1.conftest import PUNCH, SERIAL, Stage

FRONT = ("127.0.0.0/8",)


@dataclass
class Hand:
    """Seconds, turned by hand."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def hand() -> Hand:
    return Hand()


def left(answer: Response) -> tuple[str, str]:
    return answer.headers["ratelimit-policy"], answer.headers["ratelimit"]


async def test_the_printed_headers_come_out(stage: Stage, hand: Hand) -> None:
    limited = stage.with_settings(monotonic=hand)
    answer = await limited.ask("heartbeat")
    assert left(answer) == ('"device";q=6000;w=60', '"device";r=5999;t=1')
    stranger = await limited.ask("heartbeat", headers={})
    assert left(stranger) == ('"source";q=1200;w=60', '"source";r=1199;t=1')


async def test_a_device_has_its_quota_and_gets_it_back_evenly(stage: Stage, hand: Hand) -> None:
    limited = stage.with_settings(monotonic=hand, rate_requests=4, rate_window_s=60)
    for r, t in ((3, 15), (2, 30), (1, 45), (0, 60)):
        answer = await limited.ask("validity")
        assert left(answer) == ('"device";q=4;w=60', f'"device";r={r};t={t}')
    refused = await limited.ask("validity")
    assert (refused.status, refused.headers["retry-after"]) == (429, "15")
    assert left(refused) == ('"device";q=4;w=60', '"device";r=0;t=60')
    hand.seconds = 14.5
    assert (await limited.ask("validity")).headers["retry-after"] == "1"
    hand.seconds = 15.0
    assert (await limited.ask("validity")).status == 200
    assert (await limited.ask("validity")).status == 429
    hand.seconds = 1_000.0
    assert left(await limited.ask("validity"))[1] == '"device";r=3;t=15'


async def test_another_device_has_a_share_of_its_own(stage: Stage, hand: Hand) -> None:
    await stage.gateway.add_device("SN2", token="token-two")
    limited = stage.with_settings(monotonic=hand, rate_requests=1)
    assert (await limited.ask("heartbeat")).status == 200
    assert (await limited.ask("heartbeat")).status == 429
    other = {"sn": "SN2", "auth-token": "token-two"}
    assert (await limited.ask("heartbeat", headers=other)).status == 200


async def test_a_stranger_cannot_use_up_a_device_s_share(stage: Stage, hand: Hand) -> None:
    limited = stage.with_settings(monotonic=hand, rate_requests=2)
    for _ in range(5):
        wrong = await limited.ask("heartbeat", headers={"sn": SERIAL, "auth-token": "wrong"})
        assert left(wrong)[0] == '"source";q=1200;w=60'
    assert left(await limited.ask("heartbeat"))[1] == '"device";r=1;t=30'


async def test_a_refusal_after_the_token_counts_like_any_request(stage: Stage, hand: Hand) -> None:
    limited = stage.with_settings(monotonic=hand, rate_requests=2)
    assert left(await limited.post(b"x"))[1] == '"device";r=1;t=30'
    assert left(await limited.post({}))[1] == '"device";r=0;t=60'
    assert (await limited.post(PUNCH)).status == 429


async def test_a_source_that_fails_too_often_has_to_wait(stage: Stage, hand: Hand) -> None:
    limited = stage.with_settings(monotonic=hand, fail_requests=4)
    failing = [
        {},
        {"sn": "!"},
        {"sn": "SN2"},
        {"sn": SERIAL, "auth-token": "wrong"},
    ]
    for number, headers in enumerate(failing, 1):
        answer = await limited.ask("heartbeat", headers=headers)
        assert answer.status in {400, 401, 404}
        assert left(answer)[1] == f'"source";r={4 - number};t={15 * number}'
    refused = await limited.ask("heartbeat", headers={})
    assert (refused.status, refused.headers["retry-after"]) == (429, "15")
    # Whoever knows the token waits as well: the source comes before the device.
    assert (await limited.ask("heartbeat")).status == 429
    hand.seconds = 15.0
    assert (await limited.ask("heartbeat")).status == 200


async def test_only_failures_count_against_a_source(stage: Stage, hand: Hand) -> None:
    limited = stage.with_settings(monotonic=hand, fail_requests=3)
    for _ in range(5):
        assert (await limited.ask("heartbeat")).status == 200
        assert (await limited.ask("punch")).status == 405
        gzip = {**stage.headers, "content-encoding": "gzip"}
        assert (await limited.post(PUNCH, gzip)).status == 415
    assert left(await limited.ask("nothing"))[1] == '"source";r=2;t=20'
    assert left(await limited.post(b"x"))[0] == '"device";q=6000;w=60'
    assert left(await limited.ask("nothing"))[1] == '"source";r=0;t=60'
    assert (await limited.ask("nothing")).status == 404
    assert (await limited.ask("heartbeat")).status == 429


async def test_zero_is_no_limit(stage: Stage, hand: Hand) -> None:
    free = stage.with_settings(monotonic=hand, rate_requests=0, fail_requests=0)
    for headers in (stage.headers, {}):
        answers = [await free.ask("heartbeat", headers=headers) for _ in range(20)]
        assert 429 not in {answer.status for answer in answers}
        assert "ratelimit" not in answers[0].headers
    assert (await free.ask("config")).json()["limits"]["requests"] == 0


async def fail_from(stage: Stage, address: str) -> Response:
    return await stage.ask("heartbeat", headers={"x-forwarded-for": address})


async def test_behind_a_front_each_client_has_its_own_failures(stage: Stage, hand: Hand) -> None:
    behind = stage.with_settings(monotonic=hand, fail_requests=1, trusted_proxies=FRONT)
    assert (await fail_from(behind, "203.0.113.1")).status == 400
    assert (await fail_from(behind, "203.0.113.1")).status == 429
    # What the client wrote in front of its own address changes nothing.
    assert (await fail_from(behind, "198.51.100.7, 203.0.113.1")).status == 429
    assert (await fail_from(behind, "203.0.113.1, 127.0.0.1")).status == 429
    assert (await fail_from(behind, "203.0.113.2")).status == 400


async def test_without_a_trusted_front_nobody_says_where_he_comes_from(
    stage: Stage, hand: Hand
) -> None:
    direct = stage.with_settings(monotonic=hand, fail_requests=1)
    assert (await fail_from(direct, "203.0.113.1")).status == 400
    assert (await fail_from(direct, "203.0.113.2")).status == 429


async def test_the_unclaimed_list_has_the_client_s_address(stage: Stage) -> None:
    behind = stage.with_settings(trusted_proxies=FRONT)
    await behind.ask("heartbeat", headers={"sn": "SN2", "x-forwarded-for": "203.0.113.1"})
    context = stage.gateway.context
    await context.presence.flush(context.writer, now=stage.gateway.clock())
    assert stage.rows("SELECT serial, address FROM unclaimed") == [("SN2", "203.0.113.1")]
