"""A gateway in a process of its own, on a data directory of its own: started, killed and asked.

Real: `python -m punchgate`, its files or its PostgreSQL, its sockets. Nothing of ours is imported:
whoever uses this sees what an operator and a device see.
"""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tests.ports import free_port

_ROOT: Final = Path(__file__).parents[2]
#: For a hang only: a machine may be slow, and busy with other things.
LIMIT_S: Final = 90


def until(condition: Callable[[], bool], *, within_s: float = LIMIT_S) -> None:
    """Wait until a condition holds; AssertionError after this many seconds."""
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s:g} s"
        pause.wait(0.01)


def environment() -> Mapping[str, str]:
    """Give the environment for a child of ours: this tree's package, nobody's settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PUNCHGATE_")}
    return {**kept, "PYTHONPATH": f"{_ROOT / 'src'}{os.pathsep}{_ROOT}"}


@dataclass(slots=True)
class Gateway:
    """One installation: where its store is and where it listens. `serve` may be called again."""

    data: Path
    database: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    devices_port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self, *arguments: str) -> Any:
        """Run one command to its end and give what it printed as JSON.

        Errors:  AssertionError with what it said on stderr if it did not end with 0.
        """
        where = ("--data", str(self.data)) if self.database is None else self._database()
        return json.loads(self.text(*arguments, *where, "--json") or "null")

    def text(self, *arguments: str) -> str:
        """Run one command to its end and give what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "punchgate", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**environment(), **self.settings},
        )
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stderr}"
        return done.stdout

    def start(self) -> None:
        """Start serving and return at once; `ready` says when it does."""
        self.data.mkdir(parents=True, exist_ok=True)
        log = (self.data.parent / f"{self.data.name}.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "punchgate", "serve"),
                    *(
                        "--data",
                        str(self.data),
                        *(() if self.database is None else self._database()),
                    ),
                    *("--http", f"127.0.0.1:{self.port}"),
                    *("--devices", f"127.0.0.1:{self.devices_port}"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**environment(), **self.settings},
            )

    def is_there(self) -> bool:
        """Give True; AssertionError with its log if it has ended instead."""
        assert self.process is not None
        assert self.process.poll() is None, f"the server ended:\n{self.log()}"
        return True

    def ready(self) -> bool:
        """Say whether it serves; AssertionError with its log if it has ended instead."""
        try:
            return self.is_there() and ask(f"{self.url}/readyz", {})[0] == 200
        except OSError:
            return False

    def serve(self) -> None:
        """Start serving and wait until it does."""
        self.start()
        until(self.ready)

    def writer(self) -> int | None:
        """Give the process that commits its punches, None while there is none."""
        assert self.process is not None
        server = self.process.pid
        try:
            children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return int(children[0]) if children else None

    def kill_writer(self) -> int | None:
        """End the process that commits as a crash does, and only that."""
        writer = self.writer()
        if writer is not None:
            os.kill(writer, signal.SIGKILL)
        return writer

    def kill(self, *, with_writer: bool = True) -> None:
        """End it as a crash does: no handler runs, nothing is flushed.

        Its writer dies first, in the middle of what it does, or is left to find the server gone.
        """
        assert self.process is not None
        server = self.process.pid
        # It stands still first: it would start another writer, of which nobody here knew.
        self.process.send_signal(signal.SIGSTOP)
        until(lambda: _state(server) in {"T", "Z", "X"})
        writer = self.kill_writer() if with_writer else self.writer()
        self._end(signal.SIGKILL)
        # It is over when its files are closed; somebody else has to wait for it.
        until(lambda: writer is None or _state(writer) in {"Z", "X"})

    def stop(self) -> int:
        """Ask it to stop as a deploy does and give its exit code."""
        return self._end(signal.SIGTERM)

    def log(self) -> str:
        return (self.data.parent / f"{self.data.name}.log").read_text()[-4000:]

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        try:
            return self.process.wait(timeout=LIMIT_S)
        finally:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _database(self) -> tuple[str, str]:
        assert self.database is not None
        return ("--database", self.database)


def _state(pid: int) -> str:
    """Give the state of a process as the kernel writes it: T stopped, Z dead, X not there."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


@contextmanager
def running(
    data: Path, database: str | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[Gateway]:
    """Give an installation and see to it that nothing of it runs at the end."""
    installation = Gateway(data, database, settings or {})
    try:
        yield installation
    finally:
        if installation.process is not None:
            installation.kill()


def ask(url: str, headers: Mapping[str, str]) -> tuple[int, Any]:
    """Ask for a page and give its status and its JSON; None where the body is something else.

    Errors:  OSError when nobody answers.
    """
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.netloc, timeout=LIMIT_S)
    try:
        connection.request("GET", address._replace(scheme="", netloc="").geturl(), headers=headers)
        answer = connection.getresponse()
        body = answer.read()
    except http.client.HTTPException as error:
        raise ConnectionResetError from error
    finally:
        connection.close()
    is_json = answer.headers.get_content_type() == "application/json"
    return answer.status, json.loads(body) if is_json else None
