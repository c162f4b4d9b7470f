"""Who is on a terminal, its clock and what it is: every field, every answer, every failure.

Real: the app, the engine, the store, sockets on loopback. The terminals are virtual; what reaches
them is looked up in their memory.
"""

import socket
from dataclasses import replace
from typing import Any

import pytest

from punchgate.domain.ids import UserCode
from punchgate.protocols.zk import users
from punchgate.simulators.zk import VirtualTerminal
from punchgate.usecases import people
from tests import ports
from tests.contracts.terminals_rest.conftest import HERE, OUTSIDE, Stage, data, error
from tests.gateway import MAIN
from tests.simulators import virtual

JUAN: dict[str, Any] = {"user_id": "123", "name": "Juan Perez"}


def on(terminal: VirtualTerminal, code: str) -> users.User | None:
    """Look somebody up in a terminal's memory."""
    found = [users.read(row) for row in terminal.memory.people.values()]
    return next((each for each in found if each.user_id == code), None)


async def test_users_are_listed_as_printed(stage: Stage) -> None:
    async with virtual.playing(users=0, records=0) as played:
        await stage.play(played, "principal")
        people_there = played.terminal.memory.people
        change = users.UserChange(name="Juan Perez", card=12345)
        people_there[1] = users.changed(users.new(1, "123"), change)
        change = users.UserChange(name="Maria Garcia", permission=14, password="99")
        people_there[2] = users.changed(users.new(2, "456"), change)
        answer = await stage.ask("/devices/principal/users")
    assert answer.body == (
        b'{"success":true,"total":2,"data":[{"uid":1,"user_id":"123","name":"Juan Perez",'
        b'"privilege":0,"card":12345,"device_id":"principal"},{"uid":2,"user_id":"456",'
        b'"name":"Maria Garcia","privilege":14,"card":0,"device_id":"principal"}]}'
    )
    # The terminal is off by now, and what it said last is kept.
    kept = await stage.ask("/devices/principal/users?source=store")
    assert kept.body == answer.body
    bad = await stage.ask("/devices/principal/users?source=x")
    assert error(bad) == (400, "source debe ser live o store.")


async def test_a_user_is_put_on_the_terminal_and_is_a_person(stage: Stage) -> None:
    async with virtual.playing(users=2) as played:
        await stage.play(played, "principal")
        body = {**JUAN, "password": 1234, "privilege": 14, "card": "4294967295"}
        answer = await stage.post("/devices/principal/users", body)
        assert answer.body == (
            b'{"success":true,"message":"Usuario registrado.","data":{"user_id":"123",'
            b'"name":"Juan Perez","device_id":"principal"}}'
        )
        kept = on(played.terminal, "123")
        assert kept is not None
        assert (kept.uid, kept.name, kept.card) == (3, "Juan Perez", 4294967295)
        assert kept.permission == 14
        again = await stage.post("/devices/principal/users", body)
        assert error(again) == (409, "user_id '123' ya existe.")
    person = await people.get(stage.gateway.context, MAIN, UserCode("123"))
    assert person.name == "Juan Perez"
    (row,) = data(await stage.ask("/devices/principal/users?source=store"))
    assert row["card"] == 4294967295
    assert "password" not in row


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Juan\u00a0Perez", "Juan Perez"),  # as tables of other programs have it
        ("\u202eJuan\u200f Perez ", "Juan Perez"),
        ("\u2028\u200b", None),
    ],
)
async def test_a_name_that_the_terminal_took_is_no_refusal(
    stage: Stage, said: str, kept: str | None
) -> None:
    async with virtual.playing(users=1) as played:
        await stage.play(played, "principal")
        answer = await stage.post("/devices/principal/users", {**JUAN, "name": said})
        assert answer.status == 200
        assert on(played.terminal, "123") is not None
    person = await people.get(stage.gateway.context, MAIN, UserCode("123"))
    assert person.name == kept


async def test_a_person_with_a_name_keeps_it(stage: Stage) -> None:
    context, clock = stage.gateway.context, stage.gateway.clock
    await people.add(
        context, MAIN, "123", people.Changes(name="J. Perez"), actor="test", now=clock()
    )
    async with virtual.playing(users=0, records=0) as played:
        await stage.play(played, "principal")
        assert (await stage.post("/devices/principal/users", JUAN)).status == 200
    assert (await people.get(context, MAIN, UserCode("123"))).name == "J. Perez"


