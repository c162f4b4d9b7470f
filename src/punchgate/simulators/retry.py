"""What a virtual HTTP terminal makes of an answer: the client's column of the error table.

Pure: an answer goes in, a decision comes out. Waiting, counting and sending are `http.py`'s.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from punchgate.simulators.note import Answer

#: A terminal that is told to wait for longer than this asks again anyway.
_LONGEST_RETRY_AFTER_S: Final = 3600.0


class Reply(NamedTuple):
    """An HTTP answer. The names of `headers` are read in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def code(self) -> str:
        """Give the stable error code of the contract's error form; empty where there is none."""
        try:
            return str(json.loads(self.body)["error"]["code"])
        except (ValueError, TypeError, KeyError):
            return ""


@dataclass(frozen=True, slots=True)
class Accept:
    """The request was answered with success: read what it says."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Again:
    """Keep everything and send the same bytes after this time."""

    after_s: float


@dataclass(frozen=True, slots=True)
class WhenValid:
    """Keep everything, ask `validity` every so often, and send again when it says yes."""

    every_s: float


@dataclass(frozen=True, slots=True)
class Split:
    """Too much at once: send it in two halves."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """These items will never be taken; what is behind them may be."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing that we send will be taken until a person has changed something."""

    reason: str


Decision = Accept | Again | WhenValid | Split | SetAside | Stop


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait, in seconds. The defaults are the contract's.

    `first_s` doubles up to `longest_s` with every failure in a row; `later_s` is between two tries
    at something that only a person can change: an unknown device, a subscription that has run out.
    """

    first_s: float = 1.0
    longest_s: float = 60.0
    later_s: float = 60.0

    def after(self, attempt: int, chance: float) -> float:
        """Give the wait after the `attempt`-th failure in a row, counted from 0.

        `chance`, from 0 to 1, spreads it between half and the whole of the doubled time, so that a
        thousand terminals that lost their gateway together do not come back together.
        """
        # The exponent is capped because 2.0 ** 1024 is an OverflowError, after a night of failures.
        whole = min(self.longest_s, self.first_s * 2.0 ** min(attempt, 60))
        return whole * (0.5 + chance / 2)


#: What an operator can change while we wait.
_WAITS: Final[Mapping[str, type[Again | WhenValid]]] = {
    "inactive_subscription": WhenValid,
    "unknown_device": Again,
}
#: Why it cannot go on, where the code alone would not tell.
_STOPS: Final[Mapping[tuple[int, str], str]] = {
    (400, "missing_serial"): "the gateway saw no serial: something on the way drops the sn header",
    (400, "invalid_serial"): "the serial is not one that the gateway can accept",
}


def decide(reply: Reply, *, backoff_s: float, later_s: float) -> Decision:
    """Decide what an answer means for what was sent.

    Units:   `backoff_s` is the wait where the answer names none, `later_s` the wait for a person.
    Errors:  nothing: an answer that the contract does not know stops the terminal, and says so.
    Source:  docs/contracts/ingest-v1.md, the error table.
    """
    code = reply.code()
    match reply.status:
        case 200:
            return Accept(reply)
        case 403 | 404 if code in _WAITS:
            return _WAITS[code](later_s)
        case 408 | 429 | 500 | 502 | 503 | 504:
            return Again(_retry_after(reply) or backoff_s)
        case 413:
            return Split()
        case 400 if (400, code) not in _STOPS:
            return SetAside(code or "HTTP 400")
        case _:
            return Stop(_stop_reason(reply.status, code))


def _stop_reason(status: int, code: str) -> str:
    if status == 401:
        return "the token is not valid for this device: set the right one and start again"
    known = _STOPS.get((status, code))
    return known or f"HTTP {status} {code or 'without a known error code'}: is this the address?"


def _retry_after(reply: Reply) -> float | None:
    """Read the seconds of a Retry-After header; None where there is none that can be read."""
    text = next((v for k, v in reply.headers.items() if k.lower() == "retry-after"), "").strip()
    # The other published form, a date, is not used by this contract.
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        return None
    return min(float(text), _LONGEST_RETRY_AFTER_S)


def answers_of(reply: Reply, count: int) -> tuple[Answer, ...] | None:
    """Read what a success says of each of `count` items; None when it does not say it of all.

    A terminal lets go of its copy only when it has been told: an answer that cannot be read, or is
    short of an item, acknowledges nothing.
    """
    try:
        body = json.loads(reply.body)
    except ValueError:
        return None
    if not isinstance(body, dict) or body.get("ok") is not True:
        return None
    if count == 1 and "results" not in body:
        return (_from_headers(reply.headers),)
    results = body.get("results")
    if not isinstance(results, list) or len(results) != count:
        return None
    answers = tuple(answer for result in results if (answer := _from_result(result)) is not None)
    return answers if len(answers) == count else None


def _from_headers(headers: Mapping[str, str]) -> Answer:
    found = {name.lower(): value for name, value in headers.items()}
    # The headers are an addition: `{"ok":true}` alone is a complete acknowledgement.
    return Answer(
        status=found.get("punch-status", "recorded"),
        id=found.get("punch-id", found.get("quarantine-id")),
        reason=found.get("quarantine-reason"),
    )


def _from_result(result: Any) -> Answer | None:
    if not isinstance(result, dict) or result.get("ok") is not True:
        return None
    return Answer(
        status=str(result.get("status", "recorded")),
        id=result.get("punch_id", result.get("quarantine_id")),
        reason=result.get("reason"),
    )
