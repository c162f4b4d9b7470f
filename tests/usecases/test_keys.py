"""API keys: made, recognised, refused. A real store; the clock is an argument."""

import string
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from punchgate import vault
from punchgate.domain.error import Invalid, NotFound, Refused
from punchgate.domain.ids import AccountNo, DeviceId, KeyId
from punchgate.domain.key import DEFAULT_SCOPES
from punchgate.store.error import StoreUnavailable
from punchgate.usecases import accounts, audit, keys
from punchgate.usecases.keyring import BOUND, Keyring
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


@pytest.fixture(name="gate")
async def _gate(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path) as gate:
        yield gate


async def _add(gate: Gateway, account: AccountNo = MAIN, **options: Any) -> keys.Added:
    new = keys.New(**{"name": "payroll", **options})
    return await keys.add(gate.context, account, new, actor="test", now=NOON)


async def _revoke(gate: Gateway, key_id: KeyId, account: AccountNo = MAIN) -> keys.StoredKey:
    return await keys.revoke(gate.context, account, key_id, actor="test", now=NOON)


async def _limit(
    gate: Gateway, key_id: KeyId, report_requests: int | None, account: AccountNo = MAIN
) -> keys.StoredKey:
    return await keys.limit(
        gate.context, account, key_id, report_requests=report_requests, actor="test", now=NOON
    )


async def test_a_key_is_recognised_by_its_text(gate: Gateway) -> None:
    added = await _add(gate)
    assert await keys.find(gate.context, added.text, now=NOON) == added.key


async def test_a_key_made_the_simple_way_has_the_default_scopes(gate: Gateway) -> None:
    added = await _add(gate)
    assert added.key.scopes == DEFAULT_SCOPES
    assert added.key.devices is None
    assert not added.key.allows("credentials:read")


async def test_a_key_keeps_a_limit_of_its_own_until_it_gets_another(gate: Gateway) -> None:
    added = await _add(gate, report_requests=500)
    assert added.key.report_requests == 500
    for limit in (0, 7, None):
        changed = await _limit(gate, added.key.key_id, limit)
        assert changed.key == replace(added.key, report_requests=limit)
        found = await keys.find(gate.context, added.text, now=gate.clock())
        assert found == changed.key
        # What another process was told is forgotten within a second.
        gate.clock.ms += 1_000


async def test_a_change_of_a_limit_is_written_down_once(gate: Gateway) -> None:
    added = await _add(gate)
    for _ in range(2):
        await _limit(gate, added.key.key_id, 9)
    entries = await audit.list_entries(gate.context, MAIN, limit=10)
    (entry,) = [one for one in entries if one.action == "key.set"]
    assert entry.subject == f"key:{added.key.key_id}"
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.before["report_requests"], entry.after["report_requests"]) == (None, 9)


async def test_only_a_key_that_is_there_and_in_use_gets_a_limit(gate: Gateway) -> None:
    added = await _add(gate)
    other = await accounts.add(gate.context, "other", actor="test", now=NOON)
    with pytest.raises(NotFound):
        await _limit(gate, added.key.key_id, 9, other.no)
    for wrong in (-1, 1_000_001):
        with pytest.raises(Invalid, match="from 0, for none, to 1000000"):
            await _limit(gate, added.key.key_id, wrong)
        with pytest.raises(Invalid):
            await _add(gate, report_requests=wrong)
    await _revoke(gate, added.key.key_id)
    with pytest.raises(Refused, match="was revoked"):
        await _limit(gate, added.key.key_id, 9)
    (stored,) = await keys.list_keys(gate.context, MAIN)
    assert stored.key.report_requests is None


async def test_a_key_keeps_scopes_devices_and_its_end(gate: Gateway) -> None:
    device = (await gate.add_device("SN1", id="gate")).device
    added = await _add(gate, scopes=["reports:read"], devices=[device.id], expires_at=NOON + 5_000)
    found = await keys.find(gate.context, added.text, now=NOON)
    assert found is not None
    assert found.scopes == {"reports:read"}
    assert found.devices == frozenset({device.id})
    assert found.expires_at == NOON + 5_000


