"""A whole JSON answer and the headers that every contract puts on it.

What stands in the body, and which status belongs to what, is the contract's.
"""

from typing import Final, NamedTuple

from punchgate.httpkit.edge import Scope, Send

Headers = tuple[tuple[bytes, bytes], ...]

JSON: Final = b"application/json"
#: On every answer of every contract, behind its type. `Date` is the server's.
COMMON: Final[Headers] = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class Answer(NamedTuple):
    """What is sent back; `headers` come behind the common ones."""

    status: int
    body: bytes
    headers: Headers = ()
    #: The type of the body.
    media: bytes = JSON


async def write(answer: Answer, scope: Scope, send: Send) -> None:
    """Send an answer; to a HEAD everything but the body, its length included."""
    length = (b"content-length", str(len(answer.body)).encode())
    headers = [(b"content-type", answer.media), *COMMON, length, *answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    body = b"" if scope["method"] == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})
