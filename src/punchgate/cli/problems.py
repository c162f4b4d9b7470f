"""`punchgate problems`: what an operator should look at."""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

from typing import Annotated

import typer

from punchgate.cli import output, session
from punchgate.cli.session import Here, account_command


def register(app: typer.Typer) -> None:
    """Add the command to the line; it has no noun."""
    account_command(app, "problems")(problems)


def problems(
    here: Here,
    *,
    also_cleared: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 100,
) -> None:
    """List what is wrong in an account, what was raised last first."""
    from punchgate.usecases import problems as listed

    found = session.run_account(
        here,
        lambda s, account: listed.list_problems(
            s.context, account.no, only_open=not also_cleared, limit=limit
        ),
    )
    rows = (
        {
            "kind": each.kind,
            "subject": each.subject,
            "detail": each.detail,
            "raised_at": output.instant(each.raised_at),
            "last_at": output.instant(each.last_at),
            "times": each.times,
            "cleared_at": output.instant(each.cleared_at),
        }
        for each in found
    )
    columns = ("raised_at", "kind", "subject", "detail", "times", "cleared_at")
    output.many(columns, rows, as_json=here.as_json)
