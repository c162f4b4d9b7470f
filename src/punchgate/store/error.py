"""What can go wrong with the store itself; everything else is a use case's error."""

from punchgate.domain.error import PunchgateError


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
