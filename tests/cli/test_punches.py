"""Punches and quarantine at the command line, from a capture to a file and to an explanation.

Everything is real but the device: its uploads are fed in with `replay`.
"""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.line import Line, Said

_ROOT = Path(__file__).parents[2]
_SERIAL = "SN7A2300583"
_MORNING = {"user_id": "1001", "att_time": "2026-06-20 09:30:00", "att_state": 0, "input_type": 1}
_EVENING = {"user_id": "1001", "att_time": "2026-06-20 17:30:00", "att_state": 1, "input_type": 1}
_OTHER = {"user_id": "1002", "att_time": "2026-06-20 10:00:00", "att_state": 0}
_FUTURE = {"user_id": "1003", "att_time": "2099-01-01 00:00:00"}
_BROKEN = {"user_id": "1004", "att_time": "yesterday"}


@pytest.fixture(name="line")
def _line(line: Line) -> Line:
    line.json("device", "add", _SERIAL, "--id", "main-gate", "--zone", "Asia/Kolkata")
    return line


def _upload(*items: Any) -> dict[str, Any]:
    return {"serial": _SERIAL, "body": list(items)}


def _codes(said: Said) -> list[str]:
    return [row["user_code"] for row in said.many]


def test_a_capture_is_fed_in_and_again_without_doubling(line: Line) -> None:
    expected = {"uploads": 1, "recorded": 2, "duplicate": 0, "quarantined": 1}
    assert line.replay(_upload(_MORNING, _OTHER, _BROKEN)) == {**expected, "unknown_serials": []}
    expected = {"uploads": 1, "recorded": 0, "duplicate": 2, "quarantined": 1}
    assert line.replay(_upload(_MORNING, _OTHER, _BROKEN)) == {**expected, "unknown_serials": []}
    assert _codes(line.json("punch", "list")) == ["1002", "1001"]


def test_a_capture_may_hold_the_text_as_it_was_sent(line: Line) -> None:
    text = '{"user_id":"1001", "att_time":"2026-06-20 09:30:00"}'
    line.replay({"serial": _SERIAL, "body": text})
    punch_id = line.json("punch", "list").one["punch_id"]
    assert line.json("punch", "show", punch_id).one["raw"] == text


def test_an_upload_of_an_unknown_serial_is_told_and_stores_nothing(
    line: Line, tmp_path: Path
) -> None:
    capture = tmp_path / "capture"
    capture.write_text(json.dumps({"serial": "NOBODY", "body": _MORNING}) + "\n\n")
    said = line.json("replay", str(capture))
    assert said.code == 1
    assert json.loads(said.out)["unknown_serials"] == ["NOBODY"]
    assert line.json("punch", "list").many == []


@pytest.mark.parametrize(
    "text",
    [b"not json", b"[]", b'{"serial":1,"body":{}}', b'{"serial":"x"}', b'{"serial":"\xff"}'],
)
def test_a_capture_that_cannot_be_read_names_the_line_and_what_was_fed_before(
    line: Line, tmp_path: Path, text: bytes
) -> None:
    capture = tmp_path / "capture"
    before = [_upload(_MORNING), {"serial": "NOBODY", "body": []}, _upload(_OTHER)]
    lines = [json.dumps(upload).encode() for upload in before]
    capture.write_bytes(b"\n".join([*lines, text, json.dumps(_upload(_EVENING)).encode()]))
    said = line.run("replay", str(capture))
    assert said.code == 2
    assert said.err.startswith("Line 4 of the capture is not ")
    assert said.err.endswith(" Uploads fed in before it: 2.\n")
    assert len(line.json("punch", "list").many) == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), ["1001", "1002", "1001"]),
        (("--limit", "1"), ["1001"]),
        (("--person", "1002"), ["1002"]),
        (("--device", "main-gate"), ["1001", "1002", "1001"]),
        (("--since", "2026-06-20 10:00"), ["1001", "1002"]),
        (("--until", "2026-06-20T10:00:00"), ["1001"]),
        (("--since", "2026-06-21"), []),
    ],
)
def test_punches_are_listed_by_device_person_and_wall_time(
    line: Line, words: tuple[str, ...], expected: list[str]
) -> None:
    line.replay(_upload(_MORNING, _OTHER, _EVENING))
    assert _codes(line.json("punch", "list", *words)) == expected


