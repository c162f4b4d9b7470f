"""The table and its place in a page: figures in, Markdown out."""

from pathlib import Path

import pytest

from bench import table
from bench.rounds import Rounds, Sample
from bench.table import Comparison


def rounds(ours: list[float], theirs: list[float], *, after_s: float = 0.0) -> Rounds:
    """Make rounds of rates; a latency is what a rate takes with one request in flight."""
    samples = {
        name: [Sample(rate, 1000 / rate, 2000 / rate, 0.5) for rate in rates]
        for name, rates in (("ours", ours), ("theirs", theirs))
    }
    return Rounds(samples, len(ours), 0, {"ours": after_s, "theirs": 0.0})


def cells(comparison: Comparison, found: Rounds) -> dict[str, str]:
    names = ("what", "ours", "against", "theirs", "ratio", "goal", "verdict", "remarks")
    return dict(zip(names, table.line(comparison, found).cells, strict=True))


#: The sign of multiplication.
X = "\N{MULTIPLICATION SIGN}"
FOUND = rounds([900, 1000, 5000], [90, 100, 100])


def test_a_ratio_is_that_of_the_medians_with_the_spread_of_the_rounds() -> None:
    made = cells(Comparison(what="w", ours="ours", theirs="theirs", ratio="faster"), FOUND)
    assert made["ratio"] == f"**10 {X}** faster (10 {X} to 50 {X})"
    assert made["ours"] == "1,000/s, p99 2 ms"
    assert made["verdict"] == ""


def test_a_share_is_a_percentage() -> None:
    found = rounds([30, 30, 40], [60, 60, 60])
    made = cells(
        Comparison(what="w", ours="ours", theirs="theirs", ratio="share", at_least=0.5), found
    )
    assert made["ratio"] == "**50 %** of the limit (50 % to 67 %)"
    assert (made["goal"], made["verdict"]) == ("≥ 50 %", "met")


def test_sooner_compares_latencies_and_shows_them() -> None:
    made = cells(Comparison(what="w", ours="ours", theirs="theirs", ratio="sooner"), FOUND)
    assert made["ratio"] == f"**10 {X}** sooner (10 {X} to 50 {X})"
    assert made["ours"] == "p50 1 ms, p99 2 ms"


def test_longer_compares_with_a_limit_that_nobody_can_beat() -> None:
    found = rounds([10, 20, 20], [100, 100, 100])
    made = cells(Comparison(what="w", ours="ours", theirs="theirs", ratio="longer"), found)
    assert made["ratio"] == f"**5.00 {X}** as long (5.00 {X} to 10 {X})"
    assert made["theirs"] == "p50 10 ms, p99 20 ms"


def test_long_times_are_whole_milliseconds() -> None:
    found = rounds([0.5], [0.25])
    made = cells(Comparison(what="w", ours="ours", theirs="theirs", ratio="sooner"), found)
    assert (made["ours"], made["theirs"]) == (
        "p50 2,000 ms, p99 4,000 ms",
        "p50 4,000 ms, p99 8,000 ms",
    )


def test_dearer_is_a_cost_where_less_is_better() -> None:
    found = rounds([80, 80], [100, 100])
    made = cells(
        Comparison(what="w", ours="ours", theirs="theirs", ratio="dearer", at_most=1.5), found
    )
    assert made["ratio"] == f"**1.25 {X}** the cost (1.25 {X} to 1.25 {X})"
    assert made["verdict"] == "met"


@pytest.mark.parametrize(
    ("comparison", "is_met"),
    [
        (Comparison(what="w", ours="ours", theirs="theirs", ratio="faster", at_least=10), True),
        (Comparison(what="w", ours="ours", theirs="theirs", ratio="faster", at_least=11), False),
        (
            Comparison(
                what="w",
                ours="ours",
                theirs="theirs",
                ratio="faster",
                at_least=10,
                per_s_at_least=1001,
            ),
            False,
        ),
        (
            Comparison(what="w", ours="ours", theirs="theirs", ratio="sooner", p50_ms_at_most=1),
            True,
        ),
        (
            Comparison(what="w", ours="ours", theirs="theirs", ratio="sooner", p50_ms_at_most=0.9),
            False,
        ),
        (
            Comparison(what="w", ours="ours", theirs="theirs", ratio="longer", p99_ms_at_most=2),
            True,
        ),
        (
            Comparison(what="w", ours="ours", theirs="theirs", ratio="longer", p99_ms_at_most=1.9),
            False,
        ),
        (Comparison(what="w", ours="ours", theirs="theirs", ratio="faster"), None),
    ],
)
def test_a_goal_is_met_when_every_bound_of_it_holds(
    comparison: Comparison,
    is_met: bool | None,  # noqa: FBT001 (a table's expectation)
) -> None:
    assert table.line(comparison, FOUND).is_met is is_met


def test_remarks_count_rounds_and_name_what_spoils_a_figure() -> None:
    samples = {"ours": [Sample(1, 1, 1, 0.93)] * 3, "theirs": [Sample(1, 1, 1, 0.1)] * 3}
    found = Rounds(samples, 3, 2, {"ours": 2.5, "theirs": 9.0})
    made = cells(Comparison(what="w", ours="ours", theirs="theirs", ratio="faster"), found)
    assert made["remarks"] == (
        "3 rounds; 2 thrown away; generator 0.93 core (ours); 2.5 s of work after ours"
    )


def test_the_table_has_the_facts_of_the_run_above_it() -> None:
    comparison = Comparison(what="w", ours="ours", theirs="theirs", ratio="faster")
    text = table.markdown([table.line(comparison, FOUND)], {"cores": "2"})
    lines = text.splitlines()
    assert lines[0] == "- cores: 2"
    assert len({line.count("|") for line in lines[2:]}) == 1
    assert lines[-1].startswith("| w | 1,000/s")


def test_recording_replaces_what_stands_between_the_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{table.BEGIN}\n\nold\n\n{table.END}\n\nafter\n")
    table.record(page, "new\n")
    table.record(page, "newer\n")
    assert page.read_text() == f"before\n\n{table.BEGIN}\n\nnewer\n\n{table.END}\n\nafter\n"


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing here")
    with pytest.raises(ValueError, match="no place for results"):
        table.record(page, "new")
    assert page.read_text() == "nothing here"


def test_the_page_of_the_project_has_its_place() -> None:
    page = (Path(__file__).parents[2] / "docs" / "performance.md").read_text()
    assert page.index(table.BEGIN) < page.index(table.END)
