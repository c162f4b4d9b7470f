"""Opening the database, and reading from it.

A read is a plain function that gets a transaction which cannot write; it sees one consistent
snapshot. On SQLite reads run on a few threads with connections of their own, on PostgreSQL on a
pool. Writing is `writer.py`'s alone.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeVar

import asyncpg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from punchgate.store import failure, sqlite_file
from punchgate.store.error import StoreUnavailable, because

__all__ = [
    "POSTGRES_ERRORS",
    "Address",
    "Connection",
    "Database",
    "PostgresDatabase",
    "SqliteDatabase",
    "address",
    "open_database",
    "postgres_engine",
    "sqlite_engine",
]

T = TypeVar("T")

#: More threads only queue for the interpreter; four keep a slow report from holding up quick ones.
READERS: Final = 4
#: A read that takes longer than this has lost its PostgreSQL: behind a cut cable nobody says so for
#: a quarter of an hour.
READ_LIMIT_S: Final = 60.0
#: Values bound in one statement; both databases take ten times as many.
SLICE: Final = 1_000
#: What says that PostgreSQL cannot be asked. While it connects, SQLAlchemy hands on what the driver
#: raises as it is: a server that starts up, or has no room, says so by an error of its own.
POSTGRES_ERRORS: Final = (
    DBAPIError,
    PoolTimeout,
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the data is: a SQLite file, or a PostgreSQL URL without its driver."""

    dialect: Literal["sqlite", "postgresql"]
    #: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST:PORT/NAME`.
    url: str = field(repr=False)

    @property
    def path(self) -> Path:
        """Give the SQLite file; only there for SQLite."""
        return Path(self.url.removeprefix("sqlite:///"))


def address(url: str) -> Address:
    """Read a database URL; ValueError names what is wrong with it."""
    name = make_url(url).get_backend_name()
    if name == "sqlite":
        return Address("sqlite", "sqlite:///" + url.removeprefix("sqlite:///"))
    if name in {"postgresql", "postgres"}:
        plain = make_url(url).set(drivername="postgresql")
        return Address("postgresql", plain.render_as_string(hide_password=False))
    raise ValueError(f"{name} is not a database that we keep punches in: use sqlite or postgresql.")


def slices(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut a list into parts that one statement can bind."""
    for start in range(0, len(items), SLICE):
        yield items[start : start + SLICE]


class Database(Protocol):
    """The store, for questions. Two implementations, one suite (`tests/store/`)."""

    address: Address

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction that cannot write and give its result back.

        Errors: StoreUnavailable when the database cannot be asked; whatever `work` raises.
        """
        ...

    async def close(self) -> None:
        """Close every connection; the object is of no use afterwards."""
        ...


def open_database(where: Address) -> Database:
    """Open the store for reading; nothing is connected before the first read."""
    return SqliteDatabase(where) if where.dialect == "sqlite" else PostgresDatabase(where)


class SqliteDatabase:
    """A SQLite file, read on a few threads."""

    def __init__(self, where: Address) -> None:
        self.address = where
        self._engine = sqlite_engine(where.path, is_read_only=True, size=READERS)
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="punchgate-read")

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Read on a thread of our own; see `Database`."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, self._read, work)
        except (DBAPIError, sqlite3.Error) as error:
            failure.note(error)
            raise StoreUnavailable(f"The database file cannot be read{because(error)}.") from error

    def _read(self, work: Callable[[Connection], T]) -> T:
        with self._engine.connect() as tx:
            return work(tx)

    async def close(self) -> None:
        """Let reads that run come to their end, then close."""
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)
        self._engine.dispose()


class PostgresDatabase:
    """A PostgreSQL database, read through a pool."""

    def __init__(self, where: Address, *, limit_s: float = READ_LIMIT_S) -> None:
        self.address = where
        self.engine: AsyncEngine = postgres_engine(where)
        self._limit_s = limit_s

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Read on a connection of the pool; see `Database`."""
        try:
            async with asyncio.timeout(self._limit_s), self.engine.connect() as connection:
                await connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
                return await connection.run_sync(work)
        except POSTGRES_ERRORS as error:
            failure.note(error)
            raise StoreUnavailable(f"PostgreSQL cannot be asked{because(error)}.") from error

    async def close(self) -> None:
        """Close the pool."""
        await self.engine.dispose()


def sqlite_engine(path: Path, *, is_read_only: bool, size: int = 1) -> Engine:
    """Make an engine on the file, whose transactions we begin ourselves.

    What is bound to a statement stays out of the texts of errors: those reach the log.
    """
    engine = create_engine(
        "sqlite+pysqlite://",
        creator=partial(sqlite_file.connect, path, is_read_only=is_read_only),
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        hide_parameters=True,
    )
    opening = "BEGIN" if is_read_only else "BEGIN IMMEDIATE"

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(opening)

    event.listen(engine, "begin", begin)
    return engine


def postgres_engine(where: Address, **options: Any) -> AsyncEngine:
    """Make a pool of PostgreSQL connections that flush before they answer."""
    return create_async_engine(
        make_url(where.url).set(drivername="postgresql+asyncpg"),
        pool_size=READERS,
        max_overflow=READERS,
        pool_timeout=5,
        connect_args={"server_settings": {"synchronous_commit": "on"}, "timeout": 5},
        hide_parameters=True,
        **options,
    )
