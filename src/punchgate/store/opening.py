"""Opening the store: the data directory is locked, the tables made current, then it is opened.

Functions here take an address, because there is no transaction yet.
"""

import asyncio
import errno
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy.engine import make_url

from punchgate.domain.error import NotFound
from punchgate.store import leases, migrate, rebase, sqlite_file
from punchgate.store.database import Address, Database, open_database
from punchgate.store.error import StoreUnsafe
from punchgate.store.writer import Writer
from punchgate.store.writer_postgres import PostgresWriter
from punchgate.store.writer_process import ProcessWriter
from punchgate.store.writer_sqlite import SqliteWriter

#: How long a server waits for the end of the one before it.
LOCK_S: Final = 2.0


class Store(NamedTuple):
    """An open store."""

    database: Database
    writer: Writer


@asynccontextmanager
async def open_store(
    where: Address,
    *,
    is_serving: bool,
    now: int,
    may_create: bool = True,
    writes_apart: bool = False,
) -> AsyncIterator[Store]:
    """Open the store and close it in the end; an empty one gets its tables if `may_create`.

    With `writes_apart` punches are committed by a process of their own.

    A server on SQLite also brings older tables up to date, and holds the data directory for itself:
    a second server on one file gains nothing and would be a second checkpointer.

    Errors:  StoreOutdated, StoreUnsafe; NotFound for an empty one that may not be created;
             NotADirectoryError.
    """
    _ensure_directory(where)
    lock = await _lock(where.path.parent) if where.dialect == "sqlite" and is_serving else None
    try:
        found = await migrate.current(where)
        if found is None and not may_create:
            raise NotFound(_nothing(where))
        if found is None or (where.dialect == "sqlite" and is_serving):
            await migrate.migrate(where, now)
        await migrate.ensure_current(where)
        if is_serving:
            await rebase.adopt(where)
        database = open_database(where)
        writer: Writer = (
            SqliteWriter(where, is_serving=is_serving)
            if where.dialect == "sqlite"
            else PostgresWriter(where)
        )
        try:
            if writes_apart:
                apart = ProcessWriter(where, writer, keep=() if lock is None else (lock,))
                await apart.open()
                writer = apart
            if lock is not None:
                # Nobody else serves from here, so whoever held a lease was killed.
                await writer.run(leases.release_all)
            yield Store(database, writer)
        finally:
            await writer.close()
            await database.close()
    finally:
        if lock is not None:
            os.close(lock)


def _ensure_directory(where: Address) -> None:
    if where.dialect == "sqlite" and where.path.parent.exists() and not where.path.parent.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(where.path.parent))


def _nothing(where: Address) -> str:
    if where.dialect == "sqlite":
        return (
            f"There is no data in {where.path.parent}. It holds no {where.path.name};"
            " name the right directory, or begin a new one with `punchgate db migrate`."
        )
    # Without the password, wherever it stands.
    place = repr(make_url(where.url).set(query={}))
    return f"There is no data in {place}. Begin it with `punchgate db migrate`."


async def _lock(directory: Path) -> int:
    """Hold a directory until the file that is given back is closed by all who have it.

    The writing process has it too. So one whose server was killed is waited for: it ends with the
    group that it is committing.
    """
    os.makedirs(directory, mode=0o700, exist_ok=True)  # noqa: PTH103 (before there is a loop to hold up)
    sqlite_file.refuse_remote(directory)
    lock = os.open(directory / "serve.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        async with asyncio.timeout(LOCK_S):
            # A lock can be waited for with no limit or not at all.
            while not _is_locked(lock):  # noqa: ASYNC110 (above)
                await asyncio.sleep(0.02)  # noqa: TID251 (above)
    except TimeoutError:
        os.close(lock)
        raise StoreUnsafe(
            f"Another server works on {directory}."
            " Stop it, or give this one a directory of its own."
        ) from None
    return lock


def _is_locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
