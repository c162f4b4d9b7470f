"""`punchgate key`: API keys, made, listed, limited and revoked."""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

from typing import TYPE_CHECKING, Annotated, Any

import typer

from punchgate.cli import output, parse, session
from punchgate.cli.session import Here, account_command
from punchgate.domain.ids import DeviceId, KeyId

if TYPE_CHECKING:
    from punchgate.usecases.keys import StoredKey

app = typer.Typer(no_args_is_help=True)


@account_command(app, "add", creates=True)
def add(
    here: Here,
    *,
    name: Annotated[str, typer.Option(help="What the key is for.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="What it may do, separated by commas; all but credentials:read else."),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(help="Ids of the only devices that it may touch.", metavar="ID"),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="Its last day, in UTC.", metavar="DATE")
    ] = None,
    rate: Annotated[
        int | None,
        typer.Option(
            help="Reports within the window of report.rate_window_s; 0 is no limit.", metavar="N"
        ),
    ] = None,
) -> None:
    """Make an API key and print it; it is shown this once."""
    from punchgate.usecases import keys

    new = keys.New(
        name=name,
        scopes=parse.limits(scope, "--scope"),
        devices=[DeviceId(each) for each in parse.limits(device, "--device")],
        expires_at=parse.end_of_day(expires, "--expires"),
        report_requests=rate,
    )
    added = session.run_account(
        here,
        lambda s, account: keys.add(s.context, account.no, new, actor=s.actor, now=s.now),
    )
    output.one({"key_id": added.key.key_id, "key": added.text}, as_json=here.as_json)
    output.say("Keep the key now: it cannot be shown again.")


@account_command(app, "list")
def list_keys(here: Here) -> None:
    """List the keys of an account, never their secrets."""
    from punchgate.usecases import keys

    found = session.run_account(here, lambda s, account: keys.list_keys(s.context, account.no))
    columns = ("key_id", "name", "devices", "expires_at", "last_used_at", "revoked_at")
    output.many(columns, (_shown(stored) for stored in found), as_json=here.as_json)


@account_command(app, "set")
def set_key(
    here: Here,
    key_id: Annotated[str, typer.Argument(help="Its id, the part after pgk_.")],
    *,
    rate: Annotated[
        str,
        typer.Option(
            help="Reports within the window; 0 is no limit, `default` what the settings say.",
            metavar="N",
        ),
    ],
) -> None:
    """Give a key a limit of its own, or take it away; every server knows within a second."""
    from punchgate.usecases import keys

    requests = _rate(rate)
    stored = session.run_account(
        here,
        lambda s, account: keys.limit(
            s.context,
            account.no,
            KeyId(key_id),
            report_requests=requests,
            actor=s.actor,
            now=s.now,
        ),
    )
    output.one(_shown(stored), as_json=here.as_json)


@account_command(app, "revoke")
def revoke(
    here: Here, key_id: Annotated[str, typer.Argument(help="Its id, the part after pgk_.")]
) -> None:
    """Refuse a key from now on; every server knows within a second."""
    from punchgate.usecases import keys

    stored = session.run_account(
        here,
        lambda s, account: keys.revoke(
            s.context, account.no, KeyId(key_id), actor=s.actor, now=s.now
        ),
    )
    output.one(_shown(stored), as_json=here.as_json)


def _rate(text: str) -> int | None:
    if text == "default":
        return None
    if not (text.isascii() and text.isdecimal()):
        raise typer.BadParameter(
            f"{text!r} is neither a number nor `default`.", param_hint="--rate"
        )
    return int(text)


def _shown(stored: "StoredKey") -> dict[str, Any]:
    key = stored.key
    return {
        "key_id": key.key_id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "devices": None if key.devices is None else sorted(key.devices),
        "expires_at": output.instant(key.expires_at),
        "report_requests": key.report_requests,
        "created_at": output.instant(stored.created_at),
        "last_used_at": output.instant(stored.last_used_at),
        "revoked_at": output.instant(stored.revoked_at),
    }
