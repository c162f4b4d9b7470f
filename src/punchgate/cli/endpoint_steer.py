"""`punchgate endpoint` test, rotate, pause, resume: what is done with a receiver that is there."""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from punchgate.cli import output, parse, session
from punchgate.cli.endpoint_options import Id
from punchgate.cli.session import Here, account_command
from punchgate.domain.event import EventType
from punchgate.domain.ids import EndpointId

if TYPE_CHECKING:
    from punchgate.cli.session import Session
    from punchgate.delivery.trial import Outcome
    from punchgate.domain.account import Account
    from punchgate.domain.endpoint import Endpoint


def register(app: typer.Typer) -> None:
    """Add the commands to their noun."""
    account_command(app, "test")(try_out)
    account_command(app, "rotate")(rotate)
    account_command(app, "pause")(pause)
    account_command(app, "resume")(resume)


def try_out(
    here: Here,
    endpoint_id: Id,
    *,
    event: Annotated[
        EventType, typer.Option(help="What the test event is a sample of.")
    ] = "punch.recorded",
) -> None:
    """Send one invented event and say what came of it; nothing is written down."""
    ca_file = here.load().settings.delivery.ca_file

    async def work(s: "Session", account: "Account") -> "Outcome":
        from punchgate import registry
        from punchgate.delivery import trial
        from punchgate.delivery.sender import Sender
        from punchgate.usecases import endpoints

        endpoint = await endpoints.get(s.context, account.no, EndpointId(endpoint_id))
        form = registry.FORMATS[endpoint.format]
        async with Sender(s.context.targets, time.monotonic, ca_file=ca_file) as sender:
            return await trial.run(
                sender, form, endpoint, account.name, kind=event, now=session.clock
            )

    outcome = session.run_account(here, work)
    values = {
        "endpoint_id": endpoint_id,
        "event_id": outcome.event_id,
        "type": outcome.type,
        "is_accepted": outcome.is_accepted,
        "status": outcome.status,
        "ms": outcome.ms,
        "verdict": outcome.verdict,
        "answer": outcome.answer,
    }
    output.one(values, as_json=here.as_json)
    if not outcome.is_accepted:
        raise typer.Exit(session.FAILED)


def rotate(
    here: Here,
    endpoint_id: Id,
    *,
    old_valid_for: Annotated[
        str,
        typer.Option(help="How long old secrets go on signing, 0s to 7d.", metavar="DURATION"),
    ] = "24h",
) -> None:
    """Give an endpoint a new secret and print it; the old one signs beside it for a while."""
    from punchgate.usecases import endpoints

    overlap_s = parse.duration_s(old_valid_for, "--old-valid-for")
    rotated = session.run_account(
        here,
        lambda s, account: endpoints.rotate(
            s.context,
            account.no,
            EndpointId(endpoint_id),
            overlap_s=overlap_s,
            actor=s.actor,
            now=s.now,
        ),
    )
    old = rotated.endpoint.secrets.signing[1:]
    values = {
        "endpoint_id": endpoint_id,
        "secret": rotated.secret,
        "old_secrets": len(old),
        "old_valid_until": output.instant(max((key.until or 0 for key in old), default=None)),
    }
    output.one(values, as_json=here.as_json)
    output.say("Keep the secret now: it cannot be shown again.")
    if rotated.endpoint.format == "github" and old:
        output.say(
            "The format github has room for one signature, and it is the new one: pause the"
            " endpoint while its receiver takes over the secret; nothing is lost meanwhile."
        )


def pause(here: Here, endpoint_id: Id) -> None:
    """Let an endpoint stand still; its events wait."""
    from punchgate.usecases import endpoints

    endpoint = session.run_account(
        here,
        lambda s, account: endpoints.pause(
            s.context, account.no, EndpointId(endpoint_id), actor=s.actor, now=s.now
        ),
    )
    output.one(_state(endpoint), as_json=here.as_json)


def resume(
    here: Here,
    endpoint_id: Id,
    *,
    skip_to: Annotated[
        Literal["now"] | None,
        typer.Option(help="Pass over everything that waits; a replay can still send it."),
    ] = None,
) -> None:
    """Let an endpoint that is paused, failing or disabled go on from where it stood."""
    from punchgate.usecases import endpoints

    resumed = session.run_account(
        here,
        lambda s, account: endpoints.resume(
            s.context,
            account.no,
            EndpointId(endpoint_id),
            skip_to_now=skip_to is not None,
            actor=s.actor,
            now=s.now,
        ),
    )
    values = {
        **_state(resumed.endpoint),
        "dropped_keys": resumed.dropped_keys,
        "released_keys": resumed.released_keys,
    }
    output.one(values, as_json=here.as_json)


def _state(endpoint: "Endpoint") -> dict[str, Any]:
    return {
        "endpoint_id": endpoint.id,
        "state": endpoint.health.state,
        "state_since": output.instant(endpoint.health.since),
    }
