"""What a run prints: one line for each comparison, always with its ratio, as a Markdown table.

Pure but for `record`, which puts a table into its place in a page. It measures nothing.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from bench.rounds import Rounds, Sample

#: Where the generator took more of a core than this, it and not the server may be what was
#: measured.
BUSY_GENERATOR: Final = 0.8
#: Work that goes on after a part for longer than this is worth a remark.
_AFTERWARDS_S: Final = 1.0

BEGIN: Final = "<!-- results: begin (written by `make bench`, not by hand) -->"
END: Final = "<!-- results: end -->"

_TIMES: Final = "\N{MULTIPLICATION SIGN}"

#: How a ratio is made: how many times faster, what share of the limit, how many times sooner, how
#: many times longer than the limit, how many times dearer.
Ratio = Literal["faster", "share", "sooner", "longer", "dearer"]

_RATIOS: Final[Mapping[Ratio, Callable[[Sample, Sample], float]]] = {
    "faster": lambda ours, theirs: ours.per_s / theirs.per_s,
    "share": lambda ours, theirs: ours.per_s / theirs.per_s,
    "sooner": lambda ours, theirs: theirs.p50_ms / ours.p50_ms,
    "longer": lambda ours, theirs: ours.p50_ms / theirs.p50_ms,
    "dearer": lambda ours, theirs: theirs.per_s / ours.per_s,
}
#: What a `Comparison` calls these ratios in the table.
_WORDS: Final[Mapping[Ratio, str]] = {
    "faster": "faster",
    "share": "of the limit",
    "sooner": "sooner",
    "longer": "as long",
    "dearer": "the cost",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two parts of a benchmark, side by side, and what we promised of them (`None`: nothing)."""

    what: str
    ours: str
    theirs: str
    ratio: Ratio
    at_least: float | None = None
    at_most: float | None = None
    per_s_at_least: float | None = None
    p50_ms_at_most: float | None = None
    p99_ms_at_most: float | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table, ready to print; `is_met` is None where nothing was promised."""

    cells: tuple[str, ...]
    is_met: bool | None


_HEAD: Final = ("what", "ours", "against", "theirs", "ratio (spread)", "goal", "", "remarks")


def line(comparison: Comparison, rounds: Rounds) -> Line:
    """Judge one comparison by the rounds that were kept."""
    ours, theirs = rounds.median(comparison.ours), rounds.median(comparison.theirs)
    ratio = _RATIOS[comparison.ratio]
    found = ratio(ours, theirs)
    spread = rounds.ratios(ratio, comparison.ours, comparison.theirs)
    edges = [_ratio(comparison.ratio, edge) for edge in (min(spread), max(spread))]
    is_met = _judge(comparison, found, ours)
    cells = (
        comparison.what,
        _figure(comparison.ratio, ours),
        comparison.theirs,
        _figure(comparison.ratio, theirs),
        f"**{_ratio(comparison.ratio, found)}** {_WORDS[comparison.ratio]} ({' to '.join(edges)})",
        _goal(comparison),
        {None: "", True: "met", False: "**missed**"}[is_met],
        _remarks(comparison, rounds, ours, theirs),
    )
    return Line(cells, is_met)


def without_rounds(comparison: Comparison, reason: str) -> Line:
    """Make the line of a comparison that could not be measured."""
    goal = _goal(comparison)
    return Line((comparison.what, "", comparison.theirs, "", "", goal, "", reason), None)


def markdown(lines: Sequence[Line], head: Mapping[str, str]) -> str:
    """Write the whole table with the facts about its run above it."""
    facts = [f"- {name}: {value}" for name, value in head.items()]
    rows = [_HEAD, tuple("---" for _ in _HEAD), *(entry.cells for entry in lines)]
    table = ["| " + " | ".join(cells) + " |" for cells in rows]
    return "\n".join([*facts, "", *table, ""])


def record(page: Path, text: str) -> None:
    """Replace what stands between the two marks of a page; ValueError if they are not there."""
    content = page.read_text()
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(
            f"{page} has no place for results: it needs the two marks of bench/table.py."
        )
    page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def _judge(comparison: Comparison, ratio: float, ours: Sample) -> bool | None:
    bounds = (
        (ratio, operator.ge, comparison.at_least),
        (ratio, operator.le, comparison.at_most),
        (ours.per_s, operator.ge, comparison.per_s_at_least),
        (ours.p50_ms, operator.le, comparison.p50_ms_at_most),
        (ours.p99_ms, operator.le, comparison.p99_ms_at_most),
    )
    held = [bool(holds(value, bound)) for value, holds, bound in bounds if bound is not None]
    return all(held) if held else None


def _goal(comparison: Comparison) -> str:
    ratio = comparison.ratio
    parts = []
    if comparison.at_least is not None:
        parts.append(f"≥ {_ratio(ratio, comparison.at_least)}")
    if comparison.at_most is not None:
        parts.append(f"≤ {_ratio(ratio, comparison.at_most)}")
    if comparison.per_s_at_least is not None:
        parts.append(f"≥ {comparison.per_s_at_least:,.0f}/s")
    if comparison.p50_ms_at_most is not None:
        parts.append(f"p50 ≤ {comparison.p50_ms_at_most:g} ms")
    if comparison.p99_ms_at_most is not None:
        parts.append(f"p99 ≤ {comparison.p99_ms_at_most:,.0f} ms")
    return ", ".join(parts)


def _figure(ratio: Ratio, sample: Sample) -> str:
    if ratio in {"sooner", "longer"}:
        return f"p50 {_ms(sample.p50_ms)}, p99 {_ms(sample.p99_ms)}"
    if not sample.p99_ms:
        return f"{sample.per_s:,.0f}/s"
    return f"{sample.per_s:,.0f}/s, p99 {_ms(sample.p99_ms)}"


def _ms(value: float) -> str:
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.3g} ms"


def _ratio(ratio: Ratio, value: float) -> str:
    if ratio == "share":
        return f"{value * 100:.0f} %"
    return f"{value:.2f} {_TIMES}" if value < 10 else f"{value:.0f} {_TIMES}"


def _remarks(comparison: Comparison, rounds: Rounds, ours: Sample, theirs: Sample) -> str:
    found = [comparison.remark] if comparison.remark else []
    found.append(f"{rounds.kept} rounds")
    if rounds.thrown_away:
        found.append(f"{rounds.thrown_away} thrown away")
    for who, sample in (("ours", ours), ("theirs", theirs)):
        if sample.generator_cores > BUSY_GENERATOR:
            found.append(f"generator {sample.generator_cores:.2f} core ({who})")
    afterwards = rounds.after_s[comparison.ours]
    if afterwards > _AFTERWARDS_S:
        found.append(f"{afterwards:.1f} s of work after ours")
    return "; ".join(found)
