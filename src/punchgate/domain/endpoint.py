"""An endpoint: a receiver of webhooks. What it wants to hear, how it is sent to, how it fares.

Data and the decisions that need nothing else. How a request looks is `delivery/formats/`, when one
is tried again `delivery/schedule.py`, where we may connect `domain/target.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
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
#: Stands in a filter for somebody who was erased. It excludes everybody, as that one's name would
#: by now: what the device or an operator says of a person has no blanks around it.
ERASED: Final = " erased "


class Condition(NamedTuple):
    """What a field of the event must be; `values` has one text but for `in`, none for `exists`."""

    field: str
    operation: Operation
    values: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Write it as it is typed: `direction=check-in`, `name^=A`, `a~x,y`, `site?`."""
        match self.operation:
            case "exists":
                return f"{self.field}?"
            case "prefix":
                return f"{self.field}^={self.values[0]}"
            case "in":
                return f"{self.field}~{','.join(self.values)}"
            case "eq":
                return f"{self.field}={self.values[0]}"


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
        return self.objection(kind, data) is None

    def objection(self, kind: str, data: Mapping[str, Any]) -> str | None:
        """Name the part that excludes an event, a condition as it is typed; None: it is wanted."""
        if self.events and kind not in self.events:
            return "events"
        if self.devices and not _device_named(data, self.devices):
            return "devices"
        if self.people and _text(data, "person.code") not in self.people:
            return "people"
        if self.sites and _text(data, "device.site") not in self.sites:
            return "sites"
        for condition in self.fields:
            if not _holds(condition, data):
                return condition.text
        return None

    def forget(self, person: Mapping[str, str]) -> "Filter":
        """Take out what names a person, given by field (`person.code`), and want no one more.

        The beginning of a name (`prefix`) is nobody's.
        """
        code = person.get("person.code")
        return replace(
            self,
            people=tuple(ERASED if name == code else name for name in self.people),
            fields=tuple(_forget(condition, person) for condition in self.fields),
        )


def _forget(condition: Condition, person: Mapping[str, str]) -> Condition:
    named = person.get(condition.field)
    if condition.operation == "prefix" or named not in condition.values:
        return condition
    values = tuple(ERASED if value == named else value for value in condition.values)
    return condition._replace(values=values)


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

    #: The present key first. None at all: they could not be opened (`CLOSED`).
    signing: tuple[SigningKey, ...]
    auth_token: str | None = None
    security_key: str | None = None

    def live(self, now: int) -> tuple[str, ...]:
        """Give the secrets that sign at a moment, the present one first."""
        return tuple(key.text for key in self.signing if key.until is None or now < key.until)


#: Of an endpoint that is only looked at, where its master key is missing or another one.
CLOSED: Final = Secrets(())


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
