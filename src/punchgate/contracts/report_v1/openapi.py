"""What report v1 says of itself to machines: its part of the OpenAPI document.

Names and types come from `shapes.py`, statuses and sentences from `errors.py`; here are only the
parameters and the sentences about them.
"""

from typing import Any, Final

import msgspec

from punchgate.contracts.report_v1 import errors, shapes
from punchgate.contracts.report_v1.settings import Settings
from punchgate.httpkit import openapi
from punchgate.httpkit.answers import Answer

_NAME: Final = "report_v1"
_PAGE: Final = "docs/contracts/report-v1.md"
_KEY: Final = "An account-wide API key with `reports:read`."

#: One refusal per status; a status with several sentences shows the first of them.
_REFUSALS: Final[tuple[Answer, ...]] = (
    errors.invalid("start_date is required").answer,
    errors.INVALID_KEY,
    errors.MAY_NOT_READ,
    errors.NOT_FOUND,
    errors.METHOD_NOT_ALLOWED,
    errors.TOO_SLOW,
    errors.TOO_LARGE,
    errors.rate_limited(Settings().rate_requests, Settings().rate_window_s, wait_s=1),
    errors.INTERNAL,
    errors.NO_STORE,
)


def describe() -> dict[str, Any]:
    """Give the path and components of this contract, as OpenAPI 3.1 has them."""
    schemas = openapi.schemas(_NAME, (shapes.Summary, shapes.Failure))
    # It is left out where the request names one person by our number.
    schemas[f"{_NAME}.User"]["required"].remove("custom_id")
    return {
        "tags": [{"name": _NAME, "description": f"Attendance summaries. {_PAGE}"}],
        "paths": {"/api/v1/attendance/summary": {"get": _summary()}},
        "components": {
            "schemas": schemas,
            "securitySchemes": {f"{_NAME}.key": openapi.api_key(_KEY)},
        },
    }


def _summary() -> dict[str, Any]:
    return {
        "operationId": f"{_NAME}.summary",
        "tags": [_NAME],
        "summary": "Give first entry, last exit, hours and events per person and day.",
        "security": [{f"{_NAME}.key": []}],
        "parameters": openapi.parameters(shapes.Parameters),
        "responses": {
            "200": openapi.answer("One page of rows.", openapi.ref(_NAME, "Summary")),
            **{str(refusal.status): _refusal(refusal) for refusal in _REFUSALS},
        },
    }


def _refusal(refusal: Answer) -> dict[str, Any]:
    sent = openapi.REQUEST_ID if refusal is errors.INTERNAL else refusal.headers
    example = msgspec.json.decode(refusal.body)
    answer = openapi.answer(
        example["error"], openapi.ref(_NAME, "Failure"), own=openapi.headers(sent)
    )
    answer["content"][openapi.JSON]["example"] = example
    return answer
