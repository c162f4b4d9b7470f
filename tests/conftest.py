"""What every suite may ask for: a database, on SQLite and on a private PostgreSQL, and the log.

A fixture starts real programs and stops them; it patches nothing. What belongs to one suite stands
in that suite's own conftest.
"""

import io
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from punchgate import telemetry
from tests import installed, postgres

# Never a timed assertion: a slow machine is not a failed property, and neither is one that stands
# still for a second while examples are made. The blob repeats a failure anywhere. Everybody gets
# the same examples; `--hypothesis-profile deep` looks for new ones, and for many.
settings.register_profile(
    "punchgate",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.register_profile(
    "deep", settings.get_profile("punchgate"), derandomize=False, max_examples=1_500
)
settings.load_profile("punchgate")

# What a shell starts in the background ignores Ctrl-C, and so would every program that a test
# starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", name="postgres")
def postgres_cluster() -> Iterator[postgres.Cluster]:
    """Give a private PostgreSQL server, one for each process of the test run."""
    with postgres.running(installed.postgresql_folder()) as cluster:
        yield cluster


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Give the address of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'punchgate.db'}"


@pytest.fixture
def postgresql_url(postgres: postgres.Cluster) -> Iterator[str]:
    """Give the address of an empty database of its own on the private server."""
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Give the address of an empty database; a test that takes it runs once on each."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Give what this process writes into its log; whoever reads it may have to flush the sink."""
    before = telemetry.SINK.stream, telemetry.SINK.level
    stream = io.StringIO()
    telemetry.configure("info", stream)
    yield stream
    telemetry.SINK.flush()
    telemetry.SINK.stream, telemetry.SINK.level = before
