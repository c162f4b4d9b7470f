"""What a delivery format is: an event and an endpoint's settings in, the bytes of a request out.

Rendering is a pure function of the entry, the endpoint and nothing else: a retry and a replay send
the same bytes. What changes with each attempt (signature, timestamp, attempt number) is added by
`sign`, which gets the bytes as they will be sent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple

from punchgate.domain.endpoint import Endpoint
from punchgate.domain.event import Entry

#: As many events as one request can hold, whatever its format.
BATCH_MAX: Final = 500


class Rendered(NamedTuple):
    """What of a request is the same at each attempt."""

    content: bytes
    content_type: str
    #: Parameters that are set in the address, over any of the same name.
    query: tuple[tuple[str, str], ...] = ()


class Unrendered(NamedTuple):
    """What stands in for a request that a format could not make, though it should."""

    #: `render_failed:` and what kind of error it was; never what stood in the event.
    error: str


class Attempt(NamedTuple):
    """What is new at each attempt.

    Units:   `at` is milliseconds since 1970-01-01 UTC; `n` counts from 1.
    """

    #: Of the event, or of the batch (`batch_id`).
    id: str
    #: Of the event, or `batch`.
    type: str
    at: int
    n: int
    replay: str | None = None


class Answer(NamedTuple):
    """What a receiver answered; `body` at most 16 KiB, `is_cut` when it was longer."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool


class Verdict(NamedTuple):
    """Whether an answer is an acknowledgement, and why not.

    `refused` names the events of a batch that the receiver did not take, each with its reason;
    those it does not name are accepted.
    """

    is_accepted: bool
    reason: str = ""
    refused: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Format:
    """A delivery format: one row of `registry.FORMATS`, one module of `delivery/formats/`."""

    name: str
    #: The event types that have a form in it; every other is passed over. Empty: all.
    types: frozenset[str]
    #: One event (the account's name comes third). None: nothing to say of this one, such as of an
    #: erased person in a format that has no word for it; it is passed over.
    render: Callable[[Entry, Endpoint, str], Rendered | None]
    #: Several events in one request, as `batch_max` and `batch_of` allow. The field is None where
    #: the format has no form for that: its events are sent one by one. None from the call: nothing
    #: to say of any of them.
    render_batch: Callable[[Sequence[Entry], Endpoint, str], Rendered | None] | None
    #: All headers of one attempt, in lower case, `content-type` among them, over the bytes as sent.
    sign: Callable[[Rendered, Attempt, Endpoint], Mapping[str, str]]
    #: What an answer means; whatever is not 2xx is no acknowledgement in any format.
    accepted: Callable[[Answer, Sequence[Entry], Endpoint], Verdict]
    #: At most as many events in one request, even where the endpoint's `batch_max` is higher.
    batch_max: int = BATCH_MAX
    #: Events share a request only where this gives the same text; None: any do.
    batch_of: Callable[[Entry], str] | None = None

    def carries(self, kind: str) -> bool:
        """Say whether events of a type have a form in it."""
        return not self.types or kind in self.types


def batch_id(entries: Sequence[Entry]) -> str:
    """Derive the id of a batch from those of its events, in their order."""
    ids = "\n".join([entry.id for entry in entries])
    return f"bat_{sha256(ids.encode()).hexdigest()[:32]}"
