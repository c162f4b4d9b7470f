"""`punchgate demo`, as a visitor starts it: in an empty directory, in a process of its own.

Real: everything but the devices and their day.
"""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.journeys import gateway

pytestmark = pytest.mark.slow

_QUICK: Final = ("--rate", "1000")
_ADDRESS: Final = re.compile(r"serves on (http://\S+?)\.\s.*is (pgk_\w+)")


def demo(home: Path, *options: str, settings: Mapping[str, str] | None = None) -> Any:
    return subprocess.run(
        [sys.executable, "-m", "punchgate", "demo", "--once", *_QUICK, *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=home,
        env={**gateway.environment(), **(settings or {})},
    )


@contextmanager
def started(home: Path) -> Iterator["subprocess.Popen[str]"]:
    """Start a demo that goes on, and give it once it has said all it has to say."""
    process = subprocess.Popen(
        [sys.executable, "-m", "punchgate", "demo", *_QUICK, "--http", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=home,
        env=dict(gateway.environment()),
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def said_until_it_waits(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "Ctrl-C" in line:
            return said
    raise AssertionError(said)


def test_punches_arrive_and_the_summary_shows_them(tmp_path: Path) -> None:
    ended = demo(tmp_path, "--json")
    assert ended.returncode == 0, ended.stderr
    shown = json.loads(ended.stdout)
    rows = {(row["user_name"], row["date"]): row for row in shown["summary"]}
    yesterday = min(date for _, date in rows)
    # The night worker of yesterday, whose exit was this morning or has not been yet.
    night = rows["Rahul Sharma", yesterday]
    assert night["first_in"].startswith(f"{yesterday} 21:")
    # Somebody punched twice.
    details = [each["details"] for row in rows.values() for each in row["activities"]]
    assert "duplicate" in details
    assert any(row["working_hours"] for row in rows.values())
    assert ended.stderr.count("recorded") == len(details)


def test_two_terminals_are_called_and_their_logs_read(tmp_path: Path) -> None:
    ended = demo(tmp_path, "--json")
    assert ended.returncode == 0, ended.stderr
    shown = json.loads(ended.stdout)
    assert len(set(shown["terminals"])) == 2
    assert shown["pulled"] == 200
    assert f"Two terminals at {' and '.join(shown['terminals'])} were called" in ended.stderr


def test_a_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    assert demo(tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_it_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        said = said_until_it_waits(process)
        found = _ADDRESS.search(said)
        assert found is not None, said
        server, key = found.groups()
        assert gateway.ask(f"{server}/readyz", {})[0] == 200
        query = "start_date=2026-01-01&end_date=2026-12-31"
        url = f"{server}/api/v1/attendance/summary?{query}"
        assert gateway.ask(url, {"X-API-Key": key})[0] == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=gateway.LIMIT_S) == 0
    assert list(tmp_path.iterdir()) == []


def test_what_it_tells_the_visitor_to_type_works(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        said = said_until_it_waits(process)
        commands = re.findall(r"^  curl (?:.*\\\n)*.*$", said, re.MULTILINE)
        assert len(commands) == 2
        answers = [
            subprocess.run(
                ["/bin/sh", "-c", command], capture_output=True, text=True, check=True
            ).stdout
            for command in commands
        ]
    assert answers[0].startswith('{"success":true')
    assert answers[1].endswith('{"ok":true}')


def test_a_second_demo_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        said_until_it_waits(process)
        second = demo(tmp_path)
        assert second.returncode == 4
        assert "Another demo is running" in second.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=gateway.LIMIT_S) == 0
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_demo_left_is_removed_by_the_next(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        said_until_it_waits(process)
        process.kill()
    assert (tmp_path / "demo-data" / "punchgate.db").exists()
    assert demo(tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_no_demo_has_made_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "demo-data" / "payroll.xlsx"
    precious.parent.mkdir()
    precious.write_text("everything")
    ended = demo(tmp_path)
    assert ended.returncode == 4
    assert "was not made by a demo" in ended.stderr
    assert precious.read_text() == "everything"


def test_a_taken_port_is_said_if_asked_for_and_passed_over_if_not(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            holder.bind(("127.0.0.1", 8080))
            holder.listen()
        except OSError:
            # Somebody else of this machine holds it, which is just as good.
            pass
        asked = demo(tmp_path, "--http", "127.0.0.1:8080")
        assert asked.returncode == 1
        assert "is taken by another program" in asked.stderr
        assert list(tmp_path.iterdir()) == []
        passed_over = demo(tmp_path, "--json")
    assert passed_over.returncode == 0
    assert not json.loads(passed_over.stdout)["server"].endswith(":8080")


def test_the_environment_cannot_point_it_at_real_data(tmp_path: Path) -> None:
    real = tmp_path / "real"
    settings = {
        "PUNCHGATE_DATA": str(real),
        "PUNCHGATE_DATABASE": f"sqlite:///{real}/punchgate.db",
    }
    ended = demo(tmp_path, settings=settings)
    assert ended.returncode == 0, ended.stderr
    assert list(tmp_path.iterdir()) == []
