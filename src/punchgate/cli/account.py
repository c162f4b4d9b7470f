"""`punchgate account`: whose data it is, and by which rules punches become days."""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from punchgate.cli import output, parse, session
from punchgate.cli.session import Here, command
from punchgate.domain.account import DEFAULT_ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from punchgate.cli.session import Session
    from punchgate.domain.account import Account
    from punchgate.usecases.policies import StoredPolicy

app = typer.Typer(no_args_is_help=True)

Zone = Annotated[
    str | None,
    typer.Option(help="IANA zone of devices that have none; an empty text takes it away."),
]


@command(app, "add", creates=True)
def add(
    here: Here,
    name: Annotated[str, typer.Argument(help="Name; it can never be changed.")],
    *,
    zone: Zone = None,
) -> None:
    """Add an account."""
    from punchgate.usecases import accounts

    account = session.run(
        here,
        lambda s: accounts.add(s.context, name, zone, actor=s.actor, now=s.now),
    )
    output.one(_shown(account, []), as_json=here.as_json)


@command(app, "list")
def list_accounts(here: Here) -> None:
    """List the accounts."""
    rows = session.run(here, _list)
    output.many(("name", "zone", "policies"), rows, as_json=here.as_json)


@command(app, "set")
def set_account(
    here: Here,
    name: Annotated[str, typer.Argument(help="Name of the account.")],
    *,
    zone: Zone = None,
    policy: Annotated[
        Path | None, typer.Option(help="Workday rules: a JSON file.", metavar="FILE")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="First date that they are for.", metavar="DATE")
    ] = None,
) -> None:
    """Set the zone of an account, or its workday rules from a date on."""
    if (policy is None) != (since is None):
        raise typer.BadParameter("give the rules and their first date: --policy FILE --from DATE.")
    stored = _policy(policy, since)

    async def work(s: "Session") -> dict[str, Any]:
        from punchgate.usecases import accounts, policies

        account = await accounts.get(s.context, name)
        if stored is not None:
            await policies.set_policy(s.context, account.no, stored, actor=s.actor, now=s.now)
        if zone is not None:
            account = await accounts.set_zone(s.context, account.no, zone, actor=s.actor, now=s.now)
        return _shown(account, await policies.list_policies(s.context, account.no))

    output.one(session.run(here, work), as_json=here.as_json)


@command(app, "show")
def show(
    here: Here,
    name: Annotated[str, typer.Argument(help="Name of the account.")] = DEFAULT_ACCOUNT,
) -> None:
    """Show an account with its workday rules."""

    async def work(s: "Session") -> dict[str, Any]:
        from punchgate.usecases import accounts, policies

        account = await accounts.get(s.context, name)
        return _shown(account, await policies.list_policies(s.context, account.no))

    output.one(session.run(here, work), as_json=here.as_json)


async def _list(s: "Session") -> list[dict[str, Any]]:
    from punchgate.usecases import accounts, policies

    return [
        _shown(account, await policies.list_policies(s.context, account.no))
        for account in await accounts.list_accounts(s.context)
    ]


def _policy(path: Path | None, since: str | None) -> "StoredPolicy | None":
    if path is None or since is None:
        return None
    from punchgate.usecases.policies import StoredPolicy

    return StoredPolicy(parse.day(since, "--from"), parse.json_file(path, "--policy"))


def _shown(account: "Account", policies: "Sequence[StoredPolicy]") -> dict[str, Any]:
    return {
        "name": account.name,
        "zone": account.zone,
        "policies": [
            {"from": stored.valid_from.isoformat(), "rules": dict(stored.rules)}
            for stored in policies
        ],
    }
