"""Terminals on the command line: what is kept, what is never shown, a capture and its replay."""

import asyncio
import json
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests import ports
from tests.cli.line import Line
from tests.simulators import virtual

_ADD = ("device", "add", "VT43700001", "--id", "principal", "--engine", "zk")


@contextmanager
def _playing(*faults: str, key: int = 0) -> Iterator[int]:
    """Let a virtual terminal listen beside the test, and give its port."""
    loop = asyncio.new_event_loop()
    found: list[int] = []
    is_ready, stop = threading.Event(), asyncio.Event()

    async def play() -> None:
        async with virtual.playing(*faults, key=key) as playing:
            found.append(playing.port)
            is_ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(play()))
    thread.start()
    try:
        assert is_ready.wait(60)
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def test_a_terminal_is_added_and_its_comm_key_is_never_shown(bare_line: Line) -> None:
    said = bare_line.run(
        *_ADD, "--host", "10.0.0.7", "--port", "4371", "--comm-key", "-", "--udp",
        "--timeout", "3", "--json", answer="135790\n",
    )  # fmt: skip
    # It never calls, so it has no token that could be kept or lost.
    assert said.one.keys() == {"device_id", "serial"}
    assert "token" not in said.err
    shown = bare_line.json("device", "show", "principal")
    one = shown.one
    assert (one["host"], one["port"], one["udp"], one["timeout_s"]) == ("10.0.0.7", 4371, True, 3.0)
    assert (one["comm_key"], one["engine"], one["backfill_s"]) == (True, "zk", 900)
    assert one["has_token"] is False
    database = b"".join(each.read_bytes() for each in bare_line.data.glob("punchgate.db*"))
    for text in (said.out, said.err, shown.out):
        assert "135790" not in text
    assert b"135790" not in database


def test_how_a_terminal_is_treated_is_set_beside_its_device(bare_line: Line) -> None:
    assert bare_line.run(*_ADD, "--host", "clock.local").code == 0
    one = bare_line.json(
        "device", "set", "principal", "--name", "Door", "--disable-for", "none",
        "--encoding", "gb2312", "--order16", "state_method", "--unlock-unit", "second",
        "--unlock-confirmed", "--backfill", "60", "--no-realtime", "--tcp",
    ).one  # fmt: skip
    assert (one["name"], one["disable_for"], one["encoding"]) == ("Door", "none", "gb2312")
    assert (one["order16"], one["unlock_unit"]) == ("state_method", "second")
    assert (one["unlock_confirmed"], one["backfill_s"], one["realtime"]) == (True, 60, False)


def test_a_terminal_has_a_token_only_if_it_is_given_one(bare_line: Line) -> None:
    without = bare_line.run("device", "add", "SN1", "--engine", "zk")
    assert "token" not in without.out + without.err
    assert "Nobody calls it: give it a host" in without.err
    given = bare_line.json("device", "add", "SN2", "--host", "10.0.0.7", "--token", "its-own-token")
    assert given.one["token"] == "its-own-token"
    assert bare_line.json("device", "show", "sn2").one["has_token"] is True
    assert "token" in bare_line.json("device", "add", "SN3").one


def test_a_terminal_that_is_to_call_us_gets_its_token_when_it_is_added_again(
    bare_line: Line,
) -> None:
    assert bare_line.run(*_ADD, "--host", "10.0.0.7").code == 0
    told = bare_line.run("device", "set", "principal", "--engine", "http")
    assert "remove it and add it again" in told.err
    assert bare_line.run("device", "remove", "principal").code == 0
    assert "token" in bare_line.json("device", "add", "VT43700001").one
    one = bare_line.json("device", "show", "principal").one
    assert (one["engine"], one["has_token"]) == ("http", True)
    assert bare_line.run("device", "set", "principal", "--engine", "iclock").err == ""


def test_a_device_becomes_a_terminal_with_its_first_host(bare_line: Line) -> None:
    assert bare_line.run("device", "add", "SN1").code == 0
    assert bare_line.run("device", "set", "sn1", "--port", "4371").code == 3
    one = bare_line.json("device", "set", "sn1", "--host", "10.0.0.9").one
    assert (one["engine"], one["host"], one["port"]) == ("zk", "10.0.0.9", 4370)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--port", "4370"), 2),  # no host
        (("--host", "169.254.169.254"), 4),
        (("--host", "fe80::1"), 4),
        (("--host", "a b"), 2),
        (("--host", "10.0.0.7", "--port", "0"), 2),
        (("--host", "10.0.0.7", "--comm-key", "12x"), 2),
        (("--host", "10.0.0.7", "--comm-key", "4294967296"), 2),
        (("--host", "10.0.0.7", "--timeout", "0.5"), 2),
        (("--host", "10.0.0.7", "--backfill", "5"), 2),
        (("--host", "10.0.0.7", "--encoding", "klingon"), 2),
        (("--host", "10.0.0.7", "--encoding", "rot13"), 2),
    ],
)
def test_what_will_not_do_is_said_and_nothing_is_kept(
    options: tuple[str, ...], code: int, bare_line: Line
) -> None:
    assert bare_line.run("db", "migrate").code == 0
    assert bare_line.run(*_ADD, *options).code == code
    assert bare_line.json("device", "list").many == []


