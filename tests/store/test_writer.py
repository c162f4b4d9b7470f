"""The writer: who is committed together, what a failed commit means, how full is full.

Real: both databases, their commits and the faults in them. Nothing is asserted of time.
"""

import asyncio
import os
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Connection, insert, text

from punchgate.domain.ids import AccountNo
from punchgate.store import database, schema, writer
from punchgate.store.committer_postgres import FLUSHED
from punchgate.store.error import StoreBusy, StoreUnavailable, StoreUnsafe
from punchgate.store.fact import Fact, Held
from punchgate.store.opening import open_store
from punchgate.store.writer import GROUP_ROWS, QUEUE_BOUND, Job
from tests import installed, postgres
from tests.store import stage as stages
from tests.store.stage import NOW, Stage, caused, fact, held

WHICH_WRITERS = ("here", "apart")


async def _touches(stage: Stage) -> dict[int, int]:
    """Say how many stale days each group has marked: a group has one touch."""
    found: dict[int, int] = {}
    for row in await stage.rows(schema.workday_stale):
        found[row.touch] = found.get(row.touch, 0) + 1
    return found


async def test_callers_that_wait_together_are_committed_together(stage: Stage) -> None:
    calls = [stage.store.writer.record([fact(f"p{each}")]) for each in range(7)]

    outcomes = await stage.together(fact("first"), calls)

    assert [list(each) for each in outcomes] == [["recorded"]] * 7
    assert 7 in (await _touches(stage)).values()


async def test_each_caller_hears_of_its_own_items_in_their_order(stage: Stage) -> None:
    await stage.store.writer.record([fact("old")])
    calls = [
        stage.store.writer.record([fact("a"), fact("old"), held(b"x")]),
        stage.store.writer.record([]),
        stage.store.writer.record([held(b"y")]),
        stage.store.writer.record([fact("a"), fact("b")]),
    ]

    outcomes = await stage.together(fact("first"), calls)

    assert [list(each) for each in outcomes] == [
        ["recorded", "duplicate", "quarantined"],
        [],
        ["quarantined"],
        ["duplicate", "recorded"],
    ]


@pytest.mark.slow
async def test_a_group_has_a_thousand_rows_at_most(stage: Stage) -> None:
    assert GROUP_ROWS == 1_000
    calls = [
        stage.store.writer.record([fact(f"{caller}-{each}") for each in range(400)])
        for caller in range(3)
    ]

    await stage.together(fact("first"), calls)

    assert sorted((await _touches(stage)).values())[-2:] == [400, 800]


@pytest.mark.slow
async def test_an_upload_larger_than_a_group_is_one_transaction(stage: Stage) -> None:
    outcomes = await stage.store.writer.record([fact(f"p{each}") for each in range(1_300)])

    assert list(outcomes) == ["recorded"] * 1_300
    assert list((await _touches(stage)).values()) == [1_300]


async def test_I1_a_failed_commit_is_never_acknowledged_and_never_tried_again(
    stage: Stage,
) -> None:
    """PostgreSQL refuses at COMMIT, and counts how often it was asked; SQLite's disk is full."""
    await stage.store.writer.record([fact("before")])
    calls = [stage.store.writer.record([fact(code), held(code.encode())]) for code in "ab"]

    if stage.is_sqlite:
        path = Path(stage.url.removeprefix("sqlite:///"))
        size = os.stat(f"{path}-wal").st_size  # noqa: PTH116 (two names)
        with stages.file_limit(size, stage.writing_pid):
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
    else:
        await stage.sql(
            "CREATE SEQUENCE asked",
            "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " PERFORM nextval('asked'); RAISE EXCEPTION 'late' USING ERRCODE = '53100'; END $$",
            "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON punch DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION late()",
        )
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        asked = await stage.read(
            lambda tx: tx.execute(text("SELECT last_value FROM asked")).scalar_one()
        )
        # A group of two or two groups of one: once each, never again.
        assert asked <= 2
        await stage.sql("DROP TRIGGER late ON punch")

    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable, StoreUnavailable]
    assert await stage.sizes(*caused(), schema.quarantine) == [1, 1, 1, 1, 0]
    assert list(await stage.store.writer.record([fact("after")])) == ["recorded"]
    codes = [row.user_code for row in await stage.rows(schema.person)]
    assert codes == ["before", "after"]


