"""An endpoint: a receiver of webhooks. What it wants to hear, how it is sent to, how it fares.

Data and the decisions that need nothing else. How a request looks is `delivery/formats/`, when one
is tried again `delivery/schedule.py`, where we may connect `domain/target.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, get_args

from punchgate.domain.ids import AccountNo, EndpointId

FormatName = Literal[
    "standard", "plain", "github", "stripe", "gateway-v3", "cams", "cams-v2", "cams-v1"
]
FORMATS: Final[tuple[FormatName, ...]] = get_args(FormatName)

#: active: delivers · failing: probed with one event at a time · paused: an operator's wish ·
#: disabled: 410, or nothing but failures for five days.
State = Literal["active", "failing", "paused", "disabled"]
STATES: Final[tuple[State, ...]] = get_args(State)
OnDead = Literal["skip", "hold"]
Operation = Literal["eq", "in", "prefix", "exists"]

#: When a refused event is tried again: 10 steps, 75 h 36 min in all.
SCHEDULE_S: Final = (5, 30, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
#: A field of an event's `data`: names joined by dots (`person.code`).
FIELD: Final = re.compile(r"[a-z_]{1,40}(?:\.[a-z_]{1,40}){0,3}", re.ASCII)


class Condition(NamedTuple):
    """What a field of the event must be; `values` has one text but for `in`, none for `exists`."""

    field: str
    operation: Operation
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """What an endpoint wants to hear; an empty part excludes nothing, all parts must hold."""

    events: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    fields: tuple[Condition, ...] = ()

    @property
    def needs_data(self) -> bool:
        """Say whether an event's body must be read to decide."""
        return bool(self.devices or self.people or self.sites or self.fields)

    def passes(self, kind: str, data: Mapping[str, Any]) -> bool:
        """Say whether an event is wanted; `data` may be empty where `needs_data` is false."""
        if self.events and kind not in self.events:
            return False
        return (
            (not self.devices or _device_named(data, self.devices))
            and (not self.people or _text(data, "person.code") in self.people)
            and (not self.sites or _text(data, "device.site") in self.sites)
            and all(_holds(condition, data) for condition in self.fields)
        )


def _device_named(data: Mapping[str, Any], wanted: tuple[str, ...]) -> bool:
    """Say whether the device of an event is one of these, by our name for it or by its serial."""
    names = (_text(data, "device.id"), _text(data, "device.serial"), _text(data, "serial"))
    return any(name in wanted for name in names if name is not None)


def _holds(condition: Condition, data: Mapping[str, Any]) -> bool:
    found = _text(data, condition.field)
    if condition.operation == "exists":
        return found is not None
    if found is None:
        return False
    if condition.operation == "prefix":
        return found.startswith(condition.values)
    return found in condition.values


def _text(data: Any, path: str) -> str | None:
    """Give a field as the text that it is compared as; None where it is absent or null."""
    for name in path.split("."):
        if not isinstance(data, Mapping):
            return None
        data = data.get(name)
    if data is None or isinstance(data, (Mapping, list)):
        return None
    if isinstance(data, bool):
        return "true" if data else "false"
    return str(data)


@dataclass(frozen=True, slots=True)
class Pace:
    """How an endpoint is sent to.

    Units:   `rate` is requests a second (None: no limit), `schedule_s` and `batch_wait_ms` what
             their names say.
    """

    concurrency: int = 16
    rate: float | None = None
    schedule_s: tuple[int, ...] = SCHEDULE_S
    on_dead: OnDead = "skip"
    batch_max: int = 1
    batch_wait_ms: int = 0


class SigningKey(NamedTuple):
    """A secret that signs, as it was shown; an old one is used beside the new one for a while."""

    text: str
    #: When it stops to sign, in milliseconds since 1970-01-01 UTC; None for the present one.
    until: int | None = None

    def __repr__(self) -> str:
        return f"SigningKey(until={self.until})"


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """What an endpoint shares with its receiver; kept sealed, never shown again."""

    #: The present key first.
    signing: tuple[SigningKey, ...]
    auth_token: str | None = None
    security_key: str | None = None

    def live(self, now: int) -> tuple[str, ...]:
        """Give the secrets that sign at a moment, the present one first."""
        return tuple(key.text for key in self.signing if key.until is None or now < key.until)


@dataclass(frozen=True, slots=True)
class Health:
    """How an endpoint fares, and since when (milliseconds)."""

    state: State
    since: int
    reason: str | None = None
    #: Not before this moment is a failing one tried again.
    retry_at: int | None = None
    #: Attempts since it began to fail.
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A receiver of webhooks."""

    account: AccountNo
    id: EndpointId
    #: Its URL, as it was given.
    address: str
    format: FormatName
    filter: Filter
    pace: Pace
    secrets: Secrets
    #: What the `cams` formats say of a punch without a direction.
    unspecified_as: Literal["in", "out"]
    #: Rises with every change of its settings.
    version: int
    created_at: int
    health: Health


@dataclass(frozen=True, slots=True)
class Selection:
    """Which part of the log a replay sends: what was received in a time, and passes the filter."""

    #: Milliseconds since 1970-01-01 UTC; `until` is exclusive.
    since: int | None = None
    until: int | None = None
    filter: Filter = Filter()
    #: Only what is among the endpoint's dead letters.
    only_dead: bool = False
