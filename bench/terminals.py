"""The benchmarks of terminals that we call: a thousand at once, one long log, and decoding alone.

The fleet is `punchgate simulate zk` in a process of its own; the gateway's side is the engine on a
real store, as `serve` runs it, in another (`terminals_reader.py`). Decoding is compared with pyzk,
which runs in a process of its own and is given the same bytes (`terminals_pyzk.py`).
"""

import json
import random
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench import processes, rounds, table
from bench.processes import ROOT, ServerError
from bench.rounds import Part, Sample
from bench.setting import Setting
from bench.table import Comparison, Line

_FOLDER: Final = ROOT / "bench"
#: Below the ports that a kernel gives to those who do not care.
_FIRST_PORT: Final = 20_000
_RECORDS: Final = 100_000
#: What is promised: memory of the whole process, and how long its loop may be held.
_MEMORY_MIB: Final = 250
_BLOCK_MS: Final = 50.0
_FASTER: Final = 50.0


def pull_many(setting: Setting) -> list[Line]:
    """Read a thousand terminals at once, a thousand records each."""
    count = 50 if setting.is_quick else 1_000
    return _pull(setting, f"{count:,} terminals at once, 1,000 records each", count, 1_000)


def pull_one(setting: Setting) -> list[Line]:
    """Read one log of a hundred thousand records."""
    return _pull(setting, f"one log of {_RECORDS:,} records", 1, _RECORDS)


def decode(setting: Setting) -> list[Line]:
    """Decode a log of each common width, against pyzk."""
    lines = []
    for width in (40, 16, 8):
        log = setting.scratch / f"log-{width}"
        log.write_bytes(_log(width))
        ours, theirs = f"punchgate, {width} bytes", f"pyzk, {width} bytes"
        measured = rounds.alternate(
            [
                Part(ours, partial(_decoded, "terminals_decode.py", log, width)),
                Part(theirs, partial(_decoded, "terminals_pyzk.py", log, width)),
            ],
            setting.rounds,
            keep_noisy=setting.is_quick,
        )
        what = f"decoding {_RECORDS:,} records of {width} bytes"
        comparison = Comparison(
            what=what, ours=ours, theirs=theirs, ratio="faster", at_least=_FASTER
        )
        lines.append(table.line(comparison, measured))
    return lines


def _pull(setting: Setting, what: str, count: int, records: int) -> list[Line]:
    folder = setting.scratch / f"pull-{count}"
    folder.mkdir()
    with _fleet(folder, count, records) as port:
        printed = processes.command(
            _FOLDER / "terminals_reader.py", str(folder / "data"), str(port), str(count)
        )
    found = json.loads(printed)
    # Nobody punches twice in a second, but for a few rows of a log that repeats itself.
    if not 0.99 * count * records <= found["rows"] <= count * records or found["errors"]:
        raise ServerError(f"Not everything was read: {printed.strip()}")
    per_s = found["rows"] / found["seconds"]
    figures = (
        ("time", f"{found['seconds']:.1f} s, {per_s:,.0f} records/s", "", None),
        (
            "memory of the process",
            f"{found['memory_mib']:.0f} MiB, {found['idle_mib']:.0f} before",
            f"≤ {_MEMORY_MIB} MiB",
            found["memory_mib"] <= _MEMORY_MIB,
        ),
        (
            "longest the loop was held",
            f"{found['block_ms']:.0f} ms",
            f"≤ {_BLOCK_MS:g} ms",
            found["block_ms"] <= _BLOCK_MS,
        ),
        ("the same logs again", f"{found['again_s']:.1f} s", "", None),
    )
    words = {None: "", True: "met", False: "**missed**"}
    return [
        Line((f"{what}: {name}", figure, "", "", "", goal, words[is_met], "one run"), is_met)
        for name, figure, goal, is_met in figures
    ]


@contextmanager
def _fleet(folder: Path, count: int, records: int) -> Iterator[int]:
    """Let terminals listen on consecutive ports, and give the first."""
    port = _free_ports(count)
    users = "500" if records > 10_000 else "20"
    words = ["-m", "punchgate", "simulate", "zk", "--json", "--listen", f"127.0.0.1:{port}"]
    words += ["--count", str(count), "--records", str(records), "--users", users]
    with (folder / "fleet.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, *words],
            env=processes.environment(),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        try:
            # It says where it is when all of it listens.
            if child.stdout is None or not child.stdout.readline():
                raise ServerError("The virtual terminals did not start.")
            yield port
        finally:
            processes.stop(child)


def _free_ports(count: int) -> int:
    for first in range(_FIRST_PORT, 32_000 - count, max(count, 97)):
        if all(_is_free(port) for port in range(first, first + count)):
            return first
    raise ServerError(f"There are no {count} free ports in a row.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _decoded(program: str, log: Path, width: int) -> Sample:
    found: dict[str, Any] = json.loads(
        processes.command(_FOLDER / program, str(log), str(width), str(_RECORDS))
    )
    if found["records"] != _RECORDS or found["last"] != _last():
        raise ServerError(f"{program} read something else: {found}")
    return Sample(_RECORDS / found["seconds"], found["seconds"] * 1_000, 0.0, 0.0)


def _log(width: int) -> bytes:
    """Make a log: the same people and moments in rows of each width."""
    chance = random.Random(1)  # noqa: S311 (invented punches)
    rows = bytearray()
    at = _begin()
    for number in range(_RECORDS):
        uid = chance.randrange(1, 501)
        packed = _packed(at + timedelta(seconds=30 * number))
        if width == 40:
            rows += struct.pack("<H24sBIB8x", uid, str(uid).encode(), 1, packed, number % 2)
        elif width == 16:
            rows += struct.pack("<IIBB2xI", uid, packed, 1, number % 2, 0)
        else:
            rows += struct.pack("<HBIB", uid, 1, packed, number % 2)
    return len(rows).to_bytes(4, "little") + bytes(rows)


def _last() -> str:
    return str(_begin() + timedelta(seconds=30 * (_RECORDS - 1)))


def _begin() -> datetime:
    return datetime(2026, 1, 1)  # noqa: DTZ001 (terminals have wall clocks)


def _packed(at: datetime) -> int:
    days = ((at.year - 2000) * 12 + at.month - 1) * 31 + at.day - 1
    return days * 86_400 + at.hour * 3_600 + at.minute * 60 + at.second
