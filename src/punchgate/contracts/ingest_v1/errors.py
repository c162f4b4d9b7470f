"""Every refusal of ingest v1: status, code and sentence, as published.

The table is total: whatever goes wrong behind this contract ends in one of these
(docs/contracts/ingest-v1.md). None echoes what the caller sent.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec

from punchgate.domain.error import PunchgateError

Headers = tuple[tuple[bytes, bytes], ...]

_CLOSE: Final = (b"connection", b"close")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row of the table."""

    status: int
    code: str
    message: str
    headers: Headers = ()
    body: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        error = {"code": self.code, "message": self.message}
        object.__setattr__(self, "body", msgspec.json.encode({"ok": False, "error": error}))


class Refused(Exception):
    """A request that ends in a refusal, from wherever in the contract it is found."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


MISSING_SERIAL: Final = Refusal(400, "missing_serial", "The sn header is missing.")
INVALID_SERIAL: Final = Refusal(
    400, "invalid_serial", "The sn header is not a valid device serial."
)
INVALID_BODY: Final = Refusal(
    400,
    "invalid_body",
    "The body must be a JSON object or an array of JSON objects in UTF-8.",
)
INVALID_TOKEN: Final = Refusal(
    401,
    "invalid_token",
    "The auth-token header is missing or not valid for this device.",
    ((b"www-authenticate", b"auth-token"),),
)
INACTIVE_SUBSCRIPTION: Final = Refusal(
    403,
    "inactive_subscription",
    "The attendance subscription of this device is not active.",
)
UNKNOWN_DEVICE: Final = Refusal(404, "unknown_device", "This device is not registered.")
UNKNOWN_OPERATION: Final = Refusal(404, "unknown_operation", "No such operation.")
REQUEST_TIMEOUT: Final = Refusal(
    408, "request_timeout", "The request took too long to arrive.", (_CLOSE,)
)
UNSUPPORTED_ENCODING: Final = Refusal(
    415, "unsupported_encoding", "Only an uncompressed body is accepted."
)
INTERNAL_ERROR: Final = Refusal(
    500, "internal_error", "The request was not acknowledged; send it again."
)
STORAGE_UNAVAILABLE: Final = Refusal(
    503,
    "storage_unavailable",
    "The punch could not be stored; send it again.",
    ((b"retry-after", b"5"),),
)
UNAVAILABLE: Final = Refusal(
    503,
    "unavailable",
    "The gateway is not available; try again.",
    ((b"retry-after", b"5"),),
)


def invalid_punch(detail: str) -> Refusal:
    """Refuse a single punch without the shape of one; `detail` is a sentence of ours."""
    return Refusal(400, "invalid_punch", detail)


def method_not_allowed(allowed: str) -> Refusal:
    """Refuse a method; `allowed` goes into the header."""
    return Refusal(
        405,
        "method_not_allowed",
        "This method is not allowed here.",
        ((b"allow", allowed.encode()),),
    )


def body_too_large(cap: int) -> Refusal:
    """Refuse a body beyond the cap; what follows on the connection is not read."""
    return Refusal(413, "body_too_large", f"The body is larger than {cap} bytes.", (_CLOSE,))


def batch_too_large(most: int) -> Refusal:
    """Refuse a batch with too many items."""
    return Refusal(413, "batch_too_large", f"At most {most} punches in one request.")


def rate_limited(wait_s: int) -> Refusal:
    """Refuse a request over a limit."""
    return Refusal(
        429, "rate_limited", "Too many requests.", ((b"retry-after", str(wait_s).encode()),)
    )


_BY_SLUG: Final = {
    "store.busy": UNAVAILABLE,
    "store.unavailable": STORAGE_UNAVAILABLE,
    "store.unsafe": STORAGE_UNAVAILABLE,
}


def of(error: PunchgateError) -> Refusal | None:
    """Give the refusal of an inner error; None for one that this contract does not expect."""
    return _BY_SLUG.get(error.slug)
