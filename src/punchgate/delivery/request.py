"""The bytes of a request: one POST, in one piece.

Pure. It answers for what a request cannot become: two requests, another request, or one whose
length two readers see differently. Everything that frames it is ours; a name or a text that could
end a line is refused. It does not decide what is sent: address, headers and body are given.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from punchgate.domain.target import Target

#: What we say of ourselves unless a format says otherwise. Nothing is unpacked, so nothing packed
#: is asked for.
_DEFAULTS: Final = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "Punchgate"}
#: What frames a request, says where it goes or what the connection becomes is said here alone.
_OURS: Final = frozenset({
    "host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection",
    "upgrade", "expect", "te", "trailer",
})  # fmt: skip
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
_PORTS: Final = {"http": 80, "https": 443}


def write(target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    """Write a request.

    Shapes:  header names are in lower case; what `_OURS` names is not among them.
    Errors:  ValueError for a header that cannot be sent, or a target that nobody has read.
    """
    texts = "".join(headers.values())
    # Most are printable, which is quickly seen; letters from elsewhere and tabs are not.
    if not texts.isprintable() and _CONTROL.search(texts):
        raise ValueError("a header with a control character in it (header injection?)")
    lines = "".join([f"{name}: {text}\r\n" for name, text in headers.items()])
    head = f"{_begin(target)}{_defaults(tuple(headers))}{lines}content-length: {len(body)}\r\n\r\n"
    # A cookie goes back in the bytes in which it came.
    return head.encode("utf-8", "surrogateescape") + body


@lru_cache(maxsize=1_024)
def _begin(target: Target) -> str:
    scheme, host, port, path_query = target
    if not path_query.startswith("/") or not _VISIBLE.fullmatch(host + path_query):
        raise ValueError("an address that has no place in a request")
    if ":" in host:
        host = f"[{host}]"
    authority = host if port == _PORTS[scheme] else f"{host}:{port}"
    return f"POST {path_query} HTTP/1.1\r\nhost: {authority}\r\n"


@lru_cache(maxsize=256)
def _defaults(names: tuple[str, ...]) -> str:
    """Give the lines that these names leave to us, once the names themselves are good."""
    given = {name.lower() for name in names}
    for name in given:
        if not _TOKEN.fullmatch(name):
            raise ValueError("a header whose name is none (header injection?)")
        if name in _OURS:
            raise ValueError(f"the header {name} is not for others to set")
    return "".join(f"{name}: {text}\r\n" for name, text in _DEFAULTS.items() if name not in given)
