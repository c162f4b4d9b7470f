"""Leases and settlements: one holder at a time, and a former one can write nothing.

Real: both databases, and their clocks. A lease is made to be over by hand.
"""

from base64 import b64encode
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from punchgate.domain.endpoint import Endpoint, Filter, Health, Pace, Secrets
from punchgate.domain.event import Position
from punchgate.domain.ids import AccountNo, EndpointId
from punchgate.store import cursors, endpoints, leases, schema
from punchgate.store.cursors import Buried, Parked, Settlement, Tried
from punchgate.store.database import Connection
from punchgate.store.leases import Lease
from punchgate.vault import Vault
from tests.store.stage import MAIN, NOW, Stage

START: Final = Position(1, 3, 10, NOW)
FURTHER: Final = Position(1, 4, 20, NOW)
OTHER: Final = AccountNo(2)


def tried(event_id: str, outcome: str = "accepted", at: int = NOW) -> Tried:
    return Tried(event_id, 1, at, outcome, 200, 5, None, None)


def parked(key: str, attempt: int = 1, due_at: int | None = NOW) -> Parked:
    return Parked(key, START, attempt, NOW, due_at, "refused", 422, "who?")


async def add(stage: Stage, vault: Vault, *names: str, account: AccountNo = MAIN) -> None:
    def work(tx: Connection) -> None:
        for name in names:
            endpoint = Endpoint(
                account,
                EndpointId(name),
                "https://example.com/hook",
                "standard",
                Filter(),
                Pace(),
                Secrets(()),
                "in",
                1,
                NOW,
                Health("active", NOW),
            )
            endpoints.add(tx, account, endpoint, START, vault=vault)

    await stage.store.writer.run(work)


@pytest.fixture(name="vault")
def _vault() -> Vault:
    return Vault(Path("no-such-file"), given=b64encode(bytes(32)).decode())


@pytest.fixture(name="stage")
async def _stage(stage: Stage, vault: Vault) -> Stage:
    await add(stage, vault, "ep_1", "ep_2", "ep_3")
    return stage


async def take(stage: Stage, owner: str, most: int = 10) -> list[Lease]:
    return await stage.store.writer.run(partial(leases.take, owner=owner, most=most))


async def take_one(stage: Stage, owner: str) -> Lease:
    (lease,) = await take(stage, owner, most=1)
    return lease


async def settle(stage: Stage, lease: Lease, learned: Settlement, version: int = 1) -> bool:
    learned = learned._replace(version=version)
    return await stage.store.writer.run(
        lambda tx: cursors.settle(tx, lease.account, lease.endpoint_id, lease.epoch, learned, NOW)
    )


async def expire(stage: Stage) -> None:
    await stage.sql("UPDATE cursor SET lease_until = 0")


async def test_a_cursor_is_leased_once_from_where_it_stands(stage: Stage) -> None:
    first, others = await take(stage, "a", most=1), await take(stage, "b")
    assert [lease.position for lease in (*first, *others)] == [START] * 3
    assert {lease.epoch for lease in (*first, *others)} == {1}
    assert sorted(lease.endpoint_id for lease in (*first, *others)) == ["ep_1", "ep_2", "ep_3"]
    assert await take(stage, "c") == []


async def test_what_was_given_back_can_be_taken_under_another_epoch(stage: Stage) -> None:
    lease = await take_one(stage, "a")
    await stage.store.writer.run(lambda tx: leases.give_back(tx, *lease[:3]))
    assert await take(stage, "b", most=3) == [
        lease._replace(endpoint_id=EndpointId(name), epoch=epoch)
        for name, epoch in (("ep_1", 2), ("ep_2", 1), ("ep_3", 1))
    ]


async def test_what_is_over_is_taken_over_and_its_former_holder_renews_nothing(
    stage: Stage,
) -> None:
    before = await take(stage, "a")
    await expire(stage)
    after = await take(stage, "b")
    assert [lease.epoch for lease in after] == [2, 2, 2]
    renewed = await stage.store.writer.run(partial(leases.renew, owner="a"))
    assert renewed == set()
    mine = await stage.store.writer.run(partial(leases.renew, owner="b"))
    assert mine == {lease[:3] for lease in after}
    assert not mine & {lease[:3] for lease in before}


async def test_a_lease_that_is_over_and_wanted_by_nobody_is_renewed(stage: Stage) -> None:
    mine = await take(stage, "a")
    await expire(stage)
    renewed = await stage.store.writer.run(partial(leases.renew, owner="a"))
    assert renewed == {lease[:3] for lease in mine}
    assert await take(stage, "b") == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE endpoint SET state = 'paused' WHERE endpoint_id = 'ep_1'",
        "UPDATE endpoint SET state = 'disabled' WHERE endpoint_id = 'ep_1'",
        "UPDATE endpoint SET removed_at = 1 WHERE endpoint_id = 'ep_1'",
    ],
)
async def test_only_what_is_to_be_delivered_to_is_leased_and_counted(
    stage: Stage, change: str
) -> None:
    await stage.sql(change, "UPDATE endpoint SET state = 'failing' WHERE endpoint_id = 'ep_2'")
    assert [lease.endpoint_id for lease in await take(stage, "a")] == ["ep_2", "ep_3"]
    assert await stage.read(leases.count_live) == 2


