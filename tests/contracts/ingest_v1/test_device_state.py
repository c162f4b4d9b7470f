"""`heartbeat`, `validity` and `config`, byte for byte, at set times of day and in far zones.

Real: the app, the store. It is 2026-06-21, noon in UTC, unless a test turns the clock.
"""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from punchgate.domain.ids import DeviceId
from punchgate.usecases import devices
from tests.contracts.ingest_v1.conftest import OK, PUNCH, SERIAL, Stage
from tests.gateway import MAIN, NOON

SECOND = {"sn": "SN2", "auth-token": "token-two"}
PRINTED_AT = int(datetime(2026, 6, 21, 4, 0, 2, 999_000, tzinfo=UTC).timestamp() * 1000)


async def add(stage: Stage, **changes: Any) -> None:
    await stage.gateway.add_device("SN2", token="token-two", **changes)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("body", [b"", b"{}", b"\xff no json"])
async def test_a_heartbeat_ignores_its_body(stage: Stage, method: str, body: bytes) -> None:
    answer = await stage.ask("heartbeat", method, body=body)
    assert (answer.status, answer.body) == (200, OK)
    assert "punch-status" not in answer.headers


@pytest.mark.parametrize("operation", ["heartbeat", "validity", "config"])
async def test_get_post_and_head_say_the_same(stage: Stage, operation: str) -> None:
    stage = stage.with_settings(monotonic=lambda: 0.0, rate_requests=0)
    get = await stage.ask(operation, "GET")
    post = await stage.ask(operation, "POST")
    head = await stage.ask(operation, "HEAD")
    assert post == get
    assert (head.status, head.body, head.headers) == (200, b"", get.headers)
    assert head.headers["content-length"] == str(len(get.body))
    refused = await stage.ask(operation, "HEAD", {})
    assert (refused.status, refused.body) == (400, b"")


async def test_a_request_of_any_kind_makes_a_device_heard(stage: Stage) -> None:
    context, clock = stage.gateway.context, stage.gateway.clock
    for operation in ("heartbeat", "validity", "config", "punch"):
        clock.ms += 1_000
        await stage.ask(operation, "POST", body=b"{}")
        # One that only claims to be it does not.
        await stage.ask(operation, "POST", {"sn": SERIAL, "auth-token": "wrong"})
        await context.presence.flush(context.writer, now=clock())
        (listed,) = await devices.list_devices(context, MAIN)
        assert listed.last_seen_at == clock()
    # Heartbeats are not rows.
    assert stage.rows("SELECT count(*) FROM presence") == [(1,)]


async def test_the_printed_validity_comes_out(stage: Stage) -> None:
    stage.gateway.clock.ms = PRINTED_AT
    await add(stage, zone="Asia/Kolkata", valid_until=date(2026, 12, 31))
    assert (await stage.ask("validity", headers=SECOND)).body == (
        b'{"ok":true,"valid":true,"status":"active","valid_until":"2026-12-31","days_left":193,'
        b'"server_time":"2026-06-21T04:00:02Z"}'
    )


async def test_the_printed_end_of_validity_comes_out_with_200(stage: Stage) -> None:
    stage.gateway.clock.ms = PRINTED_AT
    await add(stage, zone="Asia/Kolkata", valid_until=date(2026, 5, 31))
    answer = await stage.ask("validity", headers=SECOND)
    assert answer.status == 200
    assert answer.body == (
        b'{"ok":true,"valid":false,"status":"expired","valid_until":"2026-05-31","days_left":0,'
        b'"server_time":"2026-06-21T04:00:02Z"}'
    )


async def test_a_device_without_an_end_is_active_for_ever(stage: Stage) -> None:
    assert (await stage.ask("validity")).body == (
        b'{"ok":true,"valid":true,"status":"active","valid_until":null,"days_left":null,'
        b'"server_time":"2026-06-21T12:00:00Z"}'
    )


async def test_a_suspended_device_says_so_whatever_its_date(stage: Stage) -> None:
    await add(stage, is_suspended=True, valid_until=date(2026, 6, 30))
    assert (await stage.ask("validity", headers=SECOND)).body == (
        b'{"ok":true,"valid":false,"status":"suspended","valid_until":"2026-06-30","days_left":9,'
        b'"server_time":"2026-06-21T12:00:00Z"}'
    )


@pytest.mark.parametrize(
    ("zone", "until", "status", "days_left"),
    [
        ("UTC", date(2026, 6, 21), "active", 0),
        ("UTC", date(2026, 6, 22), "active", 1),
        ("UTC", date(2026, 6, 20), "expired", 0),
        # There it is the 22nd, two in the morning.
        ("Pacific/Kiritimati", date(2026, 6, 21), "expired", 0),
        ("Pacific/Kiritimati", date(2026, 6, 22), "active", 0),
        # And here the 21st, one in the morning.
        ("Pacific/Pago_Pago", date(2026, 6, 20), "expired", 0),
        ("Pacific/Pago_Pago", date(2026, 6, 21), "active", 0),
    ],
)
async def test_the_last_day_is_the_device_s_own_and_still_counts(
    stage: Stage, zone: str, until: date, status: str, days_left: int
) -> None:
    await add(stage, zone=zone, valid_until=until)
    given = (await stage.ask("validity", headers=SECOND)).json()
    assert (given["status"], given["days_left"]) == (status, days_left)
    assert given["valid"] == (status == "active")
    punched = await stage.post({**PUNCH, "att_time": "2026-06-20 09:00:00"}, SECOND)
    assert punched.status == (200 if status == "active" else 403)


