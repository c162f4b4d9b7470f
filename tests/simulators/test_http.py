"""The virtual HTTP terminal against a gateway that misbehaves on purpose.

Real: sockets, HTTP, aiohttp on both ends. Simulated: the gateway, which answers what the test has
written down, and time, which passes only by the terminal's own pauses.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from punchgate.simulators import day, fleet, http, note, retry
from tests.ports import free_port

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
CONFIG = {
    "ok": True,
    "utc_offset": "+05:30",
    "server_epoch": 1_782_014_402,
    "heartbeat_interval_s": 60,
    "limits": {"batch_max": 1000},
}


@dataclass
class Asked:
    """What the gateway heard."""

    operations: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@dataclass
class Time:
    """A clock that only the terminal's pauses move."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    async def pause(self, wait_s: float) -> None:
        self.pauses.append(wait_s)
        self.now += wait_s
        await asyncio.sleep(0)  # noqa: TID251 (gives way to others and waits for nothing)


def error(status: int, code: str, **headers: str) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        said = {"ok": False, "error": {"code": code, "message": "…"}}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response(said, status=status, headers=named)

    return answer


def success(status: str = "recorded") -> Handler:
    async def answer(request: web.Request) -> web.Response:
        sent = json.loads(await request.read())
        if isinstance(sent, dict):
            return web.json_response({"ok": True}, headers={"Punch-Status": status})
        return web.json_response(
            {"ok": True, "results": [{"ok": True, "status": status} for _ in sent]}
        )

    return answer


async def hang_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


def says(body: dict[str, object]) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(body)

    return answer


@asynccontextmanager
async def gateway(
    script: Mapping[str, Sequence[Handler]],
) -> AsyncIterator[tuple[str, Asked]]:
    """Answer each operation by its list, the last entry for ever."""
    asked = Asked()

    async def handle(request: web.Request) -> web.StreamResponse:
        operation = request.path.rsplit("/", 1)[-1]
        turn = asked.operations.count(operation)
        asked.operations.append(operation)
        asked.bodies.append(await request.read())
        asked.headers.append({k.lower(): v for k, v in request.headers.items()})
        handlers = script[operation]
        return await handlers[min(turn, len(handlers) - 1)](request)

    app = web.Application()
    app.router.add_route("*", "/api/attendance/v1/{operation}", handle)
    async with TestServer(app) as server:
        yield str(server.make_url("")), asked


@asynccontextmanager
async def terminal(
    server: str, time: Time, notes: list[note.Note], patience_s: float | None = None
) -> AsyncIterator[http.Terminal]:
    surroundings = http.Surroundings(
        clock=time.clock,
        pause=time.pause,
        chance=lambda: 1.0,
        noted=notes.append,
        patience_s=patience_s,
    )
    async with fleet.open_session() as session:
        credentials = http.Credentials("SN1", "token-of-sn1")
        yield http.Terminal(session, server, credentials, surroundings)


def items(count: int) -> list[note.Item]:
    at = datetime(2026, 6, 22, 9, 0, 0)  # noqa: DTZ001 (wall times have no zone)
    planned = day.Planned(at, "1001", 0, day.CHECK_IN, day.FINGER)
    return [
        http.item(number, planned._replace(user_code=str(1001 + number))) for number in range(count)
    ]


async def test_one_punch_is_sent_by_itself_with_the_headers_of_the_contract() -> None:
    notes: list[note.Note] = []
    [one] = items(1)
    async with (
        gateway({"punch": [success()]}) as (server, asked),
        terminal(server, Time(), notes) as device,
    ):
        await device.upload([one])
    assert asked.operations == ["punch"]
    assert json.loads(asked.bodies[0]) == {
        "user_id": "1001",
        "att_time": "2026-06-22 09:00:00",
        "att_state": 0,
        "input_type": 0,
    }
    assert asked.headers[0]["sn"] == "SN1"
    assert asked.headers[0]["auth-token"] == "token-of-sn1"
    assert notes == [
        note.Sent("SN1", [one]),
        note.Acknowledged("SN1", [one], (note.Answer("recorded"),)),
    ]


async def test_more_than_one_punch_is_a_batch_in_the_order_of_the_terminal() -> None:
    notes: list[note.Note] = []
    kept = items(3)
    async with (
        gateway({"punch": [success("duplicate")]}) as (server, asked),
        terminal(server, Time(), notes) as device,
    ):
        await device.upload(kept)
    assert [one["user_id"] for one in json.loads(asked.bodies[0])] == ["1001", "1002", "1003"]
    assert notes[-1] == note.Acknowledged("SN1", kept, (note.Answer("duplicate"),) * 3)


