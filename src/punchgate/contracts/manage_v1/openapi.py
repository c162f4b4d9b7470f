"""What manage v1 says of itself to machines: its part of the OpenAPI document.

Names and types come from `shapes.py`, statuses and sentences from `errors.py`; here are only the
parameters and the sentences about them.
"""

from typing import Any, Final

import msgspec

from punchgate.contracts.manage_v1 import errors, shapes, waiting
from punchgate.contracts.manage_v1.settings import Settings
from punchgate.httpkit import openapi
from punchgate.httpkit.answers import Answer

_NAME: Final = "manage_v1"
_PAGE: Final = "docs/contracts/manage-v1.md"
_KEY: Final = "An API key with `events:read`."

#: Every refusal; those of one status stand together as examples, by the last word of their type.
_REFUSALS: Final[tuple[Answer, ...]] = (
    errors.invalid("limit must be between 1 and 1000.").answer,
    errors.INVALID_CURSOR,
    errors.INVALID_KEY,
    errors.MAY_NOT_READ,
    errors.NOT_FOUND,
    errors.METHOD_NOT_ALLOWED,
    errors.TOO_SLOW,
    errors.TOO_LARGE,
    errors.rate_limited(Settings().rate_requests, wait_s=1),
    errors.too_many_waiting(waiting.MOST_OF_A_KEY),
    errors.INTERNAL,
    errors.NO_STORE,
    errors.NO_SEAT,
)


def describe() -> dict[str, Any]:
    """Give the path and components of this contract, as OpenAPI 3.1 has them."""
    return {
        "tags": [{"name": _NAME, "description": f"The event log, pulled. {_PAGE}"}],
        "paths": {"/v1/events": {"get": _events()}},
        "components": {
            "schemas": openapi.schemas(_NAME, (shapes.Events, shapes.Problem)),
            "securitySchemes": {f"{_NAME}.key": openapi.api_key(_KEY)},
        },
    }


def _events() -> dict[str, Any]:
    return {
        "operationId": f"{_NAME}.events",
        "tags": [_NAME],
        "summary": "Give the next events of the log, or wait for one.",
        "security": [{f"{_NAME}.key": []}],
        "parameters": openapi.parameters(shapes.Parameters),
        "responses": {
            "200": openapi.answer("Some events, in order.", openapi.ref(_NAME, "Events")),
            **_refusals(),
        },
    }


def _refusals() -> dict[str, Any]:
    """Give one answer per status, with an example per type."""
    media = errors.MEDIA.decode()
    answers: dict[str, Any] = {}
    for refusal in _REFUSALS:
        answer = answers.setdefault(
            str(refusal.status),
            openapi.answer("", openapi.ref(_NAME, "Problem"), media=media),
        )
        example = msgspec.json.decode(refusal.body)
        kind = example["type"].rpartition(":")[2]
        examples = answer["content"][media].setdefault("examples", {})
        examples[kind] = {"value": example}
        answer["description"] = ", ".join(examples)
        sent = openapi.REQUEST_ID if refusal is errors.INTERNAL else refusal.headers
        answer["headers"] |= openapi.headers(sent)
    return answers
