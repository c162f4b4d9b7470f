"""What `punchgate endpoint` takes and shows: the options of `add` and `set`, and an endpoint.

A condition on a field is typed as `NAME=VALUE`, `NAME~VALUE,VALUE` (one of these), `NAME^=PREFIX`
or `NAME?` (it is there); NAME is joined by dots as in the event's `data`: `person.code`.
"""
# ruff: noqa: PLC0415 (imports wait until a command runs: `--help` stays fast)

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, cast

import typer

from punchgate.cli import output, parse
from punchgate.domain.endpoint import Condition, FormatName, OnDead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from punchgate.domain.endpoint import Endpoint, Operation
    from punchgate.usecases.deliveries import Standing

Id = Annotated[str, typer.Argument(help="Its id, as `endpoint list` shows it.", metavar="ENDPOINT")]
FormatOption = Annotated[
    FormatName | None, typer.Option("--format", help="How events look to the receiver.")
]
Events = Annotated[
    list[str] | None,
    typer.Option(help="Types of events, separated by commas; all else.", metavar="TYPE,…"),
]
Devices = Annotated[
    list[str] | None,
    typer.Option(help="Ids or serials of the only devices to tell of.", metavar="ID,…"),
]
People = Annotated[
    list[str] | None,
    typer.Option(help="Codes of the only people to tell of.", metavar="CODE,…"),
]
Sites = Annotated[
    list[str] | None, typer.Option(help="The only sites to tell of.", metavar="SITE,…")
]
Fields = Annotated[
    list[str] | None,
    typer.Option(
        help="A condition on a field: NAME=VALUE, NAME~VALUE,VALUE, NAME^=PREFIX or NAME?; may be"
        " repeated.",
        metavar="CONDITION",
    ),
]
Rate = Annotated[
    float | None, typer.Option(help="Requests a second at most; 0 is no limit.", metavar="N")
]
Concurrency = Annotated[
    int | None,
    typer.Option(
        help="Requests at once, 1 to 256; 1 with --on-dead hold is strict order.", metavar="N"
    ),
]
Schedule = Annotated[
    str | None,
    typer.Option(
        help="When a refused event is tried again: 5s,30s,5m,2h; empty as it is by default.",
        metavar="DURATION,…",
    ),
]
BatchMax = Annotated[
    int | None, typer.Option(help="Events in one request, 1 to 500; 1 is one.", metavar="N")
]
BatchWait = Annotated[
    int | None,
    typer.Option("--batch-wait-ms", help="How long a batch waits to fill, 0 to 5000.", metavar="N"),
]
OnDeadOption = Annotated[
    OnDead | None,
    typer.Option("--on-dead", help="After the last attempt: skip the event, or hold the person."),
]
AuthToken = Annotated[
    str | None,
    typer.Option(help="A token to send along; -, @FILE or env:NAME say where it stands."),
]
SecurityKey = Annotated[
    str | None,
    typer.Option(help="32 characters that encrypt the cams formats; -, @FILE or env:NAME too."),
]
Unspecified = Annotated[
    Literal["in", "out"] | None,
    typer.Option("--unspecified-as", help="What cams formats say of a punch without a direction."),
]

_CONDITION: Final = re.compile(r"(?P<name>[^=~^?]+)(?P<operation>\^=|=|~|\?$)(?P<value>.*)")
#: What is said of an endpoint whose secrets do not open; each reason is in `doctor` and `problems`.
_CLOSED: Final = "its secrets do not open: see `punchgate doctor`"
_OPERATIONS: Final = {"=": "eq", "~": "in", "^=": "prefix", "?": "exists"}


def names(given: "Sequence[str] | None") -> list[str] | None:
    """Read a list; None where it was not given, empty where it was given as an empty text."""
    return None if given is None else parse.names(list(given))


def conditions(given: "Sequence[str] | None") -> list[Condition] | None:
    """Read conditions on fields; an empty text is none at all."""
    if given is None:
        return None
    return [_condition(text) for text in given if text]


def schedule(text: str | None) -> list[int] | None:
    """Read a schedule in seconds; an empty text is the default one."""
    if not text:
        return None if text is None else []
    return [parse.duration_s(step, "--schedule") for step in text.split(",")]


def _condition(text: str) -> Condition:
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise typer.BadParameter(
            f"{text!r} is no condition: write NAME=VALUE, NAME~VALUE,VALUE, NAME^=PREFIX or NAME?.",
            param_hint="--field",
        )
    operation = cast("Operation", _OPERATIONS[found["operation"]])
    value = found["value"]
    values = value.split(",") if operation == "in" else [value]
    return Condition(found["name"], operation, () if operation == "exists" else tuple(values))


def shown(endpoint: "Endpoint", standing: "Standing | None" = None) -> dict[str, Any]:
    """Give an endpoint as it is shown: everything but its secrets."""
    from punchgate.usecases import endpoint_settings

    health = endpoint.health
    values = {
        "endpoint_id": endpoint.id,
        **endpoint_settings.facts(endpoint),
        "people": list(endpoint.filter.people),
        "fields": [condition.text for condition in endpoint.filter.fields],
        "created_at": output.instant(endpoint.created_at),
        "state": health.state,
        "state_since": output.instant(health.since),
        "state_reason": health.reason,
        "retry_at": output.instant(health.retry_at),
        "problem": None if endpoint.secrets.signing else _CLOSED,
    }
    return values if standing is None else {**values, **_standing(standing)}


def with_lag(values: dict[str, Any], now: int, standing: "Standing") -> dict[str, Any]:
    """Add how long the oldest event has waited, and when the queue may be empty."""
    waited = None if standing.oldest_at is None else max(0, now - standing.oldest_at) // 1000
    drained = None
    if standing.lag and standing.accepted_per_s:
        drained = round(standing.lag / standing.accepted_per_s)
    return {**values, "lag_s": waited, "drained_in_s": drained}


def _standing(standing: "Standing") -> dict[str, Any]:
    return {
        "lag": standing.lag,
        "is_lag_whole": standing.is_lag_whole,
        "parked": standing.parked,
        "oldest_parked_at": output.instant(standing.oldest_parked_at),
        "dead": standing.dead,
        "accepted_per_s": standing.accepted_per_s,
    }