@pytest.mark.parametrize(
    "options",
    [
        {"name": "  "},
        {"name": "x" * 101},
        {"name": "esc\x1b[31m"},
        {"scopes": ["punches"]},
        {"expires_at": NOON},
    ],
)
async def test_a_key_that_will_not_do_is_refused(gate: Gateway, options: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        await _add(gate, **options)
    assert await keys.list_keys(gate.context, MAIN) == []


async def test_a_key_for_a_device_that_is_not_there_is_refused(gate: Gateway) -> None:
    with pytest.raises(NotFound, match="canteen"):
        await _add(gate, devices=[DeviceId("canteen")])


async def test_I12_a_key_cannot_be_limited_to_a_device_of_another_account(gate: Gateway) -> None:
    other = await accounts.add(gate.context, "other", actor="test", now=NOON)
    await gate.add_device("SN1", id="gate")
    with pytest.raises(NotFound, match="gate"):
        await _add(gate, other.no, devices=[DeviceId("gate")])


async def test_an_unknown_key_is_nobody(gate: Gateway) -> None:
    await _add(gate)
    for text in ("", "secret", "pgk_x", vault.mint("pgk").text):
        assert await keys.find(gate.context, text, now=NOON) is None


async def test_the_right_id_with_another_secret_is_nobody(gate: Gateway) -> None:
    added = await _add(gate)
    forged = _with_id(added.key.key_id)
    assert vault.read_id(forged, "pgk") == added.key.key_id
    assert await keys.find(gate.context, forged, now=NOON) is None
    assert await keys.find(gate.context, added.text, now=NOON) is not None
    assert await keys.find(gate.context, forged, now=NOON) is None


async def test_an_expired_key_is_refused_at_once(gate: Gateway) -> None:
    added = await _add(gate, expires_at=NOON + 10)
    assert await keys.find(gate.context, added.text, now=NOON + 9) is not None
    assert await keys.find(gate.context, added.text, now=NOON + 10) is None


async def test_a_revoked_key_is_refused_within_a_second(gate: Gateway) -> None:
    added = await _add(gate)
    assert await keys.find(gate.context, added.text, now=NOON) is not None
    assert (await _revoke(gate, added.key.key_id)).revoked_at == NOON
    assert await keys.find(gate.context, added.text, now=NOON + 1_000) is None


async def test_a_key_is_accepted_at_once_though_it_was_unknown_before(gate: Gateway) -> None:
    added = await _add(gate)
    other = await _add(gate)
    assert await keys.find(gate.context, _with_id(KeyId("AAAAAAAA")), now=NOON) is None
    assert await keys.find(gate.context, added.text, now=NOON) is not None
    assert await keys.find(gate.context, other.text, now=NOON) is not None


async def test_revoking_twice_keeps_the_first_time_and_leaves_one_entry(gate: Gateway) -> None:
    added = await _add(gate)
    await _revoke(gate, added.key.key_id)
    again = await keys.revoke(gate.context, MAIN, added.key.key_id, actor="test", now=NOON + 99)
    assert again.revoked_at == NOON
    (stored,) = await keys.list_keys(gate.context, MAIN)
    assert stored.revoked_at == NOON
    actions = [entry.action for entry in await audit.list_entries(gate.context, MAIN)]
    assert actions == ["key.revoke", "key.add"]


async def test_I12_a_key_of_another_account_cannot_be_revoked_or_seen(gate: Gateway) -> None:
    other = await accounts.add(gate.context, "other", actor="test", now=NOON)
    added = await _add(gate)
    with pytest.raises(NotFound) as theirs:
        await _revoke(gate, added.key.key_id, other.no)
    with pytest.raises(NotFound) as nobodys:
        await _revoke(gate, KeyId("AAAAAAAA"), other.no)
    assert str(theirs.value).replace(added.key.key_id, "") == str(nobodys.value).replace(
        "AAAAAAAA", ""
    )
    assert await keys.list_keys(gate.context, other.no) == []


async def test_the_account_follows_from_the_key(gate: Gateway) -> None:
    other = await accounts.add(gate.context, "other", actor="test", now=NOON)
    added = await _add(gate, other.no)
    found = await keys.find(gate.context, added.text, now=NOON)
    assert found is not None
    assert found.account == other.no


async def test_a_use_is_noted_later_and_at_most_once_a_minute(gate: Gateway) -> None:
    added = await _add(gate)
    for now in (NOON, NOON + 30_000, NOON + 59_999):
        await keys.find(gate.context, added.text, now=now)
        await keys.note_uses(gate.context)
        (stored,) = await keys.list_keys(gate.context, MAIN)
        assert stored.last_used_at == NOON
    await keys.find(gate.context, added.text, now=NOON + 60_000)
    await keys.note_uses(gate.context)
    (stored,) = await keys.list_keys(gate.context, MAIN)
    assert stored.last_used_at == NOON + 60_000


async def test_uses_that_the_store_did_not_take_are_written_with_the_next_call(
    gate: Gateway,
) -> None:
    idle, busy = await _add(gate), await _add(gate, name="busy")
    for added in (idle, busy):
        await keys.find(gate.context, added.text, now=NOON)

    def sql(statement: str) -> Any:
        return gate.context.writer.run(lambda tx: tx.exec_driver_sql(statement))

    await sql("ALTER TABLE api_key RENAME TO away")
    with pytest.raises(StoreUnavailable):
        await keys.note_uses(gate.context)
    await sql("ALTER TABLE away RENAME TO api_key")
    await keys.find(gate.context, busy.text, now=NOON + 60_000)

    await keys.note_uses(gate.context)

    used = {each.key.name: each.last_used_at for each in await keys.list_keys(gate.context, MAIN)}
    assert used == {"payroll": NOON, "busy": NOON + 60_000}


async def test_a_wrong_secret_is_no_use_of_the_key(gate: Gateway) -> None:
    added = await _add(gate)
    await keys.find(gate.context, _with_id(added.key.key_id), now=NOON)
    await keys.note_uses(gate.context)
    (stored,) = await keys.list_keys(gate.context, MAIN)
    assert stored.last_used_at is None


async def test_I8_neither_the_key_nor_its_secret_lies_in_the_store_or_the_audit(
    gate: Gateway, tmp_path: Path
) -> None:
    added = await _add(gate)
    secret = added.text.split("_")[2]
    assert secret not in repr(await audit.list_entries(gate.context, MAIN))
    assert secret not in repr(await keys.list_keys(gate.context, MAIN))
    assert secret not in repr(added)
    assert secret.encode() not in _kept(tmp_path)


async def test_a_full_keyring_forgets_and_goes_on(gate: Gateway) -> None:
    added = await _add(gate)
    (stored,) = await keys.list_keys(gate.context, MAIN)
    keyring = Keyring()
    for number in range(BOUND + 1):
        name = KeyId(f"{number:08}")
        keyring.keep(_renamed(stored, name), NOON)
        assert keyring.recall(name, NOON) is not None
    keyring.keep(stored, NOON)
    assert keyring.recall(added.key.key_id, NOON) == stored


async def test_a_clock_that_was_set_back_makes_what_is_remembered_old(gate: Gateway) -> None:
    await _add(gate)
    (stored,) = await keys.list_keys(gate.context, MAIN)
    keyring = Keyring()
    keyring.keep(stored, NOON)
    assert keyring.recall(stored.key.key_id, NOON + 999) is not None
    assert keyring.recall(stored.key.key_id, NOON + 1_000) is None
    assert keyring.recall(stored.key.key_id, NOON - 1) is None


def _kept(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in directory.iterdir())


def _renamed(stored: keys.StoredKey, name: KeyId) -> keys.StoredKey:
    key = stored.key
    renamed = type(key)(key.account, name, key.name, key.scopes)
    return keys.StoredKey(renamed, stored.digest, stored.created_at)


def _with_id(key_id: str) -> str:
    """Give a well-formed key of this id whose secret nobody was given."""
    body = f"pgk_{key_id}_{'0' * 43}"
    number, checksum = crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        checksum = _BASE62[digit] + checksum
    return f"{body}_{checksum}"
