"""`punchgate db`: the tables, and bringing them up to date."""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

import typer

from punchgate.cli import output, session
from punchgate.cli.session import Here, command

app = typer.Typer(no_args_is_help=True)


@command(app, "migrate", creates=True)
def migrate(here: Here) -> None:
    """Bring the tables up to date; safe to repeat."""
    import asyncio

    from punchgate.store import database
    from punchgate.store import migrate as steps

    with session.telling():
        where = database.address(here.load().settings.database_url)
        before = asyncio.run(steps.current(where))
        after = asyncio.run(steps.migrate(where, session.clock()))
    output.one({"before": before, "after": after}, as_json=here.as_json)


@command(app, "current")
def current(here: Here) -> None:
    """Show the step that the tables are at, and the newest that this program knows."""
    import asyncio

    from punchgate.store import database
    from punchgate.store import migrate as steps

    with session.telling():
        where = database.address(here.load().settings.database_url)
        found = asyncio.run(steps.current(where))
    values = {"current": found, "newest": steps.newest(), "is_current": found == steps.newest()}
    output.one(values, as_json=here.as_json)
