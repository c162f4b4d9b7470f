"""What a file may look like and contain: its size, its excuses, its promises, and where it points.

Answers for lines of text, Python or not. Style and types are ruff's and mypy's.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

from tools.lint.source import Finding, Source

_MAX_LINES: Final = 400
#: Python files that are longer, and why; a reason is a sentence that a reviewer agreed to.
LONGER: Final[dict[str, str]] = {
    "src/punchgate/store/schema.py": "the tables: one list, read from top to bottom",
    "tests/delivery/test_strict.py": "strict order against each trouble, one test each",
    "tests/delivery/test_trouble.py": "each trouble of a receiver, one test each",
    "tests/domain/test_target.py": "the table of addresses and their spellings",
    "tests/simulators/test_zk_faults.py": "each fault of a terminal, one test each",
}

#: A wall time has no zone; these read, keep and resolve it. Everywhere else an instant is aware.
_NAIVE_PLACES: Final = (
    "src/punchgate/wire/",
    "src/punchgate/protocols/",
    "src/punchgate/domain/localtime.py",
    "src/punchgate/domain/punch.py",
    "src/punchgate/domain/workday/",
    "src/punchgate/domain/workday.py",
    # The one place where a wall time becomes a fact.
    "src/punchgate/usecases/punches.py",
    # A terminal's rows and its clock.
    "src/punchgate/cli/decode.py",
    "src/punchgate/cli/simulate_zk.py",
    # People type wall times, too.
    "src/punchgate/cli/parse.py",
    "src/punchgate/simulators/",
    "tests/",
    "bench/",
)
_EXCUSE: Final = re.compile(r"#\s*noqa(?P<codes>:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?(?P<rest>.*)")
_IGNORED_TYPE: Final = re.compile(r"#\s*type:\s*ignore(?P<code>\[[a-z-]+(?:,\s*[a-z-]+)*\])?(.*)")
_PROMISE: Final = re.compile(r"\bTODO\b(?!\(#\d+\): \S)")
_URL: Final = re.compile(r"\bhttps?://[^\s\"'`<>)\]},;\\]+")

#: Hosts that the tree may name. Download addresses stay in the configuration of each machine.
HOSTS: Final = frozenset({
    "127.0.0.1", "localhost", "[::1]", "0.0.0.0",  # noqa: S104 (an address in a text)
    "www.apache.org", "keepachangelog.com", "semver.org", "www.iana.org", "www.w3.org",
    "www.sqlite.org", "www.postgresql.org", "docs.python.org", "www.rfc-editor.org",
    "json-schema.org", "spec.openapis.org", "editorconfig.org",
})  # fmt: skip
#: Samples that a contract published, byte for byte, and addresses that are read and never asked.
_PUBLISHED_SAMPLES: Final = ("tests/contracts/golden/", "tests/domain/test_target.py")
_EXAMPLES: Final = (".example", ".test", ".invalid", "example.com", "example.org", "example.net")

#: Paths that exist on one machine only; put together so that this file does not hold them.
_MACHINE: Final = re.compile(
    "|".join((
        r"(?<![\w.])/" + r"work\b",
        r"(?<![\w.])/" + r"root/",
        r"(?<![\w.])/" + r"home/\w",
        r"\." + "library",
        r"\.\./" + "shared",
    ))
)  # fmt: skip


def sizes(sources: Sequence[Source]) -> Iterator[Finding]:
    """Find Python files that have grown past the question of 400 lines."""
    for source in sources:
        count = source.text.count("\n")
        if source.is_python() and count > _MAX_LINES and source.path not in LONGER:
            yield Finding(
                source.path,
                count,
                f"{count} lines; {_MAX_LINES} is a question. Split it by what it answers for, or"
                " enter it in LONGER of tools/lint/text.py with a sentence that says why not.",
            )


def excuses(sources: Sequence[Source]) -> Iterator[Finding]:
    """Find silenced checkers without a code or a reason, and naive times outside their places."""
    for source, line, text in _python_lines(sources):
        excuse, ignored = _EXCUSE.search(text), _IGNORED_TYPE.search(text)
        if excuse and not (excuse["codes"] and re.match(r"\s*\(.+\)", excuse["rest"])):
            yield Finding(
                source.path, line, "Say what is excused and why: `# noqa: X123 (the reason)`."
            )
        elif excuse and "DTZ" in (excuse["codes"] or "") and not source.within(*_NAIVE_PLACES):
            yield Finding(
                source.path,
                line,
                "A naive datetime is a wall time: it lives in wire/, the codecs and"
                " domain/localtime.py. Pass an instant, or resolve the wall time there.",
            )
        if ignored and not (ignored["code"] and ignored[2].strip()):
            yield Finding(
                source.path, line, "Say what is ignored and why: `# type: ignore[code]  # reason`."
            )


def promises(sources: Sequence[Source]) -> Iterator[Finding]:
    """Find a TODO that no issue remembers."""
    for source, line, text in _python_lines(sources):
        if "#" in text and _PROMISE.search(text.partition("#")[2]):
            yield Finding(source.path, line, "Write `TODO(#123): sentence`, or do it now.")


def places(sources: Sequence[Source]) -> Iterator[Finding]:
    """Find paths of one machine, and addresses of hosts that nobody agreed to name."""
    for source in sources:
        for line, text in source.lines():
            if _MACHINE.search(text):
                yield Finding(
                    source.path, line, "This path exists on one machine only: find it from the"
                    " file's own place, or take it as an argument."
                )  # fmt: skip
            for url in _URL.findall(text):
                if not _is_agreed(url) and not source.within(*_PUBLISHED_SAMPLES):
                    yield Finding(
                        source.path,
                        line,
                        f"{url}: use an example host, or add the host to HOSTS of"
                        " tools/lint/text.py if readers need it. Download addresses never.",
                    )


def _is_agreed(url: str) -> bool:
    try:
        host = urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        # A test's bad address names no host.
        return True
    if not host.startswith("["):
        host = host.partition(":")[0]
    # A placeholder is filled in at run time: the address is the user's own.
    if not host or host[0] in "{$%*<" or host in HOSTS or "." not in host:
        return True
    return host.endswith(_EXAMPLES) or re.fullmatch(r"(10|127|192\.168)(\.\d+)+", host) is not None


def _python_lines(sources: Sequence[Source]) -> Iterator[tuple[Source, int, str]]:
    for source in sources:
        # The lints and their tests speak about what they look for.
        if source.is_python() and not source.within("tools/lint/", "tests/architecture/"):
            for line, text in source.lines():
                yield source, line, text
