"""The register of terminals: add, list, get, change, remove, state, and `GET /`.

Real: the app, the store, the vault. No terminal is contacted, which is what the page promises.
"""

from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from punchgate.domain.ids import DeviceId
from punchgate.domain.reach import Reach
from punchgate.store import schema
from punchgate.usecases import terminal_register
from tests.contracts.terminals_rest import conftest
from tests.contracts.terminals_rest.conftest import OUTSIDE, Stage, data, error
from tests.gateway import MAIN
from tests.simulators import virtual

GOOD: dict[str, Any] = {"id": "bodega", "name": "Bodega Principal", "ip": "192.168.1.207"}


async def test_a_registration_answers_as_printed_and_contacts_nobody(stage: Stage) -> None:
    answer = await stage.post("/devices", GOOD)
    assert answer.status == 200
    assert answer.body == (
        b'{"success":true,"message":"Dispositivo \'bodega\' registrado.","data":'
        b'{"ip":"192.168.1.207","port":4370,"password":0,"timeout":5,"name":"Bodega Principal",'
        b'"created_at":"2026-06-21 12:00:00"}}'
    )


async def test_times_of_the_register_are_those_of_the_installation(tmp_path: Path) -> None:
    async with conftest.staged(tmp_path, default_zone="America/Lima") as stage:
        answer = await stage.post("/devices", GOOD)
        assert data(answer)["created_at"] == "2026-06-21 07:00:00"
        assert (await stage.ask("/")).json()["timestamp"] == "2026-06-21 07:00:00"


async def test_ids_are_lower_cased_and_blanks_become_underscores(stage: Stage) -> None:
    answer = await stage.post("/devices", {**GOOD, "id": "Puerta Norte"})
    assert answer.json()["message"] == "Dispositivo 'puerta_norte' registrado."
    assert (await stage.ask("/devices/Puerta%20Norte".replace("%20", " "))).status == 200


BAD: list[tuple[dict[str, Any], str]] = [
    ({"id": None}, "id, name e ip son requeridos."),
    ({"id": ""}, "id, name e ip son requeridos."),
    ({"id": "  "}, "id, name e ip son requeridos."),
    ({"name": ""}, "id, name e ip son requeridos."),
    ({"name": None}, "id, name e ip son requeridos."),
    ({"ip": ""}, "id, name e ip son requeridos."),
    ({"id": "ñ"}, "id no valido."),
    ({"id": 5}, "id no valido."),
    ({"id": "-a"}, "id no valido."),
    ({"id": "a/b"}, "id no valido."),
    ({"id": "a" * 65}, "id no valido."),
    ({"name": "a" * 65}, "name no valido."),
    ({"name": "a\nb"}, "name no valido."),
    ({"name": 7}, "name no valido."),
    ({"ip": 7}, "ip no valida."),
    ({"ip": "300.1.1.1"}, "ip no valida."),
    ({"ip": "host name"}, "ip no valida."),
    ({"ip": "a" * 254}, "ip no valida."),
    ({"ip": "http://10.0.0.1"}, "ip no valida."),
    ({"ip": "169.254.1.1"}, "Direccion no permitida."),
    ({"ip": "169.254.169.254"}, "Direccion no permitida."),
    ({"ip": "fe80::1"}, "Direccion no permitida."),
    ({"ip": "::ffff:169.254.1.1"}, "Direccion no permitida."),
    ({"port": 0}, "port debe estar entre 1 y 65535."),
    ({"port": 65536}, "port debe estar entre 1 y 65535."),
    ({"port": "x"}, "port debe estar entre 1 y 65535."),
    ({"port": 43.7}, "port debe estar entre 1 y 65535."),
    ({"port": True}, "port debe estar entre 1 y 65535."),
    ({"password": -1}, "password no valido."),
    ({"password": 4294967296}, "password no valido."),
    ({"password": "12a"}, "password no valido."),
    ({"password": "\u0661"}, "password no valido."),
    ({"password": [1]}, "password no valido."),
    ({"timeout": 0.5}, "timeout debe estar entre 1 y 60."),
    ({"timeout": 61}, "timeout debe estar entre 1 y 60."),
    ({"timeout": "5"}, "timeout debe estar entre 1 y 60."),
    ({"timeout": True}, "timeout debe estar entre 1 y 60."),
    ({"zone": "Marte/Base"}, "zone no valida."),
    ({"zone": 5}, "zone no valida."),
    ({"serial": "no good"}, "serial no valido."),
    ({"serial": 5}, "serial no valido."),
    ({"udp": "yes"}, "udp no valido."),
]


