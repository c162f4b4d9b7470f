"""What `punchgate demo` shows: punches as they are acknowledged, then the summary.

Prints and nothing else. On a terminal the last punches stand in a table that moves; into a file or
a pipe each is a line.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from punchgate.cli import output

_SHOWN: Final = 16
#: Of the columns where each punch is a line.
_WIDTHS: Final = (12, 14, 14, 9, 11)
_COLORS: Final = {"recorded": "green", "duplicate": "yellow", "quarantined": "red"}


class Line(NamedTuple):
    """One acknowledged punch as a person reads it."""

    time: str
    device: str
    person: str
    direction: str
    status: str


class Screen:
    """A table of the last punches, alive while the block lasts."""

    def __init__(self, console: Console) -> None:
        #: How many are to come.
        self.total = 0
        self._console = console
        self._count = 0
        self._last: deque[Line] = deque(maxlen=_SHOWN)
        self._live = Live(self._table(), console=console, refresh_per_second=10)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def show(self, line: Line) -> None:
        """Show one more."""
        self._count += 1
        self._last.append(line)
        if self._console.is_terminal:
            self._live.update(self._table())
        else:
            words = "  ".join(fact.ljust(width) for fact, width in zip(line, _WIDTHS, strict=True))
            self._console.print(words.rstrip(), soft_wrap=True, highlight=False, markup=False)

    def _table(self) -> Table:
        title = f"{self._count} of {self.total} punches on disk"
        table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")
        for name in Line._fields:
            table.add_column(name, no_wrap=True)
        for line in self._last:
            *facts, status = line
            table.add_row(*(Text(fact) for fact in facts), Text(status, _COLORS.get(status, "")))
        return table


def show_summary(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """Show the rows of a summary as the contract gave them."""
    # Without edges it fits into 80 columns, the date of a night's end included.
    table = Table(
        box=box.SIMPLE_HEAD,
        title="GET /api/v1/attendance/summary",
        title_style="bold",
        show_edge=False,
        pad_edge=False,
    )
    for name in ("date", "person", "first in", "last out", "hours", "punches"):
        table.add_column(name, no_wrap=True)
    for row in rows:
        day = row["date"]
        values = (day, row["user_name"], _clock(row["first_in"], day), _clock(row["last_out"], day))
        hours, punches = row["working_hours"], len(row["activities"])
        table.add_row(*(output.text(value) for value in (*values, hours, punches)))
    console.print(table)


def _clock(moment: str | None, day: str) -> str | None:
    """Cut the date from a wall time where the row names it already."""
    return None if moment is None else moment.removeprefix(day).strip()
