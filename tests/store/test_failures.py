"""A failure of the store: one line in the log that says what the driver said, and nothing told.

Real: both databases and the faults in them, which are planted as triggers or missing tables. The
log is the process's own, so each test reads what came while it ran.
"""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Connection, insert, text
from sqlalchemy.exc import DBAPIError

from punchgate import telemetry
from punchgate.store import database, failure, installation, migrate, schema
from punchgate.store.error import StoreUnavailable
from tests import postgres
from tests.store.stage import NOW, Stage, fact

WHICH_WRITERS = ("here", "apart")

SECRET = "Ada-Lovelace-4711"


def _failures(log: io.StringIO) -> list[dict[str, Any]]:
    telemetry.SINK.flush()
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in lines if line["event"] == "store.failed"]


def _is_whole(line: dict[str, Any]) -> bool:
    return (line["level"], line["slug"]) == ("error", "store.unavailable") and bool(line["error"])


async def test_a_failed_group_is_one_line_however_many_waited(
    stage: Stage, log: io.StringIO
) -> None:
    await stage.plant("BEFORE INSERT ON event", when="1 = 1", is_row_at_fault=False)
    calls = [stage.store.writer.record([fact(f"p{each}")]) for each in range(5)]

    # The first is a group of its own and fails as well: it holds the others up.
    first = asyncio.ensure_future(stage.store.writer.record([fact("first")]))
    outcomes = await asyncio.gather(first, *calls, return_exceptions=True)

    assert {type(each) for each in outcomes} == {StoreUnavailable}
    lines = _failures(log)
    assert 1 <= len(lines) <= 2
    assert all(_is_whole(line) for line in lines)
    if stage.is_sqlite:
        assert lines[0]["error"] == "OperationalError"
        assert (lines[0]["state"], lines[0]["reason"]) == (
            *("SQLITE_ERROR", "no such table: main.missing"),
        )
    else:
        assert (lines[0]["error"], lines[0]["state"]) == ("DiskFullError", "53100")
        assert lines[0]["reason"] == "planted"


async def test_work_that_fails_is_one_line(stage: Stage, log: io.StringIO) -> None:
    with pytest.raises(StoreUnavailable):
        await stage.sql("DELETE FROM missing")

    (line,) = _failures(log)
    assert _is_whole(line)
    assert "missing" in line["reason"]
    assert line["state"] == ("SQLITE_ERROR" if stage.is_sqlite else "42P01")


async def test_a_read_that_fails_is_one_line(stage: Stage, log: io.StringIO) -> None:
    with pytest.raises(StoreUnavailable):
        await stage.read(lambda tx: tx.execute(text("SELECT * FROM missing")).all())

    (line,) = _failures(log)
    assert _is_whole(line)
    assert line["error"] == ("OperationalError" if stage.is_sqlite else "UndefinedTableError")


async def test_a_read_that_is_not_answered_ends_and_the_next_is_asked_anew(
    postgresql_url: str,
) -> None:
    """What a cut cable does to an answer is done here by a lock."""
    where = database.address(postgresql_url)
    await migrate.migrate(where, NOW)
    reader = database.PostgresDatabase(where, limit_s=0.5)
    other = await asyncpg.connect(postgresql_url)
    try:
        async with other.transaction():
            await other.execute("LOCK TABLE installation IN ACCESS EXCLUSIVE MODE")
            async with asyncio.timeout(30):
                with pytest.raises(StoreUnavailable):
                    await reader.read(installation.revision)
        # What is not held up may take its time on a busy machine.
        reader._limit_s = 30
        assert await reader.read(installation.revision) >= 0
    finally:
        await other.close()
        await reader.close()


async def test_a_file_that_is_no_database_is_one_line(tmp_path: Path, log: io.StringIO) -> None:
    path = tmp_path / "punchgate.db"
    path.write_bytes(b"This is a letter." * 100)

    with pytest.raises(StoreUnavailable):
        await migrate.current(database.address(f"sqlite:///{path}"))

    (line,) = _failures(log)
    assert (line["error"], line["state"]) == ("DatabaseError", "SQLITE_NOTADB")


async def test_a_server_that_has_no_such_database_is_one_line(
    postgres: postgres.Cluster, log: io.StringIO
) -> None:
    with pytest.raises(StoreUnavailable):
        await migrate.current(database.address(postgres.url("there_is_none")))

    (line,) = _failures(log)
    assert (line["error"], line["state"]) == ("InvalidCatalogNameError", "3D000")


@pytest.mark.parametrize(
    ("cause", "state", "reason"),
    [
        (ConnectionRefusedError(111, f"Connect call failed ({SECRET})"), "ECONNREFUSED", "refused"),
        (OSError(f"Multiple exceptions: {SECRET}"), None, ""),
        (TimeoutError(), None, ""),
        (None, None, ""),
    ],
)
def test_the_address_that_did_not_answer_is_left_out(
    log: io.StringIO, cause: Exception | None, state: str | None, reason: str
) -> None:
    failure.note(cause)

    (line,) = _failures(log)
    assert line["state"] == state
    assert reason in line["reason"]
    assert bool(reason) == bool(line["reason"])
    assert SECRET not in log.getvalue()


async def test_I8_what_was_bound_to_a_statement_is_in_no_error_and_no_line(
    stage: Stage, log: io.StringIO
) -> None:
    def ask(tx: Connection) -> None:
        tx.execute(text("SELECT * FROM missing WHERE name = :name"), {"name": SECRET})

    def write(tx: Connection) -> None:
        for _ in range(2):
            tx.execute(insert(schema.removal).values(account=1, user_code=SECRET))

    with pytest.raises(StoreUnavailable) as asked:
        await stage.read(ask)
    with pytest.raises(DBAPIError) as written:
        await stage.store.writer.run(write)

    wrapped = asked.value.__cause__
    assert isinstance(wrapped, DBAPIError)
    assert "hide_parameters" in str(wrapped)
    assert SECRET not in str(wrapped)
    assert "hide_parameters" in str(written.value)
    assert len(_failures(log)) == 1
    assert SECRET not in log.getvalue()


def test_I8_an_address_says_no_password_of_itself() -> None:
    where = database.address(f"postgresql://gate:{SECRET}@db/punches")

    assert SECRET in where.url
    assert SECRET not in repr(where)


async def test_I8_a_value_that_postgresql_names_in_its_words_is_left_out(
    postgresql_url: str, log: io.StringIO
) -> None:
    engine = database.postgres_engine(database.address(postgresql_url))
    try:
        with pytest.raises(DBAPIError) as caught:
            async with engine.connect() as connection:
                await connection.execute(text(f"SELECT '{SECRET}'::int"))
    finally:
        await engine.dispose()

    failure.note(caught.value)

    (line,) = _failures(log)
    assert (line["error"], line["state"], line["reason"]) == (
        *("InvalidTextRepresentationError", "22P02", ""),
    )
    assert SECRET not in log.getvalue()
