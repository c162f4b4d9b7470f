"""What the command line's suite may ask for."""

import os
from pathlib import Path

import pytest

from tests.cli.line import Line


@pytest.fixture
def line(bare_line: Line) -> Line:
    """Give a command line on a directory that holds an installation without anything in it."""
    assert bare_line.run("db", "migrate").code == 0
    return bare_line


@pytest.fixture
def bare_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Line:
    """Give a command line on an empty directory, without settings of others."""
    for name in list(os.environ):
        if name.upper().startswith("PUNCHGATE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    return Line(data)
