"""A private PostgreSQL for the benchmarks: its own folder, a free port on loopback, our own child.

Durable as in production (`fsync` and `synchronous_commit` on); it is our child and not a daemon, so
that its processor time counts as ours. Nothing of a system's own PostgreSQL is touched.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.processes import ServerError, free_port

_OWNER: Final = "punchgate"
_START_S: Final = 60.0
#: Where the server's folder goes when its user cannot reach the cache (behind root's home).
_PUBLIC: Final = Path("/var/tmp")  # noqa: S108 (mkdtemp makes a private folder in it)
_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    # The default makes a checkpoint every few rounds; what is measured is the path of a punch.
    "max_wal_size": "4GB",
}


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Start a server and give the address of an empty database; at the end it is deleted."""
    programs = _programs()
    user = _server_user()
    home = _home(folder, user)
    password = secrets.token_hex(16)
    try:
        _create(programs, home, user, password)
        port = free_port()
        options = {**_SETTINGS, "port": str(port), "unix_socket_directories": str(home)}
        flags = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with (home / "log").open("ab") as output:
            child = subprocess.Popen(
                [programs / "postgres", "-D", home / "data", *flags],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=home,
                user=user,
                group=_group(user),
                extra_groups=None if user is None else [],
            )
        try:
            _wait_until_ready(programs, port, child, home / "log")
            yield f"postgresql://{_OWNER}:{password}@127.0.0.1:{port}/postgres"
        finally:
            # SIGINT is PostgreSQL's fast shutdown: it ends the sessions that are left.
            child.send_signal(signal.SIGINT)
            child.wait()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def create_database(url: str, name: str) -> str:
    """Create an empty database on a running server and give its address."""
    _psql(url, f'CREATE DATABASE "{name}" TEMPLATE template0')
    return url.rpartition("/")[0] + f"/{name}"


def ask(url: str, question: str) -> str:
    """Ask a running server one thing and give the answer as `psql` prints it, unadorned."""
    return _psql(url, question)


def is_available() -> bool:
    """Say whether a PostgreSQL server is installed here."""
    return shutil.which("initdb") is not None or bool(_installed())


def _psql(url: str, statement: str) -> str:
    done = subprocess.run(
        [_programs() / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statement],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ServerError(done.stderr.strip())
    return done.stdout.strip()


def _installed() -> list[Path]:
    # Debian keeps each major version's programs in a folder of its own, off the PATH.
    found = (path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return sorted(found, key=lambda folder: float(folder.parent.name))


def _programs() -> Path:
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    installed = _installed()
    if not installed:
        raise ServerError("PostgreSQL is not installed: `apt-get install postgresql`.")
    return installed[-1]


def _server_user() -> str | None:
    """Give the user to run the server as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _group(user: str | None) -> int | None:
    return None if user is None else pwd.getpwnam(user).pw_gid


def _home(folder: Path, user: str | None) -> Path:
    """Make the server's folder where its user can reach it."""
    parents = [folder, *folder.parents]
    is_open = user is None or all(path.stat().st_mode & 0o001 for path in parents)
    # /var/tmp is on a disk where /tmp may be in memory, whose flushes cost nothing.
    where = folder if is_open else _PUBLIC
    home = Path(tempfile.mkdtemp(prefix="punchgate-bench-pg-", dir=where))
    if user is not None:
        os.chown(home, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    return home


def _create(programs: Path, home: Path, user: str | None, password: str) -> None:
    secret = home / "password"
    secret.write_text(password)
    if user is not None:
        os.chown(secret, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    done = subprocess.run(
        [
            *(programs / "initdb", "-D", home / "data", "-U", _OWNER, "--pwfile", secret),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"),
        ],
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        user=user,
        group=_group(user),
        extra_groups=None if user is None else [],
    )
    secret.unlink()
    if done.returncode != 0:
        raise ServerError(done.stderr.strip())


def _wait_until_ready(programs: Path, port: int, child: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and child.poll() is None:
        asked = subprocess.run(
            [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)], check=False
        )
        if asked.returncode == 0:
            return
        time.sleep(0.1)
    raise ServerError(log.read_text(errors="replace")[-2000:])