@pytest.mark.parametrize(("change", "text"), BAD)
async def test_a_field_that_will_not_do_is_named(
    stage: Stage, change: dict[str, Any], text: str
) -> None:
    assert error(await stage.post("/devices", {**GOOD, **change})) == (400, text)
    missing = {name: value for name, value in GOOD.items() if name not in change}
    if text.startswith("id, name"):
        assert error(await stage.post("/devices", missing)) == (400, text)
    assert data(await stage.ask("/devices?engine=all")) == []


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"port": "65535"}, {"port": 65535}),
        ({"port": 1}, {"port": 1}),
        ({"port": None}, {"port": 4370}),
        ({"password": 4294967295}, {"password": 4294967295}),
        ({"password": "0123"}, {"password": 123}),
        ({"timeout": 60}, {"timeout": 60}),
        ({"timeout": 1.5}, {"timeout": 1.5}),
        ({"ip": "2001:db8::1"}, {"ip": "2001:db8::1"}),
        ({"ip": "reloj.planta.local"}, {"ip": "reloj.planta.local"}),
        ({"name": " Entrada ñ "}, {"name": "Entrada ñ"}),
        ({"serial": "", "zone": "", "udp": None}, {}),
        ({"serial": "DGD9190019050335169", "zone": "America/Lima", "udp": True}, {}),
        ({"no_such_field": 1, "created_at": "2001-01-01"}, {"created_at": "2026-06-21 12:00:00"}),
    ],
)
async def test_a_field_that_will_do_is_kept(
    stage: Stage, change: dict[str, Any], shown: dict[str, Any]
) -> None:
    saved = data(await stage.post("/devices", {**GOOD, **change}))
    assert {name: saved[name] for name in shown} == shown
    kept = await terminal_register.get(stage.gateway.context, MAIN, DeviceId("bodega"))
    assert kept.terminal.is_udp is bool(change.get("udp"))
    assert kept.device.zone == (change.get("zone") or None)
    if change.get("serial"):
        assert kept.device.serial == change["serial"]


async def test_allowed_networks_narrow_what_may_be_registered(stage: Stage) -> None:
    context = replace(stage.gateway.context, reach=Reach((ip_network("10.1.0.0/16"),)))
    stage.gateway.context = context
    stage.set()
    assert error(await stage.post("/devices", GOOD)) == (400, "Direccion no permitida.")
    assert (await stage.post("/devices", {**GOOD, "ip": "10.1.2.3"})).status == 200
    moved = await stage.put("/devices/bodega", {"ip": "10.2.0.1"})
    assert error(moved) == (400, "Direccion no permitida.")


async def test_a_taken_id_is_a_conflict(stage: Stage) -> None:
    await stage.post("/devices", GOOD)
    again = await stage.post("/devices", {**GOOD, "id": "BODEGA", "name": "Otra"})
    assert error(again) == (409, "Dispositivo 'bodega' ya existe.")
    await stage.gateway.add_device("SN1", id="puerta")
    assert error(await stage.post("/devices", {**GOOD, "id": "puerta"}))[0] == 409
    serial = await stage.post("/devices", {**GOOD, "id": "otra", "serial": "SN1"})
    assert error(serial) == (409, "serial 'SN1' ya existe.")


async def test_devices_are_listed_in_the_order_of_their_registration(stage: Stage) -> None:
    for name in ("principal", "bodega", "almacen"):
        await stage.register(name)
    stage.gateway.clock.ms += 1_000
    await stage.gateway.add_device("SN1", id="aaa")
    listed = await stage.ask("/devices")
    assert listed.body.startswith(
        b'{"success":true,"total":3,"data":[{"id":"principal","name":"Principal",'
        b'"ip":"127.0.0.1","port":4370,"created_at":"2026-06-21 12:00:01"},{"id":"bodega",'
    )
    every = await stage.ask("/devices?engine=all")
    assert [row["id"] for row in data(every)] == ["principal", "bodega", "almacen", "aaa"]
    assert data(every)[-1] == {
        "id": "aaa", "name": "aaa", "ip": None, "port": None, "created_at": "2026-06-21 12:00:04",
    }  # fmt: skip
    absent = (await stage.ask("/devices/x")).json()
    assert absent["disponibles"] == ["principal", "bodega", "almacen", "aaa"]


