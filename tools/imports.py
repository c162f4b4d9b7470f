"""Run the import contracts of pyproject.toml; print nothing unless one is broken.

import-linter prints its whole list each time; here only the broken contracts and their imports are
of interest.
"""

import os
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Give 0 when every contract is kept; otherwise print the report and give 1."""
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        print(done.stdout + done.stderr)
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
