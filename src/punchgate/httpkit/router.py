"""Which app answers a path: a literal list in its order, nothing matched by pattern."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from punchgate.httpkit import answers
from punchgate.httpkit.answers import Answer
from punchgate.httpkit.edge import App, Receive, Scope, Send

_NOT_FOUND: Final = Answer(404, b'{"error":"not found"}')


class Mount(NamedTuple):
    """An app and its path; one that ends with a slash stands for all that begin with it.

    The root alone is no such: it stands for itself.
    """

    path: str
    app: App


class Router:
    """The ASGI app of one listener."""

    def __init__(self, mounts: Sequence[Mount]) -> None:
        self._mounts = tuple(mounts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to the first app whose path it has."""
        path: str = scope["path"]
        for own, app in self._mounts:
            if path == own or (own[-1] == "/" and own != "/" and path.startswith(own)):
                await app(scope, receive, send)
                return
        await answers.write(_NOT_FOUND, scope, send)
