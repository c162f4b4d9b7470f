"""The private PostgreSQL: durable, our own child, gone at the end. Real where it is installed."""

import os
import subprocess
from pathlib import Path

import pytest

from bench import cluster, machine
from bench.processes import ServerError
from tests import installed

pytestmark = pytest.mark.slow


def test_it_flushes_at_every_commit_and_its_work_counts_as_ours(tmp_path: Path) -> None:
    installed.postgresql_folder()
    before = machine.read_clocks(os.getpid())
    with cluster.running(tmp_path) as url:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            assert cluster.ask(url, f"SHOW {name}") == "on"
        cluster.ask(url, "SELECT count(*) FROM generate_series(1, 1000000)")
        assert machine.read_clocks(os.getpid()).ours > before.ours
        one = cluster.create_database(url, "one")
        cluster.ask(one, "CREATE TABLE punch (id integer)")
        assert cluster.ask(one, "SELECT count(*) FROM punch") == "0"
    with pytest.raises(ServerError, match="refused"):
        cluster.ask(url, "SELECT 1")


def test_a_question_it_cannot_answer_is_an_error(tmp_path: Path) -> None:
    installed.postgresql_folder()
    with cluster.running(tmp_path) as url, pytest.raises(ServerError, match="no_such_table"):
        cluster.ask(url, "SELECT * FROM no_such_table")


def test_nothing_of_it_is_left(tmp_path: Path) -> None:
    installed.postgresql_folder()
    with cluster.running(tmp_path) as url:
        folder = Path(cluster.ask(url, "SHOW data_directory"))
    assert not folder.exists()
    found = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True).stdout
    assert str(folder) not in found
