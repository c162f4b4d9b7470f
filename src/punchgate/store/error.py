"""What can go wrong with the store itself; everything else is a use case's error."""

from punchgate.domain.error import PunchgateError


class StoreUnavailable(PunchgateError):
    """A read or a commit failed. Nothing of it was stored as far as the caller may assume; it may be sent again."""

    slug = "store.unavailable"


class StoreBusy(PunchgateError):
    """Too many requests wait for the writer. Nothing was tried; it may be sent again later."""

    slug = "store.busy"


class StoreUnsafe(PunchgateError):
    """The database would not keep its word (not flushed before it answers, or in use by another server)."""

    slug = "store.unsafe"


class StoreOutdated(PunchgateError):
    """The tables are older or newer than this program; `punchgate db migrate` brings them up to date."""

    slug = "store.outdated"
