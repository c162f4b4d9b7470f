"""`punchgate endpoint` attempts, parked, dead: what became of an endpoint's deliveries."""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

from typing import Annotated

import typer

from punchgate.cli import output, session
from punchgate.cli.endpoint_options import Id
from punchgate.cli.session import Here, account_command
from punchgate.domain.ids import EndpointId

Limit = Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")]


def register(app: typer.Typer) -> None:
    """Add the commands to their noun."""
    account_command(app, "attempts")(attempts)
    account_command(app, "parked")(parked)
    account_command(app, "dead")(dead)


def attempts(
    here: Here,
    endpoint_id: Id,
    *,
    event: Annotated[
        str | None, typer.Option(help="Only those of one event.", metavar="EVENT_ID")
    ] = None,
    limit: Limit = 50,
) -> None:
    """List the delivery log of an endpoint, the latest attempt first."""
    from punchgate.usecases import deliveries

    found = session.run_account(
        here,
        lambda s, account: deliveries.list_attempts(
            s.context, account.no, EndpointId(endpoint_id), event_id=event, limit=limit
        ),
    )
    rows = (
        {
            "at": output.instant(each.at),
            "event_id": each.event_id,
            "n": each.n,
            "outcome": each.outcome,
            "status": each.status,
            "ms": each.ms,
            "error": each.error,
            "answer": each.answer,
            "replay_id": each.replay_id,
        }
        for each in found
    )
    columns = ("at", "event_id", "n", "outcome", "status", "ms", "error", "replay_id")
    output.many(columns, rows, as_json=here.as_json)


def parked(here: Here, endpoint_id: Id, *, limit: Limit = 50) -> None:
    """List who waits after a failure at an endpoint, and when the next attempt is due."""
    from punchgate.usecases import deliveries

    found = session.run_account(
        here,
        lambda s, account: deliveries.list_parked(
            s.context, account.no, EndpointId(endpoint_id), limit=limit
        ),
    )
    rows = (
        {
            "key": each.key,
            "first_failed_at": output.instant(each.first_failed_at),
            "attempts": each.attempt,
            "due_at": output.instant(each.due_at),
            "reason": each.reason,
            "status": each.last_status,
            "error": each.last_error,
        }
        for each in found
    )
    columns = ("key", "first_failed_at", "attempts", "due_at", "reason", "status", "error")
    output.many(columns, rows, as_json=here.as_json)


def dead(here: Here, endpoint_id: Id, *, limit: Limit = 50) -> None:
    """List what an endpoint has refused to the end; `endpoint replay --dead` sends it again."""
    from punchgate.usecases import deliveries

    found = session.run_account(
        here,
        lambda s, account: deliveries.list_dead(
            s.context, account.no, EndpointId(endpoint_id), limit=limit
        ),
    )
    rows = (
        {
            "event_id": each.event_id,
            "key": each.key,
            "at": output.instant(each.at),
            "attempts": each.attempts,
            "status": each.status,
            "reason": each.reason,
        }
        for each in found
    )
    columns = ("event_id", "key", "at", "attempts", "status", "reason")
    output.many(columns, rows, as_json=here.as_json)
