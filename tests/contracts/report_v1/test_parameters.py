"""Request parameters: what is read, and which sentence refuses what.

The tables are read as the app reads them, from the query string on; a few go through the real app
and the real store.
"""

from datetime import date
from typing import Any

import pytest

from punchgate.contracts.report_v1 import shapes
from punchgate.contracts.report_v1.errors import Refused, refusal
from punchgate.httpkit import query
from punchgate.reports.summary import Query
from tests.contracts.report_v1.conftest import Stage

DAY = "start_date=2025-04-27&end_date=2025-04-27"
NOT_START = "start_date must be a date in YYYY-MM-DD format"
NOT_END = "end_date must be a date in YYYY-MM-DD format"
BOTH = "Use either user_id or custom_id, not both"
NOT_USER = "user_id must be a positive integer"
NOT_CUSTOM = "custom_id must be 1 to 64 characters"
NOT_PAGE = "page must be between 1 and 1000000"
NOT_LIMIT = "limit must be between 1 and 100"
TOO_LONG = "The date range must not exceed 366 days"
REVERSED = "start_date must not be after end_date"


def read(text: str) -> Query:
    return shapes.read(query.read({"query_string": text.encode()}))


REFUSED = [
    ("", "start_date is required"),
    ("end_date=2025-04-27", "start_date is required"),
    ("start_date=&end_date=2025-04-27", "start_date is required"),
    ("start_date=2025-04-27", "end_date is required"),
    ("start_date=2025-04-27&end_date=", "end_date is required"),
    # Not the format of the first before the absence of the second.
    ("start_date=nonsense", "end_date is required"),
    *[
        (f"start_date={text}&end_date=2025-04-27", NOT_START)
        for text in (
            "2025-02-29",
            "2025-4-1",
            "20250401",
            "2025-04-01T00:00:00",
            "2025-W14-2",
            "2025-04-31",
            "2025-13-01",
            "0000-01-01",
            "1999-12-31",
            "2101-01-01",
            "01-04-2025",
            "2025-04-01%20",
            "+2025-04-1",
            "yesterday",
            "%EF%BC%92025-04-01",
            "%FF",
            "%00",
        )
    ],
    ("start_date=2025-04-27&end_date=2025-02-29", NOT_END),
    ("start_date=2025-04-28&end_date=2025-04-27", REVERSED),
    ("start_date=2024-01-01&end_date=2025-01-01", TOO_LONG),
    ("start_date=2000-01-01&end_date=2100-12-31", TOO_LONG),
    (f"{DAY}&user_id=1&custom_id=a", BOTH),
    (f"{DAY}&user_id=x&custom_id=a", BOTH),
    *[
        (f"{DAY}&user_id={text}", NOT_USER)
        for text in ("0", "-1", "%2B1", "+1", "1.0", "abc", "1e3", "%D9%A1", "²", "1%20")
    ],
    (f"{DAY}&user_id=9223372036854775808", NOT_USER),
    (f"{DAY}&user_id={'9' * 5000}", NOT_USER),
    (f"{DAY}&custom_id={'x' * 65}", NOT_CUSTOM),
    (f"{DAY}&custom_id=a%00b", NOT_CUSTOM),
    (f"{DAY}&custom_id=a%0Ab", NOT_CUSTOM),
    (f"{DAY}&custom_id=%C2%85", NOT_CUSTOM),
    (f"{DAY}&custom_id=%FF", NOT_CUSTOM),
    *[
        (f"{DAY}&page={text}", NOT_PAGE)
        for text in ("0", "-1", "abc", "1.0", "+1", "%201", "1000001", "9" * 5000)
    ],
    *[(f"{DAY}&limit={text}", NOT_LIMIT) for text in ("0", "101", "-5", "ten", "1,0", "9" * 5000)],
    (f"{DAY}&page=0&limit=0", NOT_PAGE),
    (f"{DAY}&user_id=0&page=0", NOT_USER),
    *[
        (f"{DAY}&{name}={value}&{name}={value}", f"Parameter {name} was given more than once")
        for name, value in (("user_id", "1"), ("custom_id", "a"), ("page", "1"), ("limit", "5"))
    ],
    (f"{DAY}&start_date=2025-04-27", "Parameter start_date was given more than once"),
    (f"{DAY}&end_date=x", "Parameter end_date was given more than once"),
    # Before the parameter's other rules, after those of the parameters above it.
    (f"{DAY}&page=0&page=0", "Parameter page was given more than once"),
    (f"{DAY}&user_id=1&user_id=1&custom_id=a", "Parameter user_id was given more than once"),
    (f"{DAY}&user_id=0&limit=1&limit=1", NOT_USER),
]


