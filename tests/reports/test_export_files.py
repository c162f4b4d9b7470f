"""Where an export goes: a file that is never half written, a link, a pipe. Real: all of them."""

import os
import threading
from pathlib import Path

import pytest

from punchgate.reports import exports


def test_a_file_takes_its_place_when_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "punches.csv"
    path.write_text("old")
    with exports.replacing(path) as out:
        out.write("new\r\n")
        assert path.read_text() == "old"
    assert path.read_bytes() == b"new\r\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_fails_halfway_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "punches.csv"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), exports.replacing(path) as out:
        out.write("new\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_behind_a_link_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    file, link = tmp_path / "kept" / "punches.csv", tmp_path / "latest.csv"
    link.symlink_to(file)
    for said in ("first", "second"):
        with exports.replacing(link) as out:
            out.write(said)
        assert link.is_symlink()
        assert file.read_text() == said


def test_what_is_no_file_is_written_to_and_stays_what_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard: list[str] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text()))
    reader.start()
    with exports.replacing(pipe) as out:
        out.write("new\r\n")
    reader.join(10)
    assert heard == ["new\n"]
    assert pipe.is_fifo()


def test_a_directory_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), exports.replacing(tmp_path):
        pytest.fail("a directory was opened")
    assert list(tmp_path.iterdir()) == []
