"""What can be set on an endpoint, what will not do, and what of it may be shown.

Pure: a change is read against the endpoint as it is and gives the endpoint as it will be. Whether
an address may be connected to is `domain/target.py`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, get_args

from punchgate.domain import target
from punchgate.domain.endpoint import (
    FIELD,
    FORMATS,
    SCHEDULE_S,
    Condition,
    Endpoint,
    Filter,
    FormatName,
    OnDead,
    Operation,
    Pace,
    Secrets,
)
from punchgate.domain.error import Invalid
from punchgate.domain.event import EVENT_TYPES

#: Entries of one part of a filter.
_MOST_NAMES: Final = 1_000
_MOST_CONDITIONS: Final = 20
_NAME_LENGTH: Final = 256
_OPERATIONS: Final[tuple[Operation, ...]] = get_args(Operation)
_ENCRYPTED: Final = ("cams", "cams-v2", "cams-v1")
#: What a header can carry.
_TOKEN: Final = re.compile(r"[!-~](?:[ -~]{0,510}[!-~])?", re.ASCII)
#: 32 characters are the 32 bytes of an AES-256 key.
_SECURITY_KEY: Final = re.compile(r"[!-~]{32}", re.ASCII)
_RATE: Final = (0.01, 10_000.0)
_CONCURRENCY: Final = range(1, 257)
_STEPS: Final = range(1, 31)
_STEP_S: Final = range(1, 7 * 86_400 + 1)
_BATCH_MAX: Final = range(1, 501)
_BATCH_WAIT_MS: Final = range(5_001)
_MASK: Final = "***"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What to set on an endpoint. None leaves a value as it is.

    An empty list excludes nothing any more, a rate of 0 is no limit, an empty schedule is the
    default again, an empty secret takes it away.
    """

    address: str | None = None
    format: FormatName | None = None
    events: Sequence[str] | None = None
    devices: Sequence[str] | None = None
    people: Sequence[str] | None = None
    sites: Sequence[str] | None = None
    fields: Sequence[Condition] | None = None
    rate: float | None = None
    concurrency: int | None = None
    schedule_s: Sequence[int] | None = None
    batch_max: int | None = None
    batch_wait_ms: int | None = None
    on_dead: OnDead | None = None
    auth_token: str | None = field(default=None, repr=False)
    security_key: str | None = field(default=None, repr=False)
    unspecified_as: Literal["in", "out"] | None = None


def apply(endpoint: Endpoint, changes: Changes) -> Endpoint:
    """Give the endpoint with its changes; Invalid names the first value that will not do."""
    after = replace(
        endpoint,
        address=_or(changes.address, endpoint.address),
        format=_or(changes.format, endpoint.format),
        filter=_filter(endpoint.filter, changes),
        pace=_pace(endpoint.pace, changes),
        secrets=_secrets(endpoint.secrets, changes),
        unspecified_as=_or(changes.unspecified_as, endpoint.unspecified_as),
    )
    if after.format not in FORMATS:
        raise Invalid(f"There is no format {after.format!r}. There are: {', '.join(FORMATS)}.")
    if after.unspecified_as not in {"in", "out"}:
        raise Invalid("A punch without a direction is told as `in` or as `out`.")
    if after.secrets.security_key and after.format not in _ENCRYPTED:
        raise Invalid(
            f"A security key encrypts the formats {', '.join(_ENCRYPTED)} only;"
            f" {after.format} is signed."
        )
    return after


def facts(endpoint: Endpoint) -> dict[str, Any]:
    """Give what is set on an endpoint, for the audit.

    Secrets are masked, those in the address too, and whoever is named by a filter is only counted:
    the audit stays when a person is erased.
    """
    wanted, pace, secrets = endpoint.filter, endpoint.pace, endpoint.secrets
    return {
        "address": target.shown(endpoint.address),
        "format": endpoint.format,
        "events": list(wanted.events),
        "devices": list(wanted.devices),
        "people": len(wanted.people),
        "sites": list(wanted.sites),
        "fields": [_impersonal(condition) for condition in wanted.fields],
        "concurrency": pace.concurrency,
        "rate": pace.rate,
        "schedule_s": list(pace.schedule_s),
        "on_dead": pace.on_dead,
        "batch_max": pace.batch_max,
        "batch_wait_ms": pace.batch_wait_ms,
        "auth_token": _MASK if secrets.auth_token else None,
        "security_key": _MASK if secrets.security_key else None,
        "signing_secrets": len(secrets.signing),
        "unspecified_as": endpoint.unspecified_as,
        "version": endpoint.version,
    }