@pytest.mark.parametrize(
    ("text", "sentence"), REFUSED, ids=[str(number) for number in range(len(REFUSED))]
)
def test_a_parameter_is_refused_with_its_sentence(text: str, sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        read(text)
    assert refused.value.answer == refusal(400, sentence)


async def test_a_refusal_counts_and_has_the_form_of_every_error(stage: Stage) -> None:
    answer = await stage.ask(f"{DAY}&page=0")
    assert answer.status == 400
    assert answer.json() == {"success": False, "error": NOT_PAGE, "code": 400}
    assert answer.headers["ratelimit"] == '"report";r=99;t=3600'


APRIL_27 = {"since": date(2025, 4, 27), "until": date(2025, 4, 27)}


def asked(**changes: Any) -> Query:
    plain = {"person_no": None, "custom_id": None, "page": 1, "limit": 20}
    return Query(**(APRIL_27 | plain | changes))


ALLOWED = [
    (DAY, asked()),
    (
        "start_date=2024-01-01&end_date=2024-12-31",
        asked(since=date(2024, 1, 1), until=date(2024, 12, 31)),
    ),
    (
        "start_date=2000-01-01&end_date=2000-01-01",
        asked(since=date(2000, 1, 1), until=date(2000, 1, 1)),
    ),
    (
        "start_date=2100-12-31&end_date=2100-12-31",
        asked(since=date(2100, 12, 31), until=date(2100, 12, 31)),
    ),
    (f"{DAY}&page=1000000&limit=100", asked(page=1_000_000, limit=100)),
    (f"{DAY}&page=002&limit=007", asked(page=2, limit=7)),
    (f"{DAY}&user_id=&custom_id=&page=&limit=", asked()),
    (f"{DAY}&user_id=&custom_id=STU-001", asked(custom_id="STU-001")),
    (f"{DAY}&user_id=1", asked(person_no=1)),
    (f"{DAY}&user_id=9223372036854775807", asked(person_no=2**63 - 1)),
    (f"{DAY}&custom_id={'x' * 64}", asked(custom_id="x" * 64)),
    (f"{DAY}&custom_id=%E0%A4%A8+1", asked(custom_id="न 1")),
    (f"{DAY}&custom_id=%27%3B--", asked(custom_id="';--")),
    (f"{DAY}&_=1745740800&utm=x&utm=y&Page=0", asked()),
]


@pytest.mark.parametrize(
    ("text", "expected"), ALLOWED, ids=[str(number) for number in range(len(ALLOWED))]
)
def test_what_is_allowed_is_read(text: str, expected: Query) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("filters", "page"),
    [
        ("", 1),
        ("&user_id=9223372036854775807", 1),
        ("&user_id=77&page=2", 2),
        ("&custom_id=%27%3B--&page=1000000", 1_000_000),
    ],
)
async def test_who_is_not_there_is_an_empty_list(stage: Stage, filters: str, page: int) -> None:
    answer = await stage.ask(f"{DAY}{filters}")
    assert answer.status == 200
    data = answer.json()["data"]
    assert data["users"] == []
    assert data["pagination"] == {
        "current_page": page,
        "per_page": 20,
        "total_records": 0,
        "total_pages": 0,
        "has_next": False,
        "has_prev": page > 1,
    }


async def test_a_page_beyond_the_end_is_empty_and_says_how_many_there_are(stage: Stage) -> None:
    await stage.gateway.add_device("SN1")
    items = [{"user_id": str(n), "att_time": "2025-04-27 08:00:00"} for n in range(5)]
    await stage.gateway.punch("SN1", *items)
    answer = await stage.ask(f"{DAY}&limit=2&page=4")
    data = answer.json()["data"]
    assert data["users"] == []
    assert data["pagination"] == {
        "current_page": 4,
        "per_page": 2,
        "total_records": 5,
        "total_pages": 3,
        "has_next": False,
        "has_prev": True,
    }
