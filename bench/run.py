"""`python bench/run.py`: the benchmarks; what they are is in `bench/README.md`."""

import sys
from pathlib import Path

# Run as a file, Python looks beside it; the modules are found from the root of the project, the
# package in `src`, installed or not.
_ROOT = Path(__file__).resolve().parents[1]
sys.path[:1] = [str(_ROOT), str(_ROOT / "src")]

from bench.main import main  # noqa: E402 (needs the line above)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
