"""Servers of a benchmark: started as our own children, waited for, stopped by their own ids.

A server writes its output into a file beside its data. Nothing is found by name, and nothing is
stopped that was not started here.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
#: Below what Linux gives away by itself, so that none is lost before its server has started.
_PORTS: Final = (12_000, 32_000)
_chance: Final = SystemRandom()
_START_S: Final = 60.0
_STOP_S: Final = 35.0


class ServerError(Exception):
    """A server did not start, or a command of ours failed; the sentence carries what it said."""


def free_port() -> int:
    """Give a loopback port that nobody listens on, and that the system gives to nobody."""
    while True:
        port = _chance.randrange(*_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the environment of a child: ours, with the package and the benchmarks importable.

    Settings of whoever runs the benchmarks stay outside. So does `PUNCHGATE_BENCH_CACHE`: a server
    refuses settings that it does not know.
    """
    folders = [str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    found = {name: text for name, text in os.environ.items() if not name.startswith("PUNCHGATE_")}
    found["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
    return {**found, **(extra or {})}


def command(*words: str | Path, extra: Mapping[str, str] | None = None) -> str:
    """Run a Python program to its end and give what it printed."""
    done = subprocess.run(
        [sys.executable, *words],
        env=environment(extra),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ServerError(
            f"{' '.join(map(str, words))}: {done.stderr.strip() or done.stdout.strip()}"
        )
    return done.stdout


@contextmanager
def running(
    words: Sequence[str | Path],
    *,
    ready_url: str,
    log: Path,
    extra: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """Start a Python server, wait for a 200 of `ready_url`, give its id; stop it at the end."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, *words],
            env=environment(extra),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        _wait_until_ready(child, ready_url, log)
        yield child.pid
    finally:
        stop(child)


def stop(child: subprocess.Popen[Any]) -> None:
    """Ask a child to end, and end it if it does not."""
    child.terminate()
    try:
        child.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _wait_until_ready(child: subprocess.Popen[Any], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if child.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 (loopback, ours)
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise ServerError(f"{url} was never ready: {log.read_text(errors='replace')[-2000:]}")
