"""The private servers that other suites stand on.

Real: PostgreSQL and SQLite. What is asserted is what the suites take for granted: durable settings,
a fresh database for each test, nothing left behind.
"""

import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests import installed, postgres


def test_the_private_server_keeps_every_setting_that_makes_a_commit_durable(
    postgres: postgres.Cluster,
) -> None:
    shown = [postgres.execute(f"SHOW {name}") for name in ("fsync", "full_page_writes")]
    assert shown == ["on", "on"]
    assert postgres.execute("SHOW synchronous_commit") == "on"
    assert postgres.execute("SHOW listen_addresses") == "127.0.0.1"


def test_a_test_gets_an_empty_database_of_its_own(postgres: postgres.Cluster) -> None:
    first = postgres.create()
    postgres.execute("CREATE TABLE mark (one integer)", database=first)
    copy, empty = postgres.create(template=first), postgres.create()
    tables = "SELECT count(*) FROM pg_tables WHERE tablename = 'mark'"
    assert postgres.execute(tables, database=copy) == "1"
    assert postgres.execute(tables, database=empty) == "0"
    for name in (first, copy, empty):
        postgres.drop(name)
    assert postgres.execute(f"SELECT 1 FROM pg_database WHERE datname = '{first}'") == ""


def test_nobody_gets_in_without_the_password(postgres: postgres.Cluster) -> None:
    stranger = type(postgres)(postgres.programs, postgres.port, "guessed")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        stranger.execute("SELECT 1")
    assert "password authentication failed" in refused.value.stderr


@pytest.mark.slow
def test_a_server_leaves_nothing_behind() -> None:
    with postgres.running(installed.postgresql_folder()) as cluster:
        home = Path(cluster.execute("SHOW unix_socket_directories"))
        assert (home / "data" / "postmaster.pid").exists()
    assert not home.exists()
    with pytest.raises(subprocess.CalledProcessError):
        cluster.execute("SELECT 1")


def test_a_database_address_points_at_a_database_that_answers(
    database_url: str, request: pytest.FixtureRequest
) -> None:
    if database_url.startswith("sqlite:///"):
        with sqlite3.connect(database_url.removeprefix("sqlite:///")) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        connection.close()
    else:
        cluster: postgres.Cluster = request.getfixturevalue("postgres")
        name = database_url.rpartition("/")[2]
        assert database_url == cluster.url(name)
        assert cluster.execute("SELECT current_database()", database=name) == name


def test_a_missing_program_skips_at_home_and_fails_on_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match="apt-get install none-such"):
        installed.program("none-such", package="none-such")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install none-such"):
        installed.program("none-such", package="none-such")


def test_a_program_is_found_where_servers_live() -> None:
    shell = shutil.which("sh")
    assert shell is not None
    assert installed.program("sh", package="dash") == Path(shell)
