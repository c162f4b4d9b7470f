"""docs/reference/settings.md, from the fields of `config.py`, `sections.py` and their sentences."""

import json
import types
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from tools.docs import page

PATH: Final = "docs/reference/settings.md"
_PREFIX: Final = "PUNCHGATE_"


class Setting(NamedTuple):
    """One setting: its names in the file and in the environment, and what its field says."""

    section: str
    key: str
    variable: str
    kind: str
    default: str
    sentence: str


def render() -> str:
    """Render the page.

    Errors:  ValueError for a setting without a sentence.
    """
    # Here, so that the other pages can be rendered while the settings cannot be imported.
    from punchgate import config  # noqa: PLC0415 (above)

    found = list(walk(config.Settings))
    silent = [setting.variable for setting in found if not setting.sentence]
    if silent:
        raise ValueError(f"No description: {', '.join(silent)}")
    sections = dict.fromkeys(setting.section for setting in found)
    parts = [
        "# Settings\n",
        page.notice("src/punchgate/config.py and src/punchgate/sections.py"),
        (
            "Read from one TOML file (`--config FILE`), then from the environment, then from the"
            " options of the command; the\nlast one that says something wins. An unknown key is an"
            " error. `punchgate config show` prints each value and where it\ncame from. In the"
            " environment a list is written as JSON.\n"
        ),
    ]
    for section in sections:
        parts.append(f"## `[{section}]`\n" if section else "## At the top of the file\n")
        rows = [
            (
                page.code(one.key),
                page.code(one.kind),
                page.code(one.default),
                f"{one.sentence}<br>{page.code(one.variable)}",
            )
            for one in found
            if one.section == section
        ]
        parts.append(page.table(("Key", "Type", "Default", "What it does"), rows))
    return "\n".join(parts)


def walk(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[Setting]:
    """List the settings of a model and of the models inside it, in the order of their fields."""
    for name, field in model.model_fields.items():
        inner = _model_of(field.annotation)
        if inner is not None:
            yield from walk(inner, (*path, name))
        else:
            yield Setting(
                ".".join(path),
                name,
                _PREFIX + "__".join((*path, name)).upper(),
                _kind(field.annotation),
                _default(field),
                page.sentence(field.description),
            )


def _model_of(annotation: Any) -> type[BaseModel] | None:
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(json.dumps(value) for value in arguments)
    if origin in {Union, types.UnionType}:
        known = [kind for kind in arguments if kind is not type(None)]
        return " | ".join(_kind(kind) for kind in known)
    if origin in {list, tuple, set, frozenset}:
        inside = [kind for kind in arguments if kind is not Ellipsis]
        return f"list of {_kind(inside[0])}" if inside else "list"
    if origin is not None and arguments:
        return _kind(arguments[0])
    plain: dict[Any, str] = {
        str: "text",
        SecretStr: "text",
        int: "whole number",
        float: "number",
        bool: "true | false",
        Path: "path",
    }
    return plain.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    return "" if value is None else _toml(value)


def _toml(value: Any) -> str:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, (list, tuple, set, frozenset)):
        return f"[{', '.join(_toml(item) for item in value)}]"
    if isinstance(value, (bool, int, float, str)):
        return json.dumps(value)
    return json.dumps(str(value))
