"""Who may ask: keys, scopes, open networks, proxies and browsers; limits, routes, bodies, faults.

Real: the app, the store, the key. Invented: the time, and where a request comes from. Terminals are
not called here: what is asked for is refused before, or answered by the store.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from punchgate.contracts.terminals_rest.routes import OPERATIONS
from punchgate.domain.ids import KeyId
from punchgate.domain.key import SCOPES
from punchgate.usecases import accounts, keys
from tests.contracts.terminals_rest.conftest import HERE, OUTSIDE, Stage, error
from tests.gateway import MAIN, NOON

NO_KEY = (401, "No autorizado.")
#: Every operation with names that mean nothing to anybody.
EVERY = [
    (method, "/" + pattern.replace("devices/*", "devices/nadie").replace("users/*", "users/1"))
    for pattern, operations in OPERATIONS.items()
    for method in operations
]
SCOPE_OF = {
    ("GET", "/attendance/all"): "punches:read",
    ("GET", "/devices"): "devices:read",
    ("POST", "/devices"): "devices:write",
    ("GET", "/devices/nadie"): "devices:read",
    ("PUT", "/devices/nadie"): "devices:write",
    ("DELETE", "/devices/nadie"): "devices:write",
    ("GET", "/devices/nadie/attendance"): "punches:read",
    ("GET", "/devices/nadie/status"): "devices:read",
    ("GET", "/devices/nadie/ping"): "devices:read",
    ("GET", "/devices/nadie/info"): "devices:read",
    ("GET", "/devices/nadie/time"): "devices:read",
    ("POST", "/devices/nadie/sync-time"): "devices:command",
    ("GET", "/devices/nadie/users"): "people:read",
    ("POST", "/devices/nadie/users"): "people:write",
    ("PUT", "/devices/nadie/users/1"): "people:write",
    ("DELETE", "/devices/nadie/users/1"): "people:write",
    ("POST", "/devices/nadie/users/1/enroll-finger"): "devices:command",
}


def test_every_operation_has_the_scope_of_the_page() -> None:
    assert set(EVERY) == set(SCOPE_OF)


async def test_from_this_machine_no_key_is_needed(stage: Stage) -> None:
    for peer in (HERE, "127.9.9.9", "::1"):
        for host in ("localhost", "LOCALHOST:8080", "127.0.0.1", "[::1]:8080", "192.168.1.4:5000"):
            found = replace(stage, peer=peer, host=host)
            assert (await found.ask("/devices")).status == 200, (peer, host)


async def test_from_elsewhere_a_key_is_needed_for_everything(stage: Stage) -> None:
    for method, path in EVERY:
        for peer in (OUTSIDE, "192.168.1.4", "10.0.0.1", "::ffff:127.0.0.1", ""):
            answer = await replace(stage, peer=peer).ask(path, method)
            assert error(answer) == NO_KEY, (method, path, peer)
            assert answer.headers["www-authenticate"] == "X-API-Key"


async def test_open_networks_are_as_they_are_set(stage: Stage) -> None:
    stage.set(open_networks=("10.1.0.0/16",))
    assert (await replace(stage, peer="10.1.2.3").ask("/devices")).status == 200
    assert error(await stage.ask("/devices")) == NO_KEY
    stage.set(open_networks=())
    assert error(await stage.ask("/devices")) == NO_KEY
    key = await stage.gateway.add_key()
    assert (await replace(stage, key=key).ask("/devices")).status == 200


@pytest.mark.parametrize("name", ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"])
@pytest.mark.parametrize("value", ["127.0.0.1", "for=127.0.0.1", "::1", "", "1.1 proxy"])
async def test_a_proxy_on_the_same_host_opens_nothing(stage: Stage, name: str, value: str) -> None:
    assert error(await stage.ask("/devices", headers=[(name, value)])) == NO_KEY


FORWARDED: Sequence[tuple[Sequence[tuple[str, str]], int]] = [
    ((), 200),
    ([("X-Forwarded-For", OUTSIDE)], 401),
    ([("X-Forwarded-For", HERE)], 200),
    ([("X-Forwarded-For", f"{HERE}, {OUTSIDE}")], 401),
    ([("X-Forwarded-For", f"{OUTSIDE}, {HERE}")], 401),
    ([("X-Forwarded-For", HERE), ("X-Forwarded-For", OUTSIDE)], 401),
    ([("X-Forwarded-For", "10.9.0.1")], 200),
    ([("X-Forwarded-For", f"10.9.0.1, {HERE}")], 200),
    ([("X-Forwarded-For", "unknown")], 401),
    ([("X-Forwarded-For", f"{HERE}, unknown")], 401),
    ([("X-Forwarded-For", "")], 401),
    ([("Via", "1.1 front")], 401),
    ([("Forwarded", f"for={HERE}")], 401),
    ([("X-Real-IP", HERE)], 401),
    ([("Via", "1.1 front"), ("X-Forwarded-For", "10.9.0.1")], 200),
]


@pytest.mark.parametrize(("headers", "status"), FORWARDED)
async def test_behind_a_trusted_proxy_the_address_that_it_forwards_counts(
    stage: Stage, headers: Sequence[tuple[str, str]], status: int
) -> None:
    stage.set(trusted_proxies=("127.0.0.0/8",), open_networks=("127.0.0.0/8", "10.9.0.0/16"))
    answer = await stage.ask("/devices", headers=headers)
    assert answer.status == status
    # The same words of somebody who is no proxy of ours open nothing.
    if headers:
        assert (
            await replace(stage, peer="10.9.0.2").ask("/devices", headers=headers)
        ).status == 401


PAGES: Sequence[tuple[Sequence[tuple[str, str]], int]] = [
    ([("Sec-Fetch-Site", "same-origin")], 200),
    ([("Sec-Fetch-Site", "cross-site")], 401),
    ([("Sec-Fetch-Site", "same-site")], 401),
    ([("Sec-Fetch-Site", "none")], 401),
    ([("Origin", "http://127.0.0.1:8080")], 200),
    ([("Origin", "https://127.0.0.1:8080")], 200),
    ([("Origin", "http://127.0.0.1")], 401),
    ([("Origin", "http://evil.example")], 401),
    ([("Origin", "null")], 401),
    ([("Origin", "")], 401),
    ([("Origin", "http://127.0.0.1:8080"), ("Sec-Fetch-Site", "cross-site")], 401),
]


@pytest.mark.parametrize(("headers", "status"), PAGES)
async def test_a_web_page_of_somebody_else_does_not_drive_terminals(
    stage: Stage, headers: Sequence[tuple[str, str]], status: int
) -> None:
    answer = await stage.ask("/devices", headers=headers)
    assert answer.status == status
    key = await stage.gateway.add_key()
    assert (await replace(stage, key=key).ask("/devices", headers=headers)).status == 200


async def test_a_name_that_somebody_could_have_chosen_opens_nothing(stage: Stage) -> None:
    for host in (
        "evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example",
        "localhost.", "", ":8080", "[::1", "[localhost]", "127.0.0.1:80:80", "127.1", "2130706433",
    ):  # fmt: skip
        assert error(await replace(stage, host=host).ask("/devices")) == NO_KEY, host


async def test_a_key_comes_in_either_header_and_both_must_agree(stage: Stage) -> None:
    key, other = await stage.gateway.add_key(), await stage.gateway.add_key()
    outside = replace(stage, peer=OUTSIDE)
    good = (
        [("X-API-Key", key)],
        [("X-API-Key", f" {key} ")],
        [("Authorization", f"Bearer {key}")],
        [("authorization", f"bearer  {key}")],
        [("X-API-Key", key), ("Authorization", f"Bearer {key}")],
        [("X-API-Key", key), ("Authorization", "Basic YTpi")],
        [("X-API-Key", key), ("X-API-Key", key)],
    )
    for headers in good:
        assert (await outside.ask("/devices", headers=headers)).status == 200, headers
    bad = (
        [("X-API-Key", key), ("Authorization", f"Bearer {other}")],
        [("X-API-Key", key), ("X-API-Key", other)],
        [("X-API-Key", key), ("Authorization", "Bearer ")],
        [("Authorization", f"Basic {key}")],
        [("Authorization", key)],
    )
    for headers in bad:
        assert error(await outside.ask("/devices", headers=headers)) == NO_KEY, headers
    for query in (f"api_key={key}", f"X-API-Key={key}", f"key={key}"):
        assert error(await outside.ask(f"/devices?{query}")) == NO_KEY


async def test_a_wrong_key_is_refused_from_this_machine_too(stage: Stage) -> None:
    revoked = await stage.gateway.add_key()
    await keys.revoke(
        stage.gateway.context, MAIN, KeyId(revoked.split("_")[1]), actor="test", now=NOON
    )
    expired = await stage.gateway.add_key(expires_at=NOON + 1)
    stage.gateway.clock.ms = NOON + 1
    other = revoked[:-8] + ("A" if revoked[-8] != "A" else "B") + revoked[-7:]
    answers = [
        await replace(stage, key=key).ask("/devices")
        for key in (revoked, expired, other, "", "x", "pgk_", revoked + "x")
    ]
    for answer in answers:
        assert error(answer) == NO_KEY
        assert answer.body == answers[0].body


async def test_a_key_does_what_its_scopes_say_and_no_more(stage: Stage) -> None:
    outside = replace(stage, peer=OUTSIDE)
    for scope in SCOPES:
        outside.key = await stage.gateway.add_key(scopes=[scope])
        for method, path in EVERY:
            answer = await outside.ask(path, method, {})
            if scope == SCOPE_OF[method, path]:
                assert answer.status in {200, 400, 404}, (scope, method, path)
            else:
                assert error(answer) == (403, "Permiso insuficiente."), (scope, method, path)


async def test_a_key_for_some_devices_sees_those_alone(stage: Stage) -> None:
    for name in ("uno", "dos", "tres"):
        await stage.register(name)
    key = await stage.gateway.add_key(devices=["dos", "tres"])
    limited = replace(stage, key=key, peer=OUTSIDE)
    assert [row["id"] for row in (await limited.ask("/devices")).json()["data"]] == ["dos", "tres"]
    assert list((await limited.ask("/")).json()["dispositivos"]) == ["dos", "tres"]
    for path in ("/devices/uno", "/devices/uno/status", "/devices/uno/attendance?source=store"):
        there, never = await limited.ask(path), await limited.ask(path.replace("uno", "xxx"))
        assert error(there) == (404, "Dispositivo 'uno' no encontrado.")
        assert there.json()["disponibles"] == ["dos", "tres"]
        assert there.body == never.body.replace(b"xxx", b"uno")
    for method in ("PUT", "DELETE"):
        assert (await limited.ask("/devices/uno", method, {"name": "x"})).status == 404
    assert (await stage.ask("/devices/uno")).json()["data"]["name"] == "Uno"
    # It could not see what it would make.
    body = {"id": "cuatro", "name": "x", "ip": "10.0.0.1"}
    assert error(await limited.post("/devices", body)) == (403, "Permiso insuficiente.")


async def test_I12_a_device_of_another_account_is_like_one_that_never_was(stage: Stage) -> None:
    gateway = stage.gateway
    other = await accounts.add(gateway.context, "other", actor="test", now=gateway.clock())
    text = (
        await keys.add(
            gateway.context, other.no, keys.New(name="other", scopes=SCOPES), actor="t", now=NOON
        )
    ).text
    await stage.register("nadie", name="Marcada")
    await gateway.add_device("SN1", id="ajeno", name="Marcada")
    await gateway.punch("SN1", {"user_id": "77", "att_time": "2026-06-20 08:00:00"})
    theirs = replace(stage, key=text, peer=OUTSIDE)
    for method, path in EVERY:
        for tail in ("", "?source=store", "?engine=all"):
            body = {"name": "x", "finger_index": 1, "user_id": "1"}
            there = await theirs.ask(path + tail, method, body)
            never = await theirs.ask(path.replace("nadie", "jamas") + tail, method, body)
            assert there.body == never.body.replace(b"jamas", b"nadie"), (method, path)
            assert there.status == never.status
            assert there.headers.keys() == never.headers.keys()
            assert b"Marcada" not in there.body
            assert b"77" not in there.body.replace(b"r=77", b"")
    seen = await theirs.ask("/devices/ajeno/attendance?source=store")
    assert error(seen)[0] == 404
    assert seen.json()["disponibles"] == []
    # What is taken there is free here.
    made = await theirs.post("/devices", {"id": "nadie", "name": "Propia", "ip": "10.0.0.9"})
    assert made.status == 200
    assert (await stage.ask("/devices/nadie")).json()["data"]["name"] == "Marcada"
