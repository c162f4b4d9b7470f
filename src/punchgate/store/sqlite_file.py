"""Opening the SQLite file itself: how long to wait for its lock, and what makes a commit durable.

Everything that opens the file does it here, with the standard library alone: the writing process
loads nothing else.
"""

import os
import sqlite3
from pathlib import Path
from typing import Final

from punchgate.store.error import StoreUnsafe

#: How long a connection waits for another process's short write (the command line's).
BUSY_TIMEOUT_MS: Final = 5_000
#: File systems of other machines. Neither their locks nor their shared memory are what the
#: write-ahead log needs.
_REMOTE: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs"})
#: What is mounted where, on Linux; elsewhere nothing is known.
_MOUNTS: Final = Path("/proc/self/mountinfo")


def connect(path: Path, *, is_read_only: bool) -> sqlite3.Connection:
    """Open the file; transactions are exactly the ones that its user begins.

    `sqlite3` opens transactions by itself, late, and not before a read; two reads of a report would
    then see two different stores. So the driver is told to keep out of it.
    """
    db = sqlite3.connect(
        path,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
        timeout=BUSY_TIMEOUT_MS / 1000,
    )
    db.execute("PRAGMA cache_size=-32768")
    if is_read_only:
        db.execute("PRAGMA query_only=ON")
    return db


def make_durable(db: sqlite3.Connection, *, checkpoint_pages: int) -> None:
    """Make a commit return after its bytes are flushed; 0 pages is a connection that never folds.

    Errors:  StoreUnsafe if the file would not be flushed at each commit.
    """
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    # What was erased is overwritten with zeros and not only forgotten; the default of this
    # setting is the build's.
    db.execute("PRAGMA secure_delete=ON")
    db.execute(f"PRAGMA wal_autocheckpoint={checkpoint_pages}")
    mode = db.execute("PRAGMA journal_mode").fetchone()[0]
    flush = db.execute("PRAGMA synchronous").fetchone()[0]
    if mode != "wal" or flush != 2:
        raise StoreUnsafe(
            f"SQLite would not flush at each commit (journal {mode}, synchronous {flush})."
        )


def refuse_remote(directory: Path, mounts: Path = _MOUNTS) -> None:
    """Insist that a directory is on a disk of this machine, as far as that is known.

    Errors:  StoreUnsafe.
    """
    device = directory.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.read_text(errors="replace").splitlines() if mounts.exists() else ():
        # Source: proc(5): the device is the third field, the type the first behind ` - `.
        before, _, behind = line.partition(" - ")
        kind = behind.partition(" ")[0]
        if before.split(" ")[2:3] == [number] and kind in _REMOTE:
            raise StoreUnsafe(
                f"{directory} is on {kind}, a file system of another machine, which loses what"
                " SQLite writes. Use a disk of this one, or PostgreSQL."
            )
