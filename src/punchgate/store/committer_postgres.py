"""Committing groups on PostgreSQL: a connection, a transaction a group, halved around a bad row.

`synchronous_commit=on`: a commit returns when its bytes are flushed. Any number of processes may
write; unique keys and the locks of `record_postgres.py` keep them apart. The twin for SQLite is
`committer_sqlite.py`.
"""

import asyncio
import secrets
from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from punchgate.store import record_postgres as record
from punchgate.store.error import StoreUnavailable, StoreUnsafe
from punchgate.store.fact import Fact, Held, Outcome, refused
from punchgate.store.roster import Roster

#: What says that a row is at fault and not the database.
ROW_ERRORS: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    UnicodeEncodeError,
)
#: What says that the connection is of no use any more. The driver is at a loss by itself when it is
#: cut in the middle of a step.
_LOST: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
#: Settings under which a commit returns after the flush.
FLUSHED: Final = frozenset({"on", "remote_apply", "remote_write"})
#: A transaction that takes longer than this has lost its database.
COMMIT_LIMIT_S: Final = 30.0


class PostgresCommitter:
    """Commits one group after the other on a connection of its own; connects when it has to."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._roster = Roster()
        self._db: asyncpg.Connection[Any] | None = None

    async def commit(self, facts: Sequence[Fact], held: Sequence[Held]) -> list[Outcome]:
        """Commit a group, and say of each fact what became of it.

        Errors:  StoreUnavailable when it could not be committed, StoreUnsafe where it would not be
                 flushed; whatever else nobody foresaw. Nothing of the group is stored then.
        """
        try:
            async with asyncio.timeout(COMMIT_LIMIT_S):
                db = await self._connect()
                try:
                    async with db.transaction():
                        outcomes = await self._write(db, facts)
                        await record.hold(db, held)
                except ROW_ERRORS:
                    self._roster.forget()
                    async with db.transaction():
                        outcomes = await self._write_halved(db, facts)
                        await record.hold(db, held)
        except _LOST as error:
            self.close()
            raise StoreUnavailable("PostgreSQL cannot be written.") from error
        except BaseException:
            # Whatever it is, the next group must not find a transaction open.
            self.close()
            raise
        return outcomes

    def close(self) -> None:
        """Throw the connection away; what it had not committed is gone, as it must be."""
        self._roster.forget()
        db, self._db = self._db, None
        if db is not None:
            db.terminate()

    async def _write(self, db: "asyncpg.Connection[Any]", facts: Sequence[Fact]) -> list[Outcome]:
        if not facts:
            return []
        return await record.record(db, facts, self._roster, secrets.randbits(62))

    async def _write_halved(
        self, db: "asyncpg.Connection[Any]", facts: Sequence[Fact]
    ) -> list[Outcome]:
        try:
            async with db.transaction():
                return await self._write(db, facts)
        except ROW_ERRORS:
            self._roster.forget()
            if len(facts) == 1:
                await record.hold(db, [refused(facts[0])])
                return ["refused"]
            middle = len(facts) // 2
            left = await self._write_halved(db, facts[:middle])
            return left + await self._write_halved(db, facts[middle:])

    async def _connect(self) -> "asyncpg.Connection[Any]":
        if self._db is None or self._db.is_closed():
            db = await asyncpg.connect(
                self._url, server_settings={"synchronous_commit": "on"}, timeout=5
            )
            setting = await db.fetchval("SHOW synchronous_commit")
            fsync = await db.fetchval("SHOW fsync")
            if setting not in FLUSHED or fsync != "on":
                await db.close()
                raise StoreUnsafe(
                    "PostgreSQL would not flush at each commit"
                    f" (synchronous_commit {setting}, fsync {fsync})."
                )
            self._db = db
        return self._db
