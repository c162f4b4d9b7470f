"""Logs and metrics: what may leave, under which names, and in which format.

Real: the renderer, the registry, the parser that scrapers use. The registry is the process's own,
so a metric is asserted by how much it grew.
"""

import io
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from punchgate import telemetry
from punchgate.telemetry import Sink, Tally

#: docs/reference/metrics.md; a rename breaks whoever watches.
NAMES = {
    "punchgate_acknowledge_seconds": {"transport"},
    "punchgate_auth_failures": {"contract"},
    "punchgate_build_info": {"version"},
    "punchgate_codec_errors": {"protocol"},
    "punchgate_commit_rows": set(),
    "punchgate_commit_seconds": set(),
    "punchgate_delivery_attempts": {"outcome"},
    "punchgate_delivery_dead": set(),
    "punchgate_delivery_endpoints": {"state"},
    "punchgate_delivery_lag_seconds": set(),
    "punchgate_delivery_parked_keys": set(),
    "punchgate_delivery_seconds": set(),
    "punchgate_delivery_transitions": {"state"},
    "punchgate_device_clock_skew_seconds": set(),
    "punchgate_devices": {"state"},
    "punchgate_event_guard_age_seconds": set(),
    "punchgate_http_request_seconds": {"contract", "status"},
    "punchgate_punches": {"outcome", "transport"},
    "punchgate_quarantine": {"state"},
    "punchgate_replay_jobs": {"state"},
    "punchgate_shed": {"reason"},
    "punchgate_storage_free_bytes": set(),
    "punchgate_summary_updates": set(),
    "punchgate_terminal_events_dropped": set(),
    "punchgate_unclaimed_devices": set(),
    "punchgate_workdays_stale": set(),
    "punchgate_writer_queue": set(),
}
#: What a name of a field or label would betray.
TELLING = ("serial", "code", "name", "key", "address", "url", "token", "secret", "path", "query")


def _said(stream: io.StringIO) -> list[dict[str, Any]]:
    telemetry.SINK.flush()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def _values() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(telemetry.metrics().decode())
        for sample in family.samples
    }


def _grew(before: dict[Any, float], name: str, **labels: str) -> float:
    key = (name, tuple(sorted(labels.items())))
    return _values()[key] - before.get(key, 0)


def test_a_line_has_its_event_its_level_its_time_and_its_fields(log: io.StringIO) -> None:
    telemetry.say("thing.happened", "warning", count=3, reason="it was time: ü")

    (line,) = _said(log)
    assert line["at"].endswith("Z")
    assert len(line.pop("at")) == len("2026-06-21T12:00:00.000Z")
    assert line == {
        "event": "thing.happened",
        "level": "warning",
        "count": 3,
        "reason": "it was time: ü",
    }


@pytest.mark.parametrize("field", ["serial", "user_code", "name", "key", "address", "token", "url"])
def test_a_field_that_is_not_on_the_list_is_refused(log: io.StringIO, field: str) -> None:
    with pytest.raises(ValueError, match=f"{field}: not a field"):
        telemetry.say("thing.happened", "info", **{field: "x"})

    assert _said(log) == []


def test_the_refusal_holds_below_the_level_that_is_written_too(log: io.StringIO) -> None:
    with pytest.raises(ValueError, match="serial"):
        telemetry.say("thing.happened", "debug", serial="SN1")

    assert _said(log) == []


def test_no_field_on_the_list_can_betray_anybody() -> None:
    for field in telemetry.FIELDS:
        assert not any(word in field for word in TELLING), field


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_lines_below_the_level_are_not_written(
    log: io.StringIO, level: Any, heard: list[str]
) -> None:
    telemetry.configure(level, log)
    for said in ("debug", "info", "warning", "error"):
        telemetry.say("thing.happened", said)

    assert [line["level"] for line in _said(log)] == heard


def test_nothing_said_before_there_is_a_stream_is_written_afterwards() -> None:
    sink, stream = Sink(), io.StringIO()
    for number in range(300):
        sink.add(str(number))
    sink.stream = stream
    sink.flush()
    assert stream.getvalue() == ""

    sink.add("first")
    sink.flush()
    assert stream.getvalue() == "first\n"


def test_lines_wait_for_company_until_a_pipe_is_full() -> None:
    sink = Sink()
    sink.stream = io.StringIO()
    for number in range(255):
        sink.add(str(number))
    assert sink.stream.getvalue() == ""

    sink.add("255")

    assert sink.stream.getvalue().splitlines() == [str(number) for number in range(256)]


def test_lines_that_cannot_be_written_are_lost_and_counted_and_stop_nobody() -> None:
    sink, stream = Sink(), io.StringIO()
    # A disk without room. Its buffer cannot be written at its end either.
    with suppress(OSError), Path("/dev/full").open("w", encoding="utf-8") as full:
        sink.stream = full
        for number in range(256):
            sink.add(str(number))
        sink.add("more")
        sink.flush()
    sink.stream = stream
    sink.add("after")
    sink.flush()
    sink.flush()

    first, second = stream.getvalue().splitlines()
    assert first == "after"
    assert (json.loads(second)["event"], json.loads(second)["count"]) == ("log.lost", 257)


def test_what_is_more_than_news_is_written_at_once(log: io.StringIO) -> None:
    telemetry.say("thing.happened")
    assert log.getvalue() == ""

    telemetry.say("thing.failed", "error")

    assert len(log.getvalue().splitlines()) == 2


