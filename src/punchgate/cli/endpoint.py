"""`punchgate endpoint`: receivers of events; add, list, show, set, remove.

What is done with one that is there stands in `endpoint_steer.py`, what became of its deliveries in
`endpoint_watch.py`, sending again in `endpoint_replay.py`.
"""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

from typing import TYPE_CHECKING, Annotated, Any

import typer

from punchgate.cli import (
    endpoint_options,
    endpoint_replay,
    endpoint_steer,
    endpoint_watch,
    output,
    parse,
    session,
)
from punchgate.cli.endpoint_options import (
    AuthToken,
    BatchMax,
    BatchWait,
    Concurrency,
    Devices,
    Events,
    Fields,
    FormatOption,
    Id,
    OnDeadOption,
    People,
    Rate,
    Schedule,
    SecurityKey,
    Sites,
    Unspecified,
)
from punchgate.cli.session import Here, account_command
from punchgate.domain.ids import EndpointId

if TYPE_CHECKING:
    from punchgate.cli.session import Session
    from punchgate.domain.account import Account
    from punchgate.domain.endpoint import Endpoint

app = typer.Typer(no_args_is_help=True)


@account_command(app, "add", creates=True)
def add(  # noqa: PLR0913 (one parameter for each option)
    here: Here,
    url: Annotated[str, typer.Argument(help="Where to send to.", metavar="URL")],
    *,
    form: FormatOption = None,
    event: Events = None,
    device: Devices = None,
    person: People = None,
    site: Sites = None,
    field: Fields = None,
    rate: Rate = None,
    concurrency: Concurrency = None,
    schedule: Schedule = None,
    batch_max: BatchMax = None,
    batch_wait: BatchWait = None,
    on_dead: OnDeadOption = None,
    auth_token: AuthToken = None,
    security_key: SecurityKey = None,
    unspecified_as: Unspecified = None,
    start_at: Annotated[
        str | None,
        typer.Option(help="Begin with what was recorded then; now else.", metavar="DATE"),
    ] = None,
) -> None:
    """Add an endpoint and print its secret; it is shown this once."""
    from punchgate.usecases import endpoints

    changes = endpoints.Changes(
        format=form,
        events=endpoint_options.names(event),
        devices=endpoint_options.names(device),
        people=endpoint_options.names(person),
        sites=endpoint_options.names(site),
        fields=endpoint_options.conditions(field),
        rate=rate,
        concurrency=concurrency,
        schedule_s=endpoint_options.schedule(schedule),
        batch_max=batch_max,
        batch_wait_ms=batch_wait,
        on_dead=on_dead,
        auth_token=parse.secret(auth_token, "--auth-token"),
        security_key=parse.secret(security_key, "--security-key"),
        unspecified_as=unspecified_as,
    )
    moment = parse.instant(start_at, "--start-at")
    new = endpoints.New(address=url, changes=changes, start_at=moment)
    added = session.run_account(
        here, lambda s, account: endpoints.add(s.context, account.no, new, actor=s.actor, now=s.now)
    )
    values = {"endpoint_id": added.endpoint.id, "secret": added.secret}
    output.one(values, as_json=here.as_json)
    output.say("Keep the secret now: it cannot be shown again.")


@account_command(app, "list")
def list_endpoints(here: Here) -> None:
    """List the endpoints of an account and how they fare, never their secrets."""
    rows = session.run_account(here, _rows)
    if not here.as_json:
        rows = [row if row["is_lag_whole"] else {**row, "lag": f"{row['lag']}+"} for row in rows]
    columns = (
        "endpoint_id", "address", "format", "state", "lag", "lag_s", "parked", "dead", "problem"
    )  # fmt: skip
    output.many(columns, rows, as_json=here.as_json)


@account_command(app, "show")
def show(here: Here, endpoint_id: Id) -> None:
    """Show an endpoint: what is set on it, its state, and how far it has come."""

    async def work(s: "Session", account: "Account") -> dict[str, Any]:
        from punchgate.usecases import endpoints

        found = await endpoints.look(s.context, account.no, EndpointId(endpoint_id))
        return await _row(s, found)

    output.one(session.run_account(here, work), as_json=here.as_json)


@account_command(app, "set")
def set_endpoint(  # noqa: PLR0913 (one parameter for each option)
    here: Here,
    endpoint_id: Id,
    *,
    url: Annotated[str | None, typer.Option(help="Where to send to.", metavar="URL")] = None,
    form: FormatOption = None,
    event: Events = None,
    device: Devices = None,
    person: People = None,
    site: Sites = None,
    field: Fields = None,
    rate: Rate = None,
    concurrency: Concurrency = None,
    schedule: Schedule = None,
    batch_max: BatchMax = None,
    batch_wait: BatchWait = None,
    on_dead: OnDeadOption = None,
    auth_token: AuthToken = None,
    security_key: SecurityKey = None,
    unspecified_as: Unspecified = None,
) -> None:
    """Change what is set on an endpoint; an empty text takes a value away."""
    from punchgate.usecases import endpoints

    changes = endpoints.Changes(
        address=url,
        format=form,
        events=endpoint_options.names(event),
        devices=endpoint_options.names(device),
        people=endpoint_options.names(person),
        sites=endpoint_options.names(site),
        fields=endpoint_options.conditions(field),
        rate=rate,
        concurrency=concurrency,
        schedule_s=endpoint_options.schedule(schedule),
        batch_max=batch_max,
        batch_wait_ms=batch_wait,
        on_dead=on_dead,
        auth_token=parse.secret(auth_token, "--auth-token"),
        security_key=parse.secret(security_key, "--security-key"),
        unspecified_as=unspecified_as,
    )
    endpoint = session.run_account(
        here,
        lambda s, account: endpoints.set_endpoint(
            s.context, account.no, EndpointId(endpoint_id), changes, actor=s.actor, now=s.now
        ),
    )
    output.one(endpoint_options.shown(endpoint), as_json=here.as_json)


@account_command(app, "remove")
def remove(here: Here, endpoint_id: Id) -> None:
    """Remove an endpoint with its secrets; the log keeps every event."""
    from punchgate.usecases import endpoints

    session.run_account(
        here,
        lambda s, account: endpoints.remove(
            s.context, account.no, EndpointId(endpoint_id), actor=s.actor, now=s.now
        ),
    )
    output.one({"endpoint_id": endpoint_id}, as_json=here.as_json)


endpoint_steer.register(app)
endpoint_watch.register(app)
endpoint_replay.register(app)


async def _rows(s: "Session", account: "Account") -> list[dict[str, Any]]:
    from punchgate.usecases import endpoints

    found = await endpoints.list_endpoints(s.context, account.no)
    return [await _row(s, endpoint) for endpoint in found]


async def _row(s: "Session", endpoint: "Endpoint") -> dict[str, Any]:
    from punchgate import registry
    from punchgate.usecases import deliveries

    # A newer version may have added an endpoint of a format that this one does not know.
    form = registry.FORMATS.get(endpoint.format)
    types = frozenset() if form is None else form.types
    standing = await deliveries.standing(s.context, endpoint, types=types)
    values = endpoint_options.shown(endpoint, standing)
    return endpoint_options.with_lag(values, s.now, standing)
