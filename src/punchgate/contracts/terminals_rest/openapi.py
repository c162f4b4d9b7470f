"""What the terminals' surface says of itself to machines: its part of the OpenAPI document.

Names and types come from `shapes.py`, operations from `routes.py`, texts from `errors.py`; here are
only the parameters, the bodies and the sentences about them.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from punchgate.contracts.terminals_rest import errors, fields, shapes
from punchgate.contracts.terminals_rest.routes import OPERATIONS, Operation
from punchgate.httpkit import openapi
from punchgate.httpkit.answers import Answer

_NAME: Final = "terminals_rest"
_PAGE: Final = "docs/contracts/terminals-rest.md"
#: What every unforeseen 500 carries; the table has it without, because each id is new.
_REQUEST_ID: Final = ((b"request-id", b""),)
_SECURITY: Final[list[dict[str, list[str]]]] = [{f"{_NAME}.key": []}, {f"{_NAME}.bearer": []}, {}]
_NAMES: Final = ("device_id", shapes.PERSON)


class NewDevice(msgspec.Struct):
    """A terminal to be registered."""

    id: Annotated[str, Meta(description="Lower-cased; blanks become underscores.")]
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    ip: Annotated[str, Meta(description="IPv4, IPv6 or host name.")]
    port: Annotated[int | str, Meta(description="1 to 65535.")] = 4370
    password: Annotated[int | str, Meta(description="Comm key; 0 is none.")] = 0
    timeout: Annotated[float, Meta(ge=1, le=60, description="Seconds per step.")] = 5
    serial: Annotated[
        str | UnsetType, Meta(description="Else it is read at the first contact.")
    ] = UNSET
    zone: Annotated[str | UnsetType, Meta(description="IANA zone of its clock.")] = UNSET
    udp: bool = False


class DeviceChanges(msgspec.Struct):
    """What to change of a device; what is absent stays."""

    name: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    ip: str | UnsetType = UNSET
    port: int | str | UnsetType = UNSET
    password: int | str | UnsetType = UNSET
    timeout: Annotated[float, Meta(ge=1, le=60)] | UnsetType = UNSET


class FingerWanted(msgspec.Struct):
    """Which finger is to be enrolled: 0 to 4 of the right hand from the thumb, 5 to 9 the left."""

    finger_index: Annotated[int, Meta(ge=0, le=9)]


class _Parameter(NamedTuple):
    description: str
    schema: Mapping[str, Any]


_FILTERS: Final[Mapping[str, _Parameter]] = {
    shapes.PERSON: _Parameter("Only records of exactly this user code.", {"type": "string"}),
    "date": _Parameter("How the time begins, such as `2026-03-06`.", {"type": "string"}),
    "source": _Parameter(
        "Ask the terminal, or what is recorded.",
        {"type": "string", "enum": ["live", "store"], "default": "live"},
    ),
    "limit": _Parameter(
        "The newest so many.", {"type": "integer", "minimum": 1, "maximum": fields.MOST_ROWS}
    ),
}


class _Page(NamedTuple):
    """What is said of one operation beside what its row says."""

    sentence: str
    answer: type[msgspec.Struct]
    #: Refusals beside those that every operation has.
    refusals: tuple[Answer, ...] = ()
    body: type[msgspec.Struct] | None = None
    parameters: Mapping[str, _Parameter] = {}


_NO_FIELDS: Final = errors.invalid("id, name e ip son requeridos.")
_NO_USER_FIELDS: Final = errors.invalid(f"{shapes.PERSON} y name son requeridos.")
_BAD_LIMIT: Final = errors.invalid("limit debe estar entre 1 y 100000.")
_BAD_FINGER: Final = errors.invalid("finger_index debe estar entre 0 y 9.")
_BAD_NAME: Final = errors.invalid("name no valido.")
_LATE: Final = errors.refusal(500, "Connection timeout")
_NO_USER: Final = errors.no_user("123")
_SOURCE: Final = {"source": _FILTERS["source"]}
_ENGINE: Final = {
    "engine": _Parameter("`all` for devices of every kind.", {"type": "string", "enum": ["all"]})
}

_PAGES: Final[Mapping[tuple[str, str], _Page]] = {
    ("/attendance/all", "GET"): _Page(
        "Give the records of all terminals together.",
        shapes.AllAttendance,
        (_BAD_LIMIT,),
        None,
        _FILTERS,
    ),
    ("/devices", "GET"): _Page(
        "List terminals in the order of their registration.",
        shapes.Devices,
        parameters=_ENGINE,
    ),
    ("/devices", "POST"): _Page(
        "Register a terminal; it is not contacted.",
        shapes.DeviceSaved,
        (errors.NO_BODY, _NO_FIELDS, errors.device_exists("bodega")),
        NewDevice,
    ),
    ("/devices/*", "GET"): _Page("Give one device.", shapes.DeviceFound),
    ("/devices/*", "PUT"): _Page(
        "Change a device; what is absent stays.",
        shapes.DeviceSaved,
        (errors.NO_BODY, _BAD_NAME, errors.UNSUPPORTED),
        DeviceChanges,
    ),
    ("/devices/*", "DELETE"): _Page("Remove a device; its punches stay.", shapes.Done),
    ("/devices/*/attendance", "GET"): _Page(
        "Give the records of one device.",
        shapes.Attendance,
        (_BAD_LIMIT, _LATE, errors.UNSUPPORTED),
        None,
        _FILTERS,
    ),
    ("/devices/*/status", "GET"): _Page(
        "Say what was last heard of a device, without asking it.", shapes.StateFound
    ),
    ("/devices/*/ping", "GET"): _Page(
        "Connect to a terminal and read its clock.", shapes.Ping, (errors.UNSUPPORTED,)
    ),
    ("/devices/*/info", "GET"): _Page(
        "Ask a terminal what it is.", shapes.InfoRead, (_LATE, errors.UNSUPPORTED)
    ),
    ("/devices/*/time", "GET"): _Page(
        "Read a terminal's clock.", shapes.Time, (_LATE, errors.UNSUPPORTED)
    ),
    ("/devices/*/sync-time", "POST"): _Page(
        "Set a terminal's clock to the present time of its zone.",
        shapes.Done,
        (_LATE, errors.UNSUPPORTED),
    ),
    ("/devices/*/users", "GET"): _Page(
        "List who is on a terminal.",
        shapes.Users,
        (errors.invalid("source debe ser live o store."), _LATE, errors.UNSUPPORTED),
        None,
        _SOURCE,
    ),
    ("/devices/*/users", "POST"): _Page(
        "Put somebody new on a terminal.",
        shapes.UserSaved,
        (errors.NO_BODY, _NO_USER_FIELDS, errors.user_exists("123"), _LATE, errors.UNSUPPORTED),
        shapes.UserToAdd,
    ),
    ("/devices/*/users/*", "PUT"): _Page(
        "Change somebody on a terminal; what is absent stays.",
        shapes.Done,
        (errors.NO_BODY, _BAD_NAME, _NO_USER, _LATE, errors.UNSUPPORTED),
        shapes.UserToChange,
    ),
    ("/devices/*/users/*", "DELETE"): _Page(
        "Take somebody off a terminal.", shapes.Done, (_NO_USER, _LATE, errors.UNSUPPORTED)
    ),
    ("/devices/*/users/*/enroll-finger", "POST"): _Page(
        "Have a terminal ask for a finger.",
        shapes.Enrolling,
        (errors.NO_BODY, _BAD_FINGER, _NO_USER, _LATE, errors.UNSUPPORTED),
        FingerWanted,
    ),
}

_ALWAYS: Final = (
    errors.NO_KEY,
    errors.NO_SCOPE,
    errors.TOO_SLOW,
    errors.TOO_LARGE,
    errors.rate_limited(1),
    errors.INTERNAL,
    errors.NO_STORE,
)


def describe() -> dict[str, Any]:
    """Give the paths and components of this contract, as OpenAPI 3.1 has them."""
    paths: dict[str, Any] = {"/": {"get": _root()}}
    for pattern, operations in OPERATIONS.items():
        named = pattern
        for name in _NAMES:
            named = named.replace("*", f"{{{name}}}", 1)
        paths[f"/{named}"] = {
            method.lower(): _operation(pattern, named, method, operation)
            for method, operation in operations.items()
        }
    return {
        "tags": [{"name": _NAME, "description": f"Terminals that we call. {_PAGE}"}],
        "paths": paths,
        "components": {
            "schemas": openapi.schemas(_NAME, _types()),
            "securitySchemes": _security_schemes(),
        },
    }


def _types() -> list[type[msgspec.Struct]]:
    found: list[type[msgspec.Struct]] = [shapes.Failure, shapes.NoDevice, shapes.NoPing]
    found.append(shapes.Root)
    for page in _PAGES.values():
        found += [page.answer] if page.body is None else [page.answer, page.body]
    return found


def _operation(pattern: str, named: str, method: str, operation: Operation) -> dict[str, Any]:
    page = _PAGES[f"/{pattern}", method]
    described: dict[str, Any] = {
        "operationId": f"{_NAME}.{page.sentence.split()[0].lower()}.{_word(pattern)}",
        "tags": [_NAME],
        "summary": page.sentence,
        "description": f"Scope: `{operation.scope}`.",
        "security": _SECURITY,
        "parameters": [*_path_parameters(named), *_query(page.parameters)],
        "responses": {"200": _done(page), **_refusals(page, pattern)},
    }
    if page.body is not None:
        schema = openapi.ref(_NAME, page.body.__name__)
        content = {openapi.JSON: {"schema": schema}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _word(pattern: str) -> str:
    """Give the last word of a path, with what it belongs to where that is a name."""
    steps = [step for step in pattern.split("/") if step != "*"]
    one = ".one" if pattern.endswith("*") else ""
    return ".".join(steps) + one


def _done(page: _Page) -> dict[str, Any]:
    own = None
    if page.answer in {shapes.Attendance, shapes.AllAttendance}:
        own = {"Quarantined": openapi.header("How many rows cannot be punches and are kept.")}
    return openapi.answer(page.sentence, openapi.ref(_NAME, page.answer.__name__), own=own)


def _refusals(page: _Page, pattern: str) -> dict[str, Any]:
    """Give one answer per status, with an example per text."""
    answers: dict[str, Any] = {}
    for refusal in sorted((*_ALWAYS, *page.refusals), key=lambda one: one.status):
        _add(answers, refusal, "Failure")
    if "*" in pattern:
        absent = errors.no_device("invalid_id", [])
        no_device = answers.get("404")
        if no_device is None:
            _add(answers, absent, "NoDevice")
        else:
            either = [openapi.ref(_NAME, name) for name in ("NoDevice", "Failure")]
            no_device["content"][openapi.JSON]["schema"] = {"anyOf": either}
            _add(answers, absent, "NoDevice")
    if page.answer is shapes.Ping:
        either = [openapi.ref(_NAME, name) for name in ("NoPing", "Failure")]
        answers["503"]["content"][openapi.JSON]["schema"] = {"anyOf": either}
    return answers


def _add(answers: dict[str, Any], refusal: Answer, schema: str) -> None:
    answer = answers.setdefault(str(refusal.status), openapi.answer("", openapi.ref(_NAME, schema)))
    examples = answer["content"][openapi.JSON].setdefault("examples", {})
    example = msgspec.json.decode(refusal.body)
    examples[example["error"]] = {"value": example}
    answer["description"] = " ".join(examples)
    sent = _REQUEST_ID if refusal is errors.INTERNAL else refusal.headers
    answer["headers"] |= openapi.headers(sent)


def _root() -> dict[str, Any]:
    return {
        "operationId": f"{_NAME}.root",
        "tags": [_NAME],
        "summary": "Say that the gateway is there, and to whom may know it, which terminals are.",
        "security": _SECURITY,
        "parameters": [],
        "responses": {"200": openapi.answer("Always.", openapi.ref(_NAME, "Root"))},
    }


def _path_parameters(named: str) -> Iterable[dict[str, Any]]:
    for name in _NAMES:
        if f"{{{name}}}" in named:
            yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query(parameters: Mapping[str, _Parameter]) -> Iterable[dict[str, Any]]:
    for name, one in parameters.items():
        yield {
            "name": name,
            "in": "query",
            "description": one.description,
            "required": False,
            "schema": dict(one.schema),
        }


def _security_schemes() -> dict[str, Any]:
    return {
        f"{_NAME}.key": {
            "type": "apiKey",
            "in": "header",
            "name": "X-API-Key",
            "description": "An API key; none is needed from an open network.",
        },
        f"{_NAME}.bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "The same key, where a client can send only this header.",
        },
    }