@pytest.mark.parametrize(
    ("outcomes", "counts"),
    [
        (["recorded"], {"recorded": 1}),
        (["quarantined"], {"quarantined": 1}),
        (["recorded", "duplicate", "recorded"], {"recorded": 2, "duplicate": 1}),
        ([], {"count": 0}),
    ],
)
def test_an_upload_is_one_line_and_counted_by_outcome(
    log: io.StringIO, outcomes: list[str], counts: dict[str, int]
) -> None:
    before = _values()

    telemetry.punches("tcp", outcomes, account=7, seconds=0.01234)

    (line,) = _said(log)
    del line["at"]
    assert line == {
        "event": "punch.recorded",
        "level": "info",
        "account": 7,
        "transport": "tcp",
        **counts,
        "ms": 12.34,
    }
    assert line.keys() - {"event", "level"} <= telemetry.FIELDS
    for outcome in {"recorded", "duplicate", "quarantined"} & counts.keys():
        labels = {"outcome": outcome, "transport": "tcp"}
        assert _grew(before, "punchgate_punches_total", **labels) == counts[outcome]
    assert _grew(before, "punchgate_acknowledge_seconds_count", transport="tcp") == 1


def test_an_uploads_line_is_not_written_below_its_level_but_counted(log: io.StringIO) -> None:
    telemetry.configure("warning", log)
    before = _values()

    telemetry.punches("mqtt", ["recorded"], account=1, seconds=0.001)

    assert _said(log) == []
    labels = {"outcome": "recorded", "transport": "mqtt"}
    assert _grew(before, "punchgate_punches_total", **labels) == 1


def test_requests_and_commits_are_counted(log: io.StringIO) -> None:
    before = _values()

    telemetry.requested("ingest_v1", 503, 0.2)
    telemetry.committed(seconds=0.004, rows=37)

    labels = {"contract": "ingest_v1", "status": "503"}
    assert _grew(before, "punchgate_http_request_seconds_count", **labels) == 1
    assert _grew(before, "punchgate_commit_seconds_sum") == pytest.approx(0.004)
    assert _grew(before, "punchgate_commit_rows_sum") == 37
    assert _grew(before, "punchgate_commit_rows_bucket", le="25.0") == 0
    assert _grew(before, "punchgate_commit_rows_bucket", le="50.0") == 1
    assert _said(log) == []


def test_an_unforeseen_error_is_one_line_with_its_trace(log: io.StringIO) -> None:
    try:
        raise RuntimeError("something odd")  # noqa: TRY301 (a trace needs a place)
    except RuntimeError as error:
        telemetry.failed("report_v1", "req-1", error)

    (line,) = _said(log)
    assert (line["event"], line["level"], line["contract"]) == (
        *("request.failed", "error", "report_v1"),
    )
    assert line["request_id"] == "req-1"
    assert "RuntimeError: something odd" in line["trace"]


def test_metrics_have_the_names_and_labels_that_are_documented() -> None:
    telemetry.punches("http", ["recorded"], account=1, seconds=0.001)
    telemetry.requested("ingest_v1", 200, 0.001)
    telemetry.committed(seconds=0.001, rows=1)
    telemetry.BUILD.labels("1").set(1)
    telemetry.SHED.labels("busy").inc(0)
    telemetry.AUTH_FAILURES.labels("ingest_v1").inc(0)
    telemetry.QUARANTINE.labels("open").set(0)
    telemetry.DEVICES.labels("online").set(0)
    telemetry.ENDPOINTS.labels("active").set(0)
    telemetry.REPLAYS.labels("running").set(0)
    telemetry.CODEC_ERRORS.labels("zk").inc()
    telemetry.CLOCK_SKEW.add(amount=1)
    telemetry.ATTEMPTS.add("accepted")
    telemetry.TRANSITIONS.add("active")
    telemetry.DEAD.add()
    telemetry.DELIVERY_SECONDS.add(amount=0.001)

    found = {
        family.name: {label for sample in family.samples for label in sample.labels} - {"le"}
        for family in text_string_to_metric_families(telemetry.metrics().decode())
    }

    assert found == NAMES


def test_no_label_can_betray_anybody() -> None:
    for labels in NAMES.values():
        assert not any(word in label for word in TELLING for label in labels)


@pytest.fixture(name="twins")
def _twins() -> Iterator[tuple[Tally, Tally, CollectorRegistry]]:
    """Give two tallies of ours and a registry with the library's own of the same names."""
    bounds = (0.5, 1.0, 2.5)
    counter = Tally("twin_items", "Items.", ["kind"])
    histogram = Tally("twin_seconds", "Seconds.", ["kind"], bounds)
    theirs = CollectorRegistry()
    yield counter, histogram, theirs
    telemetry.REGISTRY.unregister(counter)
    telemetry.REGISTRY.unregister(histogram)


def _twin_samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        if family.name.startswith("twin_")
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_a_tally_says_what_the_librarys_own_metric_would(
    twins: tuple[Tally, Tally, CollectorRegistry],
) -> None:
    counter, histogram, registry = twins
    their_counter = Counter("twin_items", "Items.", ["kind"], registry=registry)
    their_histogram = Histogram(
        "twin_seconds", "Seconds.", ["kind"], registry=registry, buckets=(0.5, 1.0, 2.5)
    )
    odd = 'a "quoted"\\ kind\n'
    for kind, amount in [("a", 0.0), ("a", 0.5), ("b", 0.50001), (odd, 2.5), ("a", 1.0), ("b", 99)]:
        counter.add(kind)
        counter.add(kind, amount=amount)
        their_counter.labels(kind).inc()
        their_counter.labels(kind).inc(amount)
        histogram.add(kind, amount=amount)
        their_histogram.labels(kind).observe(amount)

    ours = _twin_samples(telemetry.metrics().decode())
    assert ours == _twin_samples(generate_latest(registry).decode())
    assert len(ours) == 3 + 3 * (4 + 2)


def test_a_stopwatch_runs_forward() -> None:
    elapsed = telemetry.stopwatch()

    first = elapsed()

    assert 0 <= first <= elapsed()
