"""What goes over the wire of manage v1: query parameters in, a page of events out.

An event's bytes are those of its webhook (`domain.event.envelope`); nothing here decides which
events those are.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from punchgate.contracts.manage_v1.errors import invalid
from punchgate.domain import event
from punchgate.domain.endpoint import Filter
from punchgate.domain.event import EVENT_TYPES
from punchgate.reports.events import Page

Values = Mapping[str, Sequence[str]]

DEFAULT_EVENTS: Final = 100
MOST_EVENTS: Final = 1_000
LONGEST_WAIT_S: Final = 30
#: People or devices in one filter; more do not fit into a request line anyway.
MOST_NAMES: Final = 500
_NAME_MAX: Final = 64
_FIRST_YEAR: Final = 2000
_LAST_YEAR: Final = 2100

_INTEGER: Final = re.compile(r"0*(\d{1,9})", re.ASCII)
_DATE: Final = re.compile(r"(\d{4})-\d\d-\d\d", re.ASCII)
# A plus that was not escaped arrives as a blank.
_INSTANT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d{1,9})?(?:([Zz])|([+\- ])(\d\d:\d\d))", re.ASCII
)
#: U+FFFD stands for what is no text; see `httpkit/query.py`.
_UNFIT: Final = re.compile("[\x00-\x1f\x7f-\x9f\ufffd]")


class Parameters(msgspec.Struct):
    """The query, for those who read the contract; `read` below reads it, with better sentences."""

    cursor: Annotated[
        str | UnsetType, Meta(description="Where to go on: `next_cursor` of the answer before.")
    ] = UNSET
    since: Annotated[
        str | UnsetType,
        Meta(description="Where to begin without a cursor: an RFC 3339 time, or a date in UTC."),
    ] = UNSET
    limit: Annotated[int, Meta(ge=1, le=MOST_EVENTS, description="Events of an answer.")] = (
        DEFAULT_EVENTS
    )
    wait: Annotated[
        int, Meta(ge=0, le=LONGEST_WAIT_S, description="Seconds to wait for an event.")
    ] = 0
    type: Annotated[str | UnsetType, Meta(description="Only these types, separated by commas.")] = (
        UNSET
    )
    person: Annotated[
        str | UnsetType, Meta(description="Only of these user codes, separated by commas.")
    ] = UNSET
    device: Annotated[
        str | UnsetType,
        Meta(description="Only of these devices, ids or serials, separated by commas."),
    ] = UNSET


_KNOWN: Final = frozenset(Parameters.__struct_fields__)


class Event(msgspec.Struct):
    """One event, byte for byte as a webhook of the format `standard` has it."""

    id: str
    type: str
    recorded_at: Annotated[str, Meta(extra_json_schema={"format": "date-time"})] = msgspec.field(
        name="timestamp"
    )
    account: str
    data: dict[str, Any]


class Events(msgspec.Struct):
    """A whole answer."""

    events: Annotated[list[Event], Meta(max_length=MOST_EVENTS)]
    next_cursor: str
    has_more: bool


class Problem(msgspec.Struct):
    """The one form of every error, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for; at most one of `cursor` and `since` is given."""

    cursor: str | None
    #: Milliseconds since 1970-01-01 UTC.
    since: int | None
    limit: int
    wait_s: int
    filter: Filter


def read(values: Values) -> Asked:
    """Read the parameters.

    Errors:  Refused with the first sentence of the published table that applies.
    """
    # A misspelt filter would be no filter, and nobody would notice.
    if not values.keys() <= _KNOWN:
        raise invalid(f"The parameters are: {', '.join(Parameters.__struct_fields__)}.")
    for name, given in values.items():
        if len(given) > 1:
            raise invalid(f"{name} was given more than once.")
    cursor, since = _one(values, "cursor"), _one(values, "since")
    if cursor is not None and since is not None:
        raise invalid("Use either cursor or since, not both.")
    return Asked(
        cursor=cursor,
        since=None if since is None else _moment(since),
        limit=_bounded(values, "limit", DEFAULT_EVENTS, 1, MOST_EVENTS),
        wait_s=_bounded(values, "wait", 0, 0, LONGEST_WAIT_S),
        filter=Filter(
            events=_types(values), people=_names(values, "person"), devices=_names(values, "device")
        ),
    )


def write(page: Page, *, account: str, cursor: str) -> bytes:
    """Write an answer; `account` is the name of the account, `cursor` the one to go on with."""
    # Not encoded again: these are the bytes that were stored.
    events = ",".join([event.envelope(entry, account) for entry in page.entries])
    has_more = "true" if page.has_more else "false"
    return f'{{"events":[{events}],"next_cursor":"{cursor}","has_more":{has_more}}}'.encode()


def _one(values: Values, name: str) -> str | None:
    given = values.get(name)
    return given[0] if given else None


def _bounded(values: Values, name: str, default: int, least: int, most: int) -> int:
    text = _one(values, name)
    if text is None:
        return default
    form = _INTEGER.fullmatch(text)
    if form is None or not least <= int(form[1]) <= most:
        raise invalid(f"{name} must be between {least} and {most}.")
    return int(form[1])


def _types(values: Values) -> tuple[str, ...]:
    found = _list(values, "type")
    if not set(found) <= set(EVENT_TYPES):
        raise invalid(f"type must be of these, separated by commas: {', '.join(EVENT_TYPES)}.")
    return found


def _names(values: Values, name: str) -> tuple[str, ...]:
    found = _list(values, name)
    if len(found) > MOST_NAMES or any(
        len(each) > _NAME_MAX or _UNFIT.search(each) for each in found
    ):
        raise invalid(
            f"{name} must be up to {MOST_NAMES} names of 1 to {_NAME_MAX} characters, separated"
            " by commas."
        )
    return found


def _list(values: Values, name: str) -> tuple[str, ...]:
    """Read a list; an empty name in it is refused: nobody wants what it would mean."""
    text = _one(values, name)
    if text is None:
        return ()
    found = text.split(",")
    if "" in found:
        raise invalid(f"{name} has an empty name between its commas.")
    return tuple(dict.fromkeys(found))


def _moment(text: str) -> int:
    try:
        read = _read_moment(text)
    except ValueError:
        read = None
    if read is None or not _FIRST_YEAR <= read.year <= _LAST_YEAR:
        raise invalid(
            "since must be a time like 2026-06-21T09:30:00+05:30 or 2026-06-21T04:00:00Z, or a"
            f" date like 2026-06-21 (in UTC), of the years {_FIRST_YEAR} to {_LAST_YEAR}."
        )
    return int(read.timestamp() * 1000)


def _read_moment(text: str) -> datetime | None:
    if _DATE.fullmatch(text):
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    form = _INSTANT.fullmatch(text)
    if form is None:
        return None
    day, time, fraction, _, sign, offset = form.groups()
    zone = "+00:00" if offset is None else ("-" if sign == "-" else "+") + offset
    return datetime.fromisoformat(f"{day}T{time}{(fraction or '.0')[:7]}{zone}")
