"""Who is calling: serial and token, an API key in the token's place, and what a stranger can learn.

Real: the app, the store, the keys.
"""

from typing import Any

import pytest

from punchgate.domain.ids import DeviceId, KeyId
from punchgate.domain.key import SCOPES
from punchgate.usecases import accounts, devices, keys
from tests import asgi
from tests.asgi import Response
from tests.contracts.ingest_v1.conftest import BASE, OK, PUNCH, SERIAL, Stage
from tests.gateway import MAIN, NOON


def is_in(answer: Response) -> bool:
    """Say whether the credential was accepted; every other answer is the one 401."""
    if answer.status != 200:
        assert (answer.status, answer.json()["error"]["code"]) == (401, "invalid_token")
        assert answer.headers["www-authenticate"] == "auth-token"
        # A stranger never sees the device's share.
        assert answer.headers["ratelimit-policy"].startswith('"source"')
    return answer.status == 200


async def ask(stage: Stage, *headers: tuple[str, str]) -> Response:
    return await stage.ask("heartbeat", headers=[("sn", SERIAL), *headers])


async def test_the_token_may_come_as_a_bearer(stage: Stage) -> None:
    for value in (f"Bearer {stage.token}", f"bearer  {stage.token} ", f"BEARER {stage.token}"):
        assert is_in(await ask(stage, ("Authorization", value)))
    for value in (stage.token, f"Basic {stage.token}", f"Bearer{stage.token}", "Bearer", "Bearer "):
        assert not is_in(await ask(stage, ("Authorization", value)))


async def test_two_tokens_must_be_equal(stage: Stage) -> None:
    own, bearer = ("auth-token", stage.token), ("Authorization", f"Bearer {stage.token}")
    other = ("auth-token", "wrong")
    assert is_in(await ask(stage, own, bearer))
    assert is_in(await ask(stage, own, own))
    assert is_in(await ask(stage, own, ("Authorization", "Basic dXNlcg==")))
    for pair in ((own, other), (other, own), (other, bearer), (bearer, other)):
        assert not is_in(await ask(stage, *pair))
    assert not is_in(await ask(stage, own, ("Authorization", "Bearer wrong")))
    assert not is_in(await ask(stage, own, other, own))


async def test_a_serial_sent_twice_must_be_the_same(stage: Stage) -> None:
    token = ("auth-token", stage.token)
    for pair in ((SERIAL, SERIAL), (SERIAL, f" {SERIAL}\t")):
        assert is_in(await stage.ask("heartbeat", headers=[*[("sn", sn) for sn in pair], token]))
    for pair in ((SERIAL, "SN2"), ("SN2", SERIAL), (SERIAL, SERIAL.lower()), (SERIAL, "")):
        answer = await stage.ask("heartbeat", headers=[*[("sn", sn) for sn in pair], token])
        assert answer.json()["error"]["code"] == "invalid_serial"


async def test_blanks_around_a_value_are_dropped_and_its_case_counts(stage: Stage) -> None:
    headers = {"sn": f" {SERIAL}\t", "auth-token": f"\t{stage.token} "}
    assert is_in(await stage.ask("heartbeat", headers=headers))
    for headers in (
        {"sn": SERIAL.lower(), "auth-token": stage.token},
        {"sn": SERIAL, "auth-token": stage.token.swapcase()},
    ):
        assert (await stage.ask("heartbeat", headers=headers)).status in {401, 404}


async def test_neither_is_taken_from_the_query_or_the_body(stage: Stage) -> None:
    target = f"{BASE}heartbeat?sn={SERIAL}&auth-token={stage.token}"
    answer = await asgi.call(stage.app, "GET", target)
    assert answer.json()["error"]["code"] == "missing_serial"
    answer = await asgi.call(stage.app, "GET", target, {"sn": SERIAL})
    assert not is_in(answer)
    answer = await stage.post({**PUNCH, "auth-token": stage.token}, {"sn": SERIAL})
    assert not is_in(answer)


async def test_every_bad_token_gets_the_same_answer(stage: Stage) -> None:
    await stage.gateway.add_device("SN2", token="token-two")
    bad = ["", "x", stage.token[:-1], stage.token + "x", "token-two", "pgk_", "pgk_x_y", "é"]
    # In this order: each answer says how much of the address's share is left.
    answers = [await ask(stage, ("auth-token", token)) for token in bad] + [await ask(stage)]
    assert not any(is_in(answer) for answer in answers)
    assert {answer.body for answer in answers} == {answers[0].body}
    assert {tuple(answer.headers) for answer in answers} == {tuple(answers[0].headers)}