def test_a_removed_terminal_can_be_registered_again(bare_line: Line) -> None:
    assert bare_line.run(*_ADD, "--host", "10.0.0.7", "--comm-key", "5").code == 0
    assert bare_line.run("device", "remove", "principal").code == 0
    assert bare_line.run("device", "set", "principal", "--port", "1").code == 3
    assert bare_line.run(*_ADD, "--host", "10.0.0.8").code == 0
    assert bare_line.json("device", "show", "principal").one["comm_key"] is False


@contextmanager
def _left_disabled(line: Line) -> Iterator[int]:
    """Register a terminal that does not answer, as a killed process leaves it; give its port."""
    port = ports.free_port()
    assert line.run(*_ADD, "--host", "127.0.0.1", "--port", str(port)).code == 0
    with closing(sqlite3.connect(line.data / "punchgate.db")) as database, database:
        database.execute("UPDATE terminal SET disabled_at = 1")
    yield port


def test_a_terminal_that_may_be_disabled_is_removed_and_that_is_said(bare_line: Line) -> None:
    with _left_disabled(bare_line) as port:
        removed = bare_line.json("device", "remove", "principal")
    assert removed.one == {"device_id": "principal", "serial": "VT43700001"}
    assert f"did not answer at 127.0.0.1:{port} any more" in removed.err
    assert "restart it" in removed.err


def test_a_terminal_that_may_be_disabled_is_called_elsewhere_and_that_is_said(
    bare_line: Line,
) -> None:
    with _left_disabled(bare_line) as port:
        moved = bare_line.json("device", "set", "principal", "--host", "127.0.0.2")
        again = bare_line.json("device", "set", "principal", "--timeout", "2")
    assert moved.one["host"] == "127.0.0.2"
    assert f"did not answer at 127.0.0.1:{port} any more" in moved.err
    assert (again.one["timeout_s"], again.err) == (2.0, "")


def test_a_capture_holds_the_conversation_and_is_explained(bare_line: Line, tmp_path: Path) -> None:
    out = tmp_path / "out.zk"
    with _playing(key=24_680) as port:
        bare_line.run(*_ADD, "--host", "127.0.0.1", "--port", str(port), "--comm-key", "24680")
        found = bare_line.json("capture", "zk", "principal", "--out", str(out)).one
    assert (found["rows"], found["recorded"]) == (50, 50)
    lines = out.read_text().splitlines()
    assert lines[0] == "# punchgate capture zk/1"
    assert len(lines) == found["packets"] + 1
    assert {json.loads(line)["from"] for line in lines[1:]} == {"client", "terminal"}
    said = bare_line.plain("decode", "zk", str(out), "--json")
    assert said.code == 0
    assert "CONNECT" in said.out


def test_a_capture_that_fails_is_written_as_far_as_it_came(bare_line: Line, tmp_path: Path) -> None:
    out = tmp_path / "out.zk"
    with _playing("drop-before-prepare") as port:
        bare_line.run(*_ADD, "--host", "127.0.0.1", "--port", str(port))
        said = bare_line.run("capture", "zk", "principal", "--out", str(out))
    assert said.code == 1
    assert "closed the connection" in said.err
    assert len(out.read_text().splitlines()) > 20


def test_a_terminal_that_does_not_answer_leaves_no_file_and_touches_none(
    bare_line: Line, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.zk"
    kept.write_text("of yesterday")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        where = ("--host", "127.0.0.1", "--timeout", "1")
        bare_line.run(*_ADD, *where, "--port", str(ports.free_port()))
        bare_line.run("device", "add", "SN2", *where, "--port", str(deaf.getsockname()[1]), "--udp")
        for name, out in (("principal", tmp_path / "new.zk"), ("sn2", kept)):
            assert bare_line.run("capture", "zk", name, "--out", str(out)).code == 1
    assert not (tmp_path / "new.zk").exists()
    assert kept.read_text() == "of yesterday"


def test_a_file_that_is_no_capture_of_a_terminal_is_fed_in(bare_line: Line) -> None:
    assert bare_line.run("device", "add", "SN1").code == 0
    punch = {"user_id": "1", "att_time": "2026-06-20 09:00:00", "att_state": 0}
    assert bare_line.replay({"serial": "SN1", "body": punch})["recorded"] == 1


def test_a_damaged_capture_is_said_with_its_line(bare_line: Line, tmp_path: Path) -> None:
    out = tmp_path / "out.zk"
    out.write_text("# punchgate capture zk/1\n{}\n")
    said = bare_line.run("replay", str(out))
    assert (said.code, "Line 2" in said.err) == (2, True)


def test_a_capture_that_is_no_text_is_said_with_its_line(bare_line: Line, tmp_path: Path) -> None:
    out = tmp_path / "out.zk"
    out.write_bytes(b"# punchgate capture zk/1\n\xff\xfe\n")
    said = bare_line.run("replay", str(out))
    assert (said.code, "Line 2" in said.err) == (2, True)


def test_an_address_that_cannot_be_had_is_named(bare_line: Line, tmp_path: Path) -> None:
    out = tmp_path / "out.zk"
    out.write_text("# punchgate capture zk/1\n")
    said = bare_line.run("replay", str(out), "--listen", "nowhere")
    assert (said.code, "'nowhere' is not an address" in said.err) == (2, True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        said = bare_line.run("replay", str(out), "--listen", where)
    assert (said.code, f"{where} is taken by another program" in said.err) == (1, True)
