"""A private PostgreSQL server: own data directory, free port on loopback, gone after the tests.

Real: the server, its WAL and its flushes (`fsync` stays on, so that a commit means what it means in
production). No system service is touched. Knows nothing of our schema.
"""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.ports import free_port

_OWNER: Final = "punchgate"
#: Between our look at a free port and the server's bind somebody else may take it.
_PORT_TRIES: Final = 5
_START_S: Final = 60
#: Big enough for every worker's pools; small enough to start at once. Nothing here weakens a
#: commit.
_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "1GB",
    "log_min_messages": "warning",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running server of ours; its password is drawn for each run: others share loopback."""

    programs: Path
    port: int
    password: str

    def url(self, database: str) -> str:
        """Give the address of one of its databases."""
        return f"postgresql://{_OWNER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def create(self, *, template: str = "template0") -> str:
        """Create a database of a new name, empty or as a copy of `template`, and give its name.

        Errors: CalledProcessError if `template` does not exist or somebody is connected to it.
        """
        name = f"t_{secrets.token_hex(6)}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop(self, name: str) -> None:
        """Drop a database, ending the connections that a failed test left open."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, statement: str, *, database: str = "postgres") -> str:
        """Run one statement outside any transaction and give what `psql` printed, unadorned."""
        done = subprocess.run(
            [self.programs / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement],
            check=True,
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "PGHOST": "127.0.0.1",
                "PGPORT": str(self.port),
                "PGUSER": _OWNER,
                "PGPASSWORD": self.password,
                "PGDATABASE": database,
            },
        )
        return done.stdout.strip()


@contextmanager
def running(programs: Path, settings: Mapping[str, str] | None = None) -> Iterator[Cluster]:
    """Start a server in a directory of its own and stop it at the end; `settings` go above ours."""
    home = Path(tempfile.mkdtemp(prefix="punchgate-pg-"))
    user = _server_user()
    password = secrets.token_hex(16)
    try:
        _create(programs, home, user, password)
        port = _start(programs, home, user, {**_SETTINGS, **(settings or {})})
        try:
            yield Cluster(programs, port, password)
        finally:
            # Immediate: the data is thrown away, so nobody waits for its last checkpoint.
            _run(
                user, home, programs / "pg_ctl", "stop", "-w", "-m", "immediate", "-D", _data(home)
            )
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _create(programs: Path, home: Path, user: str | None, password: str) -> None:
    (home / "password").write_text(password)
    if user is not None:
        entry = pwd.getpwnam(user)
        for path in (home, home / "password"):
            os.chown(path, entry.pw_uid, entry.pw_gid)
    _run(
        user,
        home,
        *(programs / "initdb", "-D", _data(home), "-U", _OWNER, "--pwfile", home / "password"),
        # C: rows sort by bytes, as on SQLite, whatever locale the machine has.
        *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"),
        # What initdb itself writes need not survive a power cut of the test machine.
        "--no-sync",
    )


def _start(programs: Path, home: Path, user: str | None, settings: Mapping[str, str]) -> int:
    for attempt in range(_PORT_TRIES):
        port = free_port()
        options = {**settings, "port": str(port), "unix_socket_directories": str(home)}
        flags = " ".join(f"-c {name}='{value}'" for name, value in options.items())
        pg_ctl = (programs / "pg_ctl", "start", "-w", "-s", "-t", str(_START_S), "-D", _data(home))
        try:
            _run(user, home, *pg_ctl, "-l", home / "log", "-o", flags)
        except subprocess.CalledProcessError:
            if attempt == _PORT_TRIES - 1:
                raise RuntimeError((home / "log").read_text()) from None
        else:
            return port
    raise AssertionError


def _run(user: str | None, home: Path, *command: str | Path) -> None:
    # Not captured through a pipe: the server would inherit it and hold it open for as long as it
    # runs.
    with (home / "output").open("ab") as output:
        subprocess.run(
            command,
            check=True,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            user=user,
            group=None if user is None else pwd.getpwnam(user).pw_gid,
            extra_groups=None if user is None else [],
        )


def _server_user() -> str | None:
    """Give the user to run the server as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _data(home: Path) -> Path:
    return home / "data"
