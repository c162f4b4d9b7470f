"""What a fresh clone stands on: locks, reasons, targets, and the link that replaces a build.

Real: the files of this tree, `make`, and an environment made for the test.
"""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tools.lint.source import load

_ROOT = Path(__file__).parents[2]
_LOCKS = ("requirements.lock", "requirements-dev.lock")
_PINNED = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==([^ ;\\]+)", re.MULTILINE)
_NAME = re.compile(r"^[A-Za-z0-9._-]+")


@pytest.mark.parametrize("lock", _LOCKS)
def test_every_line_of_a_lock_is_pinned_with_hashes(lock: str) -> None:
    text = (_ROOT / lock).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert lines
    assert [line for line in lines if not _PINNED.match(line)] == []
    assert [line[:60] for line in lines if "--hash=sha256:" not in line] == []


@pytest.mark.parametrize("lock", _LOCKS)
def test_no_lock_records_where_anything_was_downloaded(lock: str) -> None:
    assert (
        re.findall(r"https?:|index-url|find-links|trusted-host", (_ROOT / lock).read_text()) == []
    )


def test_the_locks_agree_with_each_other() -> None:
    runtime, dev = (_versions(lock) for lock in _LOCKS)
    assert runtime.items() <= dev.items()


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = (
        (project["dependencies"], "requirements.lock"),
        (extras["dev"], "requirements-dev.lock"),
    )
    for requirements, lock in wanted:
        names = {_normal(requirement) for requirement in requirements}
        assert names - _versions(lock).keys() == set(), lock


def test_every_dependency_has_its_reason() -> None:
    text = (_ROOT / "pyproject.toml").read_text()
    head = text.partition("[project.scripts]")[0].partition("dependencies = [")[2]
    silent = [line for line in head.splitlines() if line.startswith('  "') and "# " not in line]
    assert silent == []


def test_make_alone_prints_one_line_for_each_target() -> None:
    done = subprocess.run(["make", "-C", _ROOT], capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("  make ")]
    expected = ["help", "setup", "demo", "serve", "test", "check", "bench", "soak", "docs", "lock"]
    assert [line.split()[1] for line in lines] == expected
    assert all(len(line.split()) > 2 for line in lines)


def test_ci_runs_what_everybody_runs() -> None:
    script = _ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text()


def test_a_link_makes_the_checkout_importable_and_its_command_run(tmp_path: Path) -> None:
    # A blank, because people's folders have them.
    environment = tmp_path / "an environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin/python"
    subprocess.run([python, _ROOT / "tools/link.py"], check=True)
    where: list[str | Path] = [python, "-c", "import punchgate; print(punchgate.__file__)"]
    done = subprocess.run(where, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert Path(done.stdout.strip()) == _ROOT / "src/punchgate/__init__.py"
    # This environment has no library, so the command gets as far as its first one.
    command = environment / "bin/punchgate"
    done = subprocess.run([command], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "ModuleNotFoundError" in done.stderr
    assert "punchgate.cli" in done.stderr or "punchgate/cli" in done.stderr


def test_missing_system_packages_are_named_and_fail_on_ci(tmp_path: Path) -> None:
    script = (_ROOT / "tools/system_packages.sh").read_text()
    planted = tmp_path / "system_packages.sh"
    planted.write_text(
        # Not even root may install here: the test is about what is said.
        script.replace("need gcc gcc", "need none-such none-such").replace("apt-get >", "no-apt >")
    )
    for ci, code in (("", 0), ("true", 1)):
        done = subprocess.run(
            ["sh", planted],
            env={**os.environ, "CI": ci},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code
        assert "apt-get install" in done.stdout
        assert "none-such" in done.stdout


def test_no_file_of_the_tree_is_made_by_a_tool_run() -> None:
    made = [s.path for s in load(_ROOT) if s.path.endswith((".pyc", ".db", ".sqlite", ".log"))]
    assert made == []


def _versions(lock: str) -> dict[str, str]:
    return dict(_PINNED.findall((_ROOT / lock).read_text()))


def _normal(requirement: str) -> str:
    match = _NAME.match(requirement)
    assert match is not None
    return re.sub(r"[-_.]+", "-", match[0]).lower()