async def test_after_a_failure_the_people_it_would_have_made_are_forgotten(stage: Stage) -> None:
    await stage.plant("BEFORE INSERT ON event", when="1 = 1", is_row_at_fault=False)
    with pytest.raises(StoreUnavailable):
        await stage.store.writer.record([fact("a")])
    await stage.unplant("event")

    await stage.store.writer.record([fact("b")])
    await stage.store.writer.record([fact("a")])

    rows = await stage.rows(schema.person)
    assert [(row.person_no, row.user_code) for row in rows] == [(1, "b"), (2, "a")]
    marked = {row.person_no for row in await stage.rows(schema.workday_stale)}
    assert marked == {1, 2}


async def test_what_nobody_foresaw_reaches_its_caller_and_leaves_no_transaction_open(
    stage: Stage,
) -> None:
    stranger = fact()._replace(punch=fact().punch._replace(account=writer.T))  # type: ignore[arg-type]  # that is the point

    with pytest.raises(Exception, match=r".") as caught:
        await stage.store.writer.record([stranger])

    assert not isinstance(caught.value, StoreBusy)
    assert list(await stage.store.writer.record([fact()])) == ["recorded"]


async def test_a_punch_of_an_account_that_is_not_there_is_nobodys(stage: Stage) -> None:
    with pytest.raises(Exception, match=r"."):
        await stage.store.writer.record([fact(account=AccountNo(77))])

    assert await stage.sizes(*caused()) == [0] * 4
    assert list(await stage.store.writer.record([fact()])) == ["recorded"]


async def test_the_bound_of_the_queue_refuses_before_anything_is_tried() -> None:
    writer.admit(QUEUE_BOUND - 1)

    with pytest.raises(StoreBusy):
        writer.admit(QUEUE_BOUND)


@pytest.mark.slow
async def test_a_full_queue_refuses_and_forgets_nobody_who_waits(stage: Stage) -> None:
    async def fill() -> str:
        try:
            await stage.store.writer.record([])
        except StoreBusy:
            return "busy"
        return "done"

    async def more() -> str:
        # Handed in after the others: tasks begin in the order in which they were made.
        return await fill()

    async with stage._busy(fact("first")):
        free = QUEUE_BOUND - stage.store.writer.waiting
        tasks = [asyncio.ensure_future(fill()) for _ in range(free)]
        await stages.until(lambda: stage.store.writer.waiting == QUEUE_BOUND)
        assert await more() == "busy"
    assert set(await asyncio.gather(*tasks)) == {"done"}
    assert await more() == "done"


async def test_run_gives_back_the_result_after_the_commit(stage: Stage) -> None:
    def work(tx: Connection) -> str:
        tx.execute(insert(schema.removal).values(account=1, user_code="x"))
        return "done"

    assert await stage.store.writer.run(work) == "done"

    assert await stage.sizes(schema.removal) == [1]


async def test_run_rolls_everything_back_when_its_work_raises(stage: Stage) -> None:
    class Own(Exception):
        pass

    def work(tx: Connection) -> None:
        tx.execute(insert(schema.removal).values(account=1, user_code="x"))
        raise Own

    with pytest.raises(Own):
        await stage.store.writer.run(work)

    assert await stage.sizes(schema.removal) == [0]
    assert list(await stage.store.writer.record([fact()])) == ["recorded"]


async def test_a_broken_statement_in_run_is_an_unavailable_store(stage: Stage) -> None:
    with pytest.raises(StoreUnavailable):
        await stage.sql("INSERT INTO removal VALUES (1, 'x')", "DELETE FROM missing")

    assert await stage.sizes(schema.removal) == [0]


async def test_closing_commits_what_waits(database_url: str) -> None:
    async with stages.open_stage(database_url) as stage:
        tasks = [
            asyncio.ensure_future(stage.store.writer.record([fact(f"p{each}")]))
            for each in range(50)
        ]
        await stages.until(lambda: stage.store.writer.waiting > 0 or tasks[-1].done())

    assert {outcome for task in tasks for outcome in await task} == {"recorded"}
    async with stages.open_stage(database_url) as stage:
        assert await stage.sizes(*caused()) == [50] * 4


async def test_a_caller_that_gives_up_does_not_undo_what_was_handed_in(stage: Stage) -> None:
    task = asyncio.ensure_future(stage.store.writer.record([fact("gone")]))
    await stages.until(lambda: stage.store.writer.waiting > 0 or task.done())
    task.cancel()

    assert list(await stage.store.writer.record([fact("after")])) == ["recorded"]

    codes = {row.user_code for row in await stage.rows(schema.punch)}
    assert codes == {"gone", "after"}


