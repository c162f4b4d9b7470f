"""Every refusal of manage v1, as a problem of RFC 9457: type, title, status, detail.

The table is total: whatever goes wrong behind this contract ends in one of these
(docs/contracts/manage-v1.md). None echoes what the caller sent. `type` is a name to compare with,
not an address to visit.
"""

from typing import Final

import msgspec

from punchgate.domain.error import PunchgateError
from punchgate.httpkit.answers import Answer, Headers

MEDIA: Final = b"application/problem+json"
_TYPE: Final = "urn:punchgate:problem:"
_CLOSE: Final = (b"connection", b"close")
_SOON: Final = (b"retry-after", b"1")
_LATER: Final = (b"retry-after", b"5")


class Refused(Exception):
    """A request that ends in a refusal, from wherever in the contract it is found."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def problem(status: int, kind: str, title: str, detail: str, headers: Headers = ()) -> Answer:
    """Write the one form that every error of this contract has."""
    body = msgspec.json.encode(
        {"type": _TYPE + kind, "title": title, "status": status, "detail": detail}
    )
    return Answer(status, body, headers, MEDIA)


INVALID_CURSOR: Final = problem(
    400,
    "invalid-cursor",
    "Invalid cursor",
    "cursor is not one that was given for this account and this filter.",
)
INVALID_KEY: Final = problem(
    401,
    "invalid-key",
    "Invalid key",
    "The X-API-Key header is missing or is not a valid key.",
    ((b"www-authenticate", b"X-API-Key"),),
)
MAY_NOT_READ: Final = problem(
    403, "not-allowed", "Not allowed", "This key does not have the scope events:read."
)
NOT_FOUND: Final = problem(404, "not-found", "Not found", "There is no such operation.")
METHOD_NOT_ALLOWED: Final = problem(
    405,
    "method-not-allowed",
    "Method not allowed",
    "This operation takes GET and HEAD.",
    ((b"allow", b"GET, HEAD"),),
)
TOO_SLOW: Final = problem(
    408, "too-slow", "Request timeout", "The request took too long to arrive.", (_CLOSE,)
)
TOO_LARGE: Final = problem(
    413, "too-large", "Request too large", "The request has a body that is too large.", (_CLOSE,)
)
INTERNAL: Final = problem(
    500, "internal", "Internal error", "Something went wrong here; ask again with the same cursor."
)
NO_STORE: Final = problem(
    503,
    "store-unavailable",
    "Store not available",
    "The store cannot be asked; ask again with the same cursor.",
    (_LATER,),
)
NO_SEAT: Final = problem(
    503,
    "no-seat",
    "Too many waiting requests",
    "Too many requests wait here already; ask again, or without wait.",
    (_SOON,),
)


def invalid(detail: str) -> Refused:
    """Refuse the parameters; the sentence names the one that will not do."""
    return Refused(problem(400, "invalid-parameter", "Invalid parameter", detail))


def rate_limited(requests: int, *, wait_s: int) -> Answer:
    """Refuse a request beyond the limit, whose number is the one in force."""
    return problem(
        429,
        "rate-limited",
        "Too many requests",
        f"A key may send {requests} requests a minute.",
        ((b"retry-after", str(wait_s).encode()),),
    )


def too_many_waiting(most: int) -> Answer:
    """Refuse to let one more request of a key wait."""
    return problem(
        429,
        "too-many-waiting",
        "Too many waiting requests",
        f"At most {most} requests of a key may wait at a time.",
        (_SOON,),
    )


def of(error: PunchgateError) -> Answer | None:
    """Give the refusal of an inner error; None for one that this contract does not expect."""
    return NO_STORE if error.slug.startswith("store.") else None
