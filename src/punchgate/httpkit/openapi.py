"""The pieces of an OpenAPI 3.1 document that contracts share: schemas, headers, answers.

Schemas are made from the structs that a contract sends. What its operations are is the contract's.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from punchgate.httpkit.answers import Headers

JSON: Final = "application/json"
#: What every 500 carries; the tables of refusals have it without, because each id is new.
REQUEST_ID: Final[Headers] = ((b"request-id", b""),)
#: Headers that say more than a sentence of HTTP does, and whose absence a client would notice.
_SENTENCES: Final[Mapping[str, str]] = {
    "Allow": "The methods that are allowed.",
    "Request-Id": "What to look for in the log.",
    "Retry-After": "Whole seconds to wait, at least 1.",
    "WWW-Authenticate": "Which header is wanted.",
}
_NAMES: Final = {name.lower(): name for name in _SENTENCES}
#: On every answer of a limited contract.
_LIMIT: Final[Mapping[str, str]] = {
    "RateLimit-Policy": "The limit in force, once it is known.",
    "RateLimit": "What is left of it, and the seconds until it is whole again.",
}


def ref(contract: str, name: str) -> dict[str, Any]:
    """Point to a schema of a contract."""
    return {"$ref": f"#/components/schemas/{contract}.{name}"}


def schemas(contract: str, types: Iterable[type[msgspec.Struct]]) -> dict[str, Any]:
    """Describe the structs of a contract and all that they hold, under the contract's own names."""
    _, found = msgspec.json.schema_components(
        types, ref_template=f"#/components/schemas/{contract}.{{name}}"
    )
    for schema in found.values():
        # The rest of a docstring is for readers of the source.
        schema["description"] = schema["description"].partition("\n")[0]
    return {f"{contract}.{name}": schema for name, schema in found.items()}


def api_key(description: str) -> dict[str, Any]:
    """Describe a key in `X-API-Key`."""
    return {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": description}


def parameters(fields: type[msgspec.Struct]) -> list[dict[str, Any]]:
    """Describe the parameters of a query by the struct that they are read into."""
    _, found = msgspec.json.schema_components([fields])
    described = found[fields.__name__]
    return [
        {
            "name": name,
            "in": "query",
            "description": schema.pop("description"),
            "required": name in described["required"],
            "schema": schema,
        }
        for name, schema in described["properties"].items()
    ]


def header(description: str, values: Iterable[str] = ()) -> dict[str, Any]:
    """Describe a header, and the values that it can have if they are known."""
    known = list(values)
    return {
        "description": description,
        "schema": {"type": "string", "enum": known} if known else {"type": "string"},
    }


def headers(sent: Headers) -> dict[str, Any]:
    """Describe those of an answer's headers that mean something to a client."""
    names = [_NAMES.get(name.decode()) for name, _ in sent]
    return {name: header(_SENTENCES[name]) for name in names if name is not None}


def answer(
    description: str,
    schema: Mapping[str, Any],
    *,
    own: Mapping[str, Any] | None = None,
    media: str = JSON,
) -> dict[str, Any]:
    """Describe an answer in JSON; `own` are the headers that it has beside those of the limit."""
    limit = {name: header(sentence) for name, sentence in _LIMIT.items()}
    return {
        "description": description,
        "headers": {**limit, **(own or {})},
        "content": {media: {"schema": dict(schema)}},
    }