async def test_a_name_that_is_too_long_is_cut_between_characters_and_shown_so(
    stage: Stage,
) -> None:
    async with virtual.playing(users=0, records=0) as played:
        await stage.play(played, "principal")
        answer = await stage.post("/devices/principal/users", {**JUAN, "name": "ñ" * 30})
    assert data(answer)["name"] == "ñ" * (len(data(answer)["name"]))
    assert len(data(answer)["name"].encode()) <= 24
    assert len(data(answer)["name"]) >= 11


async def test_a_number_is_as_good_a_code_as_its_digits(stage: Stage) -> None:
    async with virtual.playing(users=0, records=0) as played:
        await stage.play(played, "principal")
        answer = await stage.post("/devices/principal/users", {**JUAN, "user_id": 77})
        assert data(answer)["user_id"] == "77"


NO_USER_FIELDS = "user_id y name son requeridos."
BAD = [
    ({"user_id": None}, NO_USER_FIELDS),
    ({"user_id": ""}, NO_USER_FIELDS),
    ({"name": None}, NO_USER_FIELDS),
    ({"name": ""}, NO_USER_FIELDS),
    ({"name": "  "}, NO_USER_FIELDS),
    ({"user_id": "a b"}, "user_id no valido."),
    ({"user_id": "ñ"}, "user_id no valido."),
    ({"user_id": "1" * 25}, "user_id no valido."),
    ({"user_id": True}, "user_id no valido."),
    ({"user_id": 1.5}, "user_id no valido."),
    ({"user_id": []}, "user_id no valido."),
    ({"name": "a\tb"}, "name no valido."),
    ({"name": 5}, "name no valido."),
    ({"password": "123456789"}, "password no valido."),
    ({"password": "12a"}, "password no valido."),
    ({"password": -1}, "password no valido."),
    ({"password": 1.5}, "password no valido."),
    ({"password": True}, "password no valido."),
    ({"privilege": 1}, "privilege debe ser 0 o 14."),
    ({"privilege": "14"}, "privilege debe ser 0 o 14."),
    ({"privilege": True}, "privilege debe ser 0 o 14."),
    ({"privilege": 14.0}, "privilege debe ser 0 o 14."),
    ({"privilege": 14.5}, "privilege debe ser 0 o 14."),
    ({"privilege": []}, "privilege debe ser 0 o 14."),
    ({"card": -1}, "card debe estar entre 0 y 4294967295."),
    ({"card": 4294967296}, "card debe estar entre 0 y 4294967295."),
    ({"card": "x"}, "card debe estar entre 0 y 4294967295."),
    ({"card": 1.0}, "card debe estar entre 0 y 4294967295."),
]


@pytest.mark.parametrize(("change", "text"), BAD)
async def test_a_field_that_will_not_do_is_named_and_nobody_is_called(
    stage: Stage, change: dict[str, Any], text: str
) -> None:
    await stage.register("principal", 1)
    assert error(await stage.post("/devices/principal/users", {**JUAN, **change})) == (400, text)
    if "user_id" not in change and change != {"name": None}:
        answer = await stage.put("/devices/principal/users/123", change)
        if text == NO_USER_FIELDS:
            text = "name no valido."
        assert error(answer) == (400, text)


async def test_what_a_terminal_with_small_rows_cannot_hold_is_named(stage: Stage) -> None:
    async with virtual.playing("users-28", users=3) as played:
        await stage.play(played, "principal")
        path = "/devices/principal/users"
        letters = await stage.post(path, {**JUAN, "user_id": "a1"})
        assert error(letters) == (400, "user_id no valido.")
        # It would be the number 7 there: somebody else's code, and twice the same.
        for zeros in ("007", "00"):
            padded = await stage.post(path, {**JUAN, "user_id": zeros})
            assert error(padded) == (400, "user_id no valido.")
        assert (await stage.post(path, {**JUAN, "user_id": "0"})).status == 200
        long = await stage.post(path, {**JUAN, "password": "123456"})
        assert error(long) == (400, "password no valido.")
        assert (await stage.post(path, {**JUAN, "password": "12345"})).status == 200
        changed = await stage.put(f"{path}/123", {"password": "123456"})
        assert error(changed) == (400, "password no valido.")
        assert len((on(played.terminal, "123") or users.read(b"")).name) <= 8


