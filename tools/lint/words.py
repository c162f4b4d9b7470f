"""Names: one word per thing, and published names only where they are mapped.

Answers for the worst offenders of docs/glossary.md among the names that our code defines; the rest
of the table is held by review. Names that the code of others defines (`datetime.timestamp()`) are
not ours to choose, and a test's name is a sentence.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from typing import Final

from tools.lint.source import Finding, Source

_PACKAGE: Final = "src/punchgate/"

#: Word in a name -> what we say, as the glossary has it.
INSTEAD: Final = {
    "tenant": "account",
    "organisation": "account",
    "organization": "account",
    "company": "account",
    "employee": "person",
    "timestamp": "wall_time for the device's clock, `…_at` for an instant",
    "webhook": "endpoint (a receiver's address) or delivery (an event on its way)",
    "dlq": "dead letter",
    "mutex": "lock",
    "manager": "what it does: a name like this says that it is not understood yet",
    "helper": "what it does: a name like this says that it is not understood yet",
    "helpers": "what they do: a name like this says that they are not understood yet",
    "util": "what it is about: a name like this says that it is not understood yet",
    "utils": "what it is about: a name like this says that it is not understood yet",
    "misc": "what it is about: a name like this says that it is not understood yet",
}

#: Field names of published contracts and devices, as they stand on the wire.
PUBLISHED: Final = frozenset({
    "att_time", "att_state", "user_id", "input_type", "disponibles", "UserID", "AttendanceLog",
    "AttTime", "att_id", "device_sn",
})  # fmt: skip
#: Where published names are mapped to ours, or spoken by the other side.
_MAPPED: Final = (
    "wire/attendance.py", "simulators/", "protocols/", "delivery/formats/", "facades/",
)  # fmt: skip

_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def glossary(sources: Sequence[Source]) -> Iterator[Finding]:
    """Find names of ours with a word that the glossary replaces."""
    for source in sources:
        if not source.is_python() or source.within("tests/"):
            continue
        stem = source.path.rpartition("/")[2].removesuffix(".py")
        for name, line in [(stem, 1), *_defined(source.tree())]:
            for word in _WORDS.findall(name):
                if word.lower() in INSTEAD:
                    yield Finding(
                        source.path,
                        line,
                        f"`{name}`: do not say `{word}`, say {INSTEAD[word.lower()]}"
                        " (docs/glossary.md).",
                    )


def published(sources: Sequence[Source]) -> Iterator[Finding]:
    """Find published field names inside the house, as names or as whole strings."""
    mapped = tuple(_PACKAGE + place for place in _MAPPED)
    for source in sources:
        if not source.is_python() or not source.within(_PACKAGE) or source.within(*mapped):
            continue
        if source.path.endswith("/shapes.py"):
            continue
        for name, line in _spoken(source.tree()):
            if name in PUBLISHED:
                yield Finding(
                    source.path,
                    line,
                    f"`{name}` is a name of a published contract: it is mapped in shapes.py,"
                    " wire/attendance.py or a codec, and nothing inside is called after it.",
                )


def _defined(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name, node.lineno
            case ast.ClassDef(name=name) | ast.arg(arg=name):
                yield name, node.lineno
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name, node.lineno


def _spoken(tree: ast.Module) -> Iterator[tuple[str, int]]:
    yield from _defined(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str() as name) | ast.Name(id=name, ctx=ast.Load()):
                yield name, node.lineno
            case ast.Attribute(attr=name, ctx=ast.Load()):
                yield name, node.lineno
            case ast.keyword(arg=str() as name):
                yield name, node.value.lineno
