"""A client that goes away while a terminal is read for it.

Real: the app, the engine, the store, sockets on loopback. Invented: the client, who watches whether
the terminal is disabled and leaves then.
"""

from typing import Any

import pytest

from tests.contracts.terminals_rest.conftest import HERE, Stage, data
from tests.simulators import virtual
from tests.store.stage import until


@pytest.mark.parametrize("path", ["/devices/principal/attendance", "/attendance/all"])
async def test_whoever_goes_away_leaves_the_terminal_enabled_and_what_was_read_recorded(
    stage: Stage, path: str
) -> None:
    async with virtual.playing("silent-before-free", records=3_000) as played:
        await stage.play(played, "principal", timeout=60)
        memory = played.terminal.memory
        sent: list[Any] = []
        asked = False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await until(lambda: not memory.is_enabled)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "GET", "path": path, "query_string": b"",
            "headers": [(b"host", b"localhost")], "client": (HERE, 1),
        }  # fmt: skip
        await stage.app(scope, receive, send)
        await until(lambda: memory.is_enabled)
        assert sent == []
        # The next one is served as if nothing had been.
        assert len(data(await stage.ask("/devices/principal/attendance"))) == 3_000
