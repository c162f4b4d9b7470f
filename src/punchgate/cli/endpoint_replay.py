"""`punchgate endpoint` replay, replays, cancel: sending a part of the log again.

A replay is a job of the servers: the command counts it, starts it and looks on. To stop looking
stops nothing.
"""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from punchgate.cli import endpoint_options, output, parse, session
from punchgate.cli.endpoint_options import Devices, Id, People
from punchgate.cli.session import Here, account_command
from punchgate.domain.endpoint import Filter, Selection
from punchgate.domain.error import Refused
from punchgate.domain.ids import EndpointId, ReplayId

if TYPE_CHECKING:
    from collections.abc import Callable

    from punchgate.cli.session import Session
    from punchgate.domain.account import Account
    from punchgate.usecases.replays import New, Replay

#: How often the command looks how far a replay has come, and after how many looks without a move it
#: says so.
_LOOK_S: Final = 0.5
_PATIENCE: Final = 20

ReplayArgument = Annotated[
    str, typer.Argument(help="Its id, as `endpoint replays` shows it.", metavar="REPLAY")
]


def register(app: typer.Typer) -> None:
    """Add the commands to their noun."""
    account_command(app, "replay")(replay)
    account_command(app, "replays")(list_replays)
    account_command(app, "cancel")(cancel)


def replay(  # noqa: PLR0913 (one parameter for each option)
    here: Here,
    endpoint_id: Id,
    *,
    since: Annotated[
        str | None, typer.Option(help="From when on, by time of recording.", metavar="DATE")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Until when, exclusive; its cursor else.", metavar="DATE")
    ] = None,
    device: Devices = None,
    person: People = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--type", help="Types of events, separated by commas.", metavar="TYPE,…"),
    ] = None,
    dead: Annotated[bool, typer.Option("--dead", help="Only dead letters.")] = False,
    rate: Annotated[int, typer.Option(help="Events a second, beside live ones.", metavar="N")] = 50,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would be sent, and send nothing.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Look on until it is done.")
    ] = True,
) -> None:
    """Send a part of the log again to an endpoint, under the same ids; look on until it is done."""
    from punchgate.usecases import replays

    chosen = Filter(
        events=tuple(parse.limits(kind, "--type")),
        devices=tuple(endpoint_options.names(device) or ()),
        people=tuple(endpoint_options.names(person) or ()),
    )
    selection = Selection(
        parse.instant(since, "--since"), parse.instant(until, "--until"), chosen, only_dead=dead
    )
    if since is None and not dead:
        raise typer.BadParameter("say from when, or --dead.", param_hint="--since")
    if dry_run:
        count = session.run_account(
            here, lambda s, account: _count(s, account, endpoint_id, selection)
        )
        output.one({"endpoint_id": endpoint_id, "events": count}, as_json=here.as_json)
        return
    new = replays.New(selection, rate)
    ended = _run(here, EndpointId(endpoint_id), new, is_followed=follow)
    output.one(_shown(ended), as_json=here.as_json)
    if ended.state == "cancelled" or ended.failed:
        raise typer.Exit(session.FAILED)


def list_replays(here: Here, endpoint_id: Id) -> None:
    """List the replays of an endpoint and how far each has come, the newest first."""
    from punchgate.usecases import replays

    found = session.run_account(
        here,
        lambda s, account: replays.list_replays(s.context, account.no, EndpointId(endpoint_id)),
    )
    columns = ("replay_id", "state", "events", "sent", "failed", "rate", "created_at", "ended_at")
    output.many(columns, (_shown(each) for each in found), as_json=here.as_json)


def cancel(here: Here, replay_id: ReplayArgument) -> None:
    """Stop a replay; what it has sent is sent."""
    from punchgate.usecases import replays

    stopped = session.run_account(
        here,
        lambda s, account: replays.cancel(
            s.context, account.no, ReplayId(replay_id), actor=s.actor, now=s.now
        ),
    )
    output.one(_shown(stopped), as_json=here.as_json)


async def _count(s: "Session", account: "Account", endpoint_id: str, selection: Selection) -> int:
    from punchgate.usecases import replays

    known = await _known(s, account, endpoint_id, selection)
    return await replays.count(s.context, account.no, EndpointId(endpoint_id), known)


def _run(here: Here, endpoint_id: EndpointId, new: "New", *, is_followed: bool) -> "Replay":
    """Start a replay and look on until it ends; interrupted, say that it goes on."""
    begun: list[Replay] = []

    async def work(s: "Session", account: "Account") -> "Replay":
        import asyncio

        from punchgate.usecases import replays

        known = new._replace(selection=await _known(s, account, endpoint_id, new.selection))
        starting = asyncio.ensure_future(
            replays.start(s.context, account.no, endpoint_id, known, actor=s.actor, now=s.now)
        )
        try:
            job = await asyncio.shield(starting)
        finally:
            # Interrupted before the answer came, it may have begun all the same.
            begun.append(await starting)
        if job.state != "running" or not is_followed:
            return job
        with output.progress(f"replay {job.id}", job.counted) as show:
            return await _until_ended(s, account, job, show)

    try:
        return session.run_account(here, work)
    except KeyboardInterrupt:
        if not begun:
            raise
        output.say(
            f"The replay {begun[0].id} goes on. `punchgate endpoint replays {endpoint_id}` shows"
            f" how far it is, `punchgate endpoint cancel {begun[0].id}` stops it."
        )
        raise typer.Exit(0) from None


async def _known(
    s: "Session", account: "Account", endpoint_id: str, selection: Selection
) -> Selection:
    """Keep to what has a form in the endpoint's format, so that what is counted is what is sent."""
    from dataclasses import replace

    from punchgate import registry
    from punchgate.usecases import endpoints

    endpoint = await endpoints.get(s.context, account.no, EndpointId(endpoint_id))
    types = registry.FORMATS[endpoint.format].types
    if not types:
        return selection
    asked = selection.filter.events or tuple(sorted(types))
    events = tuple(kind for kind in asked if kind in types)
    if not events:
        raise Refused(f"The format {endpoint.format} has no form for {', '.join(asked)}.")
    return replace(selection, filter=replace(selection.filter, events=events))


async def _until_ended(
    s: "Session", account: "Account", started: "Replay", show: "Callable[[int], None]"
) -> "Replay":
    import asyncio

    from punchgate.usecases import replays

    before, idle = started, 0
    while True:
        latest = await replays.get(s.context, account.no, started.id)
        show(latest.sent + latest.failed - before.sent - before.failed)
        if latest.state != "running":
            return latest
        idle = idle + 1 if latest.position == before.position else 0
        if idle == _PATIENCE:
            output.say(
                "Nothing has been sent for 10 s. Does a server run on this data, and is the"
                " endpoint active? Ctrl-C leaves the replay waiting."
            )
        before = latest
        await asyncio.sleep(_LOOK_S)


def _shown(job: "Replay") -> dict[str, Any]:
    return {
        "replay_id": job.id,
        "endpoint_id": job.endpoint_id,
        "state": job.state,
        "events": job.counted,
        "sent": job.sent,
        "failed": job.failed,
        "rate": job.rate,
        "since": output.instant(job.selection.since),
        "until": output.instant(job.selection.until),
        "created_at": output.instant(job.created_at),
        "created_by": job.created_by,
        "ended_at": output.instant(job.ended_at),
    }
