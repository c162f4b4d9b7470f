"""Logs and metrics leave through this module alone, so that nothing secret does.

One wide line per thing that happened, as JSON, with fields from an allow-list; metrics with the names of
docs/reference/metrics.md. No serial number, user code, name, key, address or URL is ever a field or a label. The metrics are
the process's own (that is what a scraper asks for), which makes them the one piece of state that lives in a module.
"""

import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

#: What a line may say beside `event`, `level` and `at`.
FIELDS: Final = frozenset(
    {
        "account",
        "actor",
        "attempts",
        "contract",
        "count",
        "days",
        "duplicate",
        "error",
        "listener",
        "method",
        "ms",
        "note",
        "operation",
        "punch_id",
        "quarantined",
        "reason",
        "recorded",
        "request_id",
        "roles",
        "rows",
        "slug",
        "state",
        "status",
        "trace",
        "transport",
        "version",
        "worker",
    }
)

REGISTRY: Final = CollectorRegistry()
_SHORT: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_PUNCHES: Final = Counter(
    "punchgate_punches",
    "Items of uploads, by what became of them.",
    ["outcome", "transport"],
    registry=REGISTRY,
)
_ACKNOWLEDGE: Final = Histogram(
    "punchgate_acknowledge_seconds",
    "From the request's arrival to the answer's writing.",
    ["transport"],
    buckets=_SHORT,
    registry=REGISTRY,
)
_COMMIT: Final = Histogram(
    "punchgate_commit_seconds", "One group's transaction.", buckets=_SHORT, registry=REGISTRY
)
_ROWS: Final = Histogram(
    "punchgate_commit_rows",
    "Rows of one group.",
    buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000),
    registry=REGISTRY,
)
QUEUE: Final = Gauge(
    "punchgate_writer_queue", "Requests that wait for a commit.", registry=REGISTRY
)
SHED: Final = Counter(
    "punchgate_shed", "Requests refused to protect the store.", ["reason"], registry=REGISTRY
)
QUARANTINE: Final = Gauge(
    "punchgate_quarantine", "Items in quarantine.", ["state"], registry=REGISTRY
)
DEVICES: Final = Gauge(
    "punchgate_devices", "Claimed devices by presence.", ["state"], registry=REGISTRY
)
UNCLAIMED: Final = Gauge(
    "punchgate_unclaimed_devices", "Serials that call and are not claimed.", registry=REGISTRY
)
AUTH_FAILURES: Final = Counter(
    "punchgate_auth_failures", "Refused credentials.", ["contract"], registry=REGISTRY
)
STALE: Final = Gauge(
    "punchgate_workdays_stale", "Workdays that wait to be computed.", registry=REGISTRY
)
REQUESTS: Final = Histogram(
    "punchgate_http_request_seconds",
    "Requests of the contracts.",
    ["contract", "status"],
    buckets=_SHORT,
    registry=REGISTRY,
)
FREE_BYTES: Final = Gauge(
    "punchgate_storage_free_bytes", "Room left where the data is.", registry=REGISTRY
)
BUILD: Final = Gauge("punchgate_build_info", "What is running.", ["version"], registry=REGISTRY)

Level = Literal["debug", "info", "warning", "error"]
_LEVELS: Final[Mapping[str, int]] = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Sink:
    """Lines on their way to a stream, written many at a time: a write per punch would cost more than the punch."""

    def __init__(self) -> None:
        self.stream: TextIO | None = None
        self.level = _LEVELS["info"]
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        """Take one line, without its end."""
        self._lines.append(line)
        if len(self._lines) >= 256:  # noqa: PLR2004 (about 64 kB, the size of a pipe)
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        lines, self._lines = self._lines, []
        if lines and self.stream is not None:
            self.stream.write("\n".join(lines) + "\n")
            self.stream.flush()


SINK: Final = Sink()


def configure(level: Level, stream: TextIO | None = None) -> None:
    """Say from which level on lines are written, and where (standard error); nothing is written before."""
    SINK.stream = stream if stream is not None else sys.stderr
    SINK.level = _LEVELS[level]


def say(event: str, level: Level = "info", **fields: Any) -> None:
    """Write one line about one thing that happened.

    Errors: ValueError for a field that is not on the allow-list.
    """
    strange = fields.keys() - FIELDS
    if strange:
        raise ValueError(f"{', '.join(sorted(strange))}: not a field that may be logged.")
    if _LEVELS[level] >= SINK.level:
        SINK.add(_render(None, level, {"event": event, "level": level, "at": _now(), **fields}))
        if level != "info":
            SINK.flush()


_render: Final[Any] = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)


def punches(transport: str, outcomes: Sequence[str], *, account: int, seconds: float) -> None:
    """Count what an upload became and write its line; called for every upload, after its commit."""
    if len(outcomes) == 1:
        (outcome,) = outcomes
        _PUNCHES_BY[outcome, transport].inc()
        counts = f'"{outcome}":1'
    else:
        tally = {name: outcomes.count(name) for name in sorted(set(outcomes))}
        for name, number in tally.items():
            _PUNCHES_BY[name, transport].inc(number)
        counts = ",".join(f'"{name}":{number}' for name, number in tally.items()) or '"count":0'
    _ACKNOWLEDGE_BY[transport].observe(seconds)
    if SINK.level <= 20:  # noqa: PLR2004 (info)
        # By hand: this line is written for every punch, and rendering a dict costs ten times as much.
        SINK.add(
            f'{{"event":"punch.recorded","level":"info","at":"{_now()}","account":{account},'
            f'"transport":"{transport}",{counts},"ms":{seconds * 1000:.2f}}}'
        )


def requested(contract: str, status: int, seconds: float) -> None:
    """Count one request of a contract."""
    _REQUESTS_BY[contract, status].observe(seconds)


def failed(contract: str, request_id: str, error: BaseException) -> None:
    """Write the line of a request that ended in something unforeseen; the caller only gets its id."""
    trace = "".join(traceback.format_exception(error))
    say("request.failed", "error", contract=contract, request_id=request_id, trace=trace)


class _Children(dict[Any, Any]):
    """Labelled children of a metric, looked up once instead of once per punch."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: Any) -> Any:
        child = self[key] = self._make(key)
        return child


_PUNCHES_BY: Final = _Children(lambda key: _PUNCHES.labels(*key))
_ACKNOWLEDGE_BY: Final = _Children(_ACKNOWLEDGE.labels)
_REQUESTS_BY: Final = _Children(lambda key: REQUESTS.labels(*key))


def committed(*, seconds: float, rows: int) -> None:
    """Count one group's commit."""
    _COMMIT.observe(seconds)
    _ROWS.observe(rows)


def stopwatch() -> Callable[[], float]:
    """Start measuring; the call that it gives says how many seconds have passed."""
    started = time.perf_counter()
    return lambda: time.perf_counter() - started


def metrics() -> bytes:
    """Write every metric in the text format."""
    return generate_latest(REGISTRY)


class _Now:
    """The time of a line; its text is made once per second."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def __call__(self) -> str:
        now = time.time()  # noqa: TID251 (a line's own time; nothing is decided by it)
        second = int(now)
        if second != self._second:
            self._second = second
            self._text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._text}.{int((now - second) * 1000):03d}Z"


_now: Final = _Now()
