"""The screen of the demo: what is printed, on a terminal and into a pipe."""

from io import StringIO

from rich.console import Console

from punchgate.cli.demo_screen import Line, Screen, show_summary

LINE = Line("Fri 21:52:57", "Main Gate", "Rahul Sharma", "in", "recorded")


def played(*, is_terminal: bool, lines: list[Line]) -> str:
    out = StringIO()
    screen = Screen(Console(file=out, force_terminal=is_terminal, width=80, color_system=None))
    screen.total = len(lines)
    with screen:
        for line in lines:
            screen.show(line)
    return out.getvalue()


def test_into_a_pipe_each_punch_is_a_line() -> None:
    said = played(is_terminal=False, lines=[LINE, LINE._replace(status="duplicate")])
    first, second = said.splitlines()
    assert first.split() == ["Fri", "21:52:57", "Main", "Gate", "Rahul", "Sharma", "in", "recorded"]
    assert second.endswith("duplicate")


def test_on_a_terminal_the_last_punches_stand_in_a_table() -> None:
    people = [f"Person {number:02d}" for number in range(40)]
    said = played(is_terminal=True, lines=[LINE._replace(person=name) for name in people])
    last = said[said.rindex("40 of 40 punches on disk") :]
    assert people[-1] in last
    assert people[24] in last
    assert people[23] not in last


def test_a_name_cannot_drive_the_terminal_or_its_markup() -> None:
    nasty = LINE._replace(person="[bold]Eve[/bold]")
    assert "[bold]Eve[/bold]" in played(is_terminal=False, lines=[nasty])
    assert "[bold]Eve[/bold]" in played(is_terminal=True, lines=[nasty])


def test_the_summary_names_the_date_of_a_time_only_where_it_is_another() -> None:
    out = StringIO()
    row = {
        "date": "2026-11-20",
        "user_name": "Hugo Lindqvist",
        "first_in": "2026-11-20 21:52:57",
        "last_out": "2026-11-21 06:08:16",
        "working_hours": "8h 15m",
        "activities": [{}, {}],
    }
    open_row = {**row, "first_in": None, "last_out": None, "working_hours": None}
    show_summary(Console(file=out, width=80), [row, open_row])
    said = out.getvalue()
    assert " 21:52:57 " in said
    assert "2026-11-20 21:52:57" not in said
    assert "2026-11-21 06:08:16" in said
    assert "8h 15m" in said
    assert "Hugo Lindqvist" in said
    assert " punches" in said
    assert "None" not in said
