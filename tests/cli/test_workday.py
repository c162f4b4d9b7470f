"""`punchgate workday compute`: what it prints, where, and how it ends.

Real: the command, run in this process on files in a temporary directory.
"""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from punchgate.cli import workday
from tests import shared_data

DAY: dict[str, object] = {
    "date": "2026-06-01",
    "first_in": "2026-06-01 09:00:00",
    "last_out": "2026-06-01 17:00:00",
    "worked_seconds": 28_800,
    "working_hours": "8h 0m",
    "hours_decimal": 8.0,
    "status": "complete",
}
GOOD: dict[str, object] = {
    "id": "good",
    "title": "as [expected]",
    "punches": [
        {"at": "2026-06-01 09:00:00", "dir": "in"},
        {"at": "2026-06-01 17:00:00", "dir": "out"},
    ],
    "expect": {"days": [DAY], "duplicates_dropped": 0},
}
OPEN = {**GOOD, "id": "open", "expect": None}
WRONG = {
    **GOOD,
    "id": "wrong",
    "expect": {"days": [{**DAY, "worked_seconds": 1}], "duplicates_dropped": 0},
}


def compute(folder: Path, content: object, *options: str) -> Result:
    file = folder / "cases.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return run(str(file), *options)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(workday.app, ["compute", *arguments], env={"COLUMNS": "120"})


def test_all_as_expected_ends_with_0(tmp_path: Path) -> None:
    result = compute(tmp_path, [GOOD, OPEN])
    assert result.exit_code == 0
    assert result.stderr == "1 of 1 as expected, 1 only computed.\n"
    assert compute(tmp_path, [GOOD, GOOD]).stderr == "2 of 2 as expected.\n"


def test_computed_and_expected_stand_side_by_side(tmp_path: Path) -> None:
    result = compute(tmp_path, [GOOD, WRONG])
    lines = [line for line in result.stdout.splitlines() if "worked_seconds" in line]
    assert [line.count("worked_seconds: 28800") for line in lines] == [2, 1]
    assert "worked_seconds: 1 " in lines[1]
    assert "as [expected]" in result.stdout
    assert "DIFFERS" in result.stdout


def test_a_difference_ends_with_1_and_is_named(tmp_path: Path) -> None:
    result = compute(tmp_path, [GOOD, WRONG])
    assert result.exit_code == 1
    assert result.stderr == "Not as expected: wrong (1 of 2 cases).\n"


def test_json_is_the_published_form(tmp_path: Path) -> None:
    result = compute(tmp_path, [GOOD, OPEN, WRONG], "--json")
    computed = {"days": [DAY], "duplicates_dropped": 0}
    assert result.exit_code == 1
    assert json.loads(result.stdout) == [
        {"id": "good", "computed": computed, "equal": True},
        {"id": "open", "computed": computed, "equal": None},
        {"id": "wrong", "computed": computed, "equal": False},
    ]


def test_no_cases_are_as_expected(tmp_path: Path) -> None:
    result = compute(tmp_path, [], "--json")
    assert (result.exit_code, result.stdout) == (0, "[]\n")


def test_an_expectation_of_any_form_is_shown(tmp_path: Path) -> None:
    odd = {**GOOD, "expect": {"days": [7], "duplicates_dropped": 0}}
    odder = {**GOOD, "expect": {"days": "none"}}
    result = compute(tmp_path, [odd, odder])
    assert result.exit_code == 1
    assert "day: 7" in result.stdout
    assert 'days: "none"' in result.stdout


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is not JSON: "),
        ("[" * 100_000, "is not JSON: "),
        ("{}", "must be a list of cases; it is one dict."),
        ("[1]", "Case number 1 in "),
        ('[{"punches": []}]', "must have a text as its `id`."),
        ('[{"id": 1}]', "must have a text as its `id`."),
    ],
)
def test_a_file_that_cannot_be_read_ends_with_2_and_a_sentence(
    tmp_path: Path, content: str, sentence: str
) -> None:
    result = compute(tmp_path, content)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert sentence.strip() in " ".join(result.stderr.split())


def test_a_case_that_cannot_be_read_ends_with_2_and_hides_no_other(tmp_path: Path) -> None:
    lost = {**GOOD, "id": "lost", "policy": {"tz": "Mars"}}
    result = compute(tmp_path, [lost, WRONG, {**lost, "id": "gone", "expect": None}], "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout) == [
        {"id": "lost", "computed": None, "equal": False},
        {"id": "wrong", "computed": {"days": [DAY], "duplicates_dropped": 0}, "equal": False},
        {"id": "gone", "computed": None, "equal": None},
    ]
    assert "Case lost: There is no time zone 'Mars'. " in result.stderr
    assert "Case gone: There is no time zone 'Mars'. " in result.stderr
    assert "Not as expected: lost, wrong (2 of 3 cases)." in result.stderr


def test_a_case_that_cannot_be_read_stands_beside_what_it_expects(tmp_path: Path) -> None:
    result = compute(tmp_path, [{**GOOD, "punches": 7}, {**GOOD, "expect": 7}, GOOD])
    assert result.exit_code == 2
    assert [result.stdout.count(word) for word in ("UNREADABLE", "equal")] == [2, 1]
    assert result.stdout.count("worked_seconds: 28800") == 3
    assert "`expect` must be an object; it is 7." in result.stderr


def test_bytes_that_are_no_text_are_no_json(tmp_path: Path) -> None:
    file = tmp_path / "cases.json"
    file.write_bytes(b"\xff\xfe\x00[")
    assert run(str(file)).exit_code == 2


def test_a_file_that_is_not_there_ends_with_2(tmp_path: Path) -> None:
    result = run(str(tmp_path / "absent.json"))
    assert result.exit_code == 2
    assert "No such file or directory" in " ".join(result.stderr.split())


def test_help_says_how_it_ends() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "Ends with 1" in result.stdout


@pytest.mark.skipif(
    shared_data.find("cases/workdays.json") is None,
    reason="the published cases are not beside this checkout",
)
def test_the_published_cases_are_all_equal() -> None:
    result = run(str(shared_data.find("cases/workdays.json")), "--json")
    assert result.exit_code == 0
    assert [each["equal"] for each in json.loads(result.stdout)] == [True] * 25