def _impersonal(condition: Condition) -> str:
    if condition.field.startswith("person."):
        return f"{condition.field} {condition.operation}"
    return condition.text


def check_filter(wanted: Filter) -> None:
    """Raise Invalid, with what would do, for a filter that can never hold or is too long."""
    for kind in wanted.events:
        if kind not in EVENT_TYPES:
            raise Invalid(f"There is no event {kind!r}. There are: {', '.join(EVENT_TYPES)}.")
    for names in (wanted.devices, wanted.people, wanted.sites):
        if len(names) > _MOST_NAMES:
            raise Invalid(f"A filter names at most {_MOST_NAMES} devices, people or sites.")
        for name in names:
            _check_name(name)
    if len(wanted.fields) > _MOST_CONDITIONS:
        raise Invalid(f"A filter has at most {_MOST_CONDITIONS} conditions on fields.")
    for condition in wanted.fields:
        _check_condition(condition)


def _filter(before: Filter, changes: Changes) -> Filter:
    after = Filter(
        events=_tuple(changes.events, before.events),
        devices=_tuple(changes.devices, before.devices),
        people=_tuple(changes.people, before.people),
        sites=_tuple(changes.sites, before.sites),
        fields=_tuple(changes.fields, before.fields),
    )
    check_filter(after)
    return after


def _pace(before: Pace, changes: Changes) -> Pace:
    rate, steps = changes.rate, changes.schedule_s
    if rate and not _RATE[0] <= rate <= _RATE[1]:
        raise Invalid(f"A rate is {_RATE[0]:g} to {_RATE[1]:g} requests a second; 0 is no limit.")
    after = Pace(
        concurrency=_or(changes.concurrency, before.concurrency),
        rate=before.rate if rate is None else rate or None,
        schedule_s=before.schedule_s if steps is None else tuple(steps) or SCHEDULE_S,
        on_dead=_or(changes.on_dead, before.on_dead),
        batch_max=_or(changes.batch_max, before.batch_max),
        batch_wait_ms=_or(changes.batch_wait_ms, before.batch_wait_ms),
    )
    _check_whole("The concurrency", after.concurrency, _CONCURRENCY)
    _check_whole("The steps of a schedule", len(after.schedule_s), _STEPS)
    for step in after.schedule_s:
        _check_whole("A step of a schedule, in seconds,", step, _STEP_S)
    _check_whole("The size of a batch", after.batch_max, _BATCH_MAX)
    _check_whole("The wait for a batch, in milliseconds,", after.batch_wait_ms, _BATCH_WAIT_MS)
    if after.on_dead not in get_args(OnDead):
        raise Invalid("After the last attempt a key is to `skip` the event, or to `hold`.")
    return after


def _secrets(before: Secrets, changes: Changes) -> Secrets:
    token, key = changes.auth_token, changes.security_key
    if token and _TOKEN.fullmatch(token) is None:
        raise Invalid(
            "An auth token has 1 to 512 printable ASCII characters, no blanks around them."
        )
    if key and _SECURITY_KEY.fullmatch(key) is None:
        raise Invalid("A security key has exactly 32 printable ASCII characters, no blanks.")
    return Secrets(
        before.signing,
        auth_token=before.auth_token if token is None else token or None,
        security_key=before.security_key if key is None else key or None,
    )


def _check_condition(condition: Condition) -> None:
    if FIELD.fullmatch(condition.field) is None:
        raise Invalid(
            f"{condition.field!r} is no field of an event: names are joined by dots, as in"
            " `person.code`."
        )
    if condition.operation not in _OPERATIONS:
        raise Invalid(f"A condition is one of: {', '.join(_OPERATIONS)}.")
    count = len(condition.values)
    if (count == 0) != (condition.operation == "exists") or count > _MOST_NAMES:
        raise Invalid(f"The condition on `{condition.field}` needs a value to compare with.")
    if count > 1 and condition.operation != "in":
        raise Invalid(f"The condition on `{condition.field}` takes one value.")
    for value in condition.values:
        _check_name(value)


def _check_name(text: str) -> None:
    if not 0 < len(text) <= _NAME_LENGTH or not text.isprintable():
        raise Invalid(f"What a filter compares with has 1 to {_NAME_LENGTH} printable characters.")


def _check_whole(what: str, value: int, bounds: range) -> None:
    if value not in bounds:
        raise Invalid(f"{what} must be {bounds[0]} to {bounds[-1]}; it is {value}.")


def _or(value: Any, before: Any) -> Any:
    return before if value is None else value


def _tuple(values: Sequence[Any] | None, before: tuple[Any, ...]) -> tuple[Any, ...]:
    return before if values is None else tuple(dict.fromkeys(values))
