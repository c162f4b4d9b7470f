"""A whole JSON answer and the headers that every contract puts on it.

What stands in the body, and which status belongs to what, is the contract's.
"""

from typing import Final, NamedTuple, Protocol

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


#: The extension under which a listener of ours takes an answer that is all there; see `Whole`.
WHOLE: Final = "punchgate.whole_answer"
#: Head lines of every answer behind its type, as they go over the wire.
_COMMON_LINES: Final = b"".join(b"%b: %b\r\n" % header for header in COMMON)


class Whole(Protocol):
    """What a listener offers with a request, so that an answer costs one call and one write.

    Taking it apart for ASGI, checking each header and putting it together again was a seventh of a
    punch's way.
    """

    def __call__(self, send: Send, status: int, lines: bytes, body: bytes) -> bool:
        """Write an answer to the request of this `send`, which is the listener's own.

        False if that is not possible now, and nothing was written then.
        """
        ...


async def write(answer: Answer, scope: Scope, send: Send) -> None:
    """Send an answer; to a HEAD everything but the body, its length included."""
    length = b"%d" % len(answer.body)
    body = b"" if scope["method"] == "HEAD" else answer.body
    whole: Whole | None = scope.get("extensions", {}).get(WHOLE)
    if whole is not None and whole(send, answer.status, _lines(answer, length), body):
        return
    headers = [
        (b"content-type", answer.media),
        *COMMON,
        (b"content-length", length),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _lines(answer: Answer, length: bytes) -> bytes:
    """Write the lines of a head; ValueError for a value that would begin a line of its own."""
    own = b"".join([b"%b: %b\r\n" % header for header in answer.headers])
    if own.count(b"\n") != len(answer.headers) or own.count(b"\r") != len(answer.headers):
        raise ValueError("A header has a line break.")
    return b"content-type: %b\r\n%bcontent-length: %b\r\n%b" % (
        answer.media,
        _COMMON_LINES,
        length,
        own,
    )