async def test_the_last_second_of_the_last_day_is_in_the_device_s_zone(stage: Stage) -> None:
    await add(stage, zone="Asia/Kolkata", valid_until=date(2026, 6, 21))
    midnight = int(datetime(2026, 6, 21, 18, 30, tzinfo=UTC).timestamp() * 1000)
    stage.gateway.clock.ms = midnight - 1
    assert (await stage.post(PUNCH, SECOND)).status == 200
    stage.gateway.clock.ms = midnight
    assert (await stage.post(PUNCH, SECOND)).json()["error"]["code"] == "inactive_subscription"


@pytest.mark.parametrize("changes", [{"is_suspended": True}, {"valid_until": date(2026, 5, 31)}])
async def test_without_a_subscription_only_punches_are_refused(
    stage: Stage, changes: dict[str, Any]
) -> None:
    await add(stage, **changes)
    for operation in ("heartbeat", "validity", "config"):
        assert (await stage.ask(operation, headers=SECOND)).status == 200
    for body in (PUNCH, [PUNCH], [], b"no json"):
        assert (await stage.post(body, SECOND)).status == 403
    assert stage.rows("SELECT count(*) FROM punch") == [(0,)]


async def test_the_printed_config_comes_out(stage: Stage) -> None:
    stage.gateway.clock.ms = PRINTED_AT
    await stage.gateway.add_device(
        "SN2",
        id="main-door",
        token="token-two",
        name="Main Gate",
        zone="Asia/Kolkata",
        valid_until=date(2026, 12, 31),
    )
    for poll_interval_s in (301, 302, 303, 304, 305, 300):
        await devices.set_device(
            stage.gateway.context,
            MAIN,
            DeviceId("main-door"),
            devices.Changes(poll_interval_s=poll_interval_s),
            actor="test",
            now=NOON,
        )
    # As the page prints it, with this device's serial and id.
    assert (await stage.ask("config", headers=SECOND)).body == (
        b'{"ok":true,"sn":"SN2","device_id":"main-door","name":"Main Gate",'
        b'"zone":"Asia/Kolkata","utc_offset":"+05:30","server_time":"2026-06-21T04:00:02Z",'
        b'"server_epoch":1782014402,"poll_interval_s":300,"heartbeat_interval_s":60,'
        b'"offline_after_s":180,"att_state":{"0":"check-in","1":"check-out","2":"break-out",'
        b'"3":"break-in","4":"overtime-in","5":"overtime-out","255":"unspecified"},'
        b'"input_type":{"0":"finger","1":"face","3":"card","4":"password","5":"other",'
        b'"9":"unknown","50":"app"},"direction_policy":"as-reported","limits":{"batch_max":1000,'
        b'"body_max_bytes":1048576,"requests":6000,"window_s":60},"subscription":{"valid":true,'
        b'"status":"active","valid_until":"2026-12-31"},"version":7}'
    )


async def test_config_shows_what_was_set(stage: Stage) -> None:
    await add(
        stage,
        zone="America/St_Johns",
        is_suspended=True,
        direction_policy="first-in-last-out",
        directions={1: "check-in", 200: "break-out"},
        verify_methods={1: "finger", 15: "palm"},
        heartbeat_interval_s=20,
        poll_interval_s=600,
    )
    limited = stage.with_settings(
        rate_requests=7, rate_window_s=8, body_max_bytes=9_000, batch_max=10
    )
    given = (await limited.ask("config", headers=SECOND)).json()
    assert given["name"] is None
    assert (given["zone"], given["utc_offset"]) == ("America/St_Johns", "-02:30")
    assert given["poll_interval_s"] == 600
    assert (given["heartbeat_interval_s"], given["offline_after_s"]) == (20, 60)
    assert given["direction_policy"] == "first-in-last-out"
    assert given["limits"] == {
        "batch_max": 10, "body_max_bytes": 9_000, "requests": 7, "window_s": 8,
    }  # fmt: skip
    assert given["subscription"] == {"valid": False, "status": "suspended", "valid_until": None}
    # In the order of the codes.
    assert list(given["att_state"]) == ["0", "1", "2", "3", "4", "5", "200", "255"]
    assert (given["att_state"]["1"], given["att_state"]["200"]) == ("check-in", "break-out")
    assert list(given["input_type"]) == ["0", "1", "3", "4", "5", "9", "15", "50"]
    assert (given["input_type"]["1"], given["input_type"]["15"]) == ("finger", "palm")


async def test_the_maps_in_force_are_the_ones_that_read_a_punch(stage: Stage) -> None:
    await add(stage, directions={1: "check-in"}, verify_methods={50: "face"})
    await stage.post(PUNCH, SECOND)
    assert stage.rows("SELECT direction_code, direction, verify_code, verify FROM punch") == [
        (1, "check-in", 50, "face")
    ]
