"""What can go wrong with the store itself; everything else is a use case's error."""

import errno
import os
from typing import Final, NamedTuple

from punchgate.domain.error import PunchgateError

#: SQLSTATEs of this class are told with the value at fault in their text.
_OF_VALUES: Final = "22"


class StoreUnavailable(PunchgateError):
    """A read or a commit failed: as far as the caller knows, nothing is stored. Send it again."""

    slug = "store.unavailable"


class StoreBusy(PunchgateError):
    """Too many requests wait for the writer. Nothing was tried; it may be sent again later."""

    slug = "store.busy"


class StoreUnsafe(PunchgateError):
    """The database would not keep its word: no flush at a commit, or in use by another server."""

    slug = "store.unsafe"


class StoreOutdated(PunchgateError):
    """The tables are older or newer than this program; `punchgate db migrate` helps with older."""

    slug = "store.outdated"


class Failure(NamedTuple):
    """What may be told of a driver's error: nothing that was asked, no value, no address."""

    #: The driver's name for it.
    error: str
    #: SQLSTATE, SQLite's or the system's name.
    state: str | None
    #: Its first line.
    reason: str


def describe(cause: BaseException | None) -> Failure:
    """Say what may be told of the error that a driver raised, wrapped or not."""
    driver = getattr(cause, "orig", None) or cause
    # SQLAlchemy's asyncpg wraps what the driver raised once more.
    driver = getattr(driver, "__cause__", None) or driver
    return Failure(type(driver).__name__, *_words(driver))


def because(cause: BaseException | None) -> str:
    """Say it behind the last word of a sentence: `: file is not a database`, or nothing."""
    reason = describe(cause).reason
    return f": {reason}" if reason else ""


def _words(error: BaseException | None) -> tuple[str | None, str]:
    if isinstance(error, OSError):
        # Its own text names the address that did not answer.
        number = error.errno or 0
        if number <= 0:
            # A name that cannot be resolved has numbers of its own, and no address in its text.
            return None, error.strerror or ""
        return errno.errorcode.get(number), os.strerror(number)
    state = getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None)
    if error is None or not error.args or (state or "").startswith(_OF_VALUES):
        return state, ""
    return state, str(error.args[0]).partition("\n")[0]
