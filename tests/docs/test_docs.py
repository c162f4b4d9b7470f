"""The pages, held against what they speak of: links, commands, settings, slugs, metrics.

Real: every page of the tree, the command line, the settings, the metrics of the process. What may
be asserted is that a thing exists and is named; whether the sentence is good is for a reader.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from punchgate import config, telemetry
from tools.docs import commands, errors, settings
from tools.lint.source import Source, load

_ROOT = Path(__file__).parents[2]
_SOURCES = load(_ROOT)
_PAGES = [source for source in _SOURCES if source.path.endswith(".md")]
_LINK = re.compile(r"(?<!\\)\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
_NAMED_PAGE = re.compile(r"\bdocs/[\w/.-]+\.md\b")
#: `tests/contracts/x/` is what somebody will add; everything else is what is there.
_NAMED_PATH = re.compile(r"`((?:src|tests|tools|deploy|bench|examples)/(?![\w/]*\bx\b)[\w./-]+)`")
_MAKE = re.compile(r"(?:^|`)make +([a-z]+)", re.MULTILINE)
_TYPED = re.compile(r"(?:^\$? ?|`)(?:\.venv/bin/)?(punchgate [^`\n#|]*)", re.MULTILINE)
_OPTION = re.compile(r"--[a-z][a-z-]*")


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.path)
def test_every_link_of_a_page_leads_somewhere(page: Source) -> None:
    broken = [link for link in _links(page) if not _leads_somewhere(page, link)]
    assert broken == []


def test_every_page_that_the_code_names_exists() -> None:
    named = {
        (source.path, name)
        for source in _SOURCES
        # Tests of the lints speak about pages that nobody has written.
        if source.path.endswith((".py", ".conf", ".toml")) and not source.within("tests/")
        for name in _NAMED_PAGE.findall(source.text)
    }
    assert sorted(pair for pair in named if not (_ROOT / pair[1]).exists()) == []


def test_every_path_that_a_page_names_exists() -> None:
    named = {(page.path, name) for page in _PAGES for name in _NAMED_PATH.findall(page.text)}
    assert sorted(pair for pair in named if not (_ROOT / pair[1]).exists()) == []


def test_every_command_that_a_page_shows_exists() -> None:
    known = {command.words: command for command in commands.commands()}
    wrong = []
    for page, line in _typed_lines():
        words = tuple(line.split())
        fits = [key for key in known if words[: len(key)] == key or words == key[: len(words)]]
        if not fits:
            wrong.append(f"{page}: {line}")
    assert wrong == []


def test_every_option_that_a_page_shows_exists() -> None:
    known = {command.words: command for command in commands.commands()}
    wrong = []
    for page, line in _typed_lines():
        words = tuple(line.split())
        for key, command in known.items():
            if words[: len(key)] == key:
                options = " ".join(name for name, _, _ in command.options)
                missing = set(_OPTION.findall(line)) - set(_OPTION.findall(options)) - {"--help"}
                wrong += [f"{page}: {line}: {name}" for name in missing]
    assert wrong == []


def test_every_make_target_that_a_page_shows_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (_ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = {(page.path, name) for page in _PAGES for name in _MAKE.findall(_code(page))}
    assert sorted(pair for pair in shown if pair[1] not in targets) == []


def test_make_alone_lists_every_target_that_is_not_a_step() -> None:
    makefile = (_ROOT / "Makefile").read_text()
    listed = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    phony = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split())
    assert phony - listed == {"tools", "system"}


def test_every_command_has_its_section() -> None:
    page = _read(commands.PATH)
    missing = [c.words for c in commands.commands() if f"## {' '.join(c.words)}\n" not in page]
    assert missing == []


def test_every_setting_is_documented() -> None:
    page = _read(settings.PATH)
    found = [setting.variable for setting in settings.walk(config.Settings)]
    assert [name for name in found if f"`{name}`" not in page] == []
    assert "PUNCHGATE_INGEST__RATE_REQUESTS" in found


def test_every_error_slug_is_documented() -> None:
    page = _read(errors.PATH)
    slugs = {kind.slug for kind in errors.errors()}
    assert sorted(slug for slug in slugs if f"| `{slug}` |" not in page) == []
    assert "store.busy" in slugs


def test_no_two_errors_share_a_slug() -> None:
    slugs = [kind.slug for kind in errors.errors()]
    assert sorted(slugs) == sorted(set(slugs))


def test_every_metric_is_documented_with_its_labels_and_no_other() -> None:
    rows = re.findall(
        r"^\| `(punchgate_\w+)` \| ([^|]*)\|", _read("docs/reference/metrics.md"), re.MULTILINE
    )
    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    assert documented == dict(_metrics())


def test_a_heading_becomes_the_anchor_that_readers_know() -> None:
    assert _anchor("What is *not* `here`: I/O") == "what-is-not-here-io"


def _metrics() -> Iterator[tuple[str, set[str]]]:
    for metric in vars(telemetry).values():
        if isinstance(metric, (MetricWrapperBase, telemetry.Tally)):
            (family,) = metric.collect()
            labels = metric._labels if isinstance(metric, telemetry.Tally) else metric._labelnames
            yield family.name + ("_total" if family.type == "counter" else ""), set(labels)


def _links(page: Source) -> Iterator[str]:
    for link in _LINK.findall(_FENCE.sub("", page.text)):
        if not link.startswith(("http://", "https://", "mailto:")):
            yield link


def _leads_somewhere(page: Source, link: str) -> bool:
    name, _, anchor = link.partition("#")
    path = (_ROOT / page.path).parent / name if name else _ROOT / page.path
    if not path.exists():
        return False
    if not anchor or path.suffix != ".md":
        return True
    headings = _HEADING.findall(_FENCE.sub("", path.read_text("utf-8")))
    return anchor in {_anchor(heading) for heading in headings}


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def _typed_lines() -> Iterator[tuple[str, str]]:
    for page in _PAGES:
        if page.path != commands.PATH:
            for line in _TYPED.findall(_code(page)):
                yield page.path, line.strip()


def _code(page: Source) -> str:
    """Give a page's blocks and inline code, each on a line of its own, its marks kept."""
    inline = re.findall(r"`[^`\n]+`", _FENCE.sub("", page.text))
    blocks = [block.replace("```", "") for block in _FENCE.findall(page.text)]
    return "\n".join([*blocks, *inline])


def _read(name: str) -> str:
    return (_ROOT / name).read_text("utf-8")
