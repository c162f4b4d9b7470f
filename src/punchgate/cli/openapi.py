"""`punchgate openapi`: the published contracts as one OpenAPI document."""

import json

import typer

from punchgate.cli import session
from punchgate.cli.session import Here, command


def register(app: typer.Typer) -> None:
    """Add the command to the line; it has no noun."""
    command(app, "openapi")(openapi)


def openapi(here: Here) -> None:
    """Print the published contracts as OpenAPI, in JSON."""
    from punchgate import registry  # noqa: PLC0415 (imports every contract)

    with session.telling():
        document = registry.openapi()
    indent = None if here.as_json else 2
    typer.echo(json.dumps(document, indent=indent, ensure_ascii=False))
