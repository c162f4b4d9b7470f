"""What a process says in its log, for the suites of terminals."""

import io
from collections.abc import Iterator

import pytest

from punchgate import telemetry


@pytest.fixture(name="lines")
def _lines() -> Iterator[io.StringIO]:
    before = telemetry.SINK.stream, telemetry.SINK.level
    stream = io.StringIO()
    telemetry.configure("info", stream)
    yield stream
    telemetry.SINK.stream, telemetry.SINK.level = before
