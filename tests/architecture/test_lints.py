"""Our own lints: each finds what was planted for it, and says what to do instead.

Real: the lints. Planted: small files, in memory.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tools.lint import doors, text, words
from tools.lint.__main__ import LINTS
from tools.lint.source import Finding, Source, load

_USECASE = "src/punchgate/usecases/planted.py"
_STORE = "src/punchgate/store/planted.py"
_MACHINE_PATH = "/" + "work/main/x"

Lint = Callable[[Sequence[Source]], Iterable[Finding]]


class Planted(NamedTuple):
    """A file, the lint that must notice it, and what its message teaches."""

    lint: Lint
    path: str
    code: str
    teaches: str


_BREACHES = (
    Planted(doors.receipts, _USECASE, "Receipt(1, 'stored')", "usecases/punches.py alone"),
    Planted(doors.receipts, _USECASE, "punches.Receipt(1)", "usecases/punches.py alone"),
    Planted(doors.receipts, _USECASE, "context.writer.record([])", "one door"),
    Planted(doors.receipts, "src/punchgate/app.py", "writer.record([])", "one door"),
    Planted(doors.store_arguments, _STORE, "def add(account, tx): ...", "`tx` first"),
    Planted(doors.store_arguments, _STORE, "def add(account): ...", "`tx` first"),
    Planted(doors.store_arguments, _STORE, "def add(tx, person): ...", "`account` second"),
    Planted(doors.store_arguments, _STORE, "def add(tx, *, account): ...", "`account` second"),
    Planted(words.glossary, _USECASE, "tenant = 1", "say account"),
    Planted(words.glossary, _USECASE, "class DeviceManager: ...", "what it does"),
    Planted(words.glossary, _USECASE, "def add(punchTimestamp): ...", "wall_time"),
    Planted(words.glossary, _USECASE, "self.webhook_url = 1", "endpoint"),
    Planted(words.glossary, "src/punchgate/utils.py", "", "what it is about"),
    Planted(words.published, _USECASE, "row['att_time']", "published contract"),
    Planted(words.published, _USECASE, "att_state = 1", "published contract"),
    Planted(words.published, _USECASE, "send(user_id=1)", "published contract"),
    Planted(words.published, "src/punchgate/domain/x.py", "punch.disponibles", "published"),
    Planted(text.sizes, _USECASE, "x = 1\n" * 401, "401 lines"),
    Planted(text.sizes, "tests/test_planted.py", "x = 1\n" * 401, "401 lines"),
    Planted(text.excuses, _USECASE, "x = 1  # noqa", "what is excused and why"),
    Planted(text.excuses, _USECASE, "x = 1  # noqa: S608", "what is excused and why"),
    Planted(text.excuses, _USECASE, "x = 1  # noqa: S608 because", "what is excused and why"),
    Planted(text.excuses, _USECASE, "x = 1  # noqa: DTZ001 (a day)", "resolve the wall time"),
    Planted(text.excuses, _USECASE, "x = 1  # type: ignore", "what is ignored and why"),
    Planted(text.excuses, _USECASE, "x = 1  # type: ignore[misc]", "what is ignored and why"),
    Planted(text.promises, _USECASE, "x = 1  # TODO: later", "TODO(#123)"),
    Planted(text.promises, _USECASE, "# TODO(someone): later", "TODO(#123)"),
    Planted(text.places, "README.md", f"see {_MACHINE_PATH}", "one machine only"),
    Planted(text.places, "Makefile", f"cp {_MACHINE_PATH} .", "one machine only"),
    Planted(text.places, "setup.cfg", "x = ht" + "tps://files.elsewhere.net/simple", "Download"),
)

_ALLOWED = (
    Planted(doors.receipts, "src/punchgate/usecases/punches.py", "Receipt(1)", ""),
    Planted(doors.receipts, "tests/usecases/test_x.py", "Receipt(1)", ""),
    Planted(doors.receipts, _USECASE, "class Receipt: ...\npunches.record([])", ""),
    Planted(doors.store_arguments, _STORE, "def add(tx, account, x): ...", ""),
    Planted(doors.store_arguments, _STORE, "def _row(row): ...", ""),
    Planted(doors.store_arguments, "src/punchgate/store/installation.py", "def x(tx): ...", ""),
    Planted(doors.store_arguments, "src/punchgate/store/schema.py", "def x(): ...", ""),
    Planted(doors.store_arguments, _USECASE, "def add(x): ...", ""),
    Planted(words.glossary, _USECASE, "seconds = moment.timestamp()", ""),
    Planted(words.glossary, _USECASE, "manageable = 1", ""),
    Planted(words.glossary, "tests/test_x.py", "def test_a_company(): ...", ""),
    Planted(words.published, "src/punchgate/wire/attendance.py", "row['att_time']", ""),
    Planted(words.published, "src/punchgate/contracts/x/shapes.py", "row['att_time']", ""),
    Planted(words.published, "tests/x.py", "row['att_time']", ""),
    Planted(words.published, _USECASE, "'att_time is missing'", ""),
    Planted(text.sizes, _USECASE, "x = 1\n" * 400, ""),
    Planted(text.sizes, "docs/x.md", "x\n" * 900, ""),
    Planted(text.excuses, _USECASE, "x = 1  # noqa: S608 (a table of ours)", ""),
    Planted(text.excuses, _USECASE, "x = 1  # noqa: S608, S101 (a table of ours)", ""),
    Planted(text.excuses, _USECASE, "x = 1  # type: ignore[misc]  # no stubs", ""),
    Planted(text.excuses, "src/punchgate/wire/x.py", "x = 1  # noqa: DTZ001 (a wall time)", ""),
    Planted(text.promises, _USECASE, "# TODO(#12): read it again after a restart.", ""),
    Planted(text.promises, _USECASE, "TODO = 1", ""),
    Planted(text.places, "README.md", "a workday of /workdays, GET /api/work", ""),
    Planted(text.places, "README.md", "http://127.0.0.1:8080/x https://hr.example/hook", ""),
    Planted(text.places, "tests/contracts/golden/x.txt", "ht" + "tps://vendor.net/", ""),
    Planted(text.places, "x.py", "f'http://{host}:{port}/' 'http://10.0.0.7:4370'", ""),
)


@pytest.mark.parametrize("row", _BREACHES, ids=lambda row: f"{row.lint.__name__}: {row.code[:40]}")
def test_a_planted_breach_is_found_once_and_explained(row: Planted) -> None:
    findings = list(row.lint([Source(row.path, row.code)]))
    assert len(findings) == 1
    assert findings[0].path == row.path
    assert row.teaches in findings[0].message


@pytest.mark.parametrize("row", _ALLOWED, ids=lambda row: f"{row.lint.__name__}: {row.code[:40]}")
def test_what_is_allowed_is_left_alone(row: Planted) -> None:
    assert list(row.lint([Source(row.path, row.code)])) == []


def test_every_lint_has_a_planted_breach() -> None:
    assert {row.lint for row in _BREACHES} == set(LINTS)


def test_a_finding_points_at_its_line() -> None:
    source = Source(_USECASE, "x = 1\n\ntenant = 2\n")
    assert [finding.line for finding in words.glossary([source])] == [3]


def test_every_exception_of_the_store_still_exists() -> None:
    store = Path(__file__).parents[2] / "src/punchgate/store"
    assert [name for name in doors.OTHER_STORE_FILES if not (store / name).exists()] == []
    gone = []
    for noun in doors.WITHOUT_ACCOUNT:
        file, _, function = noun.partition(".")
        path = store / f"{file}.py"
        if not path.exists() or f"def {function}(" not in path.read_text():
            gone.append(noun)
    assert gone == []


def test_every_longer_file_is_still_longer() -> None:
    root = Path(__file__).parents[2]
    short = [name for name in text.LONGER if (root / name).read_text().count("\n") <= 400]
    assert short == []


def test_files_are_read_without_what_is_made(tmp_path: Path) -> None:
    for name in ("a.py", ".venv/b.py", "pkg/__pycache__/c.py", "x.lock", "pkg/d.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x\n")
    (tmp_path / "picture").write_bytes(b"\xff\xfe\x00")
    assert [source.path for source in load(tmp_path)] == ["a.py", "pkg/d.md"]
