"""An INSERT of many rows on SQLite, in as few statements as it takes.

Each statement lets go of the interpreter and has to get it back from the event loop beside it, so
one for many rows is what a hot path needs. PostgreSQL's driver sends many rows at once by itself.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

#: Most rows of one statement. Each number of rows up to this one is a statement of its own, so that
#: an ordinary group is one statement per table; SQLite keeps them prepared.
CHUNK: Final = 64


class Insert:
    """An INSERT into some columns of a table."""

    def __init__(self, table: str, columns: Sequence[str], tail: str = "") -> None:
        self._head = f"INSERT INTO {table} ({','.join(columns)}) VALUES "
        self._row = "(" + ",".join("?" * len(columns)) + ")"
        self._tail = tail
        self._texts: dict[int, str] = {}

    def statements(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """Give the statements that write rows, each with the values that it binds."""
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            yield self._text(len(chunk)), tuple(chain.from_iterable(chunk))

    def _text(self, rows: int) -> str:
        text = self._texts.get(rows)
        if text is None:
            text = self._head + ",".join([self._row] * rows) + self._tail
            self._texts[rows] = text
        return text
