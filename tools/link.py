"""Put this checkout into the environment whose Python runs this file, as an editable install does.

A line in `site-packages` and a launcher, instead of a build: that needs no build backend, no
network and no second. Uses the standard library only, because it runs before there is anything
else. Installs no dependency.
"""

import sys
import sysconfig
from pathlib import Path

_OLDEST = (3, 11)

# The first two lines are a shell command for the shell and a string for Python, so that the path
# of the interpreter may be long and may hold blanks.
_LAUNCHER = """#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
import sys
from punchgate.cli import main
sys.exit(main())
"""


def link() -> None:
    """Make `import punchgate` and the command `punchgate` work in this environment."""
    root = Path(__file__).resolve().parents[1]
    packages = Path(sysconfig.get_path("purelib"))
    (packages / "punchgate.pth").write_text(f"{root / 'src'}\n", "utf-8")
    launcher = Path(sysconfig.get_path("scripts")) / "punchgate"
    launcher.write_text(_LAUNCHER.format(python=sys.executable), "utf-8")
    launcher.chmod(0o755)


def main() -> int:
    """Link, or with `--supported` only say whether this Python will do."""
    if sys.version_info < _OLDEST:
        version = ".".join(map(str, sys.version_info[:3]))
        print(f"Punchgate needs Python 3.11 or newer; {sys.executable} is {version}.")
        print("Name another one: make setup PYTHON=/usr/bin/python3.12")
        return 1
    if "--supported" not in sys.argv:
        link()
    return 0


if __name__ == "__main__":
    sys.exit(main())
