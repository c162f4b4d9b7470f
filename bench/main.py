"""The command line of the benchmarks: which, how often, and where the table goes.

A target that is missed is said in the table and is no failure; a benchmark that cannot be run is.
"""

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench import delivery, growth, ingest, machine, reading, replay, table, terminals
from bench.load import LoadError
from bench.processes import ROOT, ServerError
from bench.rounds import NeverQuiet
from bench.setting import Setting
from bench.table import Line

BENCHMARKS: Final[Mapping[str, Callable[[Setting], list[Line]]]] = {
    "http_sqlite": ingest.http_sqlite,
    "http_sqlite_slow_flush": ingest.http_sqlite_slow_flush,
    "http_postgresql": ingest.http_postgresql,
    "batch": ingest.batch,
    "summary": reading.summary,
    "growth": growth.growth,
    "terminals_pull_many": terminals.pull_many,
    "terminals_pull_one": terminals.pull_one,
    "terminals_decode": terminals.decode,
    "delivery": delivery.delivery,
    "replay": replay.replay,
}
PAGE: Final = ROOT / "docs" / "performance.md"
_CACHE: Final = "PUNCHGATE_BENCH_CACHE"


def main(arguments: Sequence[str]) -> int:
    """Run the benchmarks that were asked for, print their table, and keep it where asked."""
    given = _read(arguments)
    cache = Path(os.environ.get(_CACHE) or Path.home() / ".cache" / "punchgate-bench")
    cache.mkdir(parents=True, exist_ok=True)
    lines: list[Line] = []
    failures = []
    with _scratch(cache) as scratch:
        head = _head(arguments, scratch, given)
        setting = Setting(
            rounds=2 if given.quick else given.rounds,
            seconds=2.0 if given.quick else given.seconds,
            warmup_s=0.5 if given.quick else 1.0,
            is_quick=given.quick,
            cache=cache,
            scratch=scratch,
        )
        for name in given.only or BENCHMARKS:
            print(f"{name}", file=sys.stderr, flush=True)
            try:
                lines += BENCHMARKS[name](setting)
            except (LoadError, NeverQuiet, ServerError) as error:
                failures.append(name)
                print(f"  {name} could not be measured: {error}", file=sys.stderr, flush=True)
    if failures:
        head["not measured"] = ", ".join(failures)
    text = table.markdown(lines, head)
    print(text)
    if given.out:
        given.out.write_text(f"# The last run\n\n{text}")
    if given.record:
        table.record(PAGE, text)
    return 1 if failures else 0


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run.py", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, metavar="NAME")
    parser.add_argument("--rounds", type=int, default=5, help="quiet rounds that are wanted")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a part")
    parser.add_argument(
        "--quick", action="store_true", help="two short rounds, noise and all: does it work?"
    )
    parser.add_argument("--out", type=Path, help="write the table into this file")
    parser.add_argument(
        "--record", action="store_true", help="put the table into docs/performance.md"
    )
    given = parser.parse_args(arguments)
    if given.record and (given.quick or given.only):
        parser.error("--record wants the whole run: without --quick, without --only")
    return given


def _head(arguments: Sequence[str], folder: Path, given: argparse.Namespace) -> dict[str, str]:
    command = shlex.join(["python", "bench/run.py", *arguments])
    head = {"command": f"`{command}`", "date": f"{datetime.now(UTC):%Y-%m-%d}"}
    if given.quick:
        head["**quick**"] = "this run shows that everything works; its figures mean nothing"
    return {**head, **machine.describe(folder)}


@contextmanager
def _scratch(cache: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="run-", dir=cache) as folder:
        yield Path(folder)