async def test_what_was_not_acknowledged_is_sent_again_byte_for_byte() -> None:
    notes: list[note.Note] = []
    time = Time()
    troubles = [
        error(503, "storage_unavailable", Retry_After="5"),
        hang_up,
        error(500, "internal_error"),
        says({"ok": True, "results": []}),
        error(429, "rate_limited", Retry_After="2"),
        error(408, "request_timeout"),
        success(),
    ]
    async with (
        gateway({"punch": troubles}) as (server, asked),
        terminal(server, time, notes) as device,
    ):
        await device.upload(items(2))
    assert len(set(asked.bodies)) == 1
    assert len(asked.bodies) == 7
    # Retry-After where there is one, else 1 s doubled once for each failure in a row before.
    assert time.pauses == [5, 2, 4, 8, 2, 32]
    assert [said.trouble for said in notes if isinstance(said, note.Failed)] == [
        "503 storage_unavailable",
        "closed",
        "500 internal_error",
        "200 without an acknowledgement",
        "429 rate_limited",
        "408 request_timeout",
    ]
    assert sum(isinstance(said, note.Acknowledged) for said in notes) == 1


async def test_a_gateway_that_is_away_is_tried_until_it_is_back() -> None:
    notes: list[note.Note] = []
    server = f"http://127.0.0.1:{free_port()}/"
    async with terminal(server, Time(), notes, patience_s=10) as device:
        with pytest.raises(http.Stopped, match="SN1: gave up after 7 s, at last: refused"):
            await device.upload(items(1))
    assert [type(said).__name__ for said in notes] == ["Sent", "Failed"] * 4


async def test_without_a_subscription_it_asks_validity_and_then_sends() -> None:
    time = Time()
    script = {
        "punch": [error(403, "inactive_subscription"), success()],
        "validity": [
            says({"ok": True, "valid": False}),
            error(503, "unavailable"),
            says({"ok": True}),
            says({"ok": True, "valid": True}),
        ],
    }
    async with (
        gateway(script) as (server, asked),
        terminal(server, time, []) as device,
    ):
        await device.upload(items(1))
    assert asked.operations == ["punch", *["validity"] * 4, "punch"]
    assert time.pauses == [60] * 4


async def test_a_device_that_nobody_has_claimed_keeps_its_punches_and_comes_later() -> None:
    time = Time()
    script = {"punch": [error(404, "unknown_device"), error(404, "unknown_device"), success()]}
    async with (
        gateway(script) as (server, asked),
        terminal(server, time, []) as device,
    ):
        await device.upload(items(1))
    assert len(asked.bodies) == 3
    assert time.pauses == [60, 60]


async def test_a_wrong_token_is_not_tried_in_a_loop() -> None:
    async with (
        gateway({"punch": [error(401, "invalid_token")]}) as (server, asked),
        terminal(server, Time(), []) as device,
    ):
        with pytest.raises(http.Stopped, match="SN1: the token is not valid"):
            await device.upload(items(1))
    assert asked.operations == ["punch"]


async def test_a_refused_punch_is_put_aside_and_blocks_nothing() -> None:
    notes: list[note.Note] = []
    first, second = items(2)
    script = {"punch": [error(400, "invalid_punch"), success()]}
    async with gateway(script) as (server, _), terminal(server, Time(), notes) as device:
        await device.upload([first])
        await device.upload([second])
    assert notes[1] == note.Refused("SN1", [first], "invalid_punch")
    assert isinstance(notes[-1], note.Acknowledged)


async def test_what_is_too_much_at_once_is_split_until_it_fits() -> None:
    notes: list[note.Note] = []

    async def at_most_two(request: web.Request) -> web.StreamResponse:
        sent = json.loads(await request.read())
        small = isinstance(sent, dict) or len(sent) <= 2
        answer = success() if small else error(413, "batch_too_large")
        return await answer(request)

    kept = items(7)
    async with (
        gateway({"punch": [at_most_two]}) as (server, _),
        terminal(server, Time(), notes) as device,
    ):
        await device.upload(kept)
    acknowledged = [
        one for said in notes if isinstance(said, note.Acknowledged) for one in said.items
    ]
    assert acknowledged == kept


