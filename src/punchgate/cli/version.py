"""`punchgate version`: which program this is."""

import platform

import typer

from punchgate import __version__
from punchgate.cli import output
from punchgate.cli.session import Here, command


def register(app: typer.Typer) -> None:
    """Add the command to the line; it has no noun."""
    command(app, "version")(version)


def version(here: Here) -> None:
    """Show the version of this program and of the zone rules that come with it."""
    from punchgate.domain import localtime  # noqa: PLC0415 (reads the zone data)

    values = {
        "version": __version__,
        "python": platform.python_version(),
        "zone_data": localtime.ZONE_DATA_VERSION,
    }
    output.one(values, as_json=here.as_json)