async def test_a_settlement_is_written_whole(stage: Stage) -> None:
    lease = await take_one(stage, "a")
    await settle(stage, lease, Settlement(parked=[parked("x"), parked("y")]))
    learned = Settlement(
        position=FURTHER,
        tried=[tried("evt_1"), tried("evt_2", "refused")],
        parked=[parked("y", 2, None), parked("z")],
        freed=["x"],
        buried=[Buried("evt_3", "z", "who?", 422, 11, NOW)],
        health=Health("failing", NOW, "503", NOW + 5_000, 3),
    )
    assert await settle(stage, lease, learned)
    row = (await stage.rows(schema.cursor))[0]
    assert Position(row.generation, row.tx, row.seq, row.at) == FURTHER
    found = await stage.read(lambda tx: cursors.list_parked(tx, MAIN, lease.endpoint_id))
    assert sorted(found) == [parked("y", 2, None), parked("z")]
    attempts = await stage.rows(schema.attempt)
    assert [(one.event_id, one.outcome) for one in attempts] == [
        ("evt_1", "accepted"),
        ("evt_2", "refused"),
    ]
    (dead,) = await stage.rows(schema.dead)
    assert (dead.event_id, dead.attempts, dead.reason) == ("evt_3", 11, "who?")
    endpoint = (await stage.rows(schema.endpoint))[0]
    assert (endpoint.state, endpoint.retry_at, endpoint.failures) == ("failing", NOW + 5_000, 3)
    problems = {row.kind for row in await stage.rows(schema.problem)}
    assert problems == {"dead_letters", "endpoint_failing", "keys_held"}


async def test_who_is_well_again_is_no_problem_any_more(stage: Stage) -> None:
    lease = await take_one(stage, "a")
    await settle(stage, lease, Settlement(health=Health("failing", NOW, "503", NOW, 1)))
    await settle(stage, lease, Settlement(health=Health("active", NOW + 1)))
    assert [row.cleared_at for row in await stage.rows(schema.problem)] == [NOW + 1]
    assert (await stage.rows(schema.endpoint))[0].state == "active"


async def test_I6_a_former_holder_writes_nothing_at_all(stage: Stage) -> None:
    before = await take_one(stage, "a")
    await expire(stage)
    await take(stage, "b")
    learned = Settlement(
        position=FURTHER,
        tried=[tried("evt_1")],
        parked=[parked("x")],
        buried=[Buried("evt_3", "z", "who?", 422, 11, NOW)],
        health=Health("disabled", NOW, "410"),
    )
    assert not await settle(stage, before, learned)
    tables = (schema.attempt, schema.parked, schema.dead, schema.problem)
    assert await stage.sizes(*tables) == [0, 0, 0, 0]
    assert {row.seq for row in await stage.rows(schema.cursor)} == {START.seq}
    assert {row.state for row in await stage.rows(schema.endpoint)} == {"active"}


async def test_a_settlement_that_fails_leaves_nothing_behind(stage: Stage) -> None:
    lease = await take_one(stage, "a")
    await stage.plant("BEFORE INSERT ON parked", when="NEW.key = 'bad'", is_row_at_fault=False)
    learned = Settlement(FURTHER, [tried("evt_1")], [parked("good"), parked("bad")])
    with pytest.raises(Exception, match=r"cannot be written|PostgreSQL"):
        await settle(stage, lease, learned)
    assert await stage.sizes(schema.attempt, schema.parked) == [0, 0]
    assert (await stage.rows(schema.cursor))[0].seq == START.seq
    await stage.unplant("parked")
    assert await settle(stage, lease, learned)


@pytest.mark.parametrize(
    ("decided", "version"),
    [
        (Health("paused", NOW - 5, "by an operator"), 2),
        # Resumed by an operator after it had begun to fail, which gave it another version.
        (Health("active", NOW + 5), 1),
        (Health("active", NOW - 5), 1),
    ],
)
async def test_what_an_operator_decided_meanwhile_stands(
    stage: Stage, decided: Health, version: int
) -> None:
    lease = await take_one(stage, "a")
    await stage.store.writer.run(
        lambda tx: endpoints.set_health(tx, MAIN, lease.endpoint_id, decided)
    )
    await stage.sql("UPDATE endpoint SET version = 2")
    fails = Settlement(health=Health("failing", NOW, "503", NOW, 1))
    await settle(stage, lease, fails, version)
    row = (await stage.rows(schema.endpoint))[0]
    assert (row.state, row.state_since) == (decided.state, decided.since)
    # Nor is it told as a problem, which nobody would clear.
    assert await stage.sizes(schema.problem) == [0]


async def test_how_an_endpoint_fares_is_written_though_the_clock_was_set_back(
    stage: Stage,
) -> None:
    lease = await take_one(stage, "a")
    an_hour_ago = NOW - 3_600_000
    await settle(stage, lease, Settlement(health=Health("failing", NOW, "503", NOW, 1)))
    await settle(stage, lease, Settlement(health=Health("disabled", an_hour_ago, "410")))
    row = (await stage.rows(schema.endpoint))[0]
    assert (row.state, row.state_since) == ("disabled", an_hour_ago)


