"""Health: alive without asking anybody, ready only when something can be written.

Real: the app and its metrics. The store behind it is what a test says it is.
"""

import asyncio

import pytest

from punchgate.httpkit.health import Health
from punchgate.store.error import StoreUnavailable
from tests import asgi
from tests.asgi import Response


async def works() -> None:
    return


async def fails() -> None:
    raise StoreUnavailable("The database file cannot be written.")


async def hangs() -> None:
    await asyncio.get_running_loop().create_future()


def health(probe: object = works, troubles: tuple[str, ...] = (), gauges: object = works) -> Health:
    return Health(probe=probe, troubles=lambda: list(troubles), gauges=gauges)  # type: ignore[arg-type]  # any of the three


async def ask(app: Health, path: str, method: str = "GET") -> Response:
    return await asgi.call(app, method, path)


async def test_alive_asks_nothing_of_anybody() -> None:
    answer = await ask(health(fails, ("stopping",), fails), "/livez")
    assert (answer.status, answer.body) == (200, b'{"live":true}')


async def test_ready_is_a_write_that_was_committed() -> None:
    answer = await ask(health(), "/readyz")
    assert (answer.status, answer.body) == (200, b'{"ready":true}')
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("probe", [fails, pytest.param(hangs, marks=pytest.mark.slow)])
async def test_not_ready_says_no_more_than_that(probe: object) -> None:
    answer = await ask(health(probe), "/readyz")
    assert (answer.status, answer.body) == (503, b'{"ready":false}')


async def test_a_known_trouble_needs_no_probe() -> None:
    answer = await ask(health(hangs, ("stopping",)), "/readyz")
    assert (answer.status, answer.body) == (503, b'{"ready":false}')


@pytest.mark.parametrize("gauges", [works, fails])
async def test_metrics_are_told_also_without_a_store(gauges: object) -> None:
    answer = await ask(health(gauges=gauges), "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b"punchgate_writer_queue" in answer.body


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_only_asking_is_allowed(path: str) -> None:
    answer = await ask(health(), path, "POST")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    head = await ask(health(), path, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) > 0
