"""The benchmark of what leaves: ordered, signed webhooks, one attempt in twenty refused.

Ours is `punchgate serve` with an endpoint that has everything before it; each part is an endpoint
of its own. The receiver is one process on loopback; it checks the order of each person's punches,
and a part in which one came late is no figure.
"""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from bench import cluster, gateway, processes, rounds, table
from bench.gateway import Place
from bench.load import LoadError
from bench.rounds import Part, Sample
from bench.setting import Setting
from bench.table import Comparison, Line

IN_FLIGHT: Final = 64
#: Attempts of a thousand that the receiver refuses.
REFUSED: Final = 50
HTTPX: Final = "a loop with httpx, no order, no log"
PROCRASTINATE: Final = "procrastinate, a lock per person, PostgreSQL"
_OURS: Final = "punchgate serve"
_HERE: Final = Path(__file__).resolve().parent
_BASELINES: Final = _HERE / "baselines"
#: More than anyone delivers in a second here, so that nobody runs out of events.
_MOST_PER_S: Final = 14_000
#: Jobs for the queue: it needs half a minute to take them in.
_JOBS: Final = 5_000
#: What lets a gateway deliver to loopback.
NETWORKS: Final = {"PUNCHGATE_DELIVERY__ALLOW_NETWORKS": '["127.0.0.0/8"]'}
_START_S: Final = 120.0


def delivery(setting: Setting) -> list[Line]:
    """Measure deliveries a second to one receiver."""
    folder = setting.scratch / "delivery"
    place = gateway.prepare(folder / "ours")
    wanted = int((setting.seconds + setting.warmup_s + 2) * _MOST_PER_S)
    with (
        gateway.running(place, name=_OURS, extra=NETWORKS) as ours,
        cluster.running(setting.cache) as server,
    ):
        while ours.next < wanted:
            ours.batch(setting, connections=4)
        # Days of long ago are computed, and told of, before anything is measured.
        rounds.MACHINE.rest()
        events = folder / "events.jsonl"
        _write_events(place, events, limit=wanted)
        databases = iter(range(1_000))
        parts = [
            Part(_OURS, partial(_ours, setting, place)),
            Part(HTTPX, partial(_rival, setting, "httpx_loop.py", events, ())),
            Part(PROCRASTINATE, partial(_queue, setting, folder, events, server, databases)),
        ]
        found = rounds.alternate(parts, setting.rounds, keep_noisy=setting.is_quick)
    compare = partial(
        Comparison,
        what=f"ordered deliveries, {REFUSED // 10} % refused, {IN_FLIGHT} in flight",
        ours=_OURS,
        ratio="faster",
        at_least=10,
    )
    return [
        table.line(compare(theirs=HTTPX, per_s_at_least=8_000), found),
        table.line(compare(theirs=PROCRASTINATE), found),
    ]


class Counted(msgspec.Struct, frozen=True):
    """What the receiver says, as of `bench/receiver.py`."""

    at: float
    accepted: int
    distinct: int
    refused: int
    out_of_order: int
    replayed: int
    lags_ms: Sequence[float]
    cpu_s: float


class Receiver:
    """The receiver's process."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        assert child.stdout is not None
        self.url = f"http://127.0.0.1:{child.stdout.readline().strip()}/hook"

    def count(self) -> Counted:
        """Ask what it has counted."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write("\n")
        self._child.stdin.flush()
        return msgspec.json.decode(self._child.stdout.readline(), type=Counted)

    def measure(self, setting: Setting, *, is_ordered: bool) -> Sample:
        """Wait until somebody delivers, let him warm up, and count for the time of a part."""
        deadline = time.monotonic() + _START_S
        while not self.count().accepted:
            if time.monotonic() > deadline:
                raise LoadError("Nothing was delivered.")
            time.sleep(0.05)
        time.sleep(setting.warmup_s)
        before = self.count()
        time.sleep(setting.seconds)
        after = self.count()
        if is_ordered and after.out_of_order:
            raise LoadError(f"{after.out_of_order} punches came behind later ones.")
        seconds = after.at - before.at
        return Sample(
            per_s=(after.distinct - before.distinct) / seconds,
            p50_ms=0,
            p99_ms=0,
            generator_cores=(after.cpu_s - before.cpu_s) / seconds,
        )


@contextmanager
def receiving(*words: str) -> Iterator[Receiver]:
    """Run the receiver with these options."""
    child = _start(_HERE / "receiver.py", *words)
    try:
        yield Receiver(child)
    finally:
        processes.stop(child)


def _ours(setting: Setting, place: Place) -> Sample:
    with receiving(f"--refuse={REFUSED}") as receiver:
        added = punchgate(
            place,
            *("endpoint", "add", receiver.url, "--start-at", "2020-01-01"),
            *("--event", "punch.recorded"),
            *("--concurrency", str(IN_FLIGHT), "--schedule", ",".join(["1s"] * 10)),
        )
        try:
            return receiver.measure(setting, is_ordered=True)
        finally:
            punchgate(place, "endpoint", "remove", added["endpoint_id"])


def _rival(
    setting: Setting,
    program: str,
    events: Path,
    words: Sequence[str],
    *,
    is_ordered: bool = False,
    says_when: bool = False,
) -> Sample:
    with receiving(f"--refuse={REFUSED}") as receiver:
        child = _start(
            _BASELINES / program,
            *(f"--url={receiver.url}", f"--events={events}", f"--in-flight={IN_FLIGHT}"),
            *words,
        )
        try:
            if says_when:
                assert child.stdout is not None
                child.stdout.readline()
            return receiver.measure(setting, is_ordered=is_ordered)
        finally:
            processes.stop(child)


def _queue(
    setting: Setting, folder: Path, events: Path, server: str, databases: Iterator[int]
) -> Sample:
    some = folder / "jobs.jsonl"
    with events.open("rb") as lines, some.open("wb") as out:
        for _, line in zip(range(_JOBS), lines, strict=False):
            out.write(line)
    database = cluster.create_database(server, f"jobs{next(databases)}")
    words = (f"--database={database}",)
    return _rival(setting, "procrastinate_jobs.py", some, words, says_when=True)


def _write_events(place: Place, file: Path, *, limit: int) -> None:
    """Write the log's entries as the envelopes that ours delivers."""
    with (
        closing(sqlite3.connect(f"file:{place.folder / 'punchgate.db'}?mode=ro", uri=True)) as db,
        file.open("w") as out,
    ):
        rows = db.execute(
            "SELECT id, type, body FROM event WHERE type = 'punch.recorded' ORDER BY seq LIMIT ?",
            (limit,),
        )
        for name, kind, body in rows:
            out.write(f'{{"id":"{name}","type":"{kind}","account":"main","data":{body}}}\n')


def punchgate(place: Place, *words: str) -> Mapping[str, Any]:
    """Run a command on a place and give what it printed."""
    printed = processes.command("-m", "punchgate", *words, *place.option, "--json", extra=NETWORKS)
    found: Mapping[str, Any] = msgspec.json.decode(printed) if printed.strip() else {}
    return found


def _start(program: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, program, *words],
        env=processes.environment(),
        cwd=processes.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
