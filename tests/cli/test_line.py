"""The line as a whole: help, usage errors, exit codes, and what importing it costs.

Real: the application, and for the imports a process of its own.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from punchgate import cli
from tests.cli.line import Line

_ROOT = Path(__file__).parents[2]

#: Every command of issue and pages that this release has.
_COMMANDS = {
    "account add", "account list", "account set", "account show", "capture zk", "config show",
    "db current", "decode zk",
    "db migrate", "demo", "device add", "device claim", "device list", "device remove",
    "device set", "device show", "doctor", "endpoint add", "endpoint attempts", "endpoint cancel",
    "endpoint dead", "endpoint list", "endpoint parked", "endpoint pause", "endpoint remove",
    "endpoint replay", "endpoint replays", "endpoint resume", "endpoint rotate", "endpoint set",
    "endpoint show", "endpoint test", "key add", "key list", "key revoke", "key set", "openapi",
    "person add", "person erase", "person list", "person set", "person show", "problems",
    "punch explain",
    "punch export", "punch list", "punch show", "quarantine dismiss", "quarantine list",
    "quarantine release", "quarantine show", "replay", "serve", "simulate http", "simulate zk",
    "version", "workday compute",
}  # fmt: skip
#: Those that open no installation of their own.
_WITHOUT_DATA = {
    "decode zk", "demo", "openapi", "simulate http", "simulate zk", "version",
    "workday compute",
}  # fmt: skip
#: Those that print JSON and nothing else.
_ALWAYS_JSON = {"openapi"}


def _walk(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(words), command
        return
    for name, each in inner.items():
        yield from _walk(each, (*words, name))


_FOUND = dict(_walk(get_command(cli.app)))


def test_the_commands_are_those_of_the_pages() -> None:
    assert set(_FOUND) == _COMMANDS


@pytest.mark.parametrize("words", sorted(_COMMANDS))
def test_every_command_explains_itself(line: Line, words: str) -> None:
    said = line.plain(*words.split(), "--help")
    assert said.code == 0
    assert "Usage:" in said.out
    assert _FOUND[words].help


@pytest.mark.parametrize("words", sorted(_COMMANDS - _ALWAYS_JSON))
def test_every_command_speaks_json(words: str) -> None:
    assert "--json" in {name for param in _FOUND[words].params for name in param.opts}


@pytest.mark.parametrize("words", sorted(_COMMANDS - _WITHOUT_DATA))
def test_every_command_can_be_told_where_the_data_is(words: str) -> None:
    names = {name for param in _FOUND[words].params for name in param.opts}
    assert {"--data", "--database", "--config"} <= names


@pytest.mark.parametrize("words", sorted(_WITHOUT_DATA))
def test_a_command_without_data_does_not_ask_where_it_is(words: str) -> None:
    names = {name for param in _FOUND[words].params for name in param.opts}
    assert not {"--data", "--database", "--config"} & names


def test_what_is_always_json_is_not_asked_for_it() -> None:
    assert "--json" not in {name for param in _FOUND["openapi"].params for name in param.opts}


@pytest.mark.parametrize("words", sorted(_COMMANDS))
def test_every_option_has_a_sentence(words: str) -> None:
    silent = [
        param.name
        for param in _FOUND[words].params
        if param.name != "help" and not getattr(param, "help", None)
    ]
    assert silent == []


@pytest.mark.parametrize(
    "words", [["nope"], ["device", "nope"], ["device", "show"], ["device", "list", "--nope"]]
)
def test_a_usage_error_ends_with_2_and_says_so_on_stderr(line: Line, words: list[str]) -> None:
    said = line.plain(*words)
    assert said.code == 2
    assert said.out == ""
    assert "Usage:" in said.err


def test_without_a_command_the_line_shows_what_there_is(line: Line) -> None:
    said = line.plain()
    assert "device" in said.out + said.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["account", "add", "main"], 4),
        (["account", "add", "bad name"], 2),
        (["device", "show", "nowhere"], 3),
        (["device", "list", "--account", "nobody"], 3),
        (["device", "add", "bad serial"], 2),
        (["key", "revoke", "AAAAAAAA"], 3),
        (["endpoint", "show", "ep_nowhere"], 3),
        (["endpoint", "cancel", "rp_nowhere"], 3),
        (["endpoint", "add", "https://10.0.0.1/"], 4),
        (["endpoint", "add", "https://receiver.example/", "--field", "x"], 2),
        (["person", "show", "1"], 3),
        (["punch", "show", "0" * 26], 3),
        (["punch", "explain", "0" * 26], 3),
        (["quarantine", "show", "0" * 26], 3),
        (["punch", "list", "--since", "yesterday"], 2),
        (["punch", "list", "--since", "2026-06-21", "--until", "2026-06-20"], 2),
        (["punch", "export", "--since", "2026-06-20 10:00", "--until", "2026-06-20 09:59"], 2),
        (["punch", "list", "--device", "nope"], 3),
        (["punch", "list", "--person", "nope"], 3),
        (["punch", "export", "--device", "nope"], 3),
        (["punch", "export", "--person", "nope"], 3),
        (["key", "add", "--name", "x", "--expires", "tomorrow"], 2),
    ],
)
def test_an_error_is_a_sentence_on_stderr_and_an_exit_code(
    line: Line, words: list[str], code: int
) -> None:
    said = line.run(*words)
    assert said.code == code
    assert said.out == ""
    assert said.err.strip().endswith((".", "for help.", "'."))
    assert "Traceback" not in said.err


def test_a_setting_that_we_do_not_know_stops_every_command(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUNCHGATE_NOPE", "1")
    said = line.run("device", "list")
    assert said.code == 2
    assert "PUNCHGATE_NOPE" in said.err


def test_a_place_that_cannot_be_written_is_a_failure_and_no_trace(
    line: Line, tmp_path: Path
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    said = line.plain("device", "add", "SN1", "--data", str(in_the_way / "below"))
    assert said.code == 1
    assert said.err.strip() != ""
    assert "Traceback" not in said.err


def test_a_database_of_another_kind_is_a_usage_error(line: Line) -> None:
    said = line.plain("device", "list", "--database", "mysql://host/x")
    assert said.code == 2
    assert "mysql" in said.err


def test_help_imports_neither_settings_nor_the_store_nor_a_client() -> None:
    heavy = (
        "pydantic pydantic_settings sqlalchemy alembic aiohttp starlette uvicorn asyncpg msgspec"
        " asyncio rich punchgate.reports"
    )
    program = (
        "import sys\n"
        "from punchgate import cli\n"
        "try:\n"
        "    cli.app(['--help'])\n"
        "except SystemExit:\n"
        "    pass\n"
        f"print([name for name in {heavy.split()!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(_ROOT / "src"), "PATH": ""},
    )
    assert done.stderr.strip() == "[]"
    assert "Commands" in done.stdout


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "punchgate", "version", "--json"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(_ROOT / "src"), "PATH": ""},
    )
    assert '"version":"' in done.stdout


@pytest.mark.parametrize(
    "words", ["version", "openapi", "account list", "account list --json", "punch export"]
)
def test_output_that_has_no_room_is_a_sentence_and_a_failure(line: Line, words: str) -> None:
    where = [] if words in {"version", "openapi"} else ["--data", str(line.data)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "punchgate", *words.split(), *where],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={"PYTHONPATH": str(_ROOT / "src"), "PATH": ""},
        )
    assert (done.returncode, done.stderr) == (1, "No space left on device.\n")


@pytest.mark.parametrize("words", ["version", "account list", "account list --json"])
def test_a_closed_output_is_no_reason_to_fail(line: Line, words: str) -> None:
    where = [] if words == "version" else ["--data", str(line.data)]
    closed = 'exec "$0" -m punchgate "$@" >&- <&-'
    done = subprocess.run(
        ["/bin/sh", "-c", closed, sys.executable, *words.split(), *where],
        capture_output=True,
        check=False,
        env={"PYTHONPATH": str(_ROOT / "src"), "PATH": ""},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("words", ["person list", "person list --json", "punch export"])
def test_what_goes_out_is_utf_8_whatever_the_locale_says(line: Line, words: str) -> None:
    line.run("device", "add", "SN1")
    line.replay({"serial": "SN1", "body": {"user_id": "1", "att_time": "2026-06-20 09:30:00"}})
    line.run("person", "set", "1", "--name", "Zoë 漢字")
    done = subprocess.run(
        [sys.executable, "-m", "punchgate", *words.split(), "--data", str(line.data)],
        capture_output=True,
        check=False,
        env={"PYTHONPATH": str(_ROOT / "src"), "PATH": "", "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert "Zoë 漢字" in done.stdout.decode()


@pytest.mark.parametrize(
    "words",
    ["device show", "person show", "punch show", "key revoke", "quarantine show", "account show"],
)
def test_what_is_typed_and_no_text_is_a_usage_error(line: Line, words: str) -> None:
    said = line.run(*words.split(), "M\udcfcller")
    assert (said.code, said.err) == (2, "What was typed is not text in UTF-8.\n")
