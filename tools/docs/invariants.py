"""docs/invariants.md, from the names of the tests: `test_I3_…` holds invariant I3.

An invariant whose subject is built and that no test names fails the build; one whose subject does
not exist yet is listed as such.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tools.docs import page

PATH: Final = "docs/invariants.md"
_NAME: Final = re.compile(r"test_(I\d+)_(\w+)")


class Invariant(NamedTuple):
    """What must hold, and the module or package that can break it."""

    holds: str
    subject: str


INVARIANTS: Final[Mapping[str, Invariant]] = {
    "I1": Invariant(
        "Nothing is acknowledged before a commit that reached the disk, whatever stops or dies,"
        " whenever.",
        "usecases/punches.py",
    ),
    "I2": Invariant(
        "What a device said never changes; what we derive from it may be derived anew. Only erasing"
        " a person and retention take it away, and both leave an audit entry.",
        "store/record.py",
    ),
    "I3": Invariant(
        "The same punch is one row and one event, over any transport, in any order, any number of"
        " times.",
        "usecases/punches.py",
    ),
    "I4": Invariant("Every event is written in the transaction of its cause.", "store/record.py"),
    "I5": Invariant(
        "An endpoint gets a key's events in log order, at least once, under one id; a failing key"
        " or endpoint delays no other.",
        "delivery",
    ),
    "I6": Invariant(
        "A cursor never passes an event that is not delivered, filtered, parked or dead.",
        "store/cursors.py",
    ),
    "I7": Invariant(
        "A codec raises `ProtocolError` or nothing, in bounded memory and time.", "protocols"
    ),
    "I8": Invariant(
        "No key, PIN or template reaches a log, error, event or export, nor lies in clear in the"
        " database.",
        "vault.py",
    ),
    "I9": Invariant(
        "One conversation per terminal at a time; one that we disabled is enabled again.",
        "engines/terminals.py",
    ),
    "I10": Invariant(
        "A command that must not be repeated is handed over at most once, and never after its"
        " deadline.",
        "domain/command.py",
    ),
    "I11": Invariant(
        "One bad reading fails no neighbour and blocks nothing behind it; its bytes are kept and"
        " can be read again.",
        "usecases/punches.py",
    ),
    "I12": Invariant(
        "Nothing of one account can be seen or guessed by another.", "usecases/accounts.py"
    ),
}


def render() -> str:
    """Render the page from this tree."""
    return render_from(find_tests(page.ROOT / "tests"), page.ROOT / "src/punchgate")


def problems() -> list[str]:
    """Say what is wrong with this tree: see `problems_of`."""
    return problems_of(find_tests(page.ROOT / "tests"), page.ROOT / "src/punchgate")


def problems_of(tests: Mapping[str, Sequence[tuple[str, str]]], package: Path) -> list[str]:
    """Name the tests that hold nothing on the list, and what is built and held by no test."""
    strange = sorted(tests.keys() - INVARIANTS.keys())
    found = [f"{tests[number][0][1]}: there is no invariant {number}." for number in strange]
    for number, one in INVARIANTS.items():
        if number not in tests and (package / one.subject).exists():
            found.append(f"No test holds {number} ({one.holds}): name one `test_{number}_…`.")
    return found


def render_from(tests: Mapping[str, Sequence[tuple[str, str]]], package: Path) -> str:
    """Render the page from tests by invariant and a package."""
    rows = [
        (f"**{number}**", one.holds, _held_by(tests.get(number, ()), one, package))
        for number, one in INVARIANTS.items()
    ]
    return "\n".join((
        "# Invariants\n",
        page.notice("the names of the tests"),
        (
            "What must hold whatever happens. A test that holds one carries its number in its name"
            " (`test_I3_…`);\n`make check` fails when one whose subject is built has no test.\n"
        ),
        page.table(("", "It must hold", "Held by"), rows),
    ))  # fmt: skip


def find_tests(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """Find the tests that name an invariant: number -> (path below the root, test name)."""
    found: dict[str, list[tuple[str, str]]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                match = _NAME.fullmatch(node.name)
                if match:
                    place = path.relative_to(folder.parent).as_posix()
                    found.setdefault(match[1], []).append((place, node.name))
    return found


def _held_by(tests: Sequence[tuple[str, str]], one: Invariant, package: Path) -> str:
    if not tests:
        built = (package / one.subject).exists()
        return "**no test yet**" if built else f"not built yet (`{one.subject}`)"
    # One link for each file: a suite says the rest.
    names: dict[str, list[str]] = {}
    for path, name in tests:
        names.setdefault(path, []).append(name.split("_", 2)[2].replace("_", " "))
    return "<br>".join(f"[{path}](../{path}): {'; '.join(names[path])}" for path in names)
