"""How the command line answers: data on stdout, messages on stderr.

With `--json` every item is one object on one line. Without, a single thing is a list of its values
and many are a table. What devices and imports have said is shown without control characters: a name
must not be able to drive somebody's terminal.
"""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import typer

# ESC and its relatives, the C1 controls, and the marks that turn text around.
_UNSEEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
#: Wider than any table of ours.
_UNFOLDED: Final = 4_096


def settle() -> None:
    """Have all that is said be UTF-8 in any locale, and go nowhere where a stream is closed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = Path(os.devnull).open(mode)  # noqa: SIM115 (open as long as we run)
            setattr(sys, name, nowhere)
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            # What was typed may be no text at all; a message about it must not be the next error.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def drop_unwritten() -> None:
    """Forget what waits on stdout and cannot be written: the interpreter would complain of it."""
    try:
        sys.stdout.flush()
    except OSError:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


def say(text: str) -> None:
    """Tell a person something, on stderr."""
    typer.echo(clean(text), err=True)


def one(values: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing."""
    if as_json:
        typer.echo(line(values))
        return
    width = max(len(name) for name in values)
    for name, value in values.items():
        typer.echo(f"{name:<{width}}  {text(value)}".rstrip())


def many(columns: tuple[str, ...], rows: Iterable[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print many things of a kind: all their values as JSON, or these columns as a table."""
    if as_json:
        for row in rows:
            typer.echo(line(row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(text(row.get(column))) for column in columns))
    # Into a pipe or a file nothing is folded: a program may read it.
    width = None if sys.stdout.isatty() else _UNFOLDED
    Console(width=width, highlight=False).print(table)


def line(values: Mapping[str, Any]) -> str:
    """Give one JSON object on one line, with what a terminal could obey escaped."""
    written = json.dumps(values, ensure_ascii=False, separators=(",", ":"), default=str)
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


def text(value: Any) -> str:
    """Give a value as a person reads it."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(text(each) for each in value)
        case dict() if any(isinstance(each, dict | list) for each in value.values()):
            return line(value)
        case dict():
            return ", ".join(f"{clean(str(name))}={text(each)}" for name, each in value.items())
    return clean(str(value))


def clean(said: str) -> str:
    """Give a text without anything that a terminal would obey instead of show."""
    return _UNSEEN.sub("", said)


def instant(milliseconds: int | None) -> str | None:
    """Give an instant as ISO 8601 in UTC, to the second."""
    if milliseconds is None:
        return None
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def progress(title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show on stderr how many items are done, if someone is looking; gives what counts them.

    Where it is known how many there are, it is a bar.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns: list[ProgressColumn] = [SpinnerColumn(), TextColumn("{task.description}")]
    columns += [MofNCompleteColumn()] if total is None else [BarColumn(), MofNCompleteColumn()]
    columns += [] if total is None else [TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(title, total=total)
        yield lambda count: shown.advance(task, count)
