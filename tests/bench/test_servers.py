"""The servers of a benchmark, started for real: the rivals store what they acknowledge.

Real: the baseline servers in processes of their own, the generator, SQLite. Asserted: rows, never
rates; a rival that lost punches or let strangers in would flatter our ratios.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from bench import load, processes, rivals
from bench.load import Load, LoadError
from bench.processes import ServerError
from bench.rivals import HEADERS
from bench.setting import PUNCH, Setting, Target

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("gcc") is None, reason="`gcc` is not installed"),
]

RIVALS = [rivals.orm_sqlite, rivals.careful]
Start = Callable[[Path], AbstractContextManager[Target]]


def setting(folder: Path, requests: int = 50) -> Setting:
    """Make a part that ends with its requests; its seconds are for a hang only."""
    return Setting(
        rounds=1,
        seconds=100,
        warmup_s=0.0,
        is_quick=True,
        cache=folder,
        scratch=folder,
        requests=requests,
    )


@pytest.mark.parametrize("start", RIVALS)
def test_a_rival_stores_exactly_what_it_acknowledged(start: Start, tmp_path: Path) -> None:
    with start(tmp_path) as target:
        sample = target.punch(setting(tmp_path), connections=3)
        target.check_stored()
    assert sample.per_s > 0
    assert target.next == 50


@pytest.mark.parametrize("start", RIVALS)
def test_a_rival_recognises_a_repeat(start: Start, tmp_path: Path) -> None:
    with start(tmp_path) as target:
        wanted = Load(
            port=target.port,
            path=PUNCH,
            kind="punch",
            connections=2,
            seconds=100,
            requests=20,
            headers=HEADERS,
            expect='{"ok":true}',
        )
        assert load.run(wanted).answered == 20
        assert load.run(wanted).answered == 20
        assert target.stored is not None
        assert target.stored() == 20


@pytest.mark.parametrize("start", RIVALS)
def test_a_rival_refuses_a_wrong_token(start: Start, tmp_path: Path) -> None:
    with start(tmp_path) as target:
        request = urllib.request.Request(
            f"http://127.0.0.1:{target.port}{PUNCH}",
            data=b'{"user_id":"1","att_time":"2026-01-01 08:00:00"}',
            headers={"sn": rivals.SERIAL, "auth-token": "x", "Content-Type": "application/json"},
        )
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(request)  # noqa: S310 (loopback)
        assert target.stored is not None
        assert target.stored() == 0


@pytest.mark.parametrize("start", [rivals.orm_sqlite, rivals.careful])
def test_a_rival_flushes_before_it_answers(
    start: Callable[[Path, dict[str, str]], AbstractContextManager[Target]], tmp_path: Path
) -> None:
    # With slow flushes every answer waits for one at least; nothing can make it come earlier.
    slow = {"LD_PRELOAD": str(load.compile_slow_flush()), "BENCH_FLUSH_MS": "20"}
    with start(tmp_path, slow) as target:
        found = target.punch(setting(tmp_path), connections=1)
    assert found.p50_ms >= 19  # a bucket of the histogram is 3 % wide


def test_the_usual_rival_takes_batches(tmp_path: Path) -> None:
    with rivals.orm_sqlite(tmp_path) as target:
        target.batch(setting(tmp_path, requests=2), connections=1)
        target.check_stored()
    assert target.next == 2000


def test_a_loss_is_noticed(tmp_path: Path) -> None:
    with rivals.careful(tmp_path) as target:
        target.punch(setting(tmp_path), connections=1)
        (path,) = tmp_path.glob("*.db")
        with sqlite3.connect(path, timeout=30) as db:
            db.execute("DELETE FROM punch WHERE id = 1")
        with pytest.raises(LoadError, match="acknowledged"):
            target.check_stored()


def test_the_naive_summary_groups_by_person_and_day(tmp_path: Path) -> None:
    path = tmp_path / "naive.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE punches (id INTEGER PRIMARY KEY, user_id, att_time, att_state)")
        db.executemany(
            "INSERT INTO punches (user_id, att_time, att_state) VALUES (?, ?, 0)",
            [
                ("1", "2026-01-01 08:00:00"),
                ("1", "2026-01-01 17:00:00"),
                ("2", "2026-01-01 09:00:00"),
                ("1", "2026-01-02 08:30:00"),
                ("1", "2026-01-03 08:30:00"),
            ],
        )
    query = "start_date=2026-01-01&end_date=2026-01-02&page=1&limit=2"
    with rivals.naive_summary(tmp_path, path) as port:
        url = f"http://127.0.0.1:{port}/api/v1/attendance/summary?{query}"
        with urllib.request.urlopen(url) as answer:
            body = answer.read()
    assert body == (
        b'{"success":true,"users":[{"user_id":"1","date":"2026-01-02",'
        b'"first_in":"2026-01-02 08:30:00","last_out":"2026-01-02 08:30:00"},'
        b'{"user_id":"1","date":"2026-01-01",'
        b'"first_in":"2026-01-01 08:00:00","last_out":"2026-01-01 17:00:00"}]}'
    )


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    program = tmp_path / "server.py"
    program.write_text("raise SystemExit('no such thing')")
    with (
        pytest.raises(ServerError, match="no such thing"),
        processes.running([program], ready_url="http://127.0.0.1:1/", log=tmp_path / "log"),
    ):
        pass


def test_a_server_is_gone_after_its_block(tmp_path: Path) -> None:
    with rivals.careful(tmp_path) as target:
        port = target.port
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz")


def test_the_slow_disk_waits_before_each_real_flush(tmp_path: Path) -> None:
    # A lower bound of a sleep, not a speed: nothing can make it come out shorter.
    program = (
        "import os, time\n"
        f"f = os.open({str(tmp_path / 'file')!r}, os.O_CREAT | os.O_WRONLY)\n"
        "began = time.monotonic()\n"
        "os.fsync(f), os.fdatasync(f)\n"
        "print(time.monotonic() - began)\n"
    )
    slow = {"LD_PRELOAD": str(load.compile_slow_flush()), "BENCH_FLUSH_MS": "30"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **slow},
        check=True,
        capture_output=True,
        text=True,
    )
    assert float(done.stdout) >= 0.06
