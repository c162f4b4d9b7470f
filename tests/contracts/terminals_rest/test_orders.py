"""What a terminal is told to do is in the audit: by whom, about whom, with which outcome.

Real: the app, the engine, the store, sockets on loopback. The terminals are virtual.
"""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from punchgate.domain.ids import UserCode
from punchgate.store.audit import Entry
from punchgate.usecases import audit, people
from tests import ports
from tests.contracts.terminals_rest.conftest import HERE, OUTSIDE, Stage, data, error
from tests.gateway import MAIN
from tests.simulators import virtual

JUAN: dict[str, Any] = {"user_id": "48151623", "name": "Juan Perez"}
PATH = "/devices/principal/users"
ORDERS = [
    ("POST", PATH, {**JUAN, "password": "2468"}, "terminal.add_user"),
    ("PUT", f"{PATH}/48151623", {"card": 13579}, "terminal.set_user"),
    ("POST", f"{PATH}/48151623/enroll-finger", {"finger_index": 3}, "terminal.enrol_finger"),
    ("DELETE", f"{PATH}/48151623", None, "terminal.remove_user"),
    ("POST", "/devices/principal/sync-time", None, "terminal.set_time"),
]


async def _orders(stage: Stage) -> list[Entry]:
    """Give the entries of orders, the first one first."""
    entries = await audit.list_entries(stage.gateway.context, MAIN)
    names = {action for *_, action in ORDERS}
    return [each for each in reversed(entries) if each.action in names]


async def test_every_order_leaves_one_entry_with_who_and_without_a_secret_or_a_name(
    stage: Stage,
) -> None:
    key = await stage.gateway.add_key(
        scopes=["devices:command", "people:write", "credentials:write"]
    )
    async with virtual.playing(users=2) as played:
        await stage.play(played, "principal")
        keyed = replace(stage, key=key, peer=OUTSIDE)
        revision = await _revision(stage)
        for method, path, body, _ in ORDERS:
            assert (await keyed.ask(path, method, body)).status == 200
    person = await people.get(stage.gateway.context, MAIN, UserCode("48151623"))
    entries = await _orders(stage)
    assert [each.action for each in entries] == [action for *_, action in ORDERS]
    assert [each.after for each in entries] == [
        {"set": ["name", "password"], "person": person.no},
        {"set": ["card"], "person": person.no},
        {"finger": 3, "person": person.no},
        {"person": person.no},
        None,
    ]
    assert {each.actor for each in entries} == {f"key:{key.split('_')[1]}"}
    assert {each.subject for each in entries} == {"device:principal"}
    assert {each.at for each in entries} == {stage.gateway.clock()}
    said = json.dumps([[each.before, each.after, each.subject] for each in entries])
    for secret in ("2468", "13579", "48151623", "Juan"):
        assert secret not in said
    # Only the person that was added is news to every process.
    assert await _revision(stage) == revision + 1


async def test_somebody_who_is_no_person_here_is_nobody_in_the_audit(stage: Stage) -> None:
    async with virtual.playing(users=2) as played:
        await stage.play(played, "principal")
        assert (await stage.put(f"{PATH}/1001", {"name": "Ana"})).status == 200
        assert (await stage.delete(f"{PATH}/1001")).status == 200
    entries = await _orders(stage)
    assert [each.after for each in entries] == [{"set": ["name"], "person": None}, {"person": None}]
    assert {each.actor for each in entries} == {f"open network {HERE}"}


@pytest.mark.parametrize(("method", "path", "body", "action"), ORDERS)
async def test_an_order_that_failed_on_the_way_is_there_with_its_cause(
    stage: Stage, method: str, path: str, body: Any, action: str
) -> None:
    port = ports.free_port()
    await stage.register("principal", port)
    refused = await stage.ask(path, method, body)
    assert error(refused) == (500, "[Errno 111] Connection refused")
    (entry,) = await _orders(stage)
    assert entry.action == action
    assert entry.after is not None
    assert entry.after["failed"] == "refused"


async def test_what_the_terminal_did_before_it_was_lost_is_there_as_failed(stage: Stage) -> None:
    # The second request of the session is the one that sets the clock.
    async with virtual.playing("drop-within-any:2", skew_s=3_600) as played:
        await stage.play(played, "principal")
        answer = await stage.post("/devices/principal/sync-time", None)
        assert played.terminal.memory.wall_time() == virtual.NOON + timedelta(seconds=1)
    assert error(answer) == (500, "[Errno 104] Connection reset by peer")
    assert [each.after for each in await _orders(stage)] == [{"failed": "reset"}]


async def test_what_was_refused_before_it_began_is_no_order(stage: Stage) -> None:
    async with virtual.playing(users=1) as played:
        await stage.play(played, "principal")
        assert (await stage.put(f"{PATH}/9", {"name": "x"})).status == 404
        assert (await stage.delete(f"{PATH}/9")).status == 404
        assert (await stage.post(PATH, {"user_id": "1001", "name": "x"})).status == 409
        assert (await stage.post(PATH, {"user_id": "a b", "name": "x"})).status == 400
        finger = await stage.post(f"{PATH}/9/enroll-finger", {"finger_index": 1})
        assert finger.status == 404
    assert await _orders(stage) == []


async def test_a_terminal_that_may_be_disabled_is_removed_and_the_answer_says_so(
    stage: Stage,
) -> None:
    port = ports.free_port()
    left = f" No respondio en 127.0.0.1:{port} y puede seguir deshabilitado; reinicielo."
    await stage.register("principal", port)
    await _leave_disabled(stage)
    changed = await stage.put("/devices/principal", {"port": port + 1})
    assert changed.json()["message"] == f"Dispositivo 'principal' actualizado.{left}"
    assert data(changed)["port"] == port + 1
    await stage.put("/devices/principal", {"port": port})
    gone = await stage.delete("/devices/principal")
    assert gone.json() == {
        "success": True,
        "message": f"Dispositivo 'principal' eliminado.{left}",
    }
    entries = await audit.list_entries(stage.gateway.context, MAIN)
    assert [each.action for each in entries[:2]] == ["terminal.left", "device.remove"]


async def test_a_terminal_that_answers_is_enabled_before_it_goes(stage: Stage) -> None:
    async with virtual.playing() as played:
        await stage.play(played, "principal")
        played.terminal.memory.lock(seconds=None)
        await _leave_disabled(stage)
        gone = await stage.delete("/devices/principal")
        assert played.terminal.memory.is_enabled
    assert gone.body == b'{"success":true,"message":"Dispositivo \'principal\' eliminado."}'


async def _leave_disabled(stage: Stage) -> None:
    await stage.gateway.context.writer.run(
        lambda tx: tx.execute(text("UPDATE terminal SET disabled_at = 1"))
    )


async def _revision(stage: Stage) -> int:
    wanted = text("SELECT revision FROM installation")
    return await stage.gateway.context.database.read(
        lambda tx: int(tx.execute(wanted).scalar_one())
    )
