"""One test event to an endpoint, now, and what to make of the answer, in words.

It takes the way of every event: the same guard, format, signature and sender. It is outside the
log and the endpoint's health: nothing is written, nothing is tried again.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, cast

from punchgate.delivery import samples
from punchgate.delivery.form import Format
from punchgate.delivery.post import Post, Result
from punchgate.delivery.sender import Sender
from punchgate.domain.endpoint import Endpoint
from punchgate.domain.error import Invalid
from punchgate.domain.event import Entry, EventType, Position
from punchgate.domain.target import NOT_ALLOWED

#: Of no log: no endpoint can ask for it, and no reader finds it.
TYPE: Final = cast("EventType", "endpoint.test")

_KINDS: Final = {
    "refused_address": NOT_ALLOWED,
    "timeout": "The receiver did not answer in time: 5 s to connect, 15 s in all.",
    "connect": (
        "No connection: nobody listens there, the name is not known, or it was closed before the"
        " answer."
    ),
    "tls": (
        "The receiver could not prove who it is. Its certificate must be valid for this name; one"
        " of your own goes into delivery.ca_file."
    ),
    "broken": "What came back is not an answer in HTTP.",
    "render_failed": "The format could not write the event; the log says why.",
    "send_failed": "No request could be made of it; the log says why.",
}
_STATUSES: Final = {
    400: "The receiver could not read the request: is this the format that it expects?",
    401: "The receiver did not accept the signature or the token: does it hold this secret?",
    403: "The receiver did not accept the signature or the token: does it hold this secret?",
    404: "There is nothing at this path.",
    405: "Nothing takes a POST at this path.",
    410: "The receiver says that it is gone for good: a real event would disable the endpoint.",
    413: "The request is too large for the receiver.",
    415: "The receiver does not take this kind of body: is this the format that it expects?",
    429: "The receiver asks for patience: real events would wait, and none would be lost.",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a test event; `answer` is the head of what the receiver said."""

    event_id: str
    type: str
    is_accepted: bool
    status: int | None
    ms: int
    answer: str | None
    verdict: str


async def run(
    sender: Sender,
    form: Format,
    endpoint: Endpoint,
    account: str,
    *,
    kind: EventType,
    now: Callable[[], int],
) -> Outcome:
    """Send one invented event of a type, and say what came of it.

    In a format that knows only some types it goes as what it is a sample of, since there is no form
    for a test in it.

    Errors:  Invalid for a type that the format has no form for.
    """
    if form.types and kind not in form.types:
        raise Invalid(
            f"The format {form.name} has no form for {kind}; it has one for"
            f" {', '.join(sorted(form.types))}."
        )
    # One event in one request, whatever the endpoint's batches are.
    alone = replace(endpoint, pace=replace(endpoint.pace, batch_max=1))
    post = Post(alone, account, form, sender, None, now, kept_share=1.0)
    at = now()
    entry = Entry(
        Position(0, 0, 0, at),
        id=f"evt_{secrets.token_hex(13)}",
        key="device:test",
        type=kind if form.types else TYPE,
        occurred_at=at,
        received_at=at,
        body=samples.body(kind),
    )
    rendered = post.compose([entry])
    if rendered is None:
        raise Invalid(f"The format {form.name} has no form for this {kind}.")
    result = await post.send(rendered, [entry], n=1)
    return Outcome(
        entry.id,
        entry.type,
        result.meaning.outcome == "accepted",
        result.status,
        result.ms,
        result.answer,
        verdict(result),
    )


def verdict(result: Result) -> str:
    """Say in words what an answer means, and what may help."""
    if result.meaning.outcome == "accepted":
        return "The receiver has accepted it."
    if result.status is None:
        kind, _, detail = (result.error or "").partition(": ")
        said = _KINDS.get(kind, detail)
        # Of an address that is not allowed nothing more is known, whatever listens there.
        return said if kind == "refused_address" or not detail else f"{said} ({detail})"
    return _STATUSES.get(result.status) or _of_class(result.status, result.error or "")


def _of_class(status: int, error: str) -> str:
    match status // 100:
        case 2:
            return f"It was answered, and not acknowledged: {error}."
        case 3:
            return "A redirect, which is never followed: give the address that it leads to."
        case 4:
            return "The receiver refuses it; its answer may say why."
    return "The receiver has a fault of its own; its log may say which."
