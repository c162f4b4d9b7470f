"""The installation at the command line: tables, settings, doctor, version, and serving for real.

`serve` runs as a process of its own on a free port of loopback.
"""

import errno
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from punchgate import __version__
from punchgate.cli import listening
from punchgate.domain.error import PunchgateError
from tests import ports
from tests.cli.line import Line

_ROOT = Path(__file__).parents[2]


def test_tables_are_made_once_and_current_after_that(bare_line: Line) -> None:
    line = bare_line
    before = line.json("db", "current").one
    assert (before["current"], before["is_current"]) == (None, False)
    first = line.json("db", "migrate").one
    assert (first["before"], first["after"]) == (None, before["newest"])
    again = line.json("db", "migrate").one
    assert (again["before"], again["after"]) == (before["newest"], before["newest"])
    assert line.json("db", "current").one["is_current"] is True


@pytest.mark.parametrize(
    "words",
    [
        ("account", "add", "india"),
        ("device", "add", "SN1"),
        ("key", "add", "--name", "x"),
        ("person", "add", "1"),
    ],
)
def test_a_first_command_that_adds_makes_the_tables_by_itself(
    bare_line: Line, words: tuple[str, ...]
) -> None:
    assert bare_line.run(*words).code == 0
    assert bare_line.json("db", "current").one["is_current"] is True


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--zk-facade-key", "654321"),
        ("--zk-facade-scope", "device:gate"),
        ("--zk-facade-allow", "10.1.0.0/16"),
    ],
)
def test_an_option_of_the_facade_without_one_is_a_mistake(
    bare_line: Line, option: str, value: str
) -> None:
    said = bare_line.run("serve", option, value)
    assert said.code == 2
    assert f"Invalid value for {option}" in said.err
    assert "--zk-facade HOST:PORT" in said.err
    assert value not in said.err
    assert not list(bare_line.data.iterdir())


def test_a_first_capture_makes_the_tables_by_itself(bare_line: Line) -> None:
    assert bare_line.run("replay", os.devnull).code == 0
    assert bare_line.json("db", "current").one["is_current"] is True


@pytest.mark.parametrize(
    "words",
    [
        ("account", "list"),
        ("account", "set", "main", "--zone", "UTC"),
        ("device", "list", "--unclaimed"),
        ("device", "remove", "gate"),
        ("key", "list"),
        ("person", "erase", "1", "--yes"),
        ("punch", "list"),
        ("punch", "export"),
        ("quarantine", "list"),
    ],
)
def test_a_mistyped_directory_is_told_and_not_made(
    bare_line: Line, tmp_path: Path, words: tuple[str, ...]
) -> None:
    nowhere = tmp_path / "nodir"
    said = bare_line.plain(*words, "--data", str(nowhere))
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith(f"There is no data in {nowhere}. ")
    assert not nowhere.exists()


def test_a_file_without_tables_is_no_data_either(bare_line: Line) -> None:
    (bare_line.data / "punchgate.db").touch()
    assert bare_line.run("punch", "list").code == 3


def test_the_doctor_says_in_a_row_that_there_is_no_data(bare_line: Line, tmp_path: Path) -> None:
    nowhere = tmp_path / "nodir"
    said = bare_line.plain("doctor", "--json", "--data", str(nowhere))
    rows = {row["check"]: row for row in map(json.loads, said.out.splitlines())}
    assert said.code == 1
    assert rows["store"]["state"] == "wrong"
    assert rows["store"]["says"].startswith(f"There is no data in {nowhere}. ")
    assert not nowhere.exists()


@pytest.mark.parametrize("words", [("person", "list"), ("person", "add", "1"), ("db", "migrate")])
def test_a_file_is_not_taken_for_the_directory(
    bare_line: Line, tmp_path: Path, words: tuple[str, ...]
) -> None:
    file = tmp_path / "file"
    file.touch()
    said = bare_line.plain(*words, "--data", str(file))
    assert (said.code, said.err) == (1, f"{file} is not a directory.\n")


