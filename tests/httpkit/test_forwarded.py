"""For whom a proxy asks, and which mount has a path; pure functions and a literal list."""

from collections.abc import Sequence
from typing import Any

import pytest

from punchgate.httpkit import source
from punchgate.httpkit.edge import Receive, Scope, Send
from punchgate.httpkit.router import Mount, Router
from tests import asgi

TRUSTED = source.networks(["10.0.0.0/8"])


def scope(peer: str | None, *forwarded: str) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    return {"client": None if peer is None else (peer, 1), "headers": headers}


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ([], None),
        ([""], None),
        (["1.2.3.4"], "1.2.3.4"),
        (["1.2.3.4, 5.6.7.8"], "5.6.7.8"),
        (["1.2.3.4", "5.6.7.8"], "5.6.7.8"),
        (["1.2.3.4, 10.0.0.2"], "1.2.3.4"),
        (["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (["10.0.0.2"], "10.0.0.2"),
        (["::1"], "::1"),
        (["1.2.3.4, unknown"], None),
        (["unknown, 1.2.3.4"], "1.2.3.4"),
        (["unknown, 10.0.0.2"], None),
        (["1.2.3.4:80"], None),
    ],
)
def test_the_address_that_is_asked_for_is_the_last_that_is_no_proxy(
    forwarded: Sequence[str], expected: str | None
) -> None:
    assert source.forwarded(scope("10.0.0.1", *forwarded), TRUSTED) == expected


def test_a_proxys_own_address_is_never_the_one_that_is_asked_for() -> None:
    assert source.address(scope("10.0.0.1"), TRUSTED) == "10.0.0.1"
    assert source.forwarded(scope("10.0.0.1"), TRUSTED) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10.1.2.3", True), ("11.0.0.1", False), ("::1", False), ("", False), ("x", False)],
)
def test_only_an_address_is_within_a_network(text: str, expected: object) -> None:
    assert source.is_within(text, TRUSTED) is expected


def test_a_request_without_a_peer_has_no_address() -> None:
    assert source.peer(scope(None)) == ""


def answering(word: bytes) -> Any:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": word})

    return app


async def test_the_root_stands_for_itself_and_every_other_slash_for_all_below() -> None:
    router = Router([Mount("/", answering(b"root")), Mount("/a/", answering(b"below"))])
    assert (await asgi.call(router, "GET", "/")).body == b"root"
    assert (await asgi.call(router, "GET", "/a/")).body == b"below"
    assert (await asgi.call(router, "GET", "/a/b/c")).body == b"below"
    for path in ("/a", "/b", "/ab/"):
        assert (await asgi.call(router, "GET", path)).status == 404
