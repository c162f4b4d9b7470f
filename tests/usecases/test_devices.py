"""Devices: added, set, removed and added again. A real store; the clock is an argument."""

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest

from punchgate import vault
from punchgate.domain.codes import DEFAULT_DIRECTIONS
from punchgate.domain.device import Device
from punchgate.domain.error import AlreadyExists, Invalid, NotFound
from punchgate.domain.ids import AccountNo, DeviceId, SerialNumber
from punchgate.reports import summary
from punchgate.store import installation
from punchgate.usecases import accounts, audit, devices
from punchgate.usecases.devices import Changes, New
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway


@pytest.fixture(name="gate")
async def _gate(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path) as gate:
        yield gate


async def _set(gate: Gateway, device_id: str, **changes: object) -> Device:
    return await devices.set_device(
        gate.context,
        MAIN,
        DeviceId(device_id),
        Changes(**changes),  # type: ignore[arg-type]  # values of Changes, some of them wrong
        actor="test",
        now=NOON,
    )


async def _remove(gate: Gateway, device_id: str, account: AccountNo = MAIN) -> Device:
    removed = await devices.remove(
        gate.context, account, DeviceId(device_id), actor="test", now=NOON
    )
    return removed.device


async def _add_to(gate: Gateway, account: AccountNo, new: New) -> devices.Added:
    return await devices.add(gate.context, account, new, actor="test", now=NOON)


def _kept(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in directory.iterdir())


async def _actions(gate: Gateway) -> list[str]:
    return [entry.action for entry in await audit.list_entries(gate.context, MAIN)]


async def _revision(gate: Gateway) -> int:
    return await gate.context.database.read(installation.revision)


@pytest.mark.parametrize(
    ("serial", "expected"),
    [
        ("SN7A2300583", "sn7a2300583"),
        ("AB:CD:EF", "ab-cd-ef"),
        ("a.b_c-d", "a.b_c-d"),
        ("X" * 64, "x" * 64),
    ],
)
async def test_a_device_is_called_after_its_serial_unless_named(
    gate: Gateway, serial: str, expected: str
) -> None:
    added = await gate.add_device(serial)
    assert added.device.id == expected
    assert added.device.version == 1


async def test_a_device_gets_a_token_of_which_only_the_digest_is_kept(gate: Gateway) -> None:
    added = await gate.add_device("SN1")
    stored = await devices.get(gate.context, MAIN, added.device.id)
    assert vault.read_id(added.token, "pgd") is not None
    assert stored.token_hash is not None
    assert vault.matches(added.token, stored.token_hash)


async def test_a_token_that_was_brought_along_is_taken_as_it_is(gate: Gateway) -> None:
    added = await gate.add_device("SN1", token="terminal's own 42")
    assert added.token == "terminal's own 42"
    assert added.device.token_hash == vault.digest("terminal's own 42")


@pytest.mark.parametrize(
    "new",
    [
        New(serial=""),
        New(serial="-SN1"),
        New(serial="SN 1"),
        New(serial="SN1\n"),
        New(serial="S" * 65),
        New(serial="SN1", id="Gate"),
        New(serial="SN1", id=""),
        New(serial="SN1", token="short"),
        New(serial="SN1", changes=Changes(zone="Mars/Olympus")),
        New(serial="SN1", changes=Changes(name="x" * 101)),
        New(serial="SN1", changes=Changes(name="esc\x1b[31m")),
    ],
)
async def test_a_device_that_will_not_do_is_refused(gate: Gateway, new: New) -> None:
    before = await _revision(gate)
    with pytest.raises(Invalid):
        await _add_to(gate, MAIN, new)
    assert await devices.list_devices(gate.context, MAIN) == []
    assert await _revision(gate) == before


async def test_a_serial_belongs_to_one_device(gate: Gateway) -> None:
    await gate.add_device("SN1", id="gate")
    with pytest.raises(AlreadyExists, match="SN1 is in use by the device 'gate' already"):
        await gate.add_device("SN1", id="canteen")


async def test_a_device_that_is_called_has_no_token_unless_it_is_given_one(gate: Gateway) -> None:
    called = await gate.add_device("SN1", engine="zk")
    assert (called.token, called.device.token_hash) == ("", None)
    given = await gate.add_device("SN2", engine="zk", token="its-own-token")
    assert given.token == "its-own-token"
    assert given.device.token_hash is not None
    await _remove(gate, "sn2")
    again = await gate.add_device("SN2")
    assert (again.device.engine, again.token) == ("zk", "")


async def test_I12_a_serial_belongs_to_one_account_and_does_not_say_to_whom(gate: Gateway) -> None:
    other = await accounts.add(gate.context, "other", actor="test", now=NOON)
    await gate.add_device("SN1", id="secret-gate")
    with pytest.raises(AlreadyExists) as refused:
        await _add_to(gate, other.no, New(serial="SN1"))
    assert str(refused.value) == "The serial SN1 is in use already."


