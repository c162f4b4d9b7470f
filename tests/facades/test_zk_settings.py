"""The facade's settings, from a file, the environment and the line, and what refuses to start.

Real: the settings as they are loaded, and the command in a process of its own.
"""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from punchgate import config
from punchgate.domain.error import Invalid
from punchgate.netkit import stream
from punchgate.protocols.zk.commands import Reply
from punchgate.protocols.zk.packets import TcpCodec
from tests.facades import stage
from tests.simulators.virtual import Caller

KEY = "654321"


def test_it_is_off_unless_it_is_asked_for() -> None:
    facade = config.load().settings.facade
    assert (facade.listen, facade.key, facade.allow) == ("", None, ())
    assert (facade.account, facade.scope, facade.zone) == ("main", "account", None)
    assert (facade.max_rows, facade.frame_gap_ms) == (100_000, 5)


def test_a_file_says_it_all(tmp_path: Path) -> None:
    file = tmp_path / "punchgate.toml"
    file.write_text(
        '[facade]\nlisten = "127.0.0.1:4370"\nkey = 654321\nallow = ["10.1.0.0/16"]\n'
        'account = "north"\nscope = "site:Main gate"\nmax_rows = 5000\nframe_gap_ms = 20\n'
        'zone = "Asia/Kolkata"\n'
    )
    facade = config.load(file).settings.facade
    assert facade.key is not None
    assert facade.key.get_secret_value() == KEY
    assert facade.scope == "site:Main gate"
    assert facade.allow == ("10.1.0.0/16",)
    assert (facade.max_rows, facade.frame_gap_ms, facade.zone) == (5_000, 20, "Asia/Kolkata")


def test_the_key_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUNCHGATE_FACADE__KEY", KEY)
    loaded = config.load()
    assert KEY not in repr(loaded.settings)
    shown = {each.name: each for each in config.show(loaded)}
    assert (shown["facade.key"].value, shown["facade.key"].origin) == ("***", "environment")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("facade.key", "0", "a comm key is a number from 1 to 999999"),
        ("facade.key", "1234567", "a comm key is a number"),
        ("facade.key", "secret", "a comm key is a number"),
        ("facade.key", "\u0661", "a comm key is a number"),
        ("facade.scope", "person:7", "is no scope"),
        ("facade.scope", "device:", "is no scope"),
        ("facade.allow", ["10.1.0.1/16"], "facade.allow"),
        ("facade.listen", "4370", "is not an address"),
        ("facade.zone", "Mars/Olympus", "no time zone"),
        ("facade.max_rows", 0, "facade.max_rows"),
    ],
)
def test_a_value_that_will_not_do_is_told(name: str, value: object, words: str) -> None:
    with pytest.raises(Invalid) as told:
        config.load(options={name: value})
    assert words in str(told.value)
    if name == "facade.key":
        assert str(value) not in str(told.value).replace("1 to 999999", "")


@pytest.mark.slow
async def test_without_key_and_network_the_command_does_not_start(tmp_path: Path) -> None:
    async with _command(tmp_path, "--zk-facade", "127.0.0.1:0") as process:
        _, errors = await process.communicate()
    assert process.returncode == 4
    assert b"--zk-facade-key" in errors
    assert b"--zk-facade-allow" in errors
    assert b"Traceback" not in errors


@pytest.mark.slow
async def test_settings_of_a_facade_that_nobody_asks_for_may_stand_ready(tmp_path: Path) -> None:
    file = tmp_path / "punchgate.toml"
    file.write_text(f'[facade]\nkey = {KEY}\nscope = "site:Main gate"\n')
    async with _command(tmp_path, "--config", str(file), "--json") as process:
        assert process.stdout is not None
        assert json.loads(await process.stdout.readline())["facade"] is None
        process.terminate()
        await process.communicate()
    assert process.returncode == 0


@pytest.mark.slow
async def test_a_facade_of_the_file_takes_its_key_from_the_line(tmp_path: Path) -> None:
    file = tmp_path / "punchgate.toml"
    file.write_text('[facade]\nlisten = "127.0.0.1:0"\n')
    options = ("--config", str(file), "--zk-facade-key", KEY, "--json")
    async with _command(tmp_path, *options) as process:
        assert process.stdout is not None
        assert json.loads(await process.stdout.readline())["facade"]
        process.terminate()
        await process.communicate()
    assert process.returncode == 0


@pytest.mark.slow
async def test_an_account_that_is_not_there_is_told(tmp_path: Path) -> None:
    file = tmp_path / "punchgate.toml"
    file.write_text('[facade]\naccount = "north"\n')
    options = ("--zk-facade", "127.0.0.1:0", "--zk-facade-key", KEY, "--config", str(file))
    async with _command(tmp_path, *options) as process:
        _, errors = await process.communicate()
    assert process.returncode == 3
    assert b"north" in errors


@pytest.mark.slow
async def test_a_port_that_is_taken_is_told_with_its_option(tmp_path: Path) -> None:
    with socket.create_server((stage.LOOPBACK, 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        async with _command(
            tmp_path, "--zk-facade", address, "--zk-facade-allow", "127.0.0.0/8"
        ) as process:
            _, errors = await process.communicate()
    assert process.returncode == 1
    assert f"{address} is taken by another program".encode() in errors
    assert b"--zk-facade" in errors


@pytest.mark.slow
async def test_the_command_answers_as_a_terminal_with_its_key_until_it_is_told_to_stop(
    tmp_path: Path,
) -> None:
    options = ("--zk-facade", "127.0.0.1:0", "--zk-facade-key", KEY, "--json")
    async with _command(tmp_path, *options) as process:
        assert process.stdout is not None
        said = json.loads(await process.stdout.readline())
        port = int(said["facade"].rpartition(":")[2])
        assert port
        line = await stream.dial((stage.LOOPBACK, port), TcpCodec(), pause=stage.no_pause)
        caller = Caller(line)
        assert await caller.connect(key=1) == Reply.ACK_UNAUTH
        assert await caller.connect(key=int(KEY)) == Reply.ACK_OK
        process.terminate()
        _, errors = await process.communicate()
        await line.close()
    assert process.returncode == 0
    assert KEY.encode() not in errors


@asynccontextmanager
async def _command(data: Path, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "punchgate", "serve", "--data", str(data / "data")),
        *("--http", "127.0.0.1:0", "--devices", "", *options),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
