"""What goes over the wire of report v1: query parameters in, the published JSON out.

Names and their order are the published ones; nothing here decides what a day amounts to.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from punchgate.contracts.report_v1.errors import invalid
from punchgate.domain import workday
from punchgate.domain.ids import DeviceId
from punchgate.reports import summary

Values = Mapping[str, Sequence[str]]

FIRST_YEAR: Final = 2000
LAST_YEAR: Final = 2100
LONGEST_DAYS: Final = 366
LAST_PAGE: Final = 1_000_000
MOST_ROWS: Final = 100
DEFAULT_ROWS: Final = 20
_CUSTOM_ID_MAX: Final = 64
_LAST_USER_ID: Final = 2**63 - 1

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
# Nineteen digits hold every number that is allowed anywhere; zeros in front change nothing.
_INTEGER: Final = re.compile(r"0*(\d{1,19})", re.ASCII)
#: U+FFFD stands for what is no text; see `httpkit/query.py`.
_UNFIT: Final = re.compile("[\x00-\x1f\x7f-\x9f\ufffd]")

_EVENTS: Final[Mapping[str | None, Literal["entry", "exit", "general"]]] = {
    "in": "entry",
    "out": "exit",
    None: "general",
}


_Day = Annotated[str, Meta(extra_json_schema={"format": "date"})]


class Parameters(msgspec.Struct):
    """The query, for those who read the contract; `read` below reads it, with better sentences."""

    start_date: Annotated[_Day, Meta(description="The first day, included.")]
    end_date: Annotated[_Day, Meta(description="The last day, included.")]
    user_id: Annotated[int | UnsetType, Meta(description="Our number of one person.")] = UNSET
    custom_id: Annotated[str | UnsetType, Meta(description="Your own id of one person.")] = UNSET
    page: Annotated[int, Meta(ge=1, le=LAST_PAGE, description="Which page.")] = 1
    limit: Annotated[int, Meta(ge=1, le=MOST_ROWS, description="Rows of it.")] = DEFAULT_ROWS


class Failure(msgspec.Struct):
    """The one form of every error; `code` is the HTTP status."""

    success: Annotated[bool, Meta(extra_json_schema={"const": False})]
    error: str
    code: int


class DateRange(msgspec.Struct):
    """The dates that were asked for, both inclusive."""

    start: str
    end: str


class Pagination(msgspec.Struct):
    """Which rows these are, and how many there are."""

    current_page: int
    per_page: int
    total_records: int
    total_pages: int
    has_next: bool
    has_prev: bool


class Activity(msgspec.Struct):
    """One event of a day."""

    time: str
    event: Literal["entry", "exit", "general"]
    camera: str
    details: str | None


class User(msgspec.Struct):
    """One day of one person; `custom_id` is left out where the request filters by `user_id`."""

    user_id: int
    custom_id: str | UnsetType | None
    user_name: str
    user_type: str
    date: str
    first_in: str | None
    last_out: str | None
    working_hours: str | None
    activities: list[Activity]


class Data(msgspec.Struct):
    """The content of an answer."""

    date_range: DateRange
    pagination: Pagination
    users: list[User]


class Summary(msgspec.Struct):
    """A whole answer."""

    success: bool
    data: Data


def read(values: Values) -> summary.Query:
    """Read the parameters.

    Errors:  Refused with the first sentence of the published table that applies.
    """
    start, end = _required(values, "start_date"), _required(values, "end_date")
    since, until = _date("start_date", start), _date("end_date", end)
    if since > until:
        raise invalid("start_date must not be after end_date")
    if (until - since).days >= LONGEST_DAYS:
        raise invalid(f"The date range must not exceed {LONGEST_DAYS} days")
    user_id, custom_id = _one(values, "user_id"), _one(values, "custom_id")
    if user_id is not None and custom_id is not None:
        raise invalid("Use either user_id or custom_id, not both")
    return summary.Query(
        since=since,
        until=until,
        person_no=None if user_id is None else _user_id(user_id),
        custom_id=None if custom_id is None else _custom_id(custom_id),
        page=_bounded(values, "page", 1, LAST_PAGE),
        limit=_bounded(values, "limit", DEFAULT_ROWS, MOST_ROWS),
    )


def write(query: summary.Query, page: summary.Page, *, default_user_type: str) -> bytes:
    """Write the answer to a query."""
    pages = -(-page.total // query.limit)
    pagination = Pagination(
        current_page=query.page,
        per_page=query.limit,
        total_records=page.total,
        total_pages=pages,
        has_next=query.page < pages,
        has_prev=query.page > 1,
    )
    with_custom_id = query.person_no is None
    users = [_user(row, default_user_type, with_custom_id=with_custom_id) for row in page.rows]
    dates = DateRange(query.since.isoformat(), query.until.isoformat())
    return msgspec.json.encode(Summary(success=True, data=Data(dates, pagination, users)))


def _user(row: summary.Row, default_type: str, *, with_custom_id: bool) -> User:
    person, day = row.person, row.day
    return User(
        user_id=person.no,
        custom_id=person.custom_id if with_custom_id else UNSET,
        user_name=person.name or person.code,
        user_type=person.type or default_type,
        date=day.date,
        first_in=day.first_in,
        last_out=day.last_out,
        working_hours=None if day.worked_s is None else workday.working_hours(day.worked_s),
        activities=[
            Activity(
                time=activity.time,
                event=_EVENTS[activity.side],
                camera=row.cameras[DeviceId(activity.device_id)],
                details="duplicate" if activity.is_duplicate else None,
            )
            for activity in day.activities
        ],
    )


def _one(values: Values, name: str) -> str | None:
    given = values.get(name, ())
    if len(given) > 1:
        raise invalid(f"Parameter {name} was given more than once")
    return given[0] if given else None


def _required(values: Values, name: str) -> str:
    value = _one(values, name)
    if value is None:
        raise invalid(f"{name} is required")
    return value


def _date(name: str, text: str) -> date:
    try:
        # `fromisoformat` would take 20250401 and 2025-W14-2 as well.
        read_date = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        read_date = None
    if read_date is None or not FIRST_YEAR <= read_date.year <= LAST_YEAR:
        raise invalid(f"{name} must be a date in YYYY-MM-DD format")
    return read_date


def _integer(text: str) -> int:
    """Read decimal digits; 0, which nothing allows, for everything else."""
    match = _INTEGER.fullmatch(text)
    return int(match[1]) if match else 0


def _user_id(text: str) -> int:
    number = _integer(text)
    if not 1 <= number <= _LAST_USER_ID:
        raise invalid("user_id must be a positive integer")
    return number


def _custom_id(text: str) -> str:
    if len(text) > _CUSTOM_ID_MAX or _UNFIT.search(text):
        raise invalid(f"custom_id must be 1 to {_CUSTOM_ID_MAX} characters")
    return text


def _bounded(values: Values, name: str, default: int, most: int) -> int:
    text = _one(values, name)
    number = default if text is None else _integer(text)
    if not 1 <= number <= most:
        raise invalid(f"{name} must be between 1 and {most}")
    return number
