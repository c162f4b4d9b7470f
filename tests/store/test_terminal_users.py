"""Who is on a terminal, as rows: one list at a time, whoever writes it.

Real: both databases; of two processes at once, PostgreSQL and connections of their own.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection

from punchgate.domain.ids import DeviceId, UserCode
from punchgate.domain.terminal import Known, Settings, Terminal
from punchgate.store import database, schema, terminal_users, terminals
from punchgate.store.terminal_users import Row
from punchgate.vault import Vault
from tests.store import stage as stages
from tests.store.stage import MAIN, NOW, Stage

ID = DeviceId("vt")
_PLAIN = Terminal(MAIN, ID, "10.0.0.7", created_at=NOW)
ANNA, BERT, CARL = Row(1, "1", "Anna", 0, 0), Row(2, "2", "Bert", 14, 7), Row(3, "3", "Carl", 0, 0)


async def _add(stage: Stage, directory: Path, terminal: Terminal = _PLAIN) -> None:
    vault = Vault(directory / "master.key", None, ())
    await stage.store.writer.run(
        partial(terminals.add, account=MAIN, terminal=terminal, vault=vault)
    )


async def _run(stage: Stage, work: Callable[[Connection], None]) -> None:
    await stage.store.writer.run(work)


async def _listed(stage: Stage) -> list[Row]:
    return await stage.read(lambda tx: terminal_users.list_users(tx, MAIN, ID))


async def test_a_list_stands_as_it_was_said(stage: Stage, tmp_path: Path) -> None:
    await _add(stage, tmp_path)
    await _run(stage, lambda tx: terminal_users.put_all(tx, MAIN, ID, [BERT, ANNA]))
    await _run(stage, lambda tx: terminal_users.put(tx, MAIN, ID, CARL))
    await _run(stage, lambda tx: terminal_users.put(tx, MAIN, ID, BERT._replace(name="B.")))
    assert await _listed(stage) == [BERT._replace(name="B."), ANNA, CARL]
    await _run(stage, lambda tx: terminal_users.remove(tx, MAIN, ID, UserCode("1")))
    assert [each.name for each in await _listed(stage)] == ["B.", "Carl"]
    await _run(stage, lambda tx: terminal_users.put_all(tx, MAIN, ID, [CARL]))
    assert await _listed(stage) == [CARL]


async def test_nothing_is_written_of_a_terminal_that_is_gone(stage: Stage) -> None:
    await _run(stage, lambda tx: terminal_users.put_all(tx, MAIN, ID, [ANNA]))
    await _run(stage, lambda tx: terminal_users.put(tx, MAIN, ID, BERT))
    assert await stage.rows(schema.terminal_user) == []


async def test_the_hints_of_a_terminal_are_what_it_said_and_how_it_is_set(
    stage: Stage, tmp_path: Path
) -> None:
    assert (await stage.read(lambda tx: terminals.hints(tx, MAIN, ID))).codes == {}
    settings = Settings(order16="state_method")
    terminal = replace(_PLAIN, settings=settings, known=Known(layout="8B"))
    await _add(stage, tmp_path, terminal)
    await _run(stage, lambda tx: terminal_users.put_all(tx, MAIN, ID, [ANNA, BERT]))
    hints = await stage.read(lambda tx: terminals.hints(tx, MAIN, ID))
    assert (hints.layout, hints.order16) == ("8B", "state_method")
    assert hints.codes == {1: "1", 2: "2"}


@pytest.mark.parametrize("second", ["all", "one"])
async def test_two_processes_write_the_list_of_one_terminal_one_after_the_other(
    second: str, postgresql_url: str, tmp_path: Path
) -> None:
    """Without the wait both find nothing to delete, and both insert the same places."""
    async with (
        stages.open_stage(postgresql_url) as one,
        stages.open_stage(postgresql_url) as other,
    ):
        await _add(one, tmp_path)
        is_written, may_commit = asyncio.Event(), asyncio.Event()

        def first_work(tx: Connection) -> None:
            terminal_users.put_all(tx, MAIN, ID, [ANNA, BERT])

        def second_work(tx: Connection) -> None:
            if second == "all":
                terminal_users.put_all(tx, MAIN, ID, [ANNA, BERT, CARL])
            else:
                terminal_users.put(tx, MAIN, ID, CARL)

        async def held() -> None:
            """Write, and commit when the other one waits."""
            engine = database.postgres_engine(database.address(postgresql_url))
            async with engine.begin() as connection:
                await connection.run_sync(first_work)
                is_written.set()
                await may_commit.wait()
            await engine.dispose()

        first = asyncio.ensure_future(held())
        await is_written.wait()
        then = asyncio.ensure_future(_run(other, second_work))
        await _somebody_waits(one)
        may_commit.set()
        await asyncio.gather(first, then)
        assert await _listed(one) == [ANNA, BERT, CARL]


async def _somebody_waits(stage: Stage) -> None:
    """Return when somebody waits for a row of somebody else."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    async with asyncio.timeout(20):
        while not await stage.read(  # noqa: ASYNC110 (the database sets no event)
            lambda tx: int(tx.exec_driver_sql(waiting).scalar_one())
        ):
            await asyncio.sleep(0.005)  # noqa: TID251 (looks again until the deadline)
