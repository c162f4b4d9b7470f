"""Accounts and their workday rules. A real store; the clock is an argument."""

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from punchgate.domain.account import Account
from punchgate.domain.error import AlreadyExists, Invalid, NotFound
from punchgate.domain.ids import AccountNo
from punchgate.store import installation, workdays
from punchgate.usecases import accounts, audit, policies
from punchgate.usecases.policies import StoredPolicy
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway


@pytest.fixture(name="gate")
async def _gate(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path) as gate:
        yield gate


async def _add(gate: Gateway, name: str, zone: str | None = None) -> Account:
    return await accounts.add(gate.context, name, zone, actor="test", now=NOON)


async def _set_zone(gate: Gateway, zone: str) -> Account:
    return await accounts.set_zone(gate.context, MAIN, zone, actor="test", now=NOON)


async def _set_policy(gate: Gateway, since: date, **rules: Any) -> StoredPolicy:
    stored = StoredPolicy(since, rules)
    return await policies.set_policy(gate.context, MAIN, stored, actor="test", now=NOON)


async def _revision(gate: Gateway) -> int:
    return await gate.context.database.read(installation.revision)


async def _stale(gate: Gateway) -> set[str]:
    since, until = date(2026, 1, 1), date(2026, 12, 31)
    listed = await gate.context.database.read(
        lambda tx: workdays.list_stale(tx, MAIN, since=since, until=until)
    )
    return {key.date for key in listed}


async def test_the_account_main_is_there_from_the_start(gate: Gateway) -> None:
    account = await accounts.get(gate.context, "main")
    assert account == Account(MAIN, "main", None, spread=0)
    assert await accounts.list_accounts(gate.context) == [account]


async def test_accounts_are_numbered_in_the_order_in_which_they_come(gate: Gateway) -> None:
    added = [await _add(gate, name) for name in ("zeta", "alpha")]
    assert [account.no for account in added] == [2, 3]
    names = [account.name for account in await accounts.list_accounts(gate.context)]
    assert names == ["main", "zeta", "alpha"]


async def test_an_account_keeps_its_zone(gate: Gateway) -> None:
    await _add(gate, "india", "Asia/Kolkata")
    assert (await accounts.get(gate.context, "india")).zone == "Asia/Kolkata"


@pytest.mark.parametrize("name", ["", "-a", "a b", "a\x1fb", "x" * 65, "ä"])
async def test_a_name_that_will_not_do_is_refused(gate: Gateway, name: str) -> None:
    with pytest.raises(Invalid):
        await _add(gate, name)


async def test_a_zone_that_there_is_not_is_refused(gate: Gateway) -> None:
    with pytest.raises(Invalid):
        await _add(gate, "x", "Mars/Olympus")
    with pytest.raises(Invalid):
        await _set_zone(gate, "Mars/Olympus")


async def test_a_name_is_taken_once(gate: Gateway) -> None:
    with pytest.raises(AlreadyExists, match="main"):
        await _add(gate, "main")


async def test_an_unknown_account_is_answered_with_those_that_there_are(gate: Gateway) -> None:
    await _add(gate, "other")
    with pytest.raises(NotFound, match="main, other"):
        await accounts.get(gate.context, "nobody")
    with pytest.raises(NotFound):
        await accounts.set_zone(gate.context, AccountNo(99), "UTC", actor="test", now=NOON)


async def test_a_zone_is_set_and_taken_away(gate: Gateway) -> None:
    assert (await _set_zone(gate, "Europe/Berlin")).zone == "Europe/Berlin"
    assert (await _set_zone(gate, "")).zone is None


async def test_a_zone_that_is_set_already_changes_nothing(gate: Gateway) -> None:
    await _set_zone(gate, "Europe/Berlin")
    before = await _revision(gate)
    await _set_zone(gate, "Europe/Berlin")
    assert await _revision(gate) == before
    assert len(await audit.list_entries(gate.context, MAIN)) == 1


