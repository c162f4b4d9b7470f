"""Which app answers a path: prefixes in a literal order, nothing matched by pattern."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from punchgate.httpkit.edge import App, Receive, Scope, Send

_NOT_FOUND: Final = b'{"error":"not found"}'


class Mount(NamedTuple):
    """An app and the beginning of the paths that are its own."""

    prefix: str
    app: App


class Router:
    """The ASGI app of one listener."""

    def __init__(self, mounts: Sequence[Mount]) -> None:
        self._mounts = tuple(mounts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to the first app whose prefix it has."""
        path: str = scope["path"]
        for prefix, app in self._mounts:
            if path.startswith(prefix):
                await app(scope, receive, send)
                return
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(_NOT_FOUND)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        await send({"type": "http.response.start", "status": 404, "headers": headers})
        content = b"" if scope["method"] == "HEAD" else _NOT_FOUND
        await send({"type": "http.response.body", "body": content})
