"""What is printed: values as people read them, JSON as programs do, no control characters."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from punchgate.cli import output

_ESC = "\x1b[31mred\x1b[0m"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("plain", "plain"),
        (_ESC, "[31mred[0m"),
        ("\x9b31m", "31m"),
        ("a\rb\nc\td", "abcd"),
        ("\u202egpj.exe", "gpj.exe"),
        ("Zoë 漢字 🙂", "Zoë 漢字 🙂"),
    ],
)
def test_a_text_loses_what_a_terminal_would_obey(said: str, expected: str) -> None:
    assert output.clean(said) == expected


@given(st.text())
def test_no_text_brings_a_control_character_to_the_terminal(said: str) -> None:
    assert not any(ord(each) < 32 or 127 <= ord(each) < 160 for each in output.clean(said))
    shown = output.line({"name": said})
    assert not any(ord(each) < 32 or 127 <= ord(each) < 160 for each in shown)


@given(st.text())
def test_json_gives_back_what_was_said(said: str) -> None:
    assert json.loads(output.line({"name": said})) == {"name": said}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        ([], ""),
        (["a", 1], "a, 1"),
        ({"0": "check-in", "1": None}, "0=check-in, 1="),
        ({"device": {"id": "gate"}}, '{"device":{"id":"gate"}}'),
        (_ESC, "[31mred[0m"),
        ([_ESC], "[31mred[0m"),
        ({_ESC: _ESC}, "[31mred[0m=[31mred[0m"),
    ],
)
def test_a_value_is_shown_as_a_person_reads_it(value: object, expected: str) -> None:
    assert output.text(value) == expected


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [(None, None), (0, "1970-01-01T00:00:00Z"), (1_782_014_400_999, "2026-06-21T04:00:00Z")],
)
def test_an_instant_is_utc_to_the_second(milliseconds: int | None, expected: str | None) -> None:
    assert output.instant(milliseconds) == expected


def test_a_table_into_a_pipe_is_not_folded(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 300
    output.many(("name",), [{"name": long}], as_json=False)
    assert long in capsys.readouterr().out


def test_a_table_shows_names_as_they_are_and_not_as_markup(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.many(("name",), [{"name": f"[bold]x[/bold]{_ESC}"}], as_json=False)
    shown = capsys.readouterr().out
    assert "[bold]x[/bold]" in shown
    assert "\x1b" not in shown


def test_progress_is_silent_when_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress("rows") as count:
        count(3)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
