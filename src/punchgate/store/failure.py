"""The log line of a failure of the database, once per failure however many callers hear of it."""

from punchgate import telemetry
from punchgate.store.error import Failure, StoreUnavailable, describe


def note(cause: BaseException | None) -> None:
    """Write the line of what a driver raised; for the event loop's thread."""
    say(describe(cause))


def say(failure: Failure) -> None:
    """Write the line of a failure that was described elsewhere."""
    telemetry.say("store.failed", "error", slug=StoreUnavailable.slug, **failure._asdict())
