"""Which app answers a path. Real: the router; the apps only say their names."""

import pytest

from punchgate.httpkit.answers import Answer, write
from punchgate.httpkit.edge import App, Receive, Scope, Send
from punchgate.httpkit.router import Mount, Router
from tests import asgi


def named(name: str) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        await write(Answer(200, name.encode()), scope, send)

    return app


ROUTER = Router(
    [
        Mount("/api/attendance/", named("ingest")),
        Mount("/api/", named("rest")),
        Mount("/livez", named("health")),
    ]
)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/attendance/v1/punch", "ingest"),
        ("/api/attendance/", "ingest"),
        ("/api/attendance", "rest"),
        ("/api/x", "rest"),
        ("/livez", "health"),
    ],
)
async def test_the_first_mount_that_fits_answers(path: str, name: str) -> None:
    answer = await asgi.call(ROUTER, "GET", path)
    assert (answer.status, answer.body) == (200, name.encode())


@pytest.mark.parametrize("path", ["/", "/api", "/livez/", "/livezx", "/livez/x", "/API/x", ""])
async def test_everything_else_is_not_found(path: str) -> None:
    answer = await asgi.call(ROUTER, "GET", path)
    assert (answer.status, answer.body) == (404, b'{"error":"not found"}')
    assert answer.headers["x-content-type-options"] == "nosniff"
    head = await asgi.call(ROUTER, "HEAD", path)
    assert (head.status, head.body) == (404, b"")
    assert head.headers["content-length"] == str(len(answer.body))