def test_a_group_lays_facts_and_held_items_side_by_side() -> None:
    items: list[Fact | Held] = [held(b"x"), fact("a"), held(b"y"), fact("b")]
    loop = asyncio.new_event_loop()
    try:
        jobs = [Job(loop.create_future(), items[:3]), Job(loop.create_future(), items[3:])]
    finally:
        loop.close()

    group = writer.gather(jobs)

    assert (group.facts, group.held) == ([items[1], items[3]], [items[0], items[2]])
    assert group.share(["recorded", "duplicate"]) == [
        ["quarantined", "recorded", "quarantined"],
        ["duplicate"],
    ]


async def test_on_sqlite_every_commit_is_flushed_and_the_log_is_written_ahead(
    sqlite_url: str,
) -> None:
    async with stages.open_stage(sqlite_url) as stage:
        found = await stage.store.writer.run(
            lambda tx: [
                tx.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("journal_mode", "synchronous", "wal_autocheckpoint", "secure_delete")
            ]
        )

    assert found == ["wal", 2, 4_000, 1]


async def test_on_sqlite_a_command_beside_a_server_never_checkpoints(sqlite_url: str) -> None:
    async with (
        stages.open_stage(sqlite_url),
        open_store(database.address(sqlite_url), is_serving=False, now=NOW) as beside,
    ):
        pages = await beside.writer.run(
            lambda tx: tx.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar_one()
        )
        assert pages == 0
        assert list(await beside.writer.record([fact()])) == ["recorded"]


async def test_on_postgresql_every_commit_is_flushed(postgresql_url: str) -> None:
    async with stages.open_stage(postgresql_url) as stage:
        setting = await stage.store.writer.run(
            lambda tx: tx.exec_driver_sql("SHOW synchronous_commit").scalar_one()
        )
        assert setting == "on"
        # The writer's own connection is another one; it ran the check itself before its first row.
        assert list(await stage.store.writer.record([fact()])) == ["recorded"]
    assert {"off", "local"}.isdisjoint(FLUSHED)


async def test_a_database_that_was_told_not_to_flush_is_overruled(
    postgres: postgres.Cluster, postgresql_url: str
) -> None:
    """A database may carry a setting of its own; ours goes above it."""
    name = postgresql_url.rpartition("/")[2]
    postgres.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')

    async with stages.open_stage(postgresql_url) as stage:
        assert list(await stage.store.writer.record([fact()])) == ["recorded"]
        writer_db = stage.store.writer._committer._db  # type: ignore[attr-defined]  # PostgreSQL's own
        assert await writer_db.fetchval("SHOW synchronous_commit") == "on"


async def test_a_postgresql_without_fsync_is_refused() -> None:
    with postgres.running(installed.postgresql_folder(), {"fsync": "off"}) as cluster:
        url = cluster.url(cluster.create())
        async with stages.open_stage(url) as stage:
            with pytest.raises(StoreUnsafe, match="fsync off"):
                await stage.store.writer.record([fact()])
        # A server does not even start.
        with pytest.raises(StoreUnsafe, match="fsync off"):
            async with stages.open_stage(url, writes_apart=True):
                pass


async def test_a_database_that_cannot_be_reached_is_unavailable_and_nothing_else(
    postgres: postgres.Cluster,
) -> None:
    where = database.address(postgres.url("there_is_none"))

    with pytest.raises(StoreUnavailable):
        async with open_store(where, is_serving=True, now=NOW):
            pass


async def test_connections_that_are_cut_are_replaced(postgresql_url: str) -> None:
    async with stages.open_stage(postgresql_url) as stage:
        await stage.store.writer.record([fact("a")])
        other = await asyncpg.connect(postgresql_url)
        await other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await other.close()
        outcomes: list[str] = []
        for code in "bcd":
            try:
                outcomes += list(await stage.store.writer.record([fact(code)]))
            except StoreUnavailable:
                outcomes.append("unavailable")

        assert outcomes[-1] == "recorded"
        stored = {row.user_code for row in await _patiently(stage)}
    said = {code for code, outcome in zip("bcd", outcomes, strict=True) if outcome == "recorded"}
    assert stored == said | {"a"}


async def _patiently(stage: Stage) -> list[Any]:
    """Read although the pool still holds connections that were cut."""
    for _ in range(20):
        try:
            return await stage.rows(schema.punch)
        except StoreUnavailable:
            continue
    raise AssertionError
