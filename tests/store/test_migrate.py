"""Migrations: they build what `schema.py` says, on both databases, and never twice.

Real: Alembic, both databases. Also here: who may open a data directory.
"""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from punchgate.store import database, migrate, schema
from punchgate.store.error import StoreOutdated, StoreUnavailable, StoreUnsafe
from punchgate.store.opening import open_store
from tests import postgres
from tests.store import stage as stages
from tests.store.stage import NOW, Stage, fact

GUARDS = {
    ("audit", "audit_keeps"),
    ("event", "event_body_keeps"),
    ("event", "event_keeps"),
    ("event", "event_stays"),
    ("punch", "punch_keeps"),
    ("punch", "punch_stays"),
}
SQLITE_ONLY = {("audit", "audit_stays")}
POSTGRES_ONLY = {("audit", "audit_whole"), ("event", "event_whole"), ("punch", "punch_whole")}


async def test_the_migrations_build_the_tables_of_the_schema(stage: Stage) -> None:
    def compare(tx: Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": False}
        return list(compare_metadata(MigrationContext.configure(tx, opts=options), schema.metadata))

    differences = await stage.read(compare)

    # The one index that only PostgreSQL needs: a position of its log is (tx, seq).
    expected = [] if stage.is_sqlite else [("remove_index", "event_position")]
    assert [(change[0], change[1].name) for change in differences] == expected


async def test_keys_are_those_of_the_schema_column_by_column(stage: Stage) -> None:
    def keys(tx: Connection) -> dict[str, list[str]]:
        inspector = inspect(tx)
        return {
            table: list(inspector.get_pk_constraint(table)["constrained_columns"])
            for table in inspector.get_table_names()
            if table != "alembic_version"
        }

    expected = {
        table.name: [column.name for column in table.primary_key.columns]
        for table in schema.metadata.sorted_tables
    }
    assert await stage.read(keys) == expected


async def test_defaults_of_the_server_are_numbers_and_what_older_rows_lack(stage: Stage) -> None:
    def defaults(tx: Connection) -> dict[tuple[str, str], str]:
        inspector = inspect(tx)
        return {
            (table, column["name"]): str(column["default"])
            for table in inspector.get_table_names()
            for column in inspector.get_columns(table)
            if column["default"] is not None
        }

    found = await stage.read(defaults)

    # Devices that were heard before the log told of them.
    assert found.pop(("presence", "is_online")) in {"0", "false"}
    assert found.pop(("presence", "since")) in {"0", "'0'::bigint"}
    if stage.is_sqlite:
        assert found == {("event", "tx"): "0"}
    else:
        # Every entry knows the transaction that wrote it.
        assert "pg_current_xact_id" in found.pop(("event", "tx"))
        numbered = ("attempt", "audit", "problem")
        assert sorted(found) == sorted([("event", "seq"), *((name, "no") for name in numbered)])


async def test_the_guards_are_there_and_no_others(stage: Stage) -> None:
    question = (
        "SELECT tbl_name, name FROM sqlite_master WHERE type = 'trigger'"
        if stage.is_sqlite
        else "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal"
    )

    found = await stage.read(lambda tx: {tuple(row) for row in tx.execute(text(question))})

    assert found == GUARDS | (SQLITE_ONLY if stage.is_sqlite else POSTGRES_ONLY)


async def test_tables_without_row_numbers_are_those_of_the_schema(sqlite_url: str) -> None:
    async with stages.open_stage(sqlite_url) as stage:
        listed = text("SELECT name FROM pragma_table_list WHERE wr = 1 AND type = 'table'")
        found = await stage.read(lambda tx: set(tx.execute(listed).scalars()))

    expected = {
        table.name
        for table in schema.metadata.sorted_tables
        if table.dialect_options["sqlite"]["with_rowid"] is False
    }
    assert found == expected == {"workday", "workday_count", "workday_stale"}


async def test_an_empty_installation_has_the_account_main_and_nothing_else(stage: Stage) -> None:
    (installation,) = await stage.rows(schema.installation)
    (account,) = await stage.rows(schema.account)

    assert (installation.revision, installation.generation) == (1, 1)
    assert installation.created_at == NOW
    assert (account.no, account.name, account.next_person, account.zone) == (1, "main", 1, None)
    filled = [
        table.name
        for table in schema.metadata.sorted_tables
        if table.name not in {"installation", "account"} and await stage.rows(table)
    ]
    assert filled == []


async def test_migrating_again_changes_nothing(database_url: str) -> None:
    where = database.address(database_url)
    first = await migrate.migrate(where, NOW)
    async with stages.open_stage(database_url) as stage:
        await stage.store.writer.record([fact()])

    assert await migrate.migrate(where, NOW + 1) == first == migrate.newest()

    async with stages.open_stage(database_url) as stage:
        assert len(await stage.rows(schema.punch)) == 1
        assert (await stage.rows(schema.installation))[0].created_at == NOW


async def test_an_empty_database_has_taken_no_step(database_url: str) -> None:
    where = database.address(database_url)

    assert await migrate.current(where) is None
    with pytest.raises(StoreOutdated, match="step none"):
        await migrate.ensure_current(where)


async def test_a_database_of_an_older_program_is_refused_with_what_to_do(stage: Stage) -> None:
    await stage.sql("DELETE FROM alembic_version")

    with pytest.raises(StoreOutdated, match="punchgate db migrate"):
        await migrate.ensure_current(database.address(stage.url))


async def test_a_database_of_a_newer_program_is_refused_and_left_alone(database_url: str) -> None:
    async with stages.open_stage(database_url) as stage:
        await stage.sql("UPDATE alembic_version SET version_num = '9999'")
    where = database.address(database_url)

    with pytest.raises(StoreOutdated, match=r"9999.*Run a newer program") as caught:
        await migrate.ensure_current(where)
    assert "db migrate" not in str(caught.value)
    with pytest.raises(StoreOutdated, match="9999"):
        await migrate.migrate(where, NOW)
    for is_serving in (True, False):
        with pytest.raises(StoreOutdated):
            async with open_store(where, is_serving=is_serving, now=NOW):
                pass
    assert await migrate.current(where) == "9999"


async def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "punchgate.db"
    path.write_bytes(b"This is a letter to the administrator." * 100)

    with pytest.raises(
        StoreUnavailable, match="cannot be read as a database: file is not a database"
    ):
        async with open_store(database.address(f"sqlite:///{path}"), is_serving=True, now=NOW):
            pass
    assert path.read_bytes().startswith(b"This is a letter")


async def test_tables_that_cannot_be_written_say_why(tmp_path: Path) -> None:
    (tmp_path / "punchgate.db").mkdir()
    where = database.address(f"sqlite:///{tmp_path / 'punchgate.db'}")

    with pytest.raises(StoreUnavailable, match="brought up to date: unable to open database file"):
        await migrate.migrate(where, NOW)


async def test_tables_that_cannot_be_reached_say_why(postgres: postgres.Cluster) -> None:
    where = database.address(postgres.url("there_is_none"))

    with pytest.raises(StoreUnavailable, match=r"brought up to date: database .* does not exist"):
        await migrate.migrate(where, NOW)


async def test_a_second_server_on_one_directory_is_refused(sqlite_url: str) -> None:
    where = database.address(sqlite_url)
    async with open_store(where, is_serving=True, now=NOW):
        with pytest.raises(StoreUnsafe, match="Another server works on"):
            async with open_store(where, is_serving=True, now=NOW):
                pass
        # A command may work beside it.
        async with open_store(where, is_serving=False, now=NOW) as beside:
            assert list(await beside.writer.record([fact()])) == ["recorded"]
    async with open_store(where, is_serving=True, now=NOW) as after:
        assert list(await after.writer.record([fact()])) == ["duplicate"]


async def test_a_server_that_could_not_open_leaves_the_directory_free(tmp_path: Path) -> None:
    path = tmp_path / "punchgate.db"
    path.write_bytes(b"no database " * 1000)
    where = database.address(f"sqlite:///{path}")
    with pytest.raises(StoreUnavailable):
        async with open_store(where, is_serving=True, now=NOW):
            pass
    path.unlink()

    async with open_store(where, is_serving=True, now=NOW) as store:
        assert list(await store.writer.record([fact()])) == ["recorded"]


async def test_everything_written_is_in_the_file_after_closing(sqlite_url: str) -> None:
    async with stages.open_stage(sqlite_url) as stage:
        await stage.store.writer.record([fact()])

    db = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    try:
        assert db.execute("SELECT count(*) FROM punch").fetchone() == (1,)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    finally:
        db.close()


@pytest.mark.parametrize(
    ("given", "dialect", "url"),
    [
        ("sqlite:///data/p.db", "sqlite", "sqlite:///data/p.db"),
        ("sqlite:////srv/p.db", "sqlite", "sqlite:////srv/p.db"),
        ("postgresql://u:p%40@h:1/n", "postgresql", "postgresql://u:p%40@h:1/n"),
        ("postgresql+asyncpg://u@h/n", "postgresql", "postgresql://u@h/n"),
    ],
)
def test_an_address_names_its_dialect(given: str, dialect: str, url: str) -> None:
    assert database.address(given) == database.Address(dialect, url)  # type: ignore[arg-type]  # the table's text


def test_an_address_of_another_database_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="mysql is not a database that we keep punches in"):
        database.address("mysql://u@h/n")