async def test_two_accounts_may_call_their_devices_the_same(gate: Gateway) -> None:
    other = await accounts.add(gate.context, "other", actor="test", now=NOON)
    await gate.add_device("SN1", id="gate")
    added = await _add_to(gate, other.no, New(serial="SN2", id="gate"))
    assert (await devices.get(gate.context, other.no, added.device.id)).serial == "SN2"
    assert (await devices.get(gate.context, MAIN, added.device.id)).serial == "SN1"


async def test_an_id_belongs_to_one_device(gate: Gateway) -> None:
    await gate.add_device("SN1", id="gate")
    with pytest.raises(AlreadyExists, match="--id"):
        await gate.add_device("SN2", id="gate")


async def test_the_id_of_a_removed_device_is_not_given_to_another(gate: Gateway) -> None:
    await gate.add_device("SN1", id="gate")
    await _remove(gate, "gate")
    with pytest.raises(AlreadyExists):
        await gate.add_device("SN2", id="gate")


async def test_a_new_device_has_no_zone_of_its_own(gate: Gateway) -> None:
    assert (await gate.add_device("SN1")).device.zone is None


async def test_an_unknown_device_is_answered_with_those_that_there_are(gate: Gateway) -> None:
    await gate.add_device("SN1", id="gate")
    with pytest.raises(NotFound, match="There are: gate"):
        await devices.get(gate.context, MAIN, DeviceId("canteen"))


async def test_I12_a_device_of_another_account_is_not_there(gate: Gateway) -> None:
    other = await accounts.add(gate.context, "other", actor="test", now=NOON)
    await gate.add_device("SN1", id="gate")
    for act in (
        devices.get(gate.context, other.no, DeviceId("gate")),
        devices.remove(gate.context, other.no, DeviceId("gate"), actor="test", now=NOON),
        devices.set_device(
            gate.context, other.no, DeviceId("gate"), Changes(name="x"), actor="test", now=NOON
        ),
    ):
        with pytest.raises(NotFound, match="There are none yet"):
            await act
    assert await devices.list_devices(gate.context, other.no) == []


async def test_devices_are_listed_by_id_in_pages(gate: Gateway) -> None:
    for number in range(5):
        await gate.add_device(f"SN{number}")
    first = await devices.list_devices(gate.context, MAIN, limit=3)
    rest = await devices.list_devices(gate.context, MAIN, after=first[-1].device.id)
    ids = [listed.device.id for listed in (*first, *rest)]
    assert ids == ["sn0", "sn1", "sn2", "sn3", "sn4"]


async def test_a_device_says_when_it_was_heard_last(gate: Gateway) -> None:
    added = await gate.add_device("SN1")
    gate.context.presence.heard(MAIN, added.device.id, address="10.0.0.7", now=NOON)
    await gate.context.presence.flush(gate.context.writer, now=NOON)
    (listed,) = await devices.list_devices(gate.context, MAIN)
    assert listed.last_seen_at == NOON
    gate.context.presence.heard(MAIN, added.device.id, address="10.0.0.7", now=NOON - 1)
    await gate.context.presence.flush(gate.context.writer, now=NOON)
    (listed,) = await devices.list_devices(gate.context, MAIN)
    assert listed.last_seen_at == NOON


async def test_every_setting_of_a_device_is_kept(gate: Gateway) -> None:
    await gate.add_device("SN1", id="gate")
    device = await _set(
        gate,
        "gate",
        name="Main Gate",
        zone="Asia/Kolkata",
        site="Plant 2",
        engine="tcp",
        valid_until=date(2026, 12, 31),
        is_suspended=True,
        direction_policy="alternate",
        directions={1: "check-in", 7: "break-out"},
        verify_methods={2: "palm"},
        heartbeat_interval_s=120,
        poll_interval_s=600,
    )
    assert device.version == 2
    assert device.directions == {**DEFAULT_DIRECTIONS, 1: "check-in", 7: "break-out"}
    assert await devices.get(gate.context, MAIN, DeviceId("gate")) == device


async def test_an_empty_value_takes_a_setting_away(gate: Gateway) -> None:
    await gate.add_device(
        "SN1", id="gate", name="Gate", zone="UTC", site="A", valid_until=date(2026, 1, 1)
    )
    await _set(gate, "gate", directions={1: "check-in"}, verify_methods={2: "palm"})
    device = await _set(
        gate, "gate", name="", zone="", site="", valid_until="", directions={}, verify_methods={}
    )
    assert (device.name, device.zone, device.site, device.valid_until) == (None,) * 4
    assert device.directions == DEFAULT_DIRECTIONS
    assert device.verify_methods == {}


async def test_what_was_not_given_stays_as_it_is(gate: Gateway) -> None:
    before = (await gate.add_device("SN1", id="gate", name="Gate", zone="UTC")).device
    after = await _set(gate, "gate", site="A")
    assert (after.name, after.zone, after.token_hash) == ("Gate", "UTC", before.token_hash)