async def test_of_many_devices_a_404_names_a_hundred(stage: Stage) -> None:
    for number in range(103):
        await stage.gateway.add_device(f"SN{number:03}")
    assert len((await stage.ask("/devices/x")).json()["disponibles"]) == 100


async def test_one_device_is_shown_without_its_comm_key(stage: Stage) -> None:
    await stage.post("/devices", {**GOOD, "password": 123456})
    answer = await stage.ask("/devices/bodega")
    assert answer.body == (
        b'{"success":true,"data":{"id":"bodega","name":"Bodega Principal","ip":"192.168.1.207",'
        b'"port":4370,"timeout":5,"created_at":"2026-06-21 12:00:00","updated_at":null}}'
    )
    await stage.gateway.add_device("SN1", id="puerta")
    other = data(await stage.ask("/devices/puerta"))
    assert (other["ip"], other["port"], other["timeout"]) == (None, None, None)


async def test_a_change_keeps_what_is_not_named(stage: Stage) -> None:
    await stage.post("/devices", GOOD)
    stage.gateway.clock.ms += 60_000
    answer = await stage.put(
        "/devices/bodega", {"ip": "192.168.1.210", "name": "Nuevo Nombre", "id": "ignored"}
    )
    assert answer.body == (
        b'{"success":true,"message":"Dispositivo \'bodega\' actualizado.","data":'
        b'{"ip":"192.168.1.210","port":4370,"password":0,"timeout":5,"name":"Nuevo Nombre",'
        b'"created_at":"2026-06-21 12:00:00","updated_at":"2026-06-21 12:01:00"}}'
    )


async def test_a_comm_key_is_shown_only_to_whoever_sets_it(stage: Stage) -> None:
    await stage.post("/devices", GOOD)
    assert data(await stage.put("/devices/bodega", {"password": "77"}))["password"] == 77
    assert data(await stage.put("/devices/bodega", {"port": 4371}))["password"] is None
    assert data(await stage.put("/devices/bodega", {"password": 0}))["password"] == 0
    assert data(await stage.put("/devices/bodega", {"port": 4371}))["password"] == 0


async def test_an_empty_change_changes_nothing_but_the_time(stage: Stage) -> None:
    await stage.post("/devices", GOOD)
    before = data(await stage.ask("/devices/bodega"))
    stage.gateway.clock.ms += 1_000
    for body in ({}, {"x": 1}, {"name": None}):
        assert (await stage.put("/devices/bodega", body)).status == 200
    after = data(await stage.ask("/devices/bodega"))
    assert after == {**before, "updated_at": "2026-06-21 12:00:01"}


CHANGEABLE = {"name", "ip", "port", "password", "timeout"}
BAD_CHANGES = [
    *((each, text) for each, text in BAD if set(each) <= CHANGEABLE and "requeridos" not in text),
    ({"name": ""}, "name no valido."),
    ({"name": "  "}, "name no valido."),
    ({"ip": ""}, "ip no valida."),
]


@pytest.mark.parametrize(("change", "text"), BAD_CHANGES)
async def test_a_change_that_will_not_do_is_named_and_changes_nothing(
    stage: Stage, change: dict[str, Any], text: str
) -> None:
    await stage.post("/devices", GOOD)
    before = await stage.ask("/devices/bodega")
    assert error(await stage.put("/devices/bodega", change)) == (400, text)
    assert (await stage.ask("/devices/bodega")).body == before.body


async def test_a_device_of_another_engine_has_a_name_and_no_address(stage: Stage) -> None:
    await stage.gateway.add_device("SN1", id="puerta")
    answer = await stage.put("/devices/puerta", {"name": "Puerta"})
    assert data(answer)["name"] == "Puerta"
    assert data(answer)["ip"] is None
    for body in ({"ip": "10.0.0.1"}, {"port": 1}, {"password": 1}, {"timeout": 2}):
        refused = await stage.put("/devices/puerta", body)
        assert error(refused) == (501, "Operacion no soportada por este dispositivo.")
    gone = await stage.delete("/devices/puerta")
    assert gone.body == b'{"success":true,"message":"Dispositivo \'puerta\' eliminado."}'