async def test_one_punch_that_is_too_large_by_itself_is_put_aside() -> None:
    notes: list[note.Note] = []
    async with (
        gateway({"punch": [error(413, "body_too_large")]}) as (server, _),
        terminal(server, Time(), notes) as device,
    ):
        await device.upload(items(1))
    assert isinstance(notes[-1], note.Refused)


async def test_config_tells_what_the_clock_should_show() -> None:
    async with (
        gateway({"config": [error(503, "unavailable"), says(CONFIG)]}) as (server, _),
        terminal(server, Time(), []) as device,
    ):
        settings = await device.config()
    # 1782014402 is 2026-06-21 04:00:02 UTC, and Kolkata is five and a half hours ahead.
    assert f"{settings.wall_time}" == "2026-06-21 09:30:02"
    assert settings.batch_max == 1000


@pytest.mark.parametrize("said", [{"ok": True}, {"ok": True, "utc_offset": "x"}])
async def test_an_answer_that_is_no_configuration_stops_the_terminal(
    said: dict[str, object],
) -> None:
    async with (
        gateway({"config": [says(said)]}) as (server, _),
        terminal(server, Time(), []) as device,
    ):
        with pytest.raises(http.Stopped, match="no configuration"):
            await device.config()


async def test_a_heartbeat_is_sent_once_and_may_be_lost() -> None:
    script = {"heartbeat": [says({"ok": True}), error(503, "unavailable"), hang_up]}
    async with (
        gateway(script) as (server, asked),
        terminal(server, Time(), []) as device,
    ):
        assert [await device.heartbeat() for _ in range(3)] == [True, False, False]
    assert asked.bodies == [b"", b"", b""]


async def test_a_fleet_sends_every_planned_punch_once_and_counts_it() -> None:
    planned = day.plan(date(2026, 6, 22), 1, people=12, devices=2, seed=4)
    counter = fleet.Counter()
    time = Time()
    around = http.Surroundings(time.clock, time.pause, lambda: 0.5, counter)
    script = {
        "config": [says(CONFIG)],
        "heartbeat": [says({"ok": True})],
        "punch": [error(503, "unavailable"), success(), success("duplicate")],
    }
    async with gateway(script) as (server, asked), fleet.open_session() as session:
        devices = [
            http.Terminal(session, server, http.Credentials(serial, "t"), around)
            for serial in ("SN1", "SN2")
        ]
        pace = fleet.Pace(0, time.clock, time.pause)
        reasons = await fleet.play(devices, planned, batch=5, pace=pace, pause=time.pause)
    assert reasons == ()
    tally = counter.tally
    assert tally.sent == tally.acknowledged == len(planned)
    assert tally.retries == 1
    assert 0 < tally.duplicates < len(planned)
    assert {"heartbeat", "config", "punch"} == set(asked.operations)


async def test_a_terminal_that_stops_does_not_stop_the_others() -> None:
    planned = day.plan(date(2026, 6, 22), 1, people=6, devices=2, seed=4)
    counter = fleet.Counter()
    time = Time()
    around = http.Surroundings(time.clock, time.pause, lambda: 0.5, counter)

    async def by_serial(request: web.Request) -> web.StreamResponse:
        good = request.headers["sn"] == "SN2"
        answer = success() if good else error(401, "invalid_token")
        return await answer(request)

    script: dict[str, list[Handler]] = {
        "config": [says(CONFIG)],
        "heartbeat": [says({"ok": True})],
        "punch": [by_serial],
    }
    async with gateway(script) as (server, _), fleet.open_session() as session:
        devices = [
            http.Terminal(session, server, http.Credentials(serial, "t"), around)
            for serial in ("SN1", "SN2")
        ]
        pace = fleet.Pace(0, time.clock, time.pause)
        reasons = await fleet.play(devices, planned, batch=1, pace=pace, pause=time.pause)
    assert len(reasons) == 1
    assert reasons[0].startswith("SN1: the token is not valid")
    assert counter.tally.acknowledged == sum(punch.device == 1 for punch in planned)


async def test_a_pace_lets_so_many_pass_in_a_second_and_no_more() -> None:
    time = Time()
    pace = fleet.Pace(10, time.clock, time.pause)
    for _ in range(5):
        await pace.turn(2)
    assert time.now == pytest.approx(0.8)
    await pace.turn(1)
    assert time.now == pytest.approx(1.0)


def test_waits_of_the_contract_are_the_default() -> None:
    assert retry.Backoff() == retry.Backoff(first_s=1.0, longest_s=60.0, later_s=60.0)
