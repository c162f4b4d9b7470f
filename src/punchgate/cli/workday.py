"""`punchgate workday`: the workday rules tried on cases from a file.

Parses and prints; the rules are in `domain/`, the cases are read by `reports/trial.py`. It needs no
database and no server.
"""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from punchgate.domain.error import Invalid

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from punchgate.reports.trial import Trial

_DIFFERS: Final = 1
_UNREADABLE: Final = 2
_RESULTS: Final[Mapping[bool | None, str]] = {True: "equal", False: "DIFFERS", None: "-"}
_NO_RESULT: Final = "UNREADABLE"

app = typer.Typer(no_args_is_help=True, help="Try the workday rules.")


@app.callback()
def workday() -> None:
    """Try the workday rules."""


@app.command("compute")
def compute(
    file: Annotated[Path, typer.Argument(help="A JSON list of cases.", metavar="FILE")],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the results as JSON on stdout.")
    ] = False,
) -> None:
    """Compute the days of each case in FILE and show them beside what the case expects.

    Ends with 1 if a computed result differs from its expectation, with 2 if FILE cannot be read,
    or a case of it; the other cases are computed all the same.
    """
    from rich.console import Console

    messages = Console(stderr=True, highlight=False, markup=False)
    try:
        trials = [_try(case, messages) for case in _cases(file)]
    except Invalid as error:
        messages.print(str(error))
        raise typer.Exit(_UNREADABLE) from error
    if as_json:
        results = [
            {"id": each.id, "computed": each.computed, "equal": each.is_equal} for each in trials
        ]
        typer.echo(json.dumps(results, ensure_ascii=False))
    else:
        Console(highlight=False).print(_table(trials))
    differing = [each.id for each in trials if each.is_equal is False]
    if differing:
        count = f"{len(differing)} of {len(trials)} cases"
        messages.print(f"Not as expected: {', '.join(differing)} ({count}).")
    if any(each.computed is None for each in trials):
        raise typer.Exit(_UNREADABLE)
    if differing:
        raise typer.Exit(_DIFFERS)
    messages.print(_as_expected(trials))


def _try(case: Mapping[str, object], messages: "Console") -> "Trial":
    """Compute one case, or say why it cannot be read; it must not hide what the others come to."""
    from punchgate.reports import trial

    try:
        return trial.run(case)
    except Invalid as error:
        messages.print(str(error))
        return trial.unreadable(case)


def _as_expected(trials: Sequence["Trial"]) -> str:
    equal = sum(each.is_equal is True for each in trials)
    only_computed = len(trials) - equal
    beside = f", {only_computed} only computed" if only_computed else ""
    return f"{equal} of {equal} as expected{beside}."


def _cases(file: Path) -> list[Mapping[str, object]]:
    try:
        data: object = json.loads(file.read_bytes())
    except OSError as error:
        raise Invalid(f"Cannot read {file}: {error.strerror}. Give a file of cases.") from error
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{file} is not JSON: {error}. Give a list of cases.") from error
    if not isinstance(data, list):
        raise Invalid(f"{file} must be a list of cases; it is one {type(data).__name__}.")
    cases = cast("list[object]", data)
    for number, case in enumerate(cases, 1):
        if not isinstance(case, Mapping):
            raise Invalid(f"Case number {number} in {file} must be an object; it is {case!r}.")
        if not isinstance(case.get("id"), str):
            raise Invalid(f"Case number {number} in {file} must have a text as its `id`.")
    return cast("list[Mapping[str, object]]", cases)


def _table(trials: Sequence["Trial"]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table("Case", "Computed", "Expected", "Result", show_lines=True)
    for each in trials:
        computed, expected = _lines(each.computed), _lines(each.expected)
        result = _NO_RESULT if each.computed is None else _RESULTS[each.is_equal]
        table.add_row(
            Text(f"{each.id}\n{each.title}"),
            _marked(computed, expected, "green"),
            _marked(expected, computed, "red"),
            Text(result, style="bold red" if each.is_equal is False else ""),
        )
    return table


def _lines(result: Mapping[str, object] | None) -> list[tuple[str, str]]:
    """Spread a result over lines, each with its place, so that two results can be laid together."""
    lines: list[tuple[str, str]] = []
    for key, value in (result or {}).items():
        if key != "days" or not isinstance(value, list):
            lines.append((key, f"{key}: {json.dumps(value)}"))
            continue
        for number, day in enumerate(cast("list[object]", value)):
            members = day.items() if isinstance(day, Mapping) else [("day", day)]
            lines += [(f"{number}.{name}", f"{name}: {json.dumps(of)}") for name, of in members]
    return lines


def _marked(lines: list[tuple[str, str]], other: list[tuple[str, str]], style: str) -> "Text":
    """Join lines, those in a style that the other side does not have; all plain without one."""
    from rich.text import Text

    same = set(other) if other else set(lines)
    text = Text()
    for number, line in enumerate(lines):
        text.append("\n" if number else "")
        text.append(line[1], style="" if line in same else style)
    return text
