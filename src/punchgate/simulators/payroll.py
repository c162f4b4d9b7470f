"""Virtual payroll software: it reads the day's summary over the published API, as customers do.

Of ours it uses nothing but what the contract says (docs/contracts/report-v1.md).
"""

from datetime import date
from typing import Any, Final

import aiohttp

_PATH: Final = "/api/v1/attendance/summary"
_PAGE: Final = 100


class Refused(Exception):
    """The gateway answered with an error; its sentence is the text."""


async def read_summary(
    session: aiohttp.ClientSession, server: str, key: str, since: date, until: date
) -> list[dict[str, Any]]:
    """Read every row of a period, newest day first, page by page.

    Shapes:  both days are included; at most 366 of them.
    Errors:  Refused; aiohttp.ClientError when nobody answers.
    """
    rows: list[dict[str, Any]] = []
    page, has_next = 1, True
    while has_next:
        query = {
            "start_date": since.isoformat(),
            "end_date": until.isoformat(),
            "page": str(page),
            "limit": str(_PAGE),
        }
        async with session.get(
            server.rstrip("/") + _PATH, params=query, headers={"X-API-Key": key}
        ) as answer:
            body = await answer.json()
        if body.get("success") is not True:
            raise Refused(str(body.get("error", answer.status)))
        rows.extend(body["data"]["users"])
        page, has_next = page + 1, body["data"]["pagination"]["has_next"]
    return rows