async def test_a_key_stands_in_for_a_token_if_it_may_write_punches(stage: Stage) -> None:
    for scope in SCOPES:
        key = await stage.gateway.add_key(scopes=[scope])
        assert is_in(await ask(stage, ("auth-token", key))) == (scope == "punches:write")
    key = await stage.gateway.add_key()
    for header in (("auth-token", key), ("Authorization", f"Bearer {key}")):
        assert is_in(await ask(stage, header))
    answer = await stage.post(PUNCH, {"sn": SERIAL, "auth-token": key})
    assert (answer.body, answer.headers["punch-status"]) == (OK, "recorded")


async def test_a_key_limited_to_devices_speaks_for_those_alone(stage: Stage) -> None:
    await stage.gateway.add_device("SN2", id="back-door")
    own = await stage.gateway.add_key(devices=[DeviceId("main-gate")])
    other = await stage.gateway.add_key(devices=[DeviceId("back-door")])
    both = await stage.gateway.add_key(devices=[DeviceId("main-gate"), DeviceId("back-door")])
    for key, expected in ((own, True), (other, False), (both, True)):
        assert is_in(await ask(stage, ("auth-token", key))) == expected


async def test_I12_a_key_of_another_account_is_a_wrong_token(stage: Stage) -> None:
    gateway = stage.gateway
    other = await accounts.add(gateway.context, "other", actor="test", now=NOON)
    new = keys.New(name="other")
    made = await keys.add(gateway.context, other.no, new, actor="test", now=NOON)
    never = await ask(stage, ("auth-token", made.text[:-1] + "x"))
    there = await ask(stage, ("auth-token", made.text))
    assert not is_in(there)
    assert there.body == never.body
    # It does not make an unknown device known either.
    answer = await stage.ask("heartbeat", headers={"sn": "SN9", "auth-token": made.text})
    assert answer.json()["error"]["code"] == "unknown_device"


async def test_a_revoked_or_expired_key_is_a_wrong_token(stage: Stage) -> None:
    gateway = stage.gateway
    revoked = await gateway.add_key()
    key_id = KeyId(revoked.split("_")[1])
    await keys.revoke(gateway.context, MAIN, key_id, actor="test", now=NOON)
    expired = await gateway.add_key(expires_at=NOON + 1_000)
    assert is_in(await ask(stage, ("auth-token", expired)))
    gateway.clock.ms = NOON + 1_000
    for key in (revoked, expired):
        assert not is_in(await ask(stage, ("auth-token", key)))


async def list_unclaimed(stage: Stage) -> list[tuple[Any, ...]]:
    """Write what was heard, as the worker does each second, and give the list."""
    context = stage.gateway.context
    await context.presence.flush(context.writer, now=stage.gateway.clock())
    return [
        (one.serial, one.engine, one.address, one.operation, one.requests)
        for one in await devices.list_unclaimed(context)
    ]


async def test_an_unclaimed_serial_is_listed_and_nothing_of_its_body_kept(stage: Stage) -> None:
    for operation in ("punch", "heartbeat", "config"):
        await stage.ask(operation, "POST", {"sn": "SN2", "auth-token": "secret"}, b'{"user_id":1}')
    await stage.ask("heartbeat", headers={"sn": "not a serial"})
    await stage.ask("heartbeat", headers={"sn": SERIAL, "auth-token": "wrong"})
    assert await list_unclaimed(stage) == [("SN2", "http", "127.0.0.1", "config", 3)]
    assert stage.rows("SELECT count(*) FROM punch") == [(0,)]
    assert stage.rows("SELECT count(*) FROM quarantine") == [(0,)]


async def test_a_device_is_accepted_at_its_next_request_after_it_was_added(stage: Stage) -> None:
    headers = {"sn": "SN2", "auth-token": "token-two"}
    for _ in range(3):
        assert (await stage.post(PUNCH, headers)).status == 404
    await list_unclaimed(stage)
    await stage.gateway.add_device("SN2", token="token-two")
    assert (await stage.post(PUNCH, headers)).headers["punch-status"] == "recorded"
    assert await list_unclaimed(stage) == []


@pytest.mark.parametrize("operation", ["punch", "heartbeat", "validity", "config"])
async def test_a_hidden_device_is_answered_like_a_wrong_token(stage: Stage, operation: str) -> None:
    hidden = stage.with_settings(monotonic=lambda: 0.0, hide_unknown_devices=True)
    wrong = await hidden.ask(operation, "POST", {"sn": SERIAL, "auth-token": "wrong"})
    again = stage.with_settings(monotonic=lambda: 0.0, hide_unknown_devices=True)
    unknown = await again.ask(operation, "POST", {"sn": "SN2", "auth-token": "wrong"})
    assert not is_in(wrong)
    assert unknown == wrong
    # The operator still hears of it.
    assert [row[0] for row in await list_unclaimed(stage)] == ["SN2"]


async def test_a_removed_device_is_unknown(stage: Stage) -> None:
    context = stage.gateway.context
    await devices.remove(context, MAIN, DeviceId("main-gate"), actor="test", now=NOON)
    answer = await stage.ask("heartbeat")
    assert answer.json()["error"]["code"] == "unknown_device"