async def test_processes_count_while_they_show_themselves(stage: Stage) -> None:
    attend = stage.store.writer.run
    assert await attend(partial(leases.attend, owner="a")) == 1
    assert await attend(partial(leases.attend, owner="b")) == 2
    assert await attend(partial(leases.attend, owner="a")) == 2
    assert await stage.read(leases.count_processes) == 2
    await stage.sql("UPDATE process SET seen_at = seen_at - 31000 WHERE owner = 'b'")
    assert await stage.read(leases.count_processes) == 1
    assert await attend(partial(leases.attend, owner="a")) == 1


async def test_who_leaves_gives_everything_back(stage: Stage) -> None:
    await stage.store.writer.run(partial(leases.attend, owner="a"))
    await take(stage, "a", most=2)
    await take(stage, "b", most=1)
    await stage.store.writer.run(partial(leases.leave, owner="a"))
    assert await stage.read(leases.count_processes) == 0
    assert [lease.endpoint_id for lease in await take(stage, "c")] == ["ep_1", "ep_2"]


async def test_released_keys_are_due_and_held_ones_begin_anew(stage: Stage) -> None:
    lease = await take_one(stage, "a")
    waiting = [parked("x", 11, None), parked("y", 2), parked("z", 3, NOW + 60_000)]
    await settle(stage, lease, Settlement(parked=waiting))
    assert [row.kind for row in await stage.rows(schema.problem)] == ["keys_held"]
    released = await stage.store.writer.run(
        lambda tx: cursors.release_held(tx, MAIN, lease.endpoint_id, NOW + 9)
    )
    assert released == 2
    (problem,) = await stage.rows(schema.problem)
    assert problem.cleared_at == NOW + 9
    found = await stage.read(lambda tx: cursors.list_parked(tx, MAIN, lease.endpoint_id))
    assert sorted((one.key, one.attempt, one.due_at) for one in found) == [
        ("x", 0, NOW + 9),
        ("y", 2, NOW),
        ("z", 3, NOW + 9),
    ]


async def test_two_accounts_with_endpoints_of_one_name_do_not_meet(
    stage: Stage, vault: Vault
) -> None:
    await add(stage, vault, "ep_1", account=OTHER)
    taken = {lease[:2]: lease for lease in await take(stage, "a")}
    mine, others = taken[MAIN, EndpointId("ep_1")], taken[OTHER, EndpointId("ep_1")]
    learned = Settlement(FURTHER, [tried("evt_1")], [parked("x")], health=Health("disabled", NOW))
    assert await settle(stage, others, learned)
    assert await stage.read(lambda tx: cursors.list_parked(tx, MAIN, mine.endpoint_id)) == []
    rows = {
        row.account: row for row in await stage.rows(schema.cursor) if row.endpoint_id == "ep_1"
    }
    assert (rows[MAIN].seq, rows[OTHER].seq) == (START.seq, FURTHER.seq)
    assert await stage.read(leases.count_live) == 3


async def test_attempts_are_forgotten_when_they_are_old_enough_and_some_at_a_time(
    stage: Stage,
) -> None:
    lease = await take_one(stage, "a")
    outcomes = ("accepted", "refused", "slow", "backoff", "gone")
    attempts = [
        tried(f"evt_{outcome}_{age}", outcome, NOW - age) for age in (50, 20, 0)
        for outcome in outcomes
    ]  # fmt: skip
    await settle(stage, lease, Settlement(tried=attempts))

    async def prune(before: int, *, is_accepted: bool) -> list[int]:
        last = await stage.read(partial(cursors.last_before, at=before))
        forget = partial(cursors.prune, last=last, is_accepted=is_accepted, most=3)
        return [await stage.store.writer.run(forget) for _ in range(3)]

    assert await prune(NOW - 100, is_accepted=True) == [0, 0, 0]
    assert await prune(NOW - 10, is_accepted=True) == [2, 0, 0]
    assert await prune(NOW - 30, is_accepted=False) == [3, 1, 0]
    left = [row.event_id for row in await stage.rows(schema.attempt)]
    assert left == [
        *(f"evt_{outcome}_20" for outcome in outcomes[1:]),
        *(f"evt_{outcome}_0" for outcome in outcomes),
    ]


async def test_an_endpoint_of_another_version_keeps_its_place(stage: Stage, vault: Vault) -> None:
    lease = await take_one(stage, "a")
    await settle(stage, lease, Settlement(FURTHER, parked=[parked("x")]))

    def change(tx: Connection) -> None:
        found = endpoints.find(tx, MAIN, lease.endpoint_id, vault=vault)
        assert found is not None
        endpoints.change(tx, MAIN, replace(found, version=2), vault=vault)

    await stage.store.writer.run(change)
    await expire(stage)
    again = await take_one(stage, "b")
    assert again.position == FURTHER
    found = await stage.read(lambda tx: cursors.list_parked(tx, MAIN, lease.endpoint_id))
    assert found == [parked("x")]
