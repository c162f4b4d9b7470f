"""`punchgate config`: the settings in force and where each came from."""

import typer

from punchgate.cli import output, session
from punchgate.cli.session import Here, command

app = typer.Typer(no_args_is_help=True)


@app.callback()
def config() -> None:
    """Settings: the values in force."""


@command(app, "show")
def show(here: Here) -> None:
    """Show every setting with its value and where it came from; passwords are masked."""
    from punchgate.config import show as shown  # noqa: PLC0415 (settings take a while to import)

    with session.telling():
        rows = [
            {"name": s.name, "value": s.value, "origin": s.origin, "sentence": s.sentence}
            for s in shown(here.load())
        ]
    output.many(("name", "value", "origin"), rows, as_json=here.as_json)
