"""The generators of pages, on small things made up for them.

Real: the generators. Made up: settings, commands, tests and a package, so that a page's every part
is seen once and each refusal is provoked.
"""

from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer
from pydantic import BaseModel, Field
from typer.main import get_command

from tools.docs import commands, invariants, page, settings


class Inner(BaseModel):
    """A section."""

    limit_s: int = Field(default=60, description="How long,\n  in seconds.")
    names: tuple[str, ...] = Field(default=("a", "b"), description="Which ones.")


class Outer(BaseModel):
    """Settings of nothing."""

    inner: Inner = Inner()
    mode: Literal["on", "off"] = Field(default="on", description="Whether.")
    place: Path | None = Field(default=None, description="Where.")
    name: str = Field(description="What must be said.")


def test_settings_are_listed_with_every_name_they_have() -> None:
    found = {setting.variable: setting for setting in settings.walk(Outer)}
    assert list(found) == [
        "PUNCHGATE_INNER__LIMIT_S",
        "PUNCHGATE_INNER__NAMES",
        "PUNCHGATE_MODE",
        "PUNCHGATE_PLACE",
        "PUNCHGATE_NAME",
    ]
    assert found["PUNCHGATE_INNER__LIMIT_S"] == settings.Setting(
        "inner",
        "limit_s",
        "PUNCHGATE_INNER__LIMIT_S",
        "whole number",
        "60",
        "How long, in seconds.",
    )


@pytest.mark.parametrize(
    ("variable", "kind", "default"),
    [
        ("PUNCHGATE_INNER__NAMES", "list of text", '["a", "b"]'),
        ("PUNCHGATE_MODE", '"on" | "off"', '"on"'),
        ("PUNCHGATE_PLACE", "path", ""),
        ("PUNCHGATE_NAME", "text", "required"),
    ],
)
def test_types_and_defaults_are_written_for_operators(
    variable: str, kind: str, default: str
) -> None:
    found = {setting.variable: setting for setting in settings.walk(Outer)}
    assert (found[variable].kind, found[variable].default) == (kind, default)


def test_commands_are_listed_with_their_arguments_and_options() -> None:
    app, noun = typer.Typer(), typer.Typer()
    app.add_typer(noun, name="device")

    @noun.command()
    def add(
        serial: Annotated[str, typer.Argument(help="What it calls itself.")],
        *,
        zone: Annotated[str, typer.Option(help="Where it stands.")] = "UTC",
        force: Annotated[bool, typer.Option("--force", help="Even so.")] = False,
    ) -> None:
        """Add a device.\f Not for readers."""

    @noun.command(hidden=True)
    def secret() -> None:
        """Nobody's business."""

    @noun.command(name="list")
    def list_devices() -> None:
        """List devices."""

    assert list(commands.walk(get_command(app), ("punchgate",))) == [
        commands.Command(
            ("punchgate", "device", "add"),
            "Add a device.",
            "SERIAL [OPTIONS]",
            (
                ("SERIAL", "", "What it calls itself."),
                ("--zone <str>", "UTC", "Where it stands."),
                ("--force", "", "Even so."),
            ),
        ),
        commands.Command(("punchgate", "device", "list"), "List devices.", "", ()),
    ]


def test_invariants_are_found_by_the_names_of_tests(tmp_path: Path) -> None:
    folder = tmp_path / "tests/store"
    folder.mkdir(parents=True)
    (folder / "test_log.py").write_text(
        "def test_I4_both_or_neither(): ...\nasync def test_I4_again(): ...\ndef test_x(): ...\n"
    )
    found = invariants.find_tests(tmp_path / "tests")
    place = "tests/store/test_log.py"
    assert found == {"I4": [(place, "test_I4_both_or_neither"), (place, "test_I4_again")]}
    text = invariants.render_from(found, tmp_path)
    assert f"| [{place}](../{place}): both or neither; again |" in text
    assert "not built yet (`delivery`)" in text
    assert invariants.problems_of(found, tmp_path) == []


def test_an_invariant_whose_subject_is_built_needs_a_test(tmp_path: Path) -> None:
    (tmp_path / "delivery").mkdir()
    (problem,) = invariants.problems_of({}, tmp_path)
    assert problem.startswith("No test holds I5 ")
    assert "**no test yet**" in invariants.render_from({}, tmp_path)


def test_a_test_cannot_hold_an_invariant_that_nobody_wrote_down(tmp_path: Path) -> None:
    problems = invariants.problems_of({"I13": [("tests/x.py", "test_I13_luck")]}, tmp_path)
    assert problems == ["test_I13_luck: there is no invariant I13."]


def test_a_cell_cannot_break_its_table() -> None:
    assert (
        page.table(("a", "b"), [("x|y", "1\n2")]) == "| a | b |\n| --- | --- |\n| x\\|y | 1 2 |\n"
    )