async def test_setting_what_is_so_already_changes_nothing(gate: Gateway) -> None:
    await gate.add_device("SN1", id="gate", name="Gate")
    before = await _revision(gate)
    device = await _set(gate, "gate", name="Gate", directions={1: "check-out"})
    assert device.version == 1
    assert await _revision(gate) == before
    assert await _actions(gate) == ["device.add"]


@pytest.mark.parametrize(
    "changes",
    [
        {"directions": {-1: "check-in"}},
        {"directions": {2**31: "check-in"}},
        {"directions": {1: "in"}},
        {"verify_methods": {1: "retina"}},
        {"direction_policy": "random"},
        {"heartbeat_interval_s": 9},
        {"heartbeat_interval_s": 3601},
        {"poll_interval_s": 59},
        {"zone": "../etc/passwd"},
    ],
)
async def test_a_setting_that_will_not_do_changes_nothing(
    gate: Gateway, changes: dict[str, object]
) -> None:
    before = (await gate.add_device("SN1", id="gate")).device
    with pytest.raises(Invalid):
        await _set(gate, "gate", **changes)
    assert await devices.get(gate.context, MAIN, before.id) == before


async def test_every_change_raises_the_revision_once_and_leaves_one_entry(gate: Gateway) -> None:
    start = await _revision(gate)
    await gate.add_device("SN1", id="gate")
    await _set(gate, "gate", name="Gate")
    await _remove(gate, "gate")
    assert await _revision(gate) == start + 3
    assert await _actions(gate) == ["device.remove", "device.set", "device.add"]


async def test_the_audit_tells_what_was_and_what_is(gate: Gateway) -> None:
    await gate.add_device("SN1", id="gate", name="Old")
    await _set(gate, "gate", name="New")
    entry, _ = await audit.list_entries(gate.context, MAIN)
    assert (entry.actor, entry.subject, entry.at) == ("test", "device:gate", NOON)
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.before["name"], entry.after["name"]) == ("Old", "New")


async def test_I8_a_token_is_in_no_audit_entry_and_in_no_file(
    gate: Gateway, tmp_path: Path
) -> None:
    added = await gate.add_device("SN1", token="marked-token-4711")
    assert "marked-token-4711" not in repr(await audit.list_entries(gate.context, MAIN))
    assert "marked-token-4711" not in repr(added)
    assert b"marked-token-4711" not in _kept(tmp_path)


async def test_a_removed_device_is_gone_and_its_serial_is_free_again(gate: Gateway) -> None:
    await gate.add_device("SN1", id="gate")
    await _remove(gate, "gate")
    with pytest.raises(NotFound):
        await devices.get(gate.context, MAIN, DeviceId("gate"))
    with pytest.raises(NotFound):
        await _remove(gate, "gate")
    other = await accounts.add(gate.context, "other", actor="test", now=NOON)
    assert (await _add_to(gate, other.no, New(serial="SN1"))).device.account == other.no


async def test_a_serial_that_comes_back_revives_its_device(gate: Gateway) -> None:
    first = await gate.add_device("SN1", id="gate", name="Main Gate", zone="Asia/Kolkata")
    await _set(gate, "gate", is_suspended=True)
    await _remove(gate, "gate")
    second = await gate.add_device("SN1")
    assert second.device.id == "gate"
    assert second.device.version == 4
    assert (second.device.name, second.device.zone) == ("Main Gate", "Asia/Kolkata")
    assert not second.device.is_suspended
    assert second.token != first.token
    stored = await devices.get(gate.context, MAIN, second.device.id)
    assert stored.token_hash == vault.digest(second.token)


async def test_a_serial_that_comes_back_under_another_id_is_another_device(gate: Gateway) -> None:
    await gate.add_device("SN1", id="gate", name="Main Gate")
    await _remove(gate, "gate")
    added = await gate.add_device("SN1", id="canteen")
    assert (added.device.id, added.device.name, added.device.version) == ("canteen", None, 1)


async def test_a_device_that_is_added_is_known_at_its_next_request(gate: Gateway) -> None:
    assert await gate.context.directory.find(SerialNumber("SN1")) is None
    await gate.add_device("SN1")
    assert (await gate.entry("SN1")).device.serial == "SN1"


@pytest.mark.parametrize("comes_back", [False, True])
async def test_another_direction_policy_has_its_days_computed_again(
    gate: Gateway, *, comes_back: bool
) -> None:
    await gate.add_device("SN1")
    times = ("08:00:00", "12:00:00")
    await gate.punch("SN1", *({"user_id": "1", "att_time": f"2026-06-20 {at}"} for at in times))
    await gate.catch_up()
    if comes_back:
        await _remove(gate, "sn1")
        await gate.add_device("SN1", direction_policy="alternate")
    else:
        await _set(gate, "sn1", direction_policy="alternate")
    query = summary.Query(date(2026, 6, 20), date(2026, 6, 20), None, None, 1, 20)
    page = await summary.read(gate.context.database, MAIN, query)
    assert [each.side for each in page.rows[0].day.activities] == ["in", "out"]
