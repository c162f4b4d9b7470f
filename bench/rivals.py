"""The baselines as running servers, each on data of its own, each with its device and token.

What they are stands in their own files under `baselines/`.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from bench import cluster, processes
from bench.setting import Target

_BASELINES: Final = Path(__file__).resolve().parent / "baselines"
SERIAL: Final = "BENCH-1"
TOKEN: Final = "bench-token-0123456789"  # noqa: S105 (invented, of a server that lives for minutes)
HEADERS: Final = (f"sn: {SERIAL}", f"auth-token: {TOKEN}")

#: How the tables name them.
ORM: Final = "FastAPI + SQLAlchemy ORM, commit per request"
CAREFUL: Final = "FastAPI + aiosqlite, commit per request"


@contextmanager
def orm_sqlite(folder: Path, extra: Mapping[str, str] | None = None) -> Iterator[Target]:
    """Run the usual server on a SQLite file, with `extra` in its environment."""
    path = folder / "orm.db"
    with _serving("orm_server.py", folder, str(path), extra) as port:
        yield _target(ORM, port, path)


@contextmanager
def orm_postgresql(folder: Path, url: str) -> Iterator[Target]:
    """Run the usual server on a PostgreSQL database."""
    with _serving("orm_server.py", folder, url) as port:
        target = Target(name=ORM, port=port, headers=HEADERS)
        target.stored = lambda: int(cluster.ask(url, "SELECT count(*) FROM punch"))
        yield target


@contextmanager
def careful(folder: Path, extra: Mapping[str, str] | None = None) -> Iterator[Target]:
    """Run the careful server on a SQLite file, with `extra` in its environment."""
    path = folder / "careful.db"
    with _serving("careful_server.py", folder, str(path), extra) as port:
        yield _target(CAREFUL, port, path)


@contextmanager
def naive_summary(folder: Path, database: Path) -> Iterator[int]:
    """Run the usual summary on a file with a table `punches` and give its port."""
    port = processes.free_port()
    words: list[str | Path] = [
        _BASELINES / "naive_server.py",
        f"--port={port}",
        f"--database={database}",
    ]
    ready = f"http://127.0.0.1:{port}/readyz"
    with processes.running(words, ready_url=ready, log=folder / "naive.log"):
        yield port


def count_rows(path: Path) -> int:
    """Count the punches of a SQLite file."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        (found,) = db.execute("SELECT count(*) FROM punch").fetchone()
        return int(found)


def _target(name: str, port: int, path: Path) -> Target:
    return Target(
        name=name,
        port=port,
        headers=HEADERS,
        batch_path="/api/attendance/v1/punches",
        stored=lambda: count_rows(path),
    )


@contextmanager
def _serving(
    program: str, folder: Path, database: str, extra: Mapping[str, str] | None = None
) -> Iterator[int]:
    port = processes.free_port()
    words: list[str | Path] = [
        _BASELINES / program,
        f"--port={port}",
        f"--database={database}",
        f"--serial={SERIAL}",
        f"--token={TOKEN}",
    ]
    ready = f"http://127.0.0.1:{port}/readyz"
    log = folder / f"{program}.log"
    with processes.running(words, ready_url=ready, log=log, extra=extra):
        yield port
