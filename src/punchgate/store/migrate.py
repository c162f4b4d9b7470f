"""Bringing the tables up to date: numbered steps, forward only, each in a transaction.

`serve` on SQLite does it by itself at start; on PostgreSQL, where several processes share the
tables, it is asked for with `punchgate db migrate`. Functions here open a connection of their own
and take an address instead of a transaction.
"""

import asyncio
import sqlite3
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from punchgate.store import failure
from punchgate.store.database import POSTGRES_ERRORS, Address, postgres_engine, sqlite_engine
from punchgate.store.error import StoreOutdated, StoreUnavailable, because

_STEPS: Final = Path(__file__).parent / "migrations"
#: Two processes that migrate at once take turns.
_LOCK: Final = 0x70756E63


def newest() -> str:
    """Give the name of the last step that this program knows."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


async def current(where: Address) -> str | None:
    """Give the name of the last step that the database has taken; None for an empty one.

    Errors: StoreUnavailable.
    """
    if where.dialect == "sqlite":
        if not where.path.exists():
            return None
        try:
            return await asyncio.to_thread(_current_sqlite, where)
        except (DBAPIError, sqlite3.Error) as error:
            failure.note(error)
            why = because(error)
            raise StoreUnavailable(f"{where.path} cannot be read as a database{why}.") from error
    engine = postgres_engine(where)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_current)
    except POSTGRES_ERRORS as error:
        failure.note(error)
        raise StoreUnavailable(f"PostgreSQL cannot be asked{because(error)}.") from error
    finally:
        await engine.dispose()


async def migrate(where: Address, now: int) -> str:
    """Take every step that is missing and give the name of the last one; safe to call twice.

    Units:   `now` is milliseconds since 1970-01-01 UTC, noted as the time of creation.
    Errors:  StoreOutdated if the database has taken steps that this program does not know;
             StoreUnavailable, and no step is taken then.
    """
    if where.dialect == "sqlite":
        where.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        if where.dialect == "sqlite":
            await asyncio.to_thread(_migrate_sqlite, where, now)
        else:
            await _migrate_postgres(where, now)
    except (*POSTGRES_ERRORS, sqlite3.Error) as error:
        failure.note(error)
        why = because(error)
        raise StoreUnavailable(f"The tables cannot be brought up to date{why}.") from error
    return newest()


async def ensure_current(where: Address) -> None:
    """Refuse a database whose tables are not the ones that this program knows.

    Errors: StoreOutdated.
    """
    found = await current(where)
    if found is not None and not _is_known(found):
        raise _newer(found)
    if found != newest():
        raise StoreOutdated(
            f"The database is at step {found or 'none'}, this program needs {newest()}."
            " Run `punchgate db migrate`."
        )


async def _migrate_postgres(where: Address, now: int) -> None:
    engine = postgres_engine(where)
    try:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            await connection.run_sync(_upgrade, now)
    finally:
        await engine.dispose()


def _migrate_sqlite(where: Address, now: int) -> None:
    engine = sqlite_engine(where.path, is_read_only=False)
    try:
        with engine.connect() as connection:
            db = connection.connection.driver_connection
            if db is not None:
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=FULL")
                db.execute("PRAGMA wal_autocheckpoint=0")
            with connection.begin():
                _upgrade(connection, now)
    finally:
        engine.dispose()


def _current_sqlite(where: Address) -> str | None:
    engine = sqlite_engine(where.path, is_read_only=True)
    try:
        with engine.connect() as connection:
            return _current(connection)
    finally:
        engine.dispose()


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _upgrade(connection: Connection, now: int) -> None:
    config = _config()
    config.attributes["connection"] = connection
    config.attributes["now"] = now
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise _newer(_current(connection)) from error


def _is_known(step: str) -> bool:
    scripts = ScriptDirectory.from_config(_config())
    return any(known.revision == step for known in scripts.walk_revisions())


def _newer(step: str | None) -> StoreOutdated:
    return StoreOutdated(
        f"The database is at step {step}, which this program does not know. Run a newer program."
    )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_STEPS))
    config.set_main_option("path_separator", "os")
    return config