def test_punches_of_a_device_that_was_removed_are_still_listed(line: Line) -> None:
    line.replay(_upload(_MORNING))
    line.run("device", "remove", "main-gate")
    assert _codes(line.json("punch", "list", "--device", "main-gate")) == ["1001"]
    assert line.json("punch", "list", "--device", "main-gate", "--since", "2027-01-01").many == []


def test_an_unknown_device_or_person_is_told_before_anything_is_written(
    line: Line, tmp_path: Path
) -> None:
    line.replay(_upload(_MORNING))
    for words in (
        ("--device", "canteen"),
        ("--person", "7"),
        ("--person", "7", "--since", "2026-06-20"),
    ):
        said = line.run("punch", "export", *words)
        assert (said.code, said.out) == (3, "")
        assert "'canteen'" in said.err or "'7'" in said.err
    out = tmp_path / "punches.csv"
    assert line.run("punch", "export", "--device", "canteen", "--out", str(out)).code == 3
    assert list(tmp_path.glob("*punches.csv*")) == []


def test_a_punch_is_shown_with_what_was_said_and_what_it_means(line: Line) -> None:
    line.replay(_upload(_MORNING))
    line.run("person", "set", "1001", "--name", "Rahul")
    punch_id = line.json("punch", "list").one["punch_id"]
    shown = line.json("punch", "show", punch_id).one
    assert (shown["wall_time"], shown["at"]) == ("2026-06-20 09:30:00", "2026-06-20T04:00:00Z")
    assert (shown["direction"], shown["verify"], shown["name"]) == ("check-in", "face", "Rahul")
    assert json.loads(shown["raw"]) == _MORNING
    assert "Rahul" in line.run("punch", "show", punch_id).out


def test_an_export_is_a_file_that_is_there_whole(line: Line, tmp_path: Path) -> None:
    line.replay(_upload(_MORNING, _EVENING))
    out = tmp_path / "punches.csv"
    said = line.json("punch", "export", "--format", "csv", "--out", str(out))
    assert said.one == {"file": str(out), "rows": 2}
    assert "2 punches" in said.err
    rows = list(csv.DictReader(io.StringIO(out.read_text(), newline="")))
    assert [row["wall_time"] for row in rows] == ["2026-06-20 09:30:00", "2026-06-20 17:30:00"]


def test_an_export_without_a_file_goes_to_stdout(line: Line) -> None:
    line.replay(_upload(_MORNING, _OTHER))
    said = line.run("punch", "export", "--format", "jsonl", "--person", "1002")
    assert [json.loads(each)["user_code"] for each in said.out.splitlines()] == ["1002"]


def test_an_export_for_a_spreadsheet_has_semicolons_and_a_mark(line: Line, tmp_path: Path) -> None:
    out = tmp_path / "punches.csv"
    line.run("punch", "export", "--semicolon", "--bom", "--out", str(out))
    assert out.read_text().startswith("\ufeffpunch_id;")


def test_an_export_that_fails_leaves_no_file(line: Line, tmp_path: Path) -> None:
    out = tmp_path / "punches.csv"
    assert line.run("punch", "export", "--out", str(out), "--account", "nobody").code == 3
    assert not out.exists()
    nowhere = tmp_path / "no" / "where.csv"
    said = line.run("punch", "export", "--out", str(nowhere))
    assert (said.code, said.err) == (1, f"No such file or directory: {nowhere}.\n")
    said = line.run("punch", "export", "--out", "")
    assert (said.code, said.err) == (1, "Is a directory: ..\n")


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3_000])
def test_an_export_ends_in_silence_when_nobody_reads_on(line: Line, count: int) -> None:
    """As in `punch export | head`; a short one fits the buffer, a long one does not."""
    line.replay(_upload(*({**_MORNING, "user_id": str(number)} for number in range(count))))
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-m", "punchgate", "punch", "export", "--data", str(line.data)],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
        env={"PYTHONPATH": str(_ROOT / "src"), "PATH": os.environ["PATH"]},
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_punch_is_explained_step_by_step(line: Line) -> None:
    line.replay(_upload(_MORNING))
    punch_id = line.json("punch", "list").one["punch_id"]
    story = line.json("punch", "explain", punch_id).one
    assert story["punch_id"] == punch_id
    told = json.dumps(story)
    for fact in ("Asia/Kolkata", "check-in", "2026-06-20 09:30:00", f"evt_{punch_id}"):
        assert fact in told
    assert story["steps"][-1]["reason"] == "There is no endpoint, so nobody is told."
    text = line.run("punch", "explain", punch_id).out
    assert text.startswith("1. ")
    assert "Asia/Kolkata" in text


