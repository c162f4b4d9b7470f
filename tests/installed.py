"""Programs that tests start as private instances: where they are, or what to install.

On a developer's machine without one, the test is skipped with a line that names the package; with
`CI=true`, where `make test` has just installed them all, a missing one is a failure. Starts nothing
itself.
"""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

#: Servers live where an ordinary user's PATH does not look.
_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def program(name: str, *, package: str) -> Path:
    """Give the path of a program of the system; skip the test, or on CI fail it, without one."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *_SYSTEM_FOLDERS))
    found = shutil.which(name, path=path)
    if found is None:
        missing(name, package=package)
    return Path(found)


def postgresql_folder() -> Path:
    """Give the folder of the newest PostgreSQL server, with `initdb`, `pg_ctl` and `psql`."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    # Debian keeps each major version's programs in a folder of its own, off the PATH.
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not found:
        missing("initdb", package="postgresql")
    return max(found, key=lambda folder: _version(folder.parent.name))


def missing(name: str, *, package: str) -> NoReturn:
    """Skip the running test because `name` is not there; with `CI=true`, fail it."""
    _give_up(f"`{name}` is not installed: `apt-get install {package}`, or run `make test` as root")


def missing_client(name: str) -> NoReturn:
    """Skip the running test because a third-party client is not there; with `CI=true`, fail it."""
    _give_up(f"the client `{name}` is not installed: run `make test`, which fetches it")


def _give_up(sentence: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


def _version(folder: str) -> tuple[int, ...]:
    return tuple(int(part) for part in folder.split(".") if part.isdigit())
