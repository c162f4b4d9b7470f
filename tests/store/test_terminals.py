"""Terminals as rows, on both databases: sealed keys, leases, marks, the schedule's questions."""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from punchgate.domain.device import Device
from punchgate.domain.ids import AccountNo, DeviceId, SerialNumber
from punchgate.domain.terminal import Known, Settings, Terminal, Watermark
from punchgate.store import devices, schema, terminals
from punchgate.store.endpoints import SecretsClosed
from punchgate.vault import Vault
from tests.store.stage import MAIN, NOW, Stage

ID = DeviceId("vt")
OTHER = AccountNo(2)
MARK = Watermark(3, 120, "ab", "2026-06-20 09:00:00", "2026-06-01 09:00:00", "cd", 1)


def _terminal(device_id: str = "vt", **values: Any) -> Terminal:
    return Terminal(MAIN, DeviceId(device_id), "10.0.0.7", created_at=NOW, **values)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "master.key", None, ())


async def _add(stage: Stage, vault: Vault, *added: Terminal) -> None:
    for each in added:
        await stage.store.writer.run(
            partial(terminals.add, account=MAIN, terminal=each, vault=vault)
        )


async def test_a_terminal_comes_back_as_it_was_written(stage: Stage, vault: Vault) -> None:
    whole = _terminal(
        port=4371,
        is_udp=True,
        comm_key=123_456,
        timeout_s=2.5,
        settings=Settings("all", "gb2312", "state_method", "second", backfill_s=60, realtime=False),
        known=Known("S", "N", "P", "F", "40", 1, 2, -3, {"a": "b"}),
        watermark=MARK,
        due_at=NOW + 1,
        failures=2,
    )
    await _add(stage, vault, whole)
    assert await stage.read(lambda tx: terminals.find(tx, MAIN, ID, vault=vault)) == whole
    assert await stage.read(lambda tx: terminals.find(tx, OTHER, ID, vault=vault)) is None


async def test_a_comm_key_lies_sealed_for_its_own_row(stage: Stage, vault: Vault) -> None:
    await _add(stage, vault, _terminal(comm_key=987_654), _terminal("two"))
    (sealed,) = [row.comm_key for row in await stage.rows(schema.terminal) if row.comm_key]
    assert b"987654" not in bytes(sealed)
    await stage.sql(
        "UPDATE terminal SET comm_key = (SELECT comm_key FROM terminal WHERE device_id = 'vt')"
        " WHERE device_id = 'two'"
    )
    with pytest.raises(SecretsClosed, match="two"):
        await stage.read(lambda tx: terminals.find(tx, MAIN, DeviceId("two"), vault=vault))


async def test_without_its_master_key_a_comm_key_is_closed(
    stage: Stage, vault: Vault, tmp_path: Path
) -> None:
    await _add(stage, vault, _terminal(comm_key=5))
    other = tmp_path / "other.key"
    other.write_bytes(os.urandom(32))
    other.chmod(0o600)
    with pytest.raises(SecretsClosed):
        await stage.read(lambda tx: terminals.find(tx, MAIN, ID, vault=Vault(other, None, ())))


async def test_a_change_keeps_what_is_known(stage: Stage, vault: Vault) -> None:
    await _add(stage, vault, _terminal(known=Known(serial="S")))
    after = replace(_terminal(), host="10.0.0.8", updated_at=NOW + 5, known=Known())

    await stage.store.writer.run(lambda tx: terminals.change(tx, MAIN, after, vault=vault))

    found = await stage.read(lambda tx: terminals.find(tx, MAIN, ID, vault=vault))
    assert found is not None
    assert (found.host, found.updated_at, found.known.serial) == ("10.0.0.8", NOW + 5, "S")


async def test_terminals_are_listed_in_the_order_of_their_registration(
    stage: Stage, vault: Vault
) -> None:
    late, early = _terminal("a"), replace(_terminal("b"), created_at=NOW - 1)
    await _add(stage, vault, late, early)
    found = await stage.read(lambda tx: terminals.list_terminals(tx, MAIN, vault=vault, limit=9))
    assert [each.device_id for each in found] == ["b", "a"]


async def test_of_two_owners_one_has_the_lease_until_it_is_given_back(
    stage: Stage, vault: Vault
) -> None:
    await _add(stage, vault, _terminal())
    assert await _take(stage, "one")
    assert await _take(stage, "one")
    assert not await _take(stage, "two")
    assert not await _renew(stage, "two")
    assert await _renew(stage, "one")

    await stage.store.writer.run(lambda tx: terminals.give_back(tx, MAIN, ID, owner="two"))
    assert not await _take(stage, "two")
    await stage.store.writer.run(lambda tx: terminals.give_back(tx, MAIN, ID, owner="one"))
    assert await _take(stage, "two")
    assert not await _renew(stage, "one")

    await stage.store.writer.run(lambda tx: terminals.leave(tx, "two"))
    assert await _take(stage, "one")


async def test_a_lease_that_ran_out_is_anybodys(stage: Stage, vault: Vault) -> None:
    await _add(stage, vault, _terminal())
    assert await _take(stage, "one")
    await stage.sql("UPDATE terminal SET lease_until = 1")
    assert await _take(stage, "two")


