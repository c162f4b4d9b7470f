"""`punchgate decode`: captured bytes, explained; nothing secret among them.

Real: the command line and the codec. The captures are our own frames.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from punchgate.protocols.zk import commkey, packets, tables, users
from punchgate.protocols.zk.commands import Command, Reply
from punchgate.protocols.zk.packets import Packet
from punchgate.protocols.zk.users import UserChange
from tests.cli.line import Line
from tests.protocols.zk import stage


@pytest.fixture
def line(tmp_path: Path) -> Line:
    """Give a command line; this command uses no data of it."""
    return Line(tmp_path)


def _hex(*said: Packet) -> str:
    return b"".join(packets.frame(packet) for packet in said).hex()


def _decoded(line: Line, capture: str) -> list[Any]:
    said = line.plain("decode", "zk", capture, "--json")
    assert said.code == 0, said.err
    return [json.loads(each) for each in said.out.splitlines()]


def _meanings(packet: Any) -> dict[str, str]:
    return {field["field"]: field["meaning"] for field in packet["fields"]}


def test_a_frame_is_explained_field_by_field(line: Line) -> None:
    said = line.plain("decode", "zk", _hex(Packet(Command.OPTIONS_RRQ, 7, 3, b"WorkCode\0")))
    assert said.code == 0
    for words in ("OPTIONS_RRQ at 0", "5050827d", "17 bytes follow", "right", "WorkCode"):
        assert words in said.out


def test_every_field_has_its_offset_its_bytes_and_its_meaning(line: Line) -> None:
    first, second = _decoded(line, _hex(Packet(1000, 0, 0), Packet(2000, 25_362, 0)))
    assert first == {
        "offset": 0,
        "packet": "CONNECT",
        "fields": [
            {"offset": 0, "hex": "5050827d", "field": "magic", "meaning": "frame"},
            {"offset": 4, "hex": "08000000", "field": "length", "meaning": "8 bytes follow"},
            {"offset": 8, "hex": "e803", "field": "command", "meaning": "1000 CONNECT"},
            {"offset": 10, "hex": "17fc", "field": "checksum", "meaning": "right"},
            {"offset": 12, "hex": "0000", "field": "session", "meaning": "0"},
            {"offset": 14, "hex": "0000", "field": "reply number", "meaning": "0"},
        ],
    }
    assert (second["offset"], _meanings(second)["session"]) == (16, "25362")


@pytest.mark.parametrize("form", ["{0}", "0x{0}", " {0} ", "{1}", "0x{2}", "\n{3}\n"])
def test_a_bare_payload_is_explained_however_its_hex_is_written(line: Line, form: str) -> None:
    payload = packets.encode(Packet(Command.GET_TIME, 7, 3)).hex()
    colons = ":".join(payload[at : at + 2] for at in range(0, len(payload), 2))
    prefixed = colons.replace(":", " 0x")
    (packet,) = _decoded(line, form.format(payload, colons, prefixed, payload.upper()))
    assert packet["packet"] == "GET_TIME"


def test_a_wrong_checksum_is_named_with_the_right_one(line: Line) -> None:
    payload = bytearray(packets.encode(Packet(Command.GET_TIME, 7, 3)))
    right = payload[2] | payload[3] << 8
    payload[2] ^= 1
    (packet,) = _decoded(line, payload.hex())
    assert _meanings(packet)["checksum"] == f"wrong, it should be {right:04x}"


def test_an_answer_is_read_by_the_question_with_its_number(line: Line) -> None:
    capture = _hex(
        Packet(Command.GET_TIME, 7, 3),
        Packet(Reply.ACK_OK, 7, 3, bytes.fromhex("34023530")),
        Packet(Command.OPTIONS_RRQ, 7, 4, b"COMKey\0"),
        Packet(Reply.ACK_OK, 7, 4, b"COMKey=815\0"),
    )
    found = _decoded(line, capture)
    assert _meanings(found[1])["time"] == "2025-02-30 21:12:20, on no calendar"
    assert _meanings(found[3])["option"] == "COMKey=hidden"


_PERSON = users.changed(
    users.new(4, "77"), UserChange(name="Ana", card=987_654_321, password="4711")
)
_SECRETS = ("34373131", "4711", (987_654_321).to_bytes(4, "little").hex(), "987654321",
            commkey.scramble(1234, 7).hex(), "383135", "815", "66696e676572")  # fmt: skip


@pytest.mark.parametrize("as_json", [True, False])
def test_I8_no_key_password_card_or_template_is_shown(line: Line, *, as_json: bool) -> None:
    conversation = (
        Packet(Command.AUTH, 7, 1, commkey.scramble(1234, 7)),
        Packet(Command.USER_WRQ, 7, 2, _PERSON),
        Packet(Command.USER_WRQ, 7, 3, _PERSON + b"\0"),
        Packet(Command.OPTIONS_WRQ, 7, 4, b"COMKey=815\0"),
        Packet(Command.SAVE_USERTEMPS, 7, 5, b"finger"),
        Packet(Command.DATA, 7, 6, tables.with_head(_PERSON)),
        Packet(Command.DATA, 7, 7, b"finger"),
    )
    cut = packets.frame(conversation[1])[:-1].hex()
    options = ["--json"] if as_json else []
    for capture in (_hex(*conversation), _hex(conversation[5]), cut, _PERSON.hex()):
        said = line.plain("decode", "zk", capture, *options)
        assert said.code == 0
        assert [secret for secret in _SECRETS if secret in said.out] == []
    assert "hidden" in line.plain("decode", "zk", _PERSON.hex(), *options).out


def test_a_table_is_put_together_from_its_packets(line: Line) -> None:
    table = tables.with_head(stage.table("40", 7))
    capture = _hex(
        Packet(Command.PREPARE_BUFFER, 7, 1, tables.request(tables.Table.ATTENDANCE)),
        Packet(Reply.ACK_OK, 7, 1, tables.BUFFER_ANSWER.pack(0, len(table), len(table), 0)),
        Packet(Command.READ_BUFFER, 7, 2, tables.CHUNK_REQUEST.pack(0, len(table))),
        Packet(Command.PREPARE_DATA, 7, 2, tables.PREPARE.pack(len(table), 0x1000)),
        Packet(Command.DATA, 7, 2, table[:100]),
        Packet(Command.DATA, 7, 2, table[100:]),
        Packet(Reply.ACK_OK, 7, 2),
        Packet(Command.FREE_DATA, 7, 3),
    )
    found = _decoded(line, capture)
    rows = [each for each in found if "table" in each]
    assert len(rows) == 7
    assert rows[0] == {
        "table": "attendance in rows of layout 40", "code": "1",
        "wall_time": "2026-03-02 08:00:00", "verify": 1, "state": 0,
    }  # fmt: skip
    assert _meanings(found[1])["table"] == f"{len(table)} bytes, to be read in parts"


@pytest.mark.parametrize("name", ["40", "22", "16", "8A", "8B", "49"])
@pytest.mark.parametrize("count", [1, 9])
def test_bare_rows_are_recognised(line: Line, name: Any, count: int) -> None:
    rows = stage.table(name, count)
    for data in (rows, tables.with_head(rows)):
        found = _decoded(line, data.hex())
        assert [each["table"] for each in found] == [f"attendance in rows of layout {name}"] * count
        assert found[0]["wall_time"] == "2026-03-02 08:00:00"


@pytest.mark.parametrize("width", [28, 72])
def test_bare_people_are_recognised(line: Line, width: int) -> None:
    found = _decoded(line, tables.with_head(stage.people(3, width=width)).hex())
    assert [each["code"] for each in found] == ["1001", "1002", "1003"]
    assert found[0]["table"] == f"3 users of {width} bytes"


def test_a_file_holds_bytes_hex_lines_or_json_lines(line: Line, tmp_path: Path) -> None:
    frames = [packets.frame(Packet(Command.CONNECT, 0, 0)), packets.frame(Packet(2000, 7, 0))]
    written = {
        "bytes.bin": b"".join(frames),
        "lines.txt": b"# two frames\n" + b"\n".join(each.hex().encode() for each in frames),
        "lines.jsonl": b"\n".join(json.dumps({"hex": each.hex()}).encode() for each in frames),
        "dump.txt": b"\xef\xbb\xbf"
        + b"\r\n".join(b"0x" + each.hex(" ").upper().encode() for each in frames),
        "datagrams.txt": b"\n".join(each[8:].hex().encode() for each in frames),
        "data.jsonl": b"\n".join(
            json.dumps({"note": "\u00fc", "data": each.hex()}, ensure_ascii=False).encode()
            for each in frames
        ),
    }
    for name, content in written.items():
        (tmp_path / name).write_bytes(content)
        found = _decoded(line, str(tmp_path / name))
        assert [each["packet"] for each in found] == ["CONNECT", "ACK_OK"], name


def test_a_dash_reads_what_stands_on_standard_input(line: Line) -> None:
    said = line.plain("decode", "zk", "-", "--json", answer=_hex(Packet(Command.CONNECT, 0, 0)))
    assert (said.code, said.one["packet"]) == (0, "CONNECT")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no bytes"),
        (b"# nothing\n", "no bytes"),
        (b'# a note\n{"key": 1234}\n', "Line 2 is text without hex"),
        (b'{"hex": 5, "data": "00"}\n', "Line 1 is text without hex"),
        (b'{"hex"\n', "Line 1 is text without hex"),
        (b'[{"hex": "00"}]\n', "Line 1 is text without hex"),
        (b"{" * 1 + b'"hex": ' + b"[" * 100_000, "Line 1 is text without hex"),
        (b"50 50 82 7d\nHello\n", "Line 2 is text without hex"),
    ],
)
def test_a_file_without_bytes_is_a_mistake_of_usage(
    line: Line, tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "capture").write_bytes(content)
    said = line.plain("decode", "zk", str(tmp_path / "capture"))
    assert said.code == 2
    assert words in said.err


@pytest.mark.parametrize("capture", ["zz", "123", "no-such-file", "", "5" * 601, "/"])
def test_what_is_no_hex_and_no_file_is_a_mistake_of_usage(line: Line, capture: str) -> None:
    said = line.plain("decode", "zk", capture)
    assert said.code == 2
    assert "hex digits" in said.err


@pytest.mark.parametrize("cut", [4, 9, 15])
def test_a_cut_capture_says_so(line: Line, cut: int) -> None:
    frame = _hex(Packet(1000, 0, 0))
    *_, last = _decoded(line, frame + frame[: 2 * cut])
    assert "cut" in last["packet"]
    assert last["offset"] == 16