async def test_a_change_keeps_what_is_not_named(stage: Stage) -> None:
    async with virtual.playing(users=0, records=0) as played:
        await stage.play(played, "principal")
        await stage.post(
            "/devices/principal/users", {**JUAN, "password": "1234", "card": 7, "privilege": 14}
        )
        before = on(played.terminal, "123")
        answer = await stage.put("/devices/principal/users/123", {"name": "Juan P."})
        assert answer.body == b'{"success":true,"message":"Usuario \'123\' actualizado."}'
        after = on(played.terminal, "123")
        assert before is not None
        assert after is not None
        assert after.name == "Juan P."
        assert (after.card, after.permission, after.uid) == (7, 14, before.uid)
        assert b"1234" in after.row
        await stage.put("/devices/principal/users/123", {"password": "", "card": 0})
        bare = on(played.terminal, "123")
        assert bare is not None
        assert bare.card == 0
        assert b"1234" not in bare.row
    (row,) = data(await stage.ask("/devices/principal/users?source=store"))
    assert (row["name"], row["card"]) == ("Juan P.", 0)


async def test_a_user_is_taken_off_and_the_person_stays(stage: Stage) -> None:
    async with virtual.playing(users=0, records=0) as played:
        await stage.play(played, "principal")
        await stage.post("/devices/principal/users", JUAN)
        answer = await stage.delete("/devices/principal/users/123")
        assert answer.body == b'{"success":true,"message":"Usuario \'123\' eliminado."}'
        assert on(played.terminal, "123") is None
        again = await stage.delete("/devices/principal/users/123")
        assert error(again) == (404, "Usuario '123' no encontrado.")
        absent = await stage.put("/devices/principal/users/124", {"name": "x"})
        assert error(absent) == (404, "Usuario '124' no encontrado.")
    assert data(await stage.ask("/devices/principal/users?source=store")) == []
    assert (await people.get(stage.gateway.context, MAIN, UserCode("123"))).name == "Juan Perez"


async def test_setting_a_password_or_a_card_needs_more_than_naming_people(stage: Stage) -> None:
    async with virtual.playing(users=0, records=0) as played:
        await stage.play(played, "principal")
        key = await stage.gateway.add_key(scopes=["people:write"])
        names = replace(stage, key=key, peer=OUTSIDE)
        path = "/devices/principal/users"
        for body in ({"password": "1"}, {"card": 5}, {"password": ""}, {"card": 0}):
            for answer in (
                await names.post(path, {**JUAN, **body}),
                await names.put(f"{path}/123", body),
            ):
                assert error(answer) == (403, "Permiso insuficiente.")
        assert (await names.post(path, {**JUAN, "card": None})).status == 200
        both = await stage.gateway.add_key(scopes=["people:write", "credentials:write"])
        keyed = replace(stage, key=both, peer=OUTSIDE)
        assert (await keyed.put(f"{path}/123", {"card": 5})).status == 200


FINGERS = [
    "Pulgar derecho", "Indice derecho", "Medio derecho", "Anular derecho", "Menique derecho",
    "Pulgar izquierdo", "Indice izquierdo", "Medio izquierdo", "Anular izquierdo",
    "Menique izquierdo",
]  # fmt: skip


STARTED = "Modo enrolamiento activado. El usuario debe poner el dedo 3 veces."


async def test_an_enrolment_begins_with_the_finger_by_its_name(stage: Stage) -> None:
    async with virtual.playing(users=0, records=0) as played:
        await stage.play(played, "principal")
        await stage.post("/devices/principal/users", JUAN)
        for index, name in enumerate(FINGERS):
            answer = await stage.post(
                "/devices/principal/users/123/enroll-finger", {"finger_index": index}
            )
            assert list(answer.json()) == ["success", "message", "data"]
            assert answer.json()["message"] == STARTED
            assert data(answer) == {
                "user_id": "123",
                "device_id": "principal",
                "finger_index": index,
                "finger_name": name,
            }
            assert list(data(answer)) == ["user_id", "device_id", "finger_index", "finger_name"]
        absent = await stage.post("/devices/principal/users/9/enroll-finger", {"finger_index": 1})
        assert error(absent) == (404, "Usuario '9' no encontrado.")


@pytest.mark.parametrize("index", [None, -1, 10, "1", True, 1.0, []])
async def test_a_finger_is_a_number_from_0_to_9(stage: Stage, index: Any) -> None:
    await stage.register("principal", 1)
    answer = await stage.post("/devices/principal/users/1/enroll-finger", {"finger_index": index})
    assert error(answer) == (400, "finger_index debe estar entre 0 y 9.")


