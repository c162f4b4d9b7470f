"""Logs and metrics leave through this module alone, so that nothing secret does.

One wide line per thing that happened, as JSON, with fields from an allow-list; metrics with the
names of docs/reference/metrics.md. No serial number, user code, name, key, address or URL is ever a
field or a label. The metrics are the process's own (that is what a scraper asks for), which makes
them the one piece of state that lives in a module.
"""

import sys
import time
import traceback
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any, Final, Literal, TextIO

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

#: What a line may say beside `event`, `level` and `at`.
FIELDS: Final = frozenset(
    {
        "account",
        "contract",
        "count",
        "duplicate",
        "endpoint",
        "error",
        "ms",
        "quarantined",
        "reason",
        "recorded",
        "request_id",
        "slug",
        "state",
        "trace",
        "transport",
        "version",
        "worker",
    }
)

REGISTRY: Final = CollectorRegistry()
# A second series for every counter, which says when the process began.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library says no type
_SHORT: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_LONG: Final = (1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 3_600.0, 86_400.0)
_LARGE: Final = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0)


class Tally(Collector):
    """A counter or histogram that is written for every punch and read once a scrape.

    The library's own take a lock and walk their buckets at each call; together they cost more than
    decoding the punch. Each of ours is written by one thread alone.
    """

    def __init__(
        self, name: str, about: str, labels: Sequence[str] = (), bounds: Sequence[float] = ()
    ) -> None:
        self._name, self._about = name, about
        self._labels, self._bounds = list(labels), tuple(bounds)
        #: By label values: a sum, then a count per bucket.
        self._cells: dict[tuple[str, ...], list[float]] = {}
        REGISTRY.register(self)

    def add(self, *values: str, amount: float = 1) -> None:
        """Count something."""
        cell = self._cells.get(values)
        if cell is None:
            cell = self._cells[values] = [0.0] * (len(self._bounds) + 2)
        cell[0] += amount
        if self._bounds:
            cell[bisect_left(self._bounds, amount) + 1] += 1

    def collect(self) -> Iterable[Metric]:
        """Give what was counted, in the library's words."""
        if not self._bounds:
            counter = CounterMetricFamily(self._name, self._about, labels=self._labels)
            for values, cell in sorted(self._cells.items()):
                counter.add_metric(values, cell[0])
            return [counter]
        histogram = HistogramMetricFamily(self._name, self._about, labels=self._labels)
        for values, (total, *counts) in sorted(self._cells.items()):
            names = [*(str(bound) for bound in self._bounds), "+Inf"]
            histogram.add_metric(values, list(zip(names, accumulate(counts), strict=True)), total)
        return [histogram]


_PUNCHES: Final = Tally(
    "punchgate_punches", "Items of uploads, by what became of them.", ["outcome", "transport"]
)
_ACKNOWLEDGE: Final = Tally(
    "punchgate_acknowledge_seconds",
    "From the request's arrival to the answer's writing.",
    ["transport"],
    _SHORT,
)
_COMMIT: Final = Tally("punchgate_commit_seconds", "One group's transaction.", (), _SHORT)
_ROWS: Final = Tally("punchgate_commit_rows", "Rows of one group.", (), _LARGE)
_REQUESTS: Final = Tally(
    "punchgate_http_request_seconds",
    "Requests of the contracts.",
    ["contract", "status"],
    _SHORT,
)
ATTEMPTS: Final = Tally(
    "punchgate_delivery_attempts", "Events sent to receivers, by what came of it.", ["outcome"]
)
DELIVERY_SECONDS: Final = Tally(
    "punchgate_delivery_seconds", "One request to a receiver.", (), _SHORT
)
DEAD: Final = Tally("punchgate_delivery_dead", "Events given up.")
TRANSITIONS: Final = Tally(
    "punchgate_delivery_transitions", "Endpoints that changed their state.", ["state"]
)
LAG: Final = Gauge(
    "punchgate_delivery_lag_seconds",
    "Age of the oldest undelivered event, at the endpoint that is furthest behind.",
    registry=REGISTRY,
)
PARKED: Final = Gauge(
    "punchgate_delivery_parked_keys", "Keys whose delivery failed.", registry=REGISTRY
)
ENDPOINTS: Final = Gauge(
    "punchgate_delivery_endpoints", "Endpoints by state.", ["state"], registry=REGISTRY
)
GUARD: Final = Gauge(
    "punchgate_event_guard_age_seconds",
    "Age of the oldest event that an unfinished transaction holds back.",
    registry=REGISTRY,
)
REPLAYS: Final = Gauge("punchgate_replay_jobs", "Replays by state.", ["state"], registry=REGISTRY)
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
TERMINAL_EVENTS_DROPPED: Final = Counter(
    "punchgate_terminal_events_dropped",
    "Live events of terminals that came faster than they were read; the log has them.",
    registry=REGISTRY,
)
CLOCK_SKEW: Final = Tally(
    "punchgate_device_clock_skew_seconds",
    "How far the clocks of terminals were from ours, either way, at each look.",
    (),
    _LONG,
)
CODEC_ERRORS: Final = Counter(
    "punchgate_codec_errors",
    "Conversations that ended with what the protocol does not allow.",
    ["protocol"],
    registry=REGISTRY,
)
AUTH_FAILURES: Final = Counter(
    "punchgate_auth_failures", "Refused credentials.", ["contract"], registry=REGISTRY
)
STALE: Final = Gauge(
    "punchgate_workdays_stale", "Workdays that wait to be computed.", registry=REGISTRY
)
SUMMARY_UPDATES: Final = Counter(
    "punchgate_summary_updates", "Days whose computed summary has changed.", registry=REGISTRY
)
FREE_BYTES: Final = Gauge(
    "punchgate_storage_free_bytes", "Room left where the data is.", registry=REGISTRY
)
BUILD: Final = Gauge("punchgate_build_info", "What is running.", ["version"], registry=REGISTRY)
# Told as 0 from the start: who first sees a count at 1 cannot know that it grew, and the first one
# would raise no alarm.
SHED.labels("busy")
for _protocol in ("zk", "zk_facade"):
    CODEC_ERRORS.labels(_protocol)