def test_the_database_may_be_named_instead_of_the_directory(line: Line, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    assert line.plain("person", "list", "--database", url).code == 3
    assert line.plain("person", "add", "1", "--database", url).code == 0
    assert (tmp_path / "elsewhere.db").exists()
    assert len(line.plain("person", "list", "--database", url, "--json").many) == 1
    assert line.json("person", "list").many == []


def test_the_directory_is_data_unless_it_is_named(line: Line, tmp_path: Path) -> None:
    line.json("person", "add", "1")
    assert len(line.plain("person", "list", "--json").many) == 1
    assert (tmp_path / "data" / "punchgate.db").exists()


def test_every_setting_is_shown_with_where_it_came_from(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "punchgate.toml"
    file.write_text('default_zone = "Asia/Kolkata"\n[ingest]\nrate_requests = 1\n')
    monkeypatch.setenv("PUNCHGATE_INGEST__RATE_REQUESTS", "2")
    rows = {row["name"]: row for row in line.json("config", "show", "--config", str(file)).many}
    assert (rows["default_zone"]["value"], rows["default_zone"]["origin"]) == (
        "Asia/Kolkata",
        "file",
    )
    assert (rows["ingest.rate_requests"]["value"], rows["ingest.rate_requests"]["origin"]) == (
        2,
        "environment",
    )
    assert (rows["data"]["value"], rows["data"]["origin"]) == (str(line.data), "option")
    assert rows["http.listen"]["origin"] == "default"
    assert all(row["sentence"] for row in rows.values())
    assert "ingest.rate_requests" in line.run("config", "show").out


def test_a_settings_file_that_is_not_there_is_a_usage_error(line: Line) -> None:
    said = line.run("config", "show", "--config", "nowhere.toml")
    assert said.code == 2
    assert "nowhere.toml" in said.err


def test_the_version_is_that_of_the_package(line: Line) -> None:
    assert json.loads(line.plain("version", "--json").out)["version"] == __version__
    assert __version__ in line.plain("version").out


def test_the_version_can_be_asked_as_of_any_program(line: Line) -> None:
    said = line.plain("--version")
    assert (said.code, said.out) == (0, f"punchgate {__version__}\n")


def test_a_sound_installation_passes_the_doctor(line: Line) -> None:
    checks = {row["check"]: row["state"] for row in line.json("doctor").many}
    assert {checks[name] for name in ("tables", "writing", "integrity", "disk")} == {"ok"}
    assert "quarantine" in line.run("doctor").out


def test_the_doctor_names_the_database(line: Line) -> None:
    (row,) = [row for row in line.json("doctor").many if row["check"] == "database"]
    assert row["says"].startswith(f"SQLite {sqlite3.sqlite_version}")
    assert row["state"] == ("ok" if sqlite3.sqlite_version_info >= (3, 51, 3) else "look")


def test_the_doctor_points_at_what_waits_for_somebody(line: Line) -> None:
    line.json("device", "add", "SN1")
    line.replay({"serial": "SN1", "body": {"user_id": "1", "att_time": "x"}})
    rows = {row["check"]: row for row in line.json("doctor").many}
    assert rows["quarantine"]["state"] == "look"
    assert "punchgate quarantine list" in rows["quarantine"]["says"]


def test_a_damaged_file_fails_the_doctor_without_a_trace(line: Line) -> None:
    (line.data / "punchgate.db").write_bytes(b"this is no database at all" * 100)
    said = line.run("doctor")
    assert said.code == 1
    assert "wrong" in said.out
    assert "Traceback" not in said.err


def test_too_little_space_fails_the_doctor(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUNCHGATE_DISK_FLOOR_BYTES", str(2**60))
    said = line.json("doctor")
    assert said.code == 1
    rows = {row["check"]: row for row in map(json.loads, said.out.splitlines())}
    assert rows["disk"]["state"] == "wrong"


def test_the_contracts_are_printed_as_openapi(line: Line) -> None:
    document = json.loads(line.plain("openapi").out)
    assert document["openapi"].startswith("3.")
    assert any(path.endswith("/punch") for path in document["paths"])


@pytest.mark.slow
def test_serving_says_where_answers_and_stops_in_order(line: Line) -> None:
    with subprocess.Popen(
        [
            sys.executable, "-m", "punchgate", "serve", "--data", str(line.data), "--json",
            "--http", "127.0.0.1:0", "--devices", "",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(_ROOT / "src"), "PATH": os.environ["PATH"]},
    ) as server:  # fmt: skip
        assert server.stdout is not None
        assert server.stderr is not None
        said = json.loads(server.stdout.readline())
        assert said["devices"] is None
        address = said["http"]
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=60) as answer:
            assert answer.status == 200
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=60) == 0
        assert f"Punchgate serves on http://{address}" in server.stderr.read()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 (nothing is bound)
def test_two_listeners_of_ours_that_want_one_port_are_both_named(host: str) -> None:
    port = ports.free_port()
    wanted = {"--http": f"127.0.0.1:{port}", "--devices": f"{host}:{port}", "--zk-facade": ""}
    said = f"Two listeners want one port: --http 127.0.0.1:{port}, --devices {host}:{port}."
    with pytest.raises(PunchgateError, match=re.escape(said)), listening.telling(wanted):
        raise OSError(errno.EADDRINUSE, "Address already in use")


@pytest.mark.slow
def test_an_address_that_is_taken_is_told_and_fails(line: Line) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = subprocess.run(
            [
                sys.executable, "-m", "punchgate", "serve", "--data", str(line.data),
                "--http", f"127.0.0.1:{port}", "--devices", "",
            ],
            capture_output=True,
            text=True,
            check=False,
            env={"PYTHONPATH": str(_ROOT / "src"), "PATH": os.environ["PATH"]},
        )  # fmt: skip
    assert said.returncode == 1
    assert said.stderr.splitlines()[-1] == (
        f"127.0.0.1:{port} is taken by another program; choose another with --http."
    )
