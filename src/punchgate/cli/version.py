"""`punchgate version`: which program this is."""

import platform
from typing import Annotated

import typer

from punchgate import __version__
from punchgate.cli import output


def register(app: typer.Typer) -> None:
    """Add the command to the line; it has no noun."""
    app.command("version")(version)


def print_and_end(asked: bool) -> None:  # noqa: FBT001 (Typer calls it with the value)
    """Answer `punchgate --version`, before anything else is looked at."""
    if asked:
        typer.echo(f"punchgate {__version__}")
        raise typer.Exit


def version(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, one object on a line.")
    ] = False,
) -> None:
    """Show the version of this program and of the zone rules that come with it."""
    from punchgate.domain import localtime  # noqa: PLC0415 (reads the zone data)

    values = {
        "version": __version__,
        "python": platform.python_version(),
        "zone_data": localtime.ZONE_DATA_VERSION,
    }
    output.one(values, as_json=as_json)
