"""`punchgate quarantine`: what could not be a punch yet, kept raw until somebody decides."""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from punchgate.cli import output, session
from punchgate.cli.session import Here, account_command
from punchgate.domain.ids import QuarantineId

if TYPE_CHECKING:
    from punchgate.domain.quarantine import Quarantined

app = typer.Typer(no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="The quarantine_id.")]


@account_command(app, "list")
def list_items(
    here: Here,
    *,
    state: Annotated[
        Literal["open", "released", "dismissed", "all"], typer.Option(help="Which ones.")
    ] = "open",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 50,
) -> None:
    """List what is in quarantine, the latest arrival first."""
    from punchgate.usecases import quarantine

    items = session.run_account(
        here,
        lambda s, account: quarantine.list_items(
            s.context, account.no, state=None if state == "all" else state, limit=limit
        ),
    )
    columns = ("quarantine_id", "received_at", "device_id", "reason", "state")
    output.many(columns, (_shown(item) for item in items), as_json=here.as_json)


@account_command(app, "show")
def show(here: Here, quarantine_id: Id) -> None:
    """Show an item with its bytes."""
    from punchgate.usecases import quarantine

    item = session.run_account(
        here,
        lambda s, account: quarantine.get(s.context, account.no, QuarantineId(quarantine_id)),
    )
    output.one(_shown(item), as_json=here.as_json)


@account_command(app, "release")
def release(here: Here, quarantine_id: Id) -> None:
    """Read an item again and store it as a punch, although its time looks impossible."""
    from punchgate.usecases import quarantine

    item = session.run_account(
        here,
        lambda s, account: quarantine.release(
            s.context, account.no, QuarantineId(quarantine_id), actor=s.actor, now=s.now
        ),
    )
    output.one(_shown(item), as_json=here.as_json)


@account_command(app, "dismiss")
def dismiss(
    here: Here,
    quarantine_id: Id,
    *,
    note: Annotated[str, typer.Option(help="Why it will never be a punch.")] = "",
) -> None:
    """Decide that an item will never be a punch; it stays, but is no longer listed as open."""
    from punchgate.usecases import quarantine

    item = session.run_account(
        here,
        lambda s, account: quarantine.dismiss(
            s.context, account.no, QuarantineId(quarantine_id), note, actor=s.actor, now=s.now
        ),
    )
    output.one(_shown(item), as_json=here.as_json)


def _shown(item: "Quarantined") -> dict[str, Any]:
    return {
        "quarantine_id": item.id,
        "received_at": output.instant(item.received_at),
        "device_id": item.device_id,
        "serial": item.serial,
        "transport": item.transport,
        "reason": item.reason,
        "state": item.state,
        "decided_at": output.instant(item.decided_at),
        "note": item.note,
        "punch_id": item.punch_id,
        "codec": item.codec,
        "raw": item.raw.decode("utf-8", "backslashreplace"),
    }