def test_a_punchs_story_ends_at_its_endpoints(line: Line) -> None:
    url = "https://receiver.example/hook?token=s3cret"
    wants = line.json("endpoint", "add", url).one["endpoint_id"]
    other = line.json("endpoint", "add", url, "--person", "7").one["endpoint_id"]
    line.replay(_upload(_MORNING))
    punch_id = line.json("punch", "list").one["punch_id"]
    steps = line.json("punch", "explain", punch_id).one["steps"]
    ends = {step["endpoint_id"]: step for step in steps if step["title"] == "delivery"}
    assert (ends[wants]["became"], ends[other]["became"]) == ("waiting", "not_wanted")
    assert ends[other]["filter"] == "people"
    text = line.run("punch", "explain", punch_id).out
    assert f"endpoint_id: {wants}" in text
    assert "became: waiting" in text
    assert "s3cret" not in text


def test_what_cannot_be_a_punch_is_listed_with_its_reason(line: Line) -> None:
    line.replay(_upload(_FUTURE, _BROKEN))
    items = line.json("quarantine", "list").many
    assert {item["reason"] for item in items} == {"future_time", "unreadable_time"}
    assert {item["state"] for item in items} == {"open"}
    shown = line.json("quarantine", "show", items[0]["quarantine_id"]).one
    assert shown == items[0]
    assert items[0]["quarantine_id"] in line.run("quarantine", "list").out


def test_a_released_item_is_a_punch_and_no_longer_open(line: Line) -> None:
    line.replay(_upload(_FUTURE))
    item = line.json("quarantine", "list").one
    released = line.json("quarantine", "release", item["quarantine_id"]).one
    assert released["state"] == "released"
    assert line.json("punch", "list").one["punch_id"] == released["punch_id"]
    assert line.json("quarantine", "list").many == []
    assert line.json("quarantine", "list", "--state", "all").one["state"] == "released"


def test_a_dismissed_item_keeps_why_and_its_bytes(line: Line) -> None:
    line.replay(_upload(_BROKEN))
    item = line.json("quarantine", "list").one
    dismissed = line.json(
        "quarantine", "dismiss", item["quarantine_id"], "--note", "test device"
    ).one
    assert (dismissed["state"], dismissed["note"]) == ("dismissed", "test device")
    assert json.loads(dismissed["raw"]) == _BROKEN
    assert line.json("quarantine", "list", "--state", "dismissed").one == dismissed


def test_an_item_that_still_cannot_be_read_is_not_released(line: Line) -> None:
    line.replay(_upload(_BROKEN))
    item = line.json("quarantine", "list").one
    assert line.run("quarantine", "release", item["quarantine_id"]).code == 4
    assert line.json("quarantine", "list").one["state"] == "open"


def test_what_a_device_said_cannot_drive_the_terminal(line: Line) -> None:
    line.replay({"serial": _SERIAL, "body": '{"user_id":"1\\u001b[31m","att_time":"x\x7f\u009b"}'})
    item = line.json("quarantine", "list").one
    for said in (
        line.run("quarantine", "show", item["quarantine_id"]),
        line.run("quarantine", "list"),
        line.run("quarantine", "list", "--json"),
    ):
        assert not any(mark in said.out for mark in ("\x1b", "\x7f", "\u009b"))
