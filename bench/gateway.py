"""Ours as a running server: `punchgate serve` as an operator starts it, on data of its own.

Nothing of the package is imported here: what is measured is what is shipped. Rate limits are off,
as the contracts allow for load tests; nothing else is set.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bench import cluster, processes
from bench.rivals import HEADERS, SERIAL, TOKEN, count_rows
from bench.setting import Target

OURS: Final = "punchgate"
MEMORY: Final = "the same server, answering from memory"
_PROGRAM: Final = ("-m", "punchgate")
_SETTINGS: Final = {
    "PUNCHGATE_INGEST__RATE_REQUESTS": "0",
    "PUNCHGATE_REPORT__RATE_REQUESTS": "0",
}
#: A punch that was there already would be answered 200 as well.
_RECORDED: Final = "punch-status: recorded"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a gateway keeps its data: a folder, or the address of a PostgreSQL database."""

    folder: Path
    url: str | None = None

    @property
    def option(self) -> tuple[str, str]:
        """Give the option that every command takes."""
        return ("--data", str(self.folder)) if self.url is None else ("--database", self.url)

    def count_punches(self) -> int:
        """Count the punches that are stored."""
        if self.url is None:
            return count_rows(self.folder / "punchgate.db")
        return int(cluster.ask(self.url, "SELECT count(*) FROM punch"))


@contextmanager
def running(
    place: Place, *, name: str = OURS, extra: Mapping[str, str] | None = None
) -> Iterator[Target]:
    """Serve a place that has its device; at the end the server is stopped in its own order."""
    port, devices = processes.free_port(), processes.free_port()
    words = [*_PROGRAM, "serve", *place.option]
    words += ["--http", f"127.0.0.1:{port}", "--devices", f"127.0.0.1:{devices}"]
    with processes.running(
        words,
        ready_url=f"http://127.0.0.1:{port}/readyz",
        log=place.folder / "serve.log",
        extra={**_SETTINGS, **(extra or {})},
    ):
        yield Target(
            name=name,
            port=port,
            headers=HEADERS,
            expect_header=_RECORDED,
            stored=place.count_punches,
        )


@contextmanager
def from_memory(place: Place) -> Iterator[Target]:
    """Serve the limit: the same request path with a writer that commits nothing."""
    port = processes.free_port()
    words: list[str | Path] = [
        Path(__file__).with_name("limit_app.py"),
        f"--port={port}",
        f"--data={place.folder}",
    ]
    with processes.running(
        words,
        ready_url=f"http://127.0.0.1:{port}/readyz",
        log=place.folder / "limit.log",
        extra=_SETTINGS,
    ):
        yield Target(name=MEMORY, port=port, headers=HEADERS, expect_header=_RECORDED)


def prepare(folder: Path, *, url: str | None = None) -> Place:
    """Make a place with one device, as the command line does."""
    folder.mkdir(parents=True)
    place = Place(folder, url)
    add_device(place)
    return place


def add_device(place: Place) -> None:
    """Add the device of the benchmarks to a place."""
    processes.command(
        *(*_PROGRAM, "device", "add", SERIAL, "--token", TOKEN, *place.option, "--json")
    )


def add_key(place: Place) -> str:
    """Make an API key that reads reports and give it."""
    words = ("key", "add", "--name", "bench", *place.option, "--json")
    made = msgspec.json.decode(processes.command(*_PROGRAM, *words), type=dict[str, str])
    return made["key"]
