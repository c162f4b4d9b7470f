"""Committing groups on SQLite: one connection, one transaction a group, halved around a bad row.

Answers for what a group's commit means; who asks for it, on which thread or in which process, is
the writer's. Standard library alone. The twin for PostgreSQL is `committer_postgres.py`.
"""

import secrets
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from punchgate.store import record, sqlite_file
from punchgate.store.error import StoreUnavailable
from punchgate.store.fact import Fact, Held, Outcome, refused
from punchgate.store.roster import Roster

#: What says that a row is at fault and not the database.
ROW_ERRORS: Final = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    UnicodeEncodeError,
)
#: Pages of the WAL before it is folded into the file, 16 MB: hot pages are then written once for
#: many commits instead of once for a few.
CHECKPOINT_PAGES: Final = 4_000


class SqliteCommitter:
    """Commits one group after the other on a connection of its own; for one thread at a time."""

    def __init__(self, path: Path, *, checkpoint_pages: int) -> None:
        """Open the file.

        Errors: StoreUnsafe if the file would not be flushed at each commit; StoreUnavailable.
        """
        self._path = path
        self._checkpoint_pages = checkpoint_pages
        self._roster = Roster()
        self._db: sqlite3.Connection | None = None
        try:
            self._open()
        except sqlite3.Error as error:
            raise StoreUnavailable("The database file cannot be opened.") from error

    def commit(self, facts: Sequence[Fact], held: Sequence[Held]) -> list[Outcome]:
        """Commit a group, and say of each fact what became of it.

        Errors:  StoreUnavailable when it could not be committed; whatever else nobody foresaw.
                 Nothing of the group is stored then, and the next begins on a new connection.
        """
        try:
            outcomes = self._commit(facts, held)
        except sqlite3.Error as error:
            self.close()
            raise StoreUnavailable("The database file cannot be written.") from error
        except Exception:
            # Whatever it is, the next group must not find a transaction open.
            self.close()
            raise
        return outcomes

    def close(self) -> None:
        """Throw the connection away; what it had not committed is gone, as it must be."""
        self._roster.forget()
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _commit(self, facts: Sequence[Fact], held: Sequence[Held]) -> list[Outcome]:
        db = self._open()
        db.execute("BEGIN IMMEDIATE")
        try:
            outcomes = self._write(db, facts)
        except ROW_ERRORS:
            db.execute("ROLLBACK")
            self._roster.forget()
            db.execute("BEGIN IMMEDIATE")
            outcomes = self._write_halved(db, facts)
        if held:
            record.hold(db, held)
        db.execute("COMMIT")
        return outcomes

    def _write(self, db: sqlite3.Connection, facts: Sequence[Fact]) -> list[Outcome]:
        return record.record(db, facts, self._roster, secrets.randbits(62)) if facts else []

    def _write_halved(self, db: sqlite3.Connection, facts: Sequence[Fact]) -> list[Outcome]:
        db.execute("SAVEPOINT part")
        try:
            outcomes = self._write(db, facts)
        except ROW_ERRORS:
            db.execute("ROLLBACK TO part")
            self._roster.forget()
            if len(facts) == 1:
                record.hold(db, [refused(facts[0])])
                outcomes = ["refused"]
            else:
                middle = len(facts) // 2
                outcomes = self._write_halved(db, facts[:middle])
                outcomes += self._write_halved(db, facts[middle:])
        db.execute("RELEASE part")
        return outcomes

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            db = sqlite_file.connect(self._path, is_read_only=False)
            try:
                sqlite_file.make_durable(db, checkpoint_pages=self._checkpoint_pages)
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db
