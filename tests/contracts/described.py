"""The OpenAPI document as a reader of it sees it: references followed, values held against schemas.

Only what our document uses is understood; a keyword that is not is an error, so that no value
passes because nobody looked.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from punchgate import registry

DOCUMENT = registry.openapi()

_KINDS: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
#: Says nothing about a value, or (`format`) what no test of ours doubts.
_SILENT = {"title", "description", "default", "format"}
_HANDLED = {
    "$ref", "anyOf", "oneOf", "type", "enum", "const", "properties", "required", "items",
    "additionalProperties", "minimum", "maximum", "minLength", "maxLength", "maxItems",
}  # fmt: skip


def resolve(reference: str) -> Any:
    """Follow `#/a/b`; KeyError where it leads nowhere."""
    found: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def walk(node: Any) -> Iterator[dict[str, Any]]:
    """Give every object of the document."""
    if isinstance(node, dict):
        yield node
    for inner in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        yield from walk(inner)


def answer_schema(path: str, method: str, status: int) -> Any:
    """Give the schema of an answer; KeyError where none is described."""
    answer = DOCUMENT["paths"][path][method]["responses"][str(status)]
    return content(answer)["schema"]


def content(answer: Mapping[str, Any]) -> Any:
    """Give what is described of an answer's body, which is of one type."""
    ((media, described),) = answer["content"].items()
    assert media in {"application/json", "application/problem+json"}
    return described


def faults(value: Any, schema: Mapping[str, Any], place: str = "$") -> list[str]:
    """Say what is wrong with a value."""
    strange = schema.keys() - _SILENT - _HANDLED
    assert not strange, f"{place}: this reader does not know {strange}"
    if "$ref" in schema:
        return faults(value, resolve(schema["$ref"]), place)
    for many in ("anyOf", "oneOf"):
        if many in schema:
            fits = [option for option in schema[many] if not faults(value, option, place)]
            is_good = bool(fits) if many == "anyOf" else len(fits) == 1
            return [] if is_good else [f"{place}: fits {len(fits)} of {many}"]
    found = list(_own_faults(value, schema, place))
    if isinstance(value, dict):
        found += _object_faults(value, schema, place)
    if isinstance(value, list):
        for number, item in enumerate(value):
            found += faults(item, schema.get("items", {}), f"{place}[{number}]")
    return found


def _own_faults(value: Any, schema: Mapping[str, Any], place: str) -> Iterator[str]:
    kind = schema.get("type")
    if kind is not None:
        is_bool = isinstance(value, bool)
        if not isinstance(value, _KINDS[kind]) or (is_bool and kind != "boolean"):
            yield f"{place}: {value!r} is no {kind}"
            return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place}: {value!r} is none of {schema['enum']}"
    if "const" in schema and value != schema["const"]:
        yield f"{place}: {value!r} is not {schema['const']!r}"
    if not _is_within(value, schema):
        yield f"{place}: {value!r} is out of bounds"


def _is_within(value: Any, schema: Mapping[str, Any]) -> bool:
    match value:
        case str():
            return bool(schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 1e9))
        case list():
            return bool(len(value) <= schema.get("maxItems", 1e9))
        case int() | float():
            return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))
    return True


def _object_faults(value: dict[str, Any], schema: Mapping[str, Any], place: str) -> list[str]:
    known, rest = schema.get("properties", {}), schema.get("additionalProperties", {})
    found = [f"{place}: no {name}" for name in schema.get("required", ()) if name not in value]
    for name, inner in value.items():
        if name not in known and "properties" in schema and not rest:
            # The document would allow it; but what we send has to be described.
            found.append(f"{place}: {name} is not described")
        found += faults(inner, known.get(name, rest), f"{place}.{name}")
    return found
