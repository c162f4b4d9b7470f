"""docs/reference/commands.md, from the command line itself."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from tools.docs import page

PATH: Final = "docs/reference/commands.md"


class Command(NamedTuple):
    """One command of the line; `words` begins with `punchgate`."""

    words: tuple[str, ...]
    sentence: str
    usage: str
    #: What is written after the command: its name, and what it is.
    options: tuple[tuple[str, str, str], ...]


def render() -> str:
    """Render the page.

    Errors:  ValueError for a command or an option without a sentence.
    """
    found = list(commands())
    silent = [" ".join(one.words) for one in found if not one.sentence]
    silent += [
        f"{' '.join(one.words)} {name}"
        for one in found
        for name, _, said in one.options
        if not said
    ]
    if silent:
        raise ValueError(f"No help text: {'; '.join(silent)}")
    parts = [
        "# Commands\n",
        page.notice("src/punchgate/cli/"),
        (
            "Data goes to standard output, messages to standard error; with `--json` the data is"
            " JSON.\n"
        ),
        page.table(
            ("Exit code", "Meaning"),
            [("0", "ok"), ("1", "failed"), ("2", "usage"), ("3", "not found"), ("4", "refused")],
        ),
    ]
    for command in found:
        parts.append(f"## {' '.join(command.words)}\n\n{command.sentence}\n")
        parts.append(f"```\n{' '.join(command.words)} {command.usage}\n```\n")
        if command.options:
            rows = [
                (page.code(name), page.code(default), said)
                for name, default, said in command.options
            ]
            parts.append(page.table(("", "Default", ""), rows))
    return "\n".join(parts)


def commands() -> Iterator[Command]:
    """List every command of ours that can be run."""
    # Here, so that the other pages can be rendered while the command line cannot be imported.
    from typer.main import get_command  # noqa: PLC0415 (above)

    from punchgate import cli  # noqa: PLC0415 (above)

    yield from walk(get_command(cli.app), ("punchgate",))


def walk(command: Any, words: tuple[str, ...]) -> Iterator[Command]:
    """List the commands at and below one, in the order of their names; hidden ones are left out."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield _command(command, words)
        return
    for name in sorted(inner):
        if not inner[name].hidden:
            yield from walk(inner[name], (*words, name))


def _command(command: Any, words: tuple[str, ...]) -> Command:
    shown = [one for one in command.params if not getattr(one, "hidden", False)]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    options = [one for one in shown if one.param_type_name == "option" and one.name != "help"]
    usage = [_metavar(one) for one in arguments] + (["[OPTIONS]"] if options else [])
    return Command(
        words,
        # A form feed ends what is help; the rest is for readers of the source.
        page.sentence((command.help or "").partition("\f")[0]),
        " ".join(usage),
        tuple(_row(one) for one in (*arguments, *options)),
    )


def _metavar(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    name = f"{name}..." if argument.nargs == -1 else name
    return name if argument.required else f"[{name}]"


def _row(param: Any) -> tuple[str, str, str]:
    names = ", ".join((*param.opts, *param.secondary_opts))
    if param.param_type_name == "argument":
        names = _metavar(param)
    elif not param.is_flag:
        names = f"{names} {_value(param)}"
    default = param.default
    # Options that were not given are marked by an object or a function, not by a value.
    plain = isinstance(default, (str, int, float)) and not isinstance(default, bool)
    return names, str(default) if plain else "", page.sentence(param.help)


def _value(option: Any) -> str:
    """Name what follows an option, as its help does."""
    return str(option.metavar or option.display_type(None))