async def test_a_new_zone_counts_for_the_next_punch(gate: Gateway) -> None:
    await gate.add_device("SN1")
    await _set_zone(gate, "Asia/Kolkata")
    entry = await gate.context.directory.find((await gate.entry("SN1")).device.serial)
    assert entry is not None
    assert (entry.zone_name, entry.zone_source) == ("Asia/Kolkata", "account")


async def test_rules_are_listed_from_the_earliest_on(gate: Gateway) -> None:
    await _set_policy(gate, date(2026, 6, 1), dedupe_s=30)
    await _set_policy(gate, date(2026, 1, 1), dedupe_s=60)
    listed = await policies.list_policies(gate.context, MAIN)
    assert [(each.valid_from, each.rules) for each in listed] == [
        (date(2026, 1, 1), {"dedupe_s": 60}),
        (date(2026, 6, 1), {"dedupe_s": 30}),
    ]


async def test_rules_of_the_same_date_are_replaced(gate: Gateway) -> None:
    await _set_policy(gate, date(2026, 1, 1), dedupe_s=60)
    await _set_policy(gate, date(2026, 1, 1), dedupe_s=30)
    (stored,) = await policies.list_policies(gate.context, MAIN)
    assert stored.rules == {"dedupe_s": 30}
    entry = (await audit.list_entries(gate.context, MAIN))[0]
    assert (entry.before, entry.after) == ({"dedupe_s": 60}, {"dedupe_s": 30})


@pytest.mark.parametrize(
    "rules", [{"attribution": "moon"}, {"no_such_rule": 1}, {"dedupe_s": "soon"}]
)
async def test_rules_that_cannot_be_read_are_refused(gate: Gateway, rules: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        await _set_policy(gate, date(2026, 1, 1), **rules)
    assert await policies.list_policies(gate.context, MAIN) == []


async def test_the_same_rules_again_change_nothing(gate: Gateway) -> None:
    await _set_policy(gate, date(2026, 1, 1), dedupe_s=30)
    before = await _revision(gate)
    await _set_policy(gate, date(2026, 1, 1), dedupe_s=30)
    assert await _revision(gate) == before


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"dedupe_s": 30}, 0),
        ({"attribution": "session"}, 2),
        ({"attribution": "cutoff", "cutoff": "04:00"}, 1),
    ],
)
async def test_an_account_says_how_far_its_rules_reach_beside_a_day(
    gate: Gateway, rules: dict[str, Any], expected: int
) -> None:
    await _set_policy(gate, date(2026, 1, 1), **rules)
    assert (await accounts.get(gate.context, "main")).spread == expected


async def test_new_rules_have_the_days_from_their_date_on_computed_again(gate: Gateway) -> None:
    await gate.add_device("SN1")
    for day in ("2026-06-10", "2026-06-15", "2026-06-20"):
        await gate.punch("SN1", {"user_id": "1", "att_time": f"{day} 09:00:00", "att_state": 0})
    await gate.catch_up()
    assert await _stale(gate) == set()
    await _set_policy(gate, date(2026, 6, 15), dedupe_s=30)
    stale = await _stale(gate)
    assert {"2026-06-15", "2026-06-20"} <= stale
    assert "2026-06-10" not in stale


async def test_I12_rules_of_one_account_are_not_anothers(gate: Gateway) -> None:
    other = await _add(gate, "other")
    await _set_policy(gate, date(2026, 1, 1), attribution="session")
    assert await policies.list_policies(gate.context, other.no) == []
    assert (await accounts.get(gate.context, "other")).spread == 0


async def test_what_one_account_changes_is_in_its_own_audit(gate: Gateway) -> None:
    other = await _add(gate, "other", "UTC")
    await _set_zone(gate, "Europe/Berlin")
    assert [e.action for e in await audit.list_entries(gate.context, MAIN)] == ["account.set"]
    (entry,) = await audit.list_entries(gate.context, other.no)
    assert (entry.action, entry.subject, entry.after) == (
        "account.add",
        "account:other",
        {"zone": "UTC"},
    )