async def test_who_waits_is_seen_by_who_holds_it_until_it_is_taken(
    stage: Stage, vault: Vault
) -> None:
    await _add(stage, vault, _terminal())
    await _take(stage, "one")
    assert await _wanted(stage, "one") == []
    await _take(stage, "two")
    assert await _wanted(stage, "one") == []
    await _take(stage, "two", is_urgent=True)
    assert await _wanted(stage, "one") == [(MAIN, ID)]
    assert await _wanted(stage, "two") == []
    await stage.sql("UPDATE terminal SET lease_until = 1")
    await _take(stage, "two")
    assert await _wanted(stage, "two") == []


async def test_the_first_moment_of_a_mark_stands_until_it_is_enabled(
    stage: Stage, vault: Vault
) -> None:
    await _add(stage, vault, _terminal(), _terminal("two"))
    for now in (NOW, NOW + 9):
        await stage.store.writer.run(
            partial(terminals.mark_disabled, account=MAIN, device_id=ID, now=now)
        )
    found = await stage.read(lambda tx: terminals.find(tx, MAIN, ID, vault=vault))
    assert found is not None
    assert found.disabled_at == NOW
    assert await _disabled(stage) == [(MAIN, ID, False)]
    await _take(stage, "one")
    assert await _disabled(stage) == [(MAIN, ID, True)]
    await stage.store.writer.run(lambda tx: terminals.mark_enabled(tx, MAIN, ID))
    assert await _disabled(stage) == []


async def test_who_is_due_is_read_and_who_is_not_may_be_listened_to(
    stage: Stage, vault: Vault
) -> None:
    quiet = Settings(realtime=False)
    await _add(
        stage,
        vault,
        _terminal("due", due_at=NOW),
        _terminal("older", due_at=NOW - 1),
        _terminal("later", due_at=NOW + 1),
        _terminal("quiet", due_at=NOW + 1, settings=quiet),
        _terminal("given-up", due_at=None, failures=1),
        _terminal("by-ear", due_at=None, settings=Settings(backfill_s=0)),
        _terminal("held", due_at=NOW),
        _terminal("calls-us", due_at=NOW),
        _terminal("calls-us-too", due_at=None),
    )
    for name in ("calls-us", "calls-us-too"):
        other = Device(MAIN, DeviceId(name), SerialNumber(name), engine="http")
        await stage.store.writer.run(partial(devices.add, account=MAIN, device=other, now=NOW))
    await _take(stage, "one", device_id="held")
    due = await stage.read(lambda tx: terminals.list_due(tx, now=NOW, limit=9))
    assert [device_id for _, device_id in due] == ["older", "due"]
    heard = await stage.read(lambda tx: terminals.list_listenable(tx, now=NOW, limit=9))
    assert [device_id for _, device_id in heard] == ["by-ear", "later"]


async def test_a_reading_clears_what_failed_before_it(stage: Stage, vault: Vault) -> None:
    await _add(stage, vault, _terminal())
    for _ in range(2):
        await stage.store.writer.run(
            lambda tx: terminals.note_failure(tx, MAIN, ID, "timeout: x", due_at=NOW + 5)
        )
    failed = await stage.read(lambda tx: terminals.find(tx, MAIN, ID, vault=vault))
    assert failed is not None
    assert (failed.failures, failed.last_error, failed.due_at) == (2, "timeout: x", NOW + 5)

    await stage.store.writer.run(
        lambda tx: terminals.note_reading(
            tx, MAIN, ID, known=Known(layout="40"), watermark=MARK, now=NOW, due_at=None
        )
    )
    await stage.store.writer.run(
        lambda tx: terminals.note_reading(
            tx, MAIN, ID, known=Known(layout="40"), watermark=None, now=NOW + 1, due_at=NOW + 2
        )
    )
    found = await stage.read(lambda tx: terminals.find(tx, MAIN, ID, vault=vault))
    assert found is not None
    assert (found.failures, found.last_error, found.last_read_at) == (0, None, NOW + 1)
    assert (found.watermark, found.due_at, found.known.layout) == (MARK, NOW + 2, "40")


async def test_a_removed_terminal_leaves_nothing(stage: Stage, vault: Vault) -> None:
    await _add(stage, vault, _terminal(comm_key=1))
    assert await stage.store.writer.run(lambda tx: terminals.remove(tx, MAIN, ID))
    assert not await stage.store.writer.run(lambda tx: terminals.remove(tx, MAIN, ID))
    assert await stage.rows(schema.terminal) == []


async def test_the_clock_of_a_lease_is_that_of_the_database(stage: Stage, vault: Vault) -> None:
    await _add(stage, vault, _terminal())
    await _take(stage, "one")
    (row,) = await stage.rows(schema.terminal)
    if stage.is_sqlite:
        clock = "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
    else:
        clock = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS int8)"
    now = await stage.read(lambda tx: int(tx.execute(text(clock)).scalar_one()))
    assert 0 < row.lease_until - now <= terminals.LEASE_MS


async def _take(stage: Stage, owner: str, *, is_urgent: bool = False, device_id: str = ID) -> bool:
    return await stage.store.writer.run(
        lambda tx: terminals.take(tx, MAIN, DeviceId(device_id), owner=owner, is_urgent=is_urgent)
    )


async def _renew(stage: Stage, owner: str) -> bool:
    return await stage.store.writer.run(lambda tx: terminals.renew(tx, MAIN, ID, owner=owner))


async def _wanted(stage: Stage, owner: str) -> list[tuple[AccountNo, DeviceId]]:
    return await stage.read(lambda tx: terminals.list_wanted(tx, owner))


async def _disabled(stage: Stage) -> list[tuple[AccountNo, DeviceId, bool]]:
    return await stage.read(lambda tx: terminals.list_disabled(tx, 9))
