"""What a lint looks at and what it says: the files of the tree, read once, and findings.

Answers for which files count. Judges nothing.
"""

import ast
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

#: Written by a compiler of ours or by somebody else; nobody reads them for style.
_NOT_OURS = ("LICENSE", ".lock")


class Finding(NamedTuple):
    """One breach: where, and a sentence that says what to do instead and why."""

    path: str
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Source:
    """One text file; `path` is relative to the root, with forward slashes."""

    path: str
    text: str

    def tree(self) -> ast.Module:
        """Parse a Python file."""
        return ast.parse(self.text, self.path)

    def is_python(self) -> bool:
        """Say whether this is a Python file."""
        return self.path.endswith(".py")

    def within(self, *places: str) -> bool:
        """Say whether this is one of these files, or lies in one of these folders (`…/`)."""
        return any(
            self.path.startswith(place) if place.endswith("/") else self.path == place
            for place in places
        )

    def lines(self) -> Iterator[tuple[int, str]]:
        """Number the lines from 1."""
        return enumerate(self.text.splitlines(), start=1)


def load(root: Path) -> Sequence[Source]:
    """Read every text file that is, or would be, committed."""
    sources = []
    for name in sorted(_names(root)):
        path = root / name
        # A file that was deleted and not yet committed is still listed.
        if name.endswith(_NOT_OURS) or not path.is_file():
            continue
        try:
            sources.append(Source(name, path.read_text("utf-8")))
        except UnicodeDecodeError:
            continue
    return sources


def _names(root: Path) -> Sequence[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=False,
        capture_output=True,
        text=True,
    )
    if listed.returncode == 0:
        return [name for name in listed.stdout.split("\0") if name]
    # An unpacked release has no history to ask; its own files are all there are.
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return [path.as_posix() for path in found if not _is_made(path)]


def _is_made(path: Path) -> bool:
    return any(part.startswith(".") or part in {"__pycache__", "data"} for part in path.parts[:-1])
