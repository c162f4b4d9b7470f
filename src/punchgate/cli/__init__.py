"""The command line: one file per noun. Parse, call one use case or report, print.

Data goes to stdout, messages to stderr. Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4
refused. No command keeps a rule or a query of its own: whatever one can do, a page and a contract
can do.
"""

import sys
from typing import Annotated

import typer

from punchgate.cli import (
    account,
    capture,
    config,
    db,
    decode,
    demo,
    device,
    doctor,
    endpoint,
    key,
    openapi,
    output,
    person,
    problems,
    punch,
    quarantine,
    replay,
    serve,
    session,
    simulate,
    version,
    workday,
)

app = typer.Typer(
    name="punchgate",
    help="A self-hosted attendance gateway: no acknowledged punch is ever lost or doubled.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Drawing help with Rich takes longer to import than everything else of `--help` together.
    rich_markup_mode=None,
)


@app.callback()
def punchgate(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=version.print_and_end,
            is_eager=True,
            help="Print the version and end.",
        ),
    ] = False,
) -> None:
    """Take what is said before a command."""


serve.register(app)
demo.register(app)
app.add_typer(account.app, name="account", help="Accounts and their workday rules.")
app.add_typer(key.app, name="key", help="API keys.")
app.add_typer(device.app, name="device", help="Devices: what produces punches.")
app.add_typer(person.app, name="person", help="People: who punches.")
app.add_typer(endpoint.app, name="endpoint", help="Endpoints: receivers of events.")
app.add_typer(punch.app, name="punch", help="Punches: list, show, explain, export.")
app.add_typer(quarantine.app, name="quarantine", help="What could not be a punch yet.")
app.add_typer(workday.app, name="workday", help="Workday rules, tried on cases.")
app.add_typer(simulate.app, name="simulate", help="Virtual terminals.")
app.add_typer(capture.app, name="capture", help="Conversations with terminals, recorded.")
app.add_typer(decode.app, name="decode", help="Captured bytes, explained.")
replay.register(app)
problems.register(app)
doctor.register(app)
app.add_typer(db.app, name="db", help="The tables of the database.")
openapi.register(app)
app.add_typer(config.app, name="config", help="The settings in force.")
version.register(app)


def main() -> None:
    """Run one command; where its output has no room either, that is a sentence and an exit code."""
    output.settle()
    try:
        with session.telling():
            app()
    except typer.Exit as ended:
        sys.exit(ended.exit_code)
    finally:
        output.drop_unwritten()