async def test_a_removed_device_keeps_its_punches_and_may_come_back(stage: Stage) -> None:
    async with virtual.playing(records=20) as played:
        await stage.play(played, "bodega", password=0)
        read = data(await stage.ask("/devices/bodega/attendance"))
        gone = await stage.delete("/devices/Bodega")
        assert gone.body == b'{"success":true,"message":"Dispositivo \'bodega\' eliminado."}'
        assert error(await stage.ask("/devices/bodega"))[0] == 404
        assert error(await stage.delete("/devices/bodega"))[0] == 404
        for _ in range(2):
            await stage.play(played, "bodega", password=0)
            assert data(await stage.ask("/devices/bodega/attendance?source=store")) == read
            assert data(await stage.ask("/devices/bodega/attendance")) == read
            assert (await stage.delete("/devices/bodega")).status == 200


async def test_the_state_is_told_without_asking_the_terminal(stage: Stage) -> None:
    await stage.post("/devices", GOOD)
    assert (await stage.ask("/devices/bodega/status")).body == (
        b'{"success":true,"data":{"id":"bodega","online":false,"last_seen":null,'
        b'"last_error":null,"clock_skew_s":null,"records":null,"queue":0}}'
    )
    async with virtual.playing(records=20, skew_s=-2) as played:
        await stage.play(played, "principal", zone="America/Lima")
        played.clock.forward(-5 * 3_600)
        await stage.ask("/devices/principal/attendance")
        begun = played.terminal.sessions_begun
        await stage.gateway.context.presence.flush(
            stage.gateway.context.writer, now=stage.gateway.clock()
        )
        state = data(await stage.ask("/devices/principal/status"))
        assert played.terminal.sessions_begun == begun
    assert state["last_seen"] == "2026-06-21 07:00:01"
    assert state["records"] == 20
    assert state["clock_skew_s"] == -3
    assert state["last_error"] is None


async def test_the_state_tells_the_last_error_and_no_address(stage: Stage) -> None:
    async with virtual.playing(key=5) as played:
        await stage.play(played, "principal")
        await stage.ask("/devices/principal/attendance")
    state = data(await stage.ask("/devices/principal/status"))
    assert state["last_error"] == "Invalid password"


async def test_the_root_lists_terminals_to_whoever_may_know_them(stage: Stage) -> None:
    await stage.register("principal", name="Entrada Principal")
    await stage.register("bodega", name="Bodega")
    await stage.gateway.add_device("SN1", id="puerta")
    whole = (
        b'{"status":"online","timestamp":"2026-06-21 12:00:02","total_dispositivos":2,'
        b'"dispositivos":{"principal":{"ip":"127.0.0.1","name":"Entrada Principal"},'
        b'"bodega":{"ip":"127.0.0.1","name":"Bodega"}}}'
    )
    short = b'{"status":"online","timestamp":"2026-06-21 12:00:02"}'
    key = await stage.gateway.add_key(scopes=["devices:read"])
    other = await stage.gateway.add_key(scopes=["punches:read"])
    assert (await stage.ask("/")).body == whole
    assert (await replace(stage, peer=OUTSIDE, key=key).ask("/")).body == whole
    assert (await replace(stage, peer=OUTSIDE, key=other).ask("/")).body == short
    assert (await replace(stage, peer=OUTSIDE).ask("/")).body == short
    assert (await replace(stage, key="wrong").ask("/")).body == short
    assert (await stage.ask("/", headers=[("Via", "1.1 front")])).body == short
    # There is no page to send a browser to yet.
    assert (await stage.ask("/", headers=[("Accept", "text/html")])).body == whole


async def test_every_change_is_in_the_audit_with_who_and_without_the_key(stage: Stage) -> None:
    await stage.post("/devices", {**GOOD, "password": 918273})
    key = await stage.gateway.add_key()
    keyed = replace(stage, key=key, peer=OUTSIDE)
    await keyed.put("/devices/bodega", {"password": 564738, "name": "Otra"})
    await keyed.delete("/devices/bodega")
    rows = await stage.gateway.context.database.read(
        lambda tx: tx.execute(schema.audit.select().order_by(schema.audit.c.no)).all()
    )
    who = {(row.action, row.actor) for row in rows}
    key_id = key.split("_")[1]
    assert ("device.add", "open network 127.0.0.1") in who
    assert ("terminal.set", f"key:{key_id}") in who
    assert ("device.remove", f"key:{key_id}") in who
    text = repr([tuple(row) for row in rows])
    assert "918273" not in text
    assert "564738" not in text
