"""Third-party clients, each in its own process with a deadline: what they told, as JSON.

Real: pyzk, zkteco-js and node-zklib as they are published; outside a soak, what reaches the two for
Node comes frame by frame, however busy the machine is (`node_client.js`). Nothing of them is
imported here; what is missing skips the test, or fails it with `CI=true`.
"""

import asyncio
import importlib.util
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests import installed

_FOLDER: Final = Path(__file__).parent
#: A client that hangs is a failed test, and its process is ended.
DEADLINE_S: Final = 400
#: Waits for the next row.
Hear = Callable[[], Awaitable[list[Any]]]
NODE_CLIENTS: Final = ("zkteco", "zklib")
PACKAGES: Final = {"zkteco": "zkteco-js", "zklib": "node-zklib"}


class Hanging(AssertionError):
    """A client did not end in time."""


async def pyzk(port: int, *tasks: str, key: int = 0, udp: bool = False) -> dict[str, Any]:
    """Let pyzk connect to a port of loopback, do some tasks and leave."""
    _need_pyzk()
    options = [f"--key={key}", *(["--udp"] if udp else [])]
    return await _run(sys.executable, _FOLDER / "pyzk_client.py", str(port), *tasks, *options)


async def node(client: str, port: int, *tasks: str, timeout_s: int = 60) -> dict[str, Any]:
    """Let a Node client connect to a port of loopback, do some tasks and leave.

    Times are those of the terminal: the process stands in UTC, whatever the machine does.
    """
    program = installed.program("node", package="nodejs")
    if not (_FOLDER / "node_modules" / PACKAGES[client]).is_dir():
        installed.missing_client(PACKAGES[client])
    return await _run(program, _FOLDER / f"{client}.js", str(port), str(timeout_s * 1000), *tasks)


@asynccontextmanager
async def listening(port: int) -> AsyncIterator[Hear]:
    """Let pyzk hear two rows, and wait until it listens; what is given waits for the next of them.

    It takes one event for each read and loses the rest: who punches waits until it was heard.
    """
    _need_pyzk()
    command = (sys.executable, _FOLDER / "pyzk_client.py", str(port), "live")
    async with _running(*command) as process:
        assert process.stdout is not None
        lines = process.stdout

        async def told() -> Any:
            while line := await lines.readline():
                if line.startswith(b'{"heard"'):
                    return json.loads(line)["heard"]
            raise AssertionError("pyzk has ended")

        async def hear() -> list[Any]:
            while (row := await told()) is None:
                pass
            found: list[Any] = row
            return found

        assert await told() is None
        yield hear
        _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode(errors="replace")[-2_000:]


async def _run(*command: str | Path) -> dict[str, Any]:
    async with _running(*command) as process:
        out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode(errors="replace")[-2_000:]
    # What a client prints for people stands before the one line that is ours.
    told: dict[str, Any] = json.loads(out.splitlines()[-1])
    return told


def _need_pyzk() -> None:
    if importlib.util.find_spec("zk") is None:
        installed.missing_client("pyzk")


@asynccontextmanager
async def _running(*command: str | Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=_FOLDER,
        # Unbuffered, Python loses what a pipe does not take at once.
        env={**os.environ, "TZ": "UTC", "PYTHONUNBUFFERED": ""},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield process
    except TimeoutError:
        raise Hanging(f"{command[1]} did not end within {DEADLINE_S} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
