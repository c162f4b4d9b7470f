"""Which terminals we call: what is written, what is refused, what the audit says.

Real: the store. Nobody is called here.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from punchgate.domain.device import is_serial
from punchgate.domain.error import AlreadyExists, Invalid, NotFound
from punchgate.domain.ids import DeviceId
from punchgate.domain.reach import NotCallable, Reach
from punchgate.domain.terminal import Terminal, Watermark
from punchgate.store import problems
from punchgate.usecases import accounts, audit, devices
from punchgate.usecases import terminal_register as register
from punchgate.usecases.terminal_register import Changes, New, SerialTaken
from tests import gateway
from tests.gateway import MAIN, Gateway

_KEY = 135_790
ID = DeviceId("principal")


async def _add(of: Gateway, *, id: str = ID, serial: str | None = "SN1", **values: Any) -> Any:  # noqa: A002 (as New says it)
    changes = Changes(**{"host": "10.0.0.7", "comm_key": _KEY, **values})
    new = New(id=id, serial=serial, terminal=changes)
    return await register.add(of.context, MAIN, new, actor="test", now=of.clock())


async def _set(of: Gateway, device: devices.Changes | None = None, **values: Any) -> Any:
    return await register.set_terminal(
        of.context, MAIN, ID, Changes(**values), device=device, actor="test", now=of.clock()
    )


async def test_a_terminal_is_a_device_with_an_address(tmp_path: Path) -> None:
    async with gateway.open(tmp_path) as of:
        added = await _add(of)
        found = await register.get(of.context, MAIN, ID)
        assert found.device == added.device
        assert (found.device.engine, found.device.heartbeat_interval_s) == ("zk", 900)
        terminal = found.terminal
        assert (terminal.host, terminal.port, terminal.comm_key) == ("10.0.0.7", 4370, _KEY)
        # It is read as soon as somebody looks.
        assert terminal.due_at == of.clock()
        assert [each.terminal.host for each in await register.list_terminals(of.context, MAIN)] == [
            "10.0.0.7"
        ]


async def test_a_comm_key_is_in_no_entry_of_the_audit_and_in_no_text(tmp_path: Path) -> None:
    async with gateway.open(tmp_path) as of:
        await _add(of)
        changed = await _set(of, comm_key=246_800, host="10.0.0.8")
        entries = await audit.list_entries(of.context, MAIN)
        assert [each.action for each in entries] == ["terminal.set", "terminal.add", "device.add"]
        said = json.dumps([[each.before, each.after] for each in entries]) + repr(changed)
        assert "135790" not in said
        assert "246800" not in said
        assert entries[0].after is not None
        assert entries[0].after["comm_key"] is True


async def test_without_a_serial_a_provisional_one_is_made_and_known_as_such(
    tmp_path: Path,
) -> None:
    async with gateway.open(tmp_path) as of:
        one = (await _add(of, id="one", serial=None)).device
        two = (await _add(of, id="two", serial=None)).device
        assert one.serial != two.serial
        assert is_serial(one.serial)
        assert register.is_provisional(one)
        assert not register.is_provisional((await _add(of, id="three", serial="SN3")).device)


async def test_the_first_contact_decides_about_a_serial(tmp_path: Path) -> None:
    async with gateway.open(tmp_path) as of:
        await _add(of, serial=None)
        await _add(of, id="other", serial="TAKEN")
        take = register.take_serial
        with pytest.raises(SerialTaken, match="'other'"):
            await take(of.context, MAIN, ID, "TAKEN", is_first=True, now=of.clock())
        other = await accounts.add(of.context, "other", actor="test", now=of.clock())
        theirs = devices.New(serial="THEIRS", id="secret-gate")
        await devices.add(of.context, other.no, theirs, actor="test", now=of.clock())
        with pytest.raises(SerialTaken) as caught:
            await take(of.context, MAIN, ID, "THEIRS", is_first=True, now=of.clock())
        assert str(caught.value) == "The terminal's serial THEIRS is in use already."
        device = await take(of.context, MAIN, ID, "OWN", is_first=True, now=of.clock())
        assert (device.serial, device.version) == ("OWN", 2)
        device = await take(of.context, MAIN, ID, "ELSE", is_first=True, now=of.clock())
        assert device.serial == "OWN"
        (problem,) = await of.context.database.read(
            lambda tx: problems.list_problems(tx, MAIN, only_open=True, limit=9)
        )
        assert (problem.kind, problem.subject) == ("serial_differs", "device:principal")
        await take(of.context, MAIN, ID, "OWN", is_first=False, now=of.clock())
        assert not await of.context.database.read(
            lambda tx: problems.list_problems(tx, MAIN, only_open=True, limit=9)
        )


async def test_a_change_has_it_called_again_and_keeps_the_rest(tmp_path: Path) -> None:
    async with gateway.open(tmp_path) as of:
        await _add(of, timeout_s=3)
        of.clock.ms += 5_000
        after = (await _set(of, devices.Changes(name="Door"), port=4371)).terminal
        assert (after.port, after.timeout_s, after.comm_key) == (4371, 3, _KEY)
        assert (after.due_at, after.failures, after.updated_at) == (of.clock(), 0, of.clock())
        found = await register.get(of.context, MAIN, ID)
        assert found.device.name == "Door"
        assert (await _set(of, backfill_s=0)).terminal.due_at is None


def test_another_order_of_the_rows_has_all_of_them_read_again() -> None:
    mark = Watermark(1, 2, "a", None)
    before = replace(Terminal(MAIN, ID, "h"), watermark=mark)
    allowed = Reach()
    assert register.apply(before, Changes(port=1), allowed, now=1).watermark == mark
    swapped = register.apply(before, Changes(order16="state_method"), allowed, now=1)
    assert swapped.watermark is None


@pytest.mark.parametrize(
    "values",
    [
        {"host": None},
        {"host": "no host"},
        {"port": 0},
        {"port": 65_536},
        {"comm_key": -1},
        {"comm_key": 2**32},
        {"timeout_s": 0.9},
        {"timeout_s": 61},
        {"backfill_s": 29},
        {"backfill_s": 86_401},
        {"encoding": "nonsense"},
        {"encoding": "base64"},
        {"disable_for": "ever"},
        {"order16": "x"},
        {"unlock_unit": "hour"},
    ],
)
async def test_a_value_that_will_not_do_is_invalid(values: dict[str, Any], tmp_path: Path) -> None:
    async with gateway.open(tmp_path) as of:
        with pytest.raises(Invalid):
            await _add(of, **values)
        assert await devices.list_devices(of.context, MAIN) == []


async def test_what_is_taken_or_not_there_is_said(tmp_path: Path) -> None:
    async with gateway.open(tmp_path) as of:
        await _add(of)
        with pytest.raises(AlreadyExists):
            await _add(of, serial="SN2")
        with pytest.raises(NotCallable):
            await _set(of, host="169.254.0.1")
        await of.add_device("SN9")
        assert await register.find(of.context, MAIN, DeviceId("sn9")) is None
        with pytest.raises(NotFound):
            await register.get(of.context, MAIN, DeviceId("sn9"))
        with pytest.raises(NotFound):
            await register.get(of.context, MAIN, DeviceId("nobody"))


async def test_a_removed_device_leaves_no_terminal_and_no_open_problem(tmp_path: Path) -> None:
    async with gateway.open(tmp_path) as of:
        await _add(of)
        await register.take_serial(of.context, MAIN, ID, "ELSE", is_first=False, now=of.clock())
        await devices.remove(of.context, MAIN, ID, actor="test", now=of.clock())
        assert await register.list_terminals(of.context, MAIN) == []
        assert not await of.context.database.read(
            lambda tx: problems.list_problems(tx, MAIN, only_open=True, limit=9)
        )
        again = await _add(of, comm_key=0)
        assert (again.device.id, again.terminal.comm_key) == (ID, 0)
