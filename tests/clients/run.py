"""Third-party clients, each in its own process with a deadline: what they told, as JSON.

Real: pyzk, zkteco-js and node-zklib as they are published. Nothing of them is imported here; what
is missing skips the test, or fails it with `CI=true`.
"""

import asyncio
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from tests import installed

_FOLDER: Final = Path(__file__).parent
#: A client that hangs is a failed test, and its process is ended.
_DEADLINE_S: Final = 100
NODE_CLIENTS: Final = ("zkteco", "zklib")
PACKAGES: Final = {"zkteco": "zkteco-js", "zklib": "node-zklib"}


class Hanging(AssertionError):
    """A client did not end in time."""


async def pyzk(port: int, *tasks: str, key: int = 0, udp: bool = False) -> dict[str, Any]:
    """Let pyzk connect to a port of loopback, do some tasks and leave."""
    if importlib.util.find_spec("zk") is None:
        installed.missing_client("pyzk")
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


async def _run(*command: str | Path) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=_FOLDER,
        env={**os.environ, "TZ": "UTC"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_DEADLINE_S):
            out, errors = await process.communicate()
    except TimeoutError:
        raise Hanging(f"{command[1]} did not end within {_DEADLINE_S} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode(errors="replace")[-2_000:]
    # What a client prints for people stands before the one line that is ours.
    told: dict[str, Any] = json.loads(out.splitlines()[-1])
    return told
