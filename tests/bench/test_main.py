"""The command line of the benchmarks: what it refuses before it starts anything."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench import main

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--only", "nothing"], "invalid choice"),
        (["--record", "--quick"], "wants the whole run"),
        (["--record", "--only", "batch"], "wants the whole run"),
        (["--rounds", "many"], "invalid int"),
    ],
)
def test_a_run_that_makes_no_sense_is_refused(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main.main(arguments)
    assert left.value.code == 2
    assert reason in capsys.readouterr().err


def test_every_benchmark_is_explained() -> None:
    page = (ROOT / "bench" / "README.md").read_text()
    assert [name for name in main.BENCHMARKS if f"| `{name}` |" not in page] == []


def test_it_runs_as_a_file_from_anywhere(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "bench" / "run.py", "--help"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert "--quick" in done.stdout
