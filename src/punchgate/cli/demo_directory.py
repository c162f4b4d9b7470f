"""The directory of `punchgate demo`: ours for as long as it runs, and gone afterwards.

It removes nothing that a demo has not made.
"""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from punchgate.domain.error import Refused

#: A directory with this file in it is ours to remove; a running demo holds a lock on the file.
MARK: Final = ".punchgate-demo"


@contextmanager
def throw_away(directory: Path) -> Iterator[Path]:
    """Give an empty directory and remove it at the end.

    Errors:  Refused for a directory that is not a demo's, or whose demo is still running.
    """
    mark = directory / MARK
    if directory.exists() and not mark.exists():
        raise Refused(
            f"./{directory} exists and was not made by a demo. Move it away, or start in another"
            " directory."
        )
    directory.mkdir(exist_ok=True)
    with mark.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(f"Another demo is running in ./{directory}.") from None
        _empty(directory)
        try:
            yield directory
        finally:
            shutil.rmtree(directory)


def _empty(directory: Path) -> None:
    """Remove what a demo that was killed has left; the mark stays."""
    for path in directory.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != MARK:
            path.unlink()
