"""`punchgate demo`: the gateway on a directory that is thrown away, with virtual devices before it.

Parses and hands over; what is played is in `demo_play.py`.
"""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

from pathlib import Path
from typing import Annotated, Final

import typer

from punchgate.cli import session

_DIRECTORY: Final = Path("demo-data")


def register(app: typer.Typer) -> None:
    """Add the command to the line; it has no noun."""
    app.command("demo")(demo)


def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="End after the summary.")] = False,
    rate: Annotated[float, typer.Option(min=0.1, help="Punches a second.")] = 12,
    listen: Annotated[
        str | None,
        typer.Option(
            "--http",
            help="Where to serve. [default: 127.0.0.1:8080, a free port if it is taken]",
            metavar="HOST:PORT",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print address, key and summary as JSON on stdout.")
    ] = False,
) -> None:
    """Show the gateway at work: three virtual devices, two terminals that it calls, the summary.

    It serves until Ctrl-C. All that it writes is in ./demo-data, which is removed at the end.
    """
    import asyncio

    from rich.console import Console

    from punchgate.cli import demo_directory, demo_play, listening

    show = demo_play.Show(Console(stderr=as_json), rate, ends_after_summary=once, as_json=as_json)
    address = listen or demo_play.address()
    with (
        session.telling(),
        demo_directory.throw_away(_DIRECTORY) as directory,
        listening.telling({"--http": address}),
    ):
        asyncio.run(demo_play.run(demo_play.settings(directory, address), show))
