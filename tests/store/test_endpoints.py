"""Endpoints, replays and problems as rows, on both databases: what is written is what is read.

Real: SQLite, PostgreSQL, the vault with a key file. Invented: the endpoints and the time.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection, insert, select, update

from punchgate.domain.endpoint import (
    CLOSED,
    ERASED,
    Condition,
    Endpoint,
    Filter,
    Health,
    Pace,
    Secrets,
    Selection,
    SigningKey,
)
from punchgate.domain.event import Position
from punchgate.domain.ids import AccountNo, EndpointId, ReplayId
from punchgate.store import endpoints, events, problems, replays, schema
from punchgate.store.endpoints import SecretsClosed
from punchgate.store.replays import Replay
from punchgate.vault import Vault
from tests.store.stage import MAIN, NOW, Stage

T = TypeVar("T")

ID = EndpointId("ep_aaaaaaaaaaaa")
OTHER = AccountNo(2)
START = Position(1, 0, 7, NOW)


@pytest.fixture(name="vault")
def _vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "master.key")


def _endpoint(
    endpoint_id: EndpointId = ID, *, account: AccountNo = MAIN, at: int = NOW
) -> Endpoint:
    return Endpoint(
        account,
        endpoint_id,
        "https://receiver.example/hook?x=1",
        "cams",
        Filter(
            events=("punch.recorded",),
            devices=("gate",),
            people=("0042", "é"),
            sites=("HQ",),
            fields=(Condition("direction", "in", ("check-in", "check-out")),),
        ),
        Pace(4, 2.5, (5, 30), "hold", 10, 250),
        Secrets((SigningKey("whsec_new"), SigningKey("whsec_old", NOW + 5)), "token", "k" * 32),
        "out",
        3,
        at,
        Health("active", NOW),
    )


async def _write(stage: Stage, work: Callable[[Connection], T]) -> T:
    return await stage.store.writer.run(work)


async def _add(stage: Stage, endpoint: Endpoint, vault: Vault) -> None:
    account = endpoint.account
    await _write(stage, lambda tx: endpoints.add(tx, account, endpoint, START, vault=vault))


async def test_an_endpoint_is_read_as_it_was_written_with_its_cursor(
    stage: Stage, vault: Vault
) -> None:
    await _add(stage, _endpoint(), vault)
    assert await stage.read(lambda tx: endpoints.find(tx, MAIN, ID, vault=vault)) == _endpoint()
    assert await stage.read(lambda tx: endpoints.cursor(tx, MAIN, ID)) == START


async def test_I12_an_endpoint_of_another_account_is_not_there(stage: Stage, vault: Vault) -> None:
    await _add(stage, _endpoint(account=OTHER), vault)
    assert await stage.read(lambda tx: endpoints.find(tx, MAIN, ID, vault=vault)) is None
    assert await stage.read(lambda tx: endpoints.cursor(tx, MAIN, ID)) is None
    listed = await stage.read(lambda tx: endpoints.list_endpoints(tx, MAIN, vault=vault, limit=9))
    assert listed == []
    await _write(stage, lambda tx: endpoints.set_health(tx, MAIN, ID, Health("paused", NOW)))
    theirs = await stage.read(lambda tx: endpoints.find(tx, OTHER, ID, vault=vault))
    assert theirs == _endpoint(account=OTHER)


async def test_endpoints_are_listed_in_the_order_in_which_they_were_made(
    stage: Stage, vault: Vault
) -> None:
    later, first = EndpointId("ep_a"), EndpointId("ep_b")
    await _add(stage, _endpoint(later, at=NOW + 1), vault)
    await _add(stage, _endpoint(first, at=NOW), vault)
    listed = await stage.read(lambda tx: endpoints.list_endpoints(tx, MAIN, vault=vault, limit=9))
    assert [each.id for each in listed] == [first, later]
    assert await stage.read(lambda tx: endpoints.list_ids(tx, MAIN, limit=1)) == [first]


async def test_a_change_is_written_and_leaves_the_health_alone(stage: Stage, vault: Vault) -> None:
    await _add(stage, _endpoint(), vault)
    failing = Health("failing", NOW + 1, "status 500", NOW + 9, 4)
    await _write(stage, lambda tx: endpoints.set_health(tx, MAIN, ID, failing))
    after = replace(_endpoint(), address="https://other.example/", version=4)
    await _write(stage, lambda tx: endpoints.change(tx, MAIN, after, vault=vault))
    found = await stage.read(lambda tx: endpoints.find(tx, MAIN, ID, vault=vault))
    assert found == replace(after, health=failing)


async def test_a_removed_endpoint_keeps_its_row_and_loses_all_that_belongs_to_it(
    stage: Stage, vault: Vault
) -> None:
    await _add(stage, _endpoint(), vault)
    letter = {"event_id": "evt_1", "key": "person:1", "reason": "no", "attempts": 11, "at": NOW}
    rows = [{"account": MAIN, "endpoint_id": whose, **letter} for whose in (ID, "ep_bbbbbbbbbbbb")]
    await _write(stage, lambda tx: tx.execute(insert(schema.dead), rows))
    await _write(stage, lambda tx: endpoints.remove(tx, MAIN, ID, NOW + 1))
    assert await stage.read(lambda tx: endpoints.find(tx, MAIN, ID, vault=vault)) is None
    (row,) = await stage.rows(schema.endpoint)
    assert (row.removed_at, bytes(row.secrets)) == (NOW + 1, b"")
    assert await stage.sizes(schema.cursor, schema.parked) == [0, 0]
    (left,) = await stage.rows(schema.dead)
    assert left.endpoint_id != ID


async def test_a_person_is_forgotten_by_the_endpoints_of_one_account(
    stage: Stage, vault: Vault
) -> None:
    await _add(stage, _endpoint(), vault)
    await _add(stage, _endpoint(account=OTHER), vault)
    person = {"person.code": "0042"}
    (naming,) = await stage.read(lambda tx: endpoints.naming(tx, MAIN, person))
    assert (naming[0], naming[1].people) == (ID, (ERASED, "é"))
    await _write(stage, lambda tx: endpoints.remove(tx, MAIN, ID, NOW + 1))
    await _write(stage, lambda tx: endpoints.forget(tx, MAIN, person))
    # A removed one has kept its row, and so would have kept the code.
    assert await stage.read(lambda tx: endpoints.naming(tx, MAIN, person)) == []
    assert len(await stage.read(lambda tx: endpoints.naming(tx, OTHER, person))) == 1


async def test_whoever_delivers_for_an_account_begins_anew_after_an_erasure(
    stage: Stage, vault: Vault
) -> None:
    await _add(stage, _endpoint(), vault)
    await _add(stage, _endpoint(account=OTHER), vault)
    before = {row.account: row.version for row in await stage.rows(schema.endpoint)}
    await _write(stage, lambda tx: endpoints.forget(tx, MAIN, {"person.code": "of nobody here"}))
    after = {row.account: row.version for row in await stage.rows(schema.endpoint)}
    assert after == {**before, MAIN: before[MAIN] + 1}


async def test_secrets_that_do_not_open_are_told_one_by_one(stage: Stage, vault: Vault) -> None:
    bad = EndpointId("ep_bbbbbbbbbbbb")
    for endpoint_id in (ID, bad):
        await _add(stage, _endpoint(endpoint_id), vault)
    damage = (
        update(schema.endpoint)
        .where(schema.endpoint.c.endpoint_id == bad)
        .values(secrets=b"damaged")
    )
    await _write(stage, lambda tx: tx.execute(damage))
    listed = await stage.read(lambda tx: endpoints.list_endpoints(tx, MAIN, vault=vault, limit=9))
    assert {each.id: each.secrets == CLOSED for each in listed} == {ID: False, bad: True}
    (error,) = await stage.read(lambda tx: endpoints.list_closed(tx, MAIN, vault=vault))
    assert bad in str(error)
    assert await stage.read(lambda tx: endpoints.list_closed(tx, OTHER, vault=vault)) == []


async def test_a_person_is_forgotten_by_replays(stage: Stage) -> None:
    selection = Selection(since=0, filter=Filter(people=("0042", "7")))
    await _write(stage, lambda tx: replays.add(tx, MAIN, replace(_replay(), selection=selection)))
    await _write(stage, lambda tx: replays.add(tx, MAIN, _replay("rp_b")))
    await _write(stage, lambda tx: replays.forget(tx, MAIN, {"person.code": "0042"}))
    found = await stage.read(lambda tx: replays.find(tx, MAIN, ReplayId("rp_a")))
    assert found is not None
    assert found.selection == replace(selection, filter=Filter(people=(ERASED, "7")))
    assert await stage.read(lambda tx: replays.find(tx, MAIN, ReplayId("rp_b"))) == _replay("rp_b")


async def test_skipping_moves_the_cursor_drops_parked_keys_and_fences_whoever_delivers(
    stage: Stage, vault: Vault
) -> None:
    await _add(stage, _endpoint(), vault)
    await _add(stage, _endpoint(EndpointId("ep_other")), vault)
    await stage.sql(
        *(
            "INSERT INTO parked VALUES"
            f" (1, '{owner}', '{key}', 1, 0, 3, 0, 2, 5, 6, 'refused', 500, 'no')"
            for owner, key in ((ID, "person:1"), (ID, "person:2"), ("ep_other", "person:1"))
        )
    )
    there = Position(1, 0, 90, NOW + 3)
    assert await _write(stage, lambda tx: endpoints.skip(tx, MAIN, ID, there)) == 2
    assert await stage.read(lambda tx: endpoints.cursor(tx, MAIN, ID)) == there
    epochs = {row.endpoint_id: row.epoch for row in await stage.rows(schema.cursor)}
    assert epochs == {ID: 1, "ep_other": 0}
    (left,) = await stage.rows(schema.parked)
    assert left.endpoint_id == "ep_other"


async def test_I8_no_secret_stands_in_a_row_and_none_opens_in_another_place(
    stage: Stage, vault: Vault
) -> None:
    await _add(stage, _endpoint(), vault)
    await _add(stage, _endpoint(EndpointId("ep_b")), vault)
    for row in await stage.rows(schema.endpoint):
        for secret in (b"whsec_new", b"whsec_old", b"token", b"k" * 32):
            assert secret not in bytes(row.secrets)

    def move(tx: Connection) -> None:
        table = schema.endpoint
        blob = tx.execute(select(table.c.secrets).where(table.c.endpoint_id == ID)).scalar_one()
        tx.execute(update(table).where(table.c.endpoint_id == "ep_b").values(secrets=blob))

    await _write(stage, move)
    with pytest.raises(SecretsClosed, match="ep_b"):
        await stage.read(lambda tx: endpoints.find(tx, MAIN, EndpointId("ep_b"), vault=vault))


async def test_without_its_key_an_endpoint_is_not_read_and_no_new_key_is_made(
    stage: Stage, vault: Vault, tmp_path: Path
) -> None:
    await _add(stage, _endpoint(), vault)
    lost = Vault(tmp_path / "elsewhere.key")
    with pytest.raises(SecretsClosed, match="put it back"):
        await stage.read(lambda tx: endpoints.find(tx, MAIN, ID, vault=lost))
    assert not lost.file.exists()


# replays


def _replay(replay_id: str = "rp_a", *, at: int = NOW) -> Replay:
    return Replay(
        MAIN,
        ReplayId(replay_id),
        ID,
        Selection(NOW, NOW + 9, Filter(people=("1",)), only_dead=True),
        START,
        Position(1, 0, 900, NOW),
        50,
        "running",
        12,
        0,
        0,
        at,
        "cli:test",
    )


async def test_a_replay_is_read_as_it_was_written(stage: Stage) -> None:
    await _write(stage, lambda tx: replays.add(tx, MAIN, _replay()))
    assert await stage.read(lambda tx: replays.find(tx, MAIN, ReplayId("rp_a"))) == _replay()
    assert await stage.read(lambda tx: replays.find(tx, OTHER, ReplayId("rp_a"))) is None


async def test_replays_of_an_endpoint_run_one_after_the_other(stage: Stage) -> None:
    await _write(stage, lambda tx: replays.add(tx, MAIN, _replay("rp_b", at=NOW + 1)))
    await _write(stage, lambda tx: replays.add(tx, MAIN, _replay("rp_c")))
    first = await stage.read(lambda tx: replays.next_running(tx, MAIN, ID))
    assert first is not None
    assert first.id == "rp_c"
    assert await _write(stage, lambda tx: replays.end(tx, MAIN, first.id, "done", NOW + 2))
    second = await stage.read(lambda tx: replays.next_running(tx, MAIN, ID))
    assert second is not None
    assert second.id == "rp_b"
    listed = await stage.read(lambda tx: replays.list_replays(tx, MAIN, ID, limit=9))
    assert [(each.id, each.state) for each in listed] == [("rp_b", "running"), ("rp_c", "done")]


async def test_a_replay_advances_and_adds_up_until_it_is_ended(stage: Stage) -> None:
    job = _replay()
    await _write(stage, lambda tx: replays.add(tx, MAIN, job))
    for seq, sent, failed in ((8, 3, 0), (20, 4, 2)):
        there = Position(1, 0, seq, NOW)
        assert await _write(stage, partial(_advance, job, there, sent, failed))
    await _write(stage, lambda tx: replays.cancel_all(tx, MAIN, ID, NOW + 5))
    assert not await _write(
        stage, lambda tx: replays.advance(tx, MAIN, job.id, START, sent=1, failed=1)
    )
    assert not await _write(stage, lambda tx: replays.end(tx, MAIN, job.id, "done", NOW + 9))
    found = await stage.read(lambda tx: replays.find(tx, MAIN, job.id))
    assert found is not None
    assert (found.position.seq, found.sent, found.failed) == (20, 7, 2)
    assert (found.state, found.ended_at) == ("cancelled", NOW + 5)


def _advance(job: Replay, there: Position, sent: int, failed: int, tx: Connection) -> bool:
    return replays.advance(tx, MAIN, job.id, there, sent=sent, failed=failed)


# problems


async def _raise(stage: Stage, subject: str = "endpoint:a", *, now: int, detail: str = "d") -> bool:
    return await _write(
        stage,
        lambda tx: problems.raise_(
            tx, MAIN, "endpoint_failing", subject=subject, detail=detail, now=now
        ),
    )


async def test_a_problem_is_raised_once_and_counted_while_it_lasts(stage: Stage) -> None:
    assert await _raise(stage, now=NOW)
    assert not await _raise(stage, now=NOW + 5, detail="status 500")
    (found,) = await stage.read(
        lambda tx: problems.list_problems(tx, MAIN, only_open=True, limit=9)
    )
    assert (found.raised_at, found.last_at, found.times) == (NOW, NOW + 5, 2)
    assert found.detail == "status 500"


async def test_a_problem_is_open_until_it_is_cleared(stage: Stage) -> None:
    subject = "endpoint:ep_a"
    assert not await stage.read(lambda tx: problems.is_open(tx, MAIN, "kind", subject=subject))
    await _write(
        stage,
        lambda tx: problems.raise_(tx, MAIN, "kind", subject=subject, detail="x", now=NOW),
    )
    assert await stage.read(lambda tx: problems.is_open(tx, MAIN, "kind", subject=subject))
    assert not await stage.read(lambda tx: problems.is_open(tx, OTHER, "kind", subject=subject))
    await _write(stage, lambda tx: problems.clear(tx, MAIN, "kind", subject=subject, now=NOW))
    assert not await stage.read(lambda tx: problems.is_open(tx, MAIN, "kind", subject=subject))


async def test_a_problem_that_was_cleared_can_be_raised_again(stage: Stage) -> None:
    await _raise(stage, now=NOW)
    cleared = [
        await _write(
            stage,
            lambda tx: problems.clear(
                tx, MAIN, "endpoint_failing", subject="endpoint:a", now=NOW + 1
            ),
        )
        for _ in range(2)
    ]
    assert cleared == [True, False]
    assert await _raise(stage, now=NOW + 2)
    listed = await stage.read(lambda tx: problems.list_problems(tx, MAIN, only_open=False, limit=9))
    assert [(each.raised_at, each.cleared_at) for each in listed] == [
        (NOW + 2, None),
        (NOW, NOW + 1),
    ]


async def test_problems_of_something_that_is_gone_are_all_cleared(stage: Stage) -> None:
    await _raise(stage, now=NOW)
    await _raise(stage, "endpoint:b", now=NOW)
    await _write(stage, lambda tx: problems.clear_all(tx, MAIN, subject="endpoint:a", now=NOW + 1))
    listed = await stage.read(lambda tx: problems.list_problems(tx, MAIN, only_open=True, limit=9))
    assert [each.subject for each in listed] == ["endpoint:b"]
    others = await stage.read(
        lambda tx: problems.list_problems(tx, OTHER, only_open=False, limit=9)
    )
    assert others == []


async def test_the_end_of_an_empty_log_is_a_place_for_a_cursor(stage: Stage, vault: Vault) -> None:
    def work(tx: Connection) -> Position | None:
        endpoints.add(tx, MAIN, _endpoint(), events.end_of(tx, MAIN), vault=vault)
        return endpoints.cursor(tx, MAIN, ID)

    assert await _write(stage, work) == Position(1, 0, 0, 0)