async def test_ping_time_and_info_say_what_the_terminal_says(stage: Stage) -> None:
    async with virtual.playing(users=5) as played:
        await stage.play(played, "principal", name="Entrada Principal")
        assert (await stage.ask("/devices/principal/ping")).body == (
            b'{"success":true,"message":"Conexion exitosa con \'principal\'.",'
            b'"device_time":"2026-06-21 12:00:00","ip":"127.0.0.1"}'
        )
        assert (await stage.ask("/devices/principal/time")).body == (
            b'{"success":true,"device_id":"principal","device_time":"2026-06-21 12:00:00"}'
        )
        found = data(await stage.ask("/devices/principal/info"))
        assert list(found) == [
            "id", "name", "ip", "serialnumber", "device_name", "platform", "firmware_version",
            "users_count", "device_time",
        ]  # fmt: skip
        memory = played.terminal.memory
        assert found["id"] == "principal"
        assert found["name"] == "Entrada Principal"
        assert found["serialnumber"] == memory.serial
        assert found["firmware_version"] == memory.firmware
        assert found["device_time"] == "2026-06-21 12:00:00"
        assert found["users_count"] == 5


async def test_a_clock_is_set_to_the_time_of_the_devices_zone(stage: Stage) -> None:
    async with virtual.playing(skew_s=3_600) as played:
        await stage.play(played, "principal", zone="America/Lima")
        answer = await stage.ask("/devices/principal/sync-time", "POST", b"means nothing")
        assert answer.body == b'{"success":true,"message":"[principal] Hora sincronizada."}'
        shown = (await stage.ask("/devices/principal/time")).json()["device_time"]
        assert shown == "2026-06-21 07:00:01"


ASKING = [
    ("GET", "/devices/x/attendance", None, "plain"),
    ("GET", "/devices/x/info", None, "plain"),
    ("GET", "/devices/x/time", None, "plain"),
    ("POST", "/devices/x/sync-time", None, "plain"),
    ("POST", "/devices/x/users/1/enroll-finger", {"finger_index": 1}, "plain"),
    ("GET", "/devices/x/ping", None, "ping"),
    ("GET", "/devices/x/users", None, "users"),
    ("POST", "/devices/x/users", JUAN, "users"),
    ("PUT", "/devices/x/users/1", {"name": "a"}, "users"),
    ("DELETE", "/devices/x/users/1", None, "users"),
]


@pytest.mark.parametrize(("method", "path", "body", "dialect"), ASKING)
async def test_connection_errors_are_said_in_three_dialects(
    stage: Stage, method: str, path: str, body: Any, dialect: str
) -> None:
    with socket.create_server((HERE, 0)) as silent:
        port = silent.getsockname()[1]
        await stage.register("x", port, timeout=1)
        late = await stage.ask(path, method, body)
        await stage.put("/devices/x", {"port": ports.free_port()})
        refused = await stage.ask(path, method, body)
    texts = {
        "plain": "Connection timeout",
        "users": f"Connection timeout to device 127.0.0.1:{port}",
        "ping": "timeout: timed out",
    }
    status = 503 if dialect == "ping" else 500
    assert error(late) == (status, texts[dialect])
    assert error(refused) == (status, "[Errno 111] Connection refused")
    if dialect == "ping":
        assert refused.body == (
            b'{"success":false,"error":"[Errno 111] Connection refused","ip":"127.0.0.1"}'
        )
    else:
        assert list(late.json()) == ["success", "error"]


@pytest.mark.parametrize(("method", "path", "body", "dialect"), ASKING)
async def test_what_talks_to_a_terminal_is_not_done_for_other_devices(
    stage: Stage, method: str, path: str, body: Any, dialect: str
) -> None:
    assert dialect
    await stage.gateway.add_device("SN1", id="x")
    answer = await stage.ask(path, method, body)
    assert error(answer) == (501, "Operacion no soportada por este dispositivo.")


async def test_an_erased_person_is_on_no_list(stage: Stage) -> None:
    async with virtual.playing(users=0, records=0) as played:
        await stage.play(played, "principal")
        await stage.post("/devices/principal/users", JUAN)
    context = stage.gateway.context
    await people.erase(context, MAIN, UserCode("123"), actor="test", now=stage.gateway.clock())
    assert data(await stage.ask("/devices/principal/users?source=store")) == []


async def test_a_list_goes_with_its_device(stage: Stage) -> None:
    async with virtual.playing(users=3) as played:
        await stage.play(played, "principal")
        assert len(data(await stage.ask("/devices/principal/users"))) == 3
        await stage.delete("/devices/principal")
        await stage.play(played, "principal")
        assert data(await stage.ask("/devices/principal/users?source=store")) == []
