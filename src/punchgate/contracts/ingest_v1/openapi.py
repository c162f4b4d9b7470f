"""What ingest v1 says of itself to machines: its part of the OpenAPI document.

Names, types and messages come from `shapes.py` and `errors.py`, so that they cannot differ from
what is sent; here are only the sentences and what stands in headers.
"""

from typing import Any, Final

import msgspec

from punchgate.contracts.ingest_v1 import errors, shapes
from punchgate.contracts.ingest_v1.errors import Refusal
from punchgate.contracts.ingest_v1.settings import Settings
from punchgate.httpkit import openapi

_NAME: Final = "ingest_v1"
_PAGE: Final = "docs/contracts/ingest-v1.md"
_BASE: Final = "/api/attendance/v1/"
_TYPES: Final = (
    shapes.Punch, shapes.Done, shapes.Batch, shapes.Validity, shapes.Configuration, shapes.Failure,
)  # fmt: skip
#: What every 500 carries; the table has it without, because each id is new.
_REQUEST_ID: Final = ((b"request-id", b""),)

_ANY: Final[tuple[Refusal, ...]] = (
    errors.MISSING_SERIAL,
    errors.INVALID_SERIAL,
    errors.INVALID_TOKEN,
    errors.UNKNOWN_DEVICE,
    errors.UNKNOWN_OPERATION,
    errors.REQUEST_TIMEOUT,
    errors.body_too_large(Settings().body_max_bytes),
    errors.UNSUPPORTED_ENCODING,
    errors.rate_limited(1),
    errors.INTERNAL_ERROR,
    errors.UNAVAILABLE,
)
_PUNCH_ONLY: Final[tuple[Refusal, ...]] = (
    errors.INVALID_BODY,
    errors.invalid_punch("user_id is missing."),
    errors.INACTIVE_SUBSCRIPTION,
    errors.method_not_allowed("POST"),
    errors.batch_too_large(Settings().batch_max),
    errors.STORAGE_UNAVAILABLE,
)
_ASKING_ONLY: Final[tuple[Refusal, ...]] = (errors.method_not_allowed("GET, HEAD, POST"),)
#: Every code that the contract can answer with.
CODES: Final = tuple(
    dict.fromkeys(refusal.code for refusal in (*_ANY, *_PUNCH_ONLY, *_ASKING_ONLY))
)

#: Either of the two, always beside the serial.
_SECURITY: Final[list[dict[str, list[str]]]] = [
    {f"{_NAME}.sn": [], f"{_NAME}.{secret}": []} for secret in ("token", "bearer")
]


def describe() -> dict[str, Any]:
    """Give the paths and components of this contract, as OpenAPI 3.1 has them."""
    schemas = openapi.schemas(_NAME, _TYPES)
    schemas[f"{_NAME}.Error"]["properties"]["code"]["enum"] = list(CODES)
    return {
        "tags": [{"name": _NAME, "description": f"Punches in. {_PAGE}"}],
        "paths": {
            f"{_BASE}punch": {"post": _punch()},
            f"{_BASE}heartbeat": _asking("heartbeat", "Mark the device online.", "Done"),
            f"{_BASE}validity": _asking("validity", "Tell whether punches are taken.", "Validity"),
            f"{_BASE}config": _asking("config", "Give the device's settings.", "Configuration"),
        },
        "components": {"schemas": schemas, "securitySchemes": _security_schemes()},
    }


def _punch() -> dict[str, Any]:
    many = {"type": "array", "items": {}, "maxItems": Settings().batch_max}
    done = openapi.answer(
        "On disk, as a punch or in quarantine.",
        {"anyOf": [openapi.ref(_NAME, "Done"), openapi.ref(_NAME, "Batch")]},
        own={
            "Punch-Status": openapi.header("What became of a single punch.", shapes.STATUSES),
            "Punch-Id": openapi.header("Of a single punch that was recorded or is a repeat."),
            "Quarantine-Id": openapi.header("Of a single punch that is kept for an operator."),
            "Quarantine-Reason": openapi.header("Why it is kept."),
        },
    )
    return {
        "operationId": f"{_NAME}.punch",
        "tags": [_NAME],
        "summary": "Send a punch, or a batch of punches of one device.",
        "description": (
            "The answer follows the commit. A repeat changes nothing and is acknowledged as well."
            " Items of a batch are never refused one by one: what cannot be read is kept."
        ),
        "security": _SECURITY,
        "requestBody": {
            "required": True,
            "content": {openapi.JSON: {"schema": {"oneOf": [openapi.ref(_NAME, "Punch"), many]}}},
        },
        "responses": {"200": done, **_refusals(*_ANY, *_PUNCH_ONLY)},
    }


def _asking(name: str, sentence: str, answer: str) -> dict[str, Any]:
    return {
        method: {
            "operationId": f"{_NAME}.{name}.{method}",
            "tags": [_NAME],
            "summary": sentence,
            "security": _SECURITY,
            "responses": {
                "200": openapi.answer(sentence, openapi.ref(_NAME, answer)),
                **_refusals(*_ANY, *_ASKING_ONLY),
            },
        }
        for method in ("get", "post")
    }


def _refusals(*refusals: Refusal) -> dict[str, Any]:
    """Give one answer per status, with an example per code."""
    answers: dict[str, Any] = {}
    for refusal in sorted(refusals, key=lambda one: one.status):
        answer = answers.setdefault(
            str(refusal.status), openapi.answer("", openapi.ref(_NAME, "Failure"))
        )
        examples = answer["content"][openapi.JSON].setdefault("examples", {})
        examples[refusal.code] = {"value": msgspec.json.decode(refusal.body)}
        answer["description"] = ", ".join(examples)
        sent = _REQUEST_ID if refusal is errors.INTERNAL_ERROR else refusal.headers
        answer["headers"] |= openapi.headers(sent)
    return answers


def _security_schemes() -> dict[str, Any]:
    return {
        f"{_NAME}.sn": {
            "type": "apiKey",
            "in": "header",
            "name": "sn",
            "description": "The device's serial.",
        },
        f"{_NAME}.token": {
            "type": "apiKey",
            "in": "header",
            "name": "auth-token",
            "description": "The device's own token, or an API key with `punches:write`.",
        },
        f"{_NAME}.bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "The same secret, where a client can send only this header.",
        },
    }
