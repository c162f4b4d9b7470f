"""Every refusal of report v1: status and sentence, as published.

The table is total: whatever goes wrong behind this contract ends in one of these
(docs/contracts/report-v1.md). None echoes what the caller sent.
"""

from typing import Final

import msgspec

from punchgate.domain.error import PunchgateError
from punchgate.httpkit.answers import Answer, Headers

_CLOSE: Final = (b"connection", b"close")
_HOUR_S: Final = 3600


class Refused(Exception):
    """A request that ends in a refusal, from wherever in the contract it is found."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def refusal(status: int, message: str, headers: Headers = ()) -> Answer:
    """Write the one form that every error of this contract has."""
    body = msgspec.json.encode({"success": False, "error": message, "code": status})
    return Answer(status, body, headers)


INVALID_KEY: Final = refusal(401, "Missing or invalid API key")
MAY_NOT_READ: Final = refusal(403, "This API key may not read reports")
NOT_FOUND: Final = refusal(404, "Not found")
METHOD_NOT_ALLOWED: Final = refusal(405, "Method not allowed", ((b"allow", b"GET, HEAD"),))
TOO_SLOW: Final = refusal(408, "Request timeout", (_CLOSE,))
TOO_LARGE: Final = refusal(413, "Request too large", (_CLOSE,))
INTERNAL: Final = refusal(500, "Internal error")
NO_STORE: Final = refusal(503, "The store is not available", ((b"retry-after", b"5"),))


def invalid(message: str) -> Refused:
    """Refuse the parameters; the sentence is one of the table's."""
    return Refused(refusal(400, message))


def rate_limited(requests: int, window_s: int, *, wait_s: int) -> Answer:
    """Refuse a request beyond the limit, whose number is the one in force."""
    period = "hour" if window_s == _HOUR_S else f"{window_s} seconds"
    return refusal(
        429,
        f"Rate limit exceeded ({requests} requests/{period})",
        ((b"retry-after", str(wait_s).encode()),),
    )


def of(error: PunchgateError) -> Answer | None:
    """Give the refusal of an inner error; None for one that this contract does not expect."""
    return NO_STORE if error.slug.startswith("store.") else None