Level = Literal["debug", "info", "warning", "error"]
_LEVELS: Final[Mapping[str, int]] = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Sink:
    """Lines on their way to a stream, written many at a time.

    A write per punch would cost more than the punch.
    """

    def __init__(self) -> None:
        self.stream: TextIO | None = None
        self.level = _LEVELS["info"]
        self._lines: list[str] = []
        self._lost = 0

    def add(self, line: str) -> None:
        """Take one line, without its end; before there is a stream, nothing."""
        if self.stream is None:
            return
        self._lines.append(line)
        # About 64 kB, the size of a pipe.
        if len(self._lines) >= 256:
            self.flush()

    def flush(self) -> None:
        """Write what waits; what cannot be written is lost, and that is told once it can be."""
        lines, self._lines = self._lines, []
        if not lines or self.stream is None:
            return
        try:
            self.stream.write("\n".join(lines) + "\n")
            self.stream.flush()
        except OSError:
            # A full disk or a closed pipe: whoever waits for an answer gets it all the same.
            self._lost += len(lines)
            return
        if self._lost:
            told = {"event": "log.lost", "level": "warning", "at": _now(), "count": self._lost}
            self._lines, self._lost = [_render(None, "warning", told)], 0


SINK: Final = Sink()


def configure(level: Level, stream: TextIO | None = None) -> None:
    """Say from which level on lines are written, and where; nothing said before is written."""
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
        _PUNCHES.add(outcome, transport)
        counts = f'"{outcome}":1'
    else:
        tally = {name: outcomes.count(name) for name in sorted(set(outcomes))}
        for name, number in tally.items():
            _PUNCHES.add(name, transport, amount=number)
        counts = ",".join(f'"{name}":{number}' for name, number in tally.items()) or '"count":0'
    _ACKNOWLEDGE.add(transport, amount=seconds)
    if SINK.level <= _LEVELS["info"]:
        # By hand: this line is written for every punch, and rendering a dict costs ten times as
        # much.
        SINK.add(
            f'{{"event":"punch.recorded","level":"info","at":"{_now()}","account":{account},'
            f'"transport":"{transport}",{counts},"ms":{seconds * 1000:.2f}}}'
        )


def requested(contract: str, status: int, seconds: float) -> None:
    """Count one request of a contract."""
    _REQUESTS.add(contract, str(status), amount=seconds)


def failed(contract: str, request_id: str, error: BaseException) -> None:
    """Write the line of what ended in something unforeseen; a caller gets the id, if there is one.

    An id is an event's, an endpoint's or made up: a device's may be its serial number.
    """
    say("request.failed", "error", contract=contract, request_id=request_id, trace=trace(error))


def trace(error: BaseException) -> str:
    """Write where an error came from, for the field of that name."""
    return "".join(traceback.format_exception(error))


def committed(*, seconds: float, rows: int) -> None:
    """Count one group's commit."""
    _COMMIT.add(amount=seconds)
    _ROWS.add(amount=rows)


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
        now = time.time()  # a line's own time; nothing is decided by it
        second = int(now)
        if second != self._second:
            self._second = second
            self._text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._text}.{int((now - second) * 1000):03d}Z"


_now: Final = _Now()
