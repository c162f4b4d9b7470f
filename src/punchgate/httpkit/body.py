"""Reading a request's body: never more than the cap, never longer than the limit.

What a contract answers when it is too large or too slow is the contract's.
"""

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any, Final

from punchgate.httpkit.edge import Receive, Scope

#: A body must be here within this time, whatever its size.
LIMIT_S: Final = 30.0
#: After this time it must have come at `SLOWEST` bytes a second.
GRACE_S: Final = 5.0
SLOWEST: Final = 100


class TooLarge(Exception):
    """The body goes beyond the cap; the rest was not read."""


class TooSlow(Exception):
    """The body did not arrive in time."""


class Gone(Exception):
    """The caller went away; nobody is there to be answered."""


async def read(
    receive: Receive,
    *,
    cap: int,
    monotonic: Callable[[], float],
    limit_s: float = LIMIT_S,
) -> bytes:
    """Read a whole body.

    Errors:  TooLarge beyond `cap` bytes, and nothing is read after that; TooSlow after `limit_s`,
             or when a part arrives after 5 s and less than 100 bytes a second have come; Gone if
             the caller hung up before the end.
    """
    message = _at_once(receive)
    if message is not None and not message.get("more_body"):
        body: bytes = message.get("body", b"")
        if message["type"] != "http.request":
            raise Gone
        if len(body) > cap:
            raise TooLarge
        return body
    try:
        async with asyncio.timeout(limit_s):
            return await _read_parts(message or await receive(), receive, cap, monotonic)
    except TimeoutError:
        raise TooSlow from None


async def drop(scope: Scope, receive: Receive, *, cap: int, monotonic: Callable[[], float]) -> None:
    """Make sure that a body which means nothing is a small one.

    One that says its length is left alone, one of unknown length is read and forgotten.

    Errors:  TooLarge beyond `cap` bytes, by its own word unread; TooSlow and Gone as of `read`.
    """
    for name, value in scope["headers"]:
        # The server has refused what is no number; a longer one than the cap is too large anyway.
        if name == b"content-length" and value.isdigit() and _is_above(value, cap):
            raise TooLarge
    if any(name == b"transfer-encoding" for name, _ in scope["headers"]):
        await read(receive, cap=cap, monotonic=monotonic)


def _is_above(length: bytes, cap: int) -> bool:
    digits = length.lstrip(b"0")
    return len(digits) > len(str(cap)) or int(digits or b"0") > cap


def _at_once(receive: Receive) -> MutableMapping[str, Any] | None:
    """Give the first message if it is there already, which for a punch it nearly always is.

    A timer per request costs as much as decoding the punch; so the first step is made by hand, and
    only if it would wait, the step is taken back and the timer set.
    """
    step = receive()
    try:
        step.send(None)
    except StopIteration as arrived:
        message: MutableMapping[str, Any] = arrived.value
        return message
    step.close()
    return None


async def _read_parts(
    message: MutableMapping[str, Any], receive: Receive, cap: int, monotonic: Callable[[], float]
) -> bytes:
    started, body = monotonic(), bytearray()
    while True:
        if message["type"] != "http.request":
            raise Gone
        body += message.get("body", b"")
        if len(body) > cap:
            raise TooLarge
        if not message.get("more_body"):
            return bytes(body)
        elapsed = monotonic() - started
        if elapsed > GRACE_S and len(body) < elapsed * SLOWEST:
            raise TooSlow
        message = await receive()
