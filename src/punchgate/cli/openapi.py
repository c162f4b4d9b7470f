"""`punchgate openapi`: the published contracts as one OpenAPI document."""

import json

import typer

from punchgate.cli import session


def register(app: typer.Typer) -> None:
    """Add the command to the line; it has no noun."""
    app.command("openapi")(openapi)


def openapi() -> None:
    """Print the published contracts as OpenAPI, in JSON."""
    from punchgate import registry  # noqa: PLC0415 (imports every contract)

    with session.telling():
        document = registry.openapi()
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
