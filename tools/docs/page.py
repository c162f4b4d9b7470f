"""How a generated page is written: a notice, tables, nothing that depends on the machine."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


def notice(source: str) -> str:
    """Say that a page is generated, and from what."""
    return f"<!-- Generated from {source} by `make docs`. Edit that instead. -->\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table; a cell may not hold a line break."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def code(text: str) -> str:
    """Write a text as code, or nothing for nothing."""
    return f"`{text}`" if text else ""


def sentence(text: str | None) -> str:
    """Join the lines of a description."""
    return " ".join((text or "").split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
