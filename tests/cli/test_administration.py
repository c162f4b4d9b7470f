"""Accounts, keys, devices and people at the command line: what goes in is what comes out.

The rules are held by `tests/usecases`; here it is options, output and exit codes.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.line import Line


def _add_device(line: Line, *words: str) -> Any:
    return line.json("device", "add", "SN7A2300583", "--id", "main-gate", *words).one


# accounts


def test_the_account_main_is_there_from_the_start(line: Line) -> None:
    assert line.json("account", "list").many == [{"name": "main", "zone": None, "policies": []}]


def test_an_account_is_added_and_listed(line: Line) -> None:
    assert line.json("account", "add", "india", "--zone", "Asia/Kolkata").one["zone"] == (
        "Asia/Kolkata"
    )
    assert [each["name"] for each in line.json("account", "list").many] == ["main", "india"]
    assert "Asia/Kolkata" in line.run("account", "list").out


def test_rules_are_set_from_a_date_on(line: Line, tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text('{"attribution":"session","max_session_h":14}')
    said = line.json(
        "account", "set", "main", "--policy", str(rules), "--from", "2026-06-01", "--zone", "UTC"
    )
    assert said.one == {
        "name": "main",
        "zone": "UTC",
        "policies": [
            {"from": "2026-06-01", "rules": {"attribution": "session", "max_session_h": 14}}
        ],
    }
    assert line.json("account", "show").one == said.one
    assert line.json("account", "show", "main").one == said.one
    assert line.run("account", "show", "nobody").code == 3


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ('{"attribution":"moon"}', "2026-06-01"),
        ("[]", "2026-06-01"),
        ("not json", "2026-06-01"),
        ("{}", "2026-13-01"),
        ("{}", "June"),
    ],
)
def test_rules_that_cannot_be_read_are_a_usage_error(
    line: Line, tmp_path: Path, text: str, since: str
) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text(text)
    said = line.run("account", "set", "main", "--policy", str(rules), "--from", since)
    assert said.code == 2
    assert line.json("account", "show").one["policies"] == []


def test_rules_need_their_first_date(line: Line, tmp_path: Path) -> None:
    said = line.run("account", "set", "main", "--policy", str(tmp_path / "rules.json"))
    assert said.code == 2
    assert "--from DATE" in said.err


# keys


def test_a_key_is_shown_once_and_listed_without_its_secret(line: Line) -> None:
    made = line.json("key", "add", "--name", "payroll")
    assert set(made.one) == {"key_id", "key"}
    assert made.one["key"].startswith(f"pgk_{made.one['key_id']}_")
    assert "cannot be shown again" in made.err
    listed = line.json("key", "list")
    assert made.one["key"].split("_")[2] not in listed.out
    assert listed.one["key_id"] == made.one["key_id"]
    assert "credentials:read" not in listed.one["scopes"]
    assert "payroll" in line.run("key", "list").out


def test_a_key_takes_scopes_devices_and_a_last_day(line: Line) -> None:
    _add_device(line)
    line.json(
        "key", "add", "--name", "x", "--scope", "punches:read,credentials:read",
        "--scope", "doors:open", "--device", "main-gate", "--expires", "2099-12-31",
    )  # fmt: skip
    listed = line.json("key", "list").one
    assert listed["scopes"] == ["credentials:read", "doors:open", "punches:read"]
    assert listed["devices"] == ["main-gate"]
    assert listed["expires_at"] == "2100-01-01T00:00:00Z"


@pytest.mark.parametrize("option", ["--scope", "--device"])
@pytest.mark.parametrize("given", ["", " , "])
def test_a_limit_of_a_key_that_names_nothing_makes_no_key_without_a_limit(
    line: Line, option: str, given: str
) -> None:
    """As in `--device "$DEVICE"`, where the variable is not set."""
    said = line.run("key", "add", "--name", "x", option, given)
    assert said.code == 2
    assert f"{option}: it names nothing" in said.err
    assert line.json("key", "list").many == []


def test_dates_at_the_ends_of_the_calendar_are_refused_with_a_sentence(line: Line) -> None:
    said = line.run("key", "add", "--name", "x", "--expires", "9999-12-31")
    assert (said.code, "no day comes after 9999-12-31" in said.err) == (2, True)
    said = line.run("account", "set", "main", "--policy", "rules.json", "--from", "0001-01-01")
    assert (said.code, "0001-01-01 is before 1900-01-01" in said.err) == (2, True)


def test_a_scope_that_there_is_not_is_a_usage_error_that_lists_them(line: Line) -> None:
    said = line.run("key", "add", "--name", "x", "--scope", "everything")
    assert said.code == 2
    assert "punches:read" in said.err


def test_a_revoked_key_says_since_when(line: Line) -> None:
    key_id = line.json("key", "add", "--name", "x").one["key_id"]
    revoked = line.json("key", "revoke", key_id).one["revoked_at"]
    assert revoked is not None
    assert line.json("key", "list").one["revoked_at"] == revoked


def test_a_key_may_have_a_limit_of_its_own(line: Line) -> None:
    key_id = line.json("key", "add", "--name", "x", "--rate", "500").one["key_id"]
    assert line.json("key", "list").one["report_requests"] == 500
    assert line.json("key", "set", key_id, "--rate", "0").one["report_requests"] == 0
    assert line.json("key", "list").one["report_requests"] == 0
    assert line.json("key", "set", key_id, "--rate", "default").one["report_requests"] is None
    assert line.json("key", "list").one["report_requests"] is None
    assert line.json("key", "add", "--name", "y").one["key_id"] != key_id


def test_a_limit_that_will_not_do_is_a_usage_error(line: Line) -> None:
    key_id = line.json("key", "add", "--name", "x").one["key_id"]
    for wrong in ("-1", "many", "1.5", "", "\u0663", "1000001"):
        said = line.run("key", "set", key_id, f"--rate={wrong}")
        assert said.code == 2, wrong
    assert line.run("key", "add", "--name", "x", "--rate=-1").code == 2
    assert line.run("key", "set", key_id).code == 2
    assert line.run("key", "set", "nothing1", "--rate", "5").code == 3
    line.run("key", "revoke", key_id)
    assert line.run("key", "set", key_id, "--rate", "5").code == 4


# devices


def test_a_device_is_added_with_a_token_shown_once(line: Line) -> None:
    said = line.json("device", "add", "SN7A2300583", "--id", "main-gate")
    assert set(said.one) == {"device_id", "serial", "token"}
    assert said.one["device_id"] == "main-gate"
    assert said.one["token"].startswith("pgd_")
    assert "cannot be shown again" in said.err
    assert said.one["token"] not in line.json("device", "show", "main-gate").out


def test_a_device_keeps_what_it_was_added_with(line: Line) -> None:
    made = _add_device(
        line, "--name", "Main Gate", "--zone", "Asia/Kolkata", "--site", "Plant 2", "--engine",
        "tcp", "--token", "its own token", "--valid-until", "2026-12-31",
    )  # fmt: skip
    assert made["token"] == "its own token"
    shown = line.json("device", "show", "main-gate").one
    assert (shown["name"], shown["zone"], shown["site"]) == ("Main Gate", "Asia/Kolkata", "Plant 2")
    assert (shown["engine"], shown["valid_until"], shown["version"]) == ("tcp", "2026-12-31", 1)
    assert shown["has_token"] is True


def test_a_token_can_be_read_from_stdin(line: Line) -> None:
    said = line.run("device", "add", "SN1", "--token", "-", "--json", answer="from-a-pipe\n")
    assert said.one["token"] == "from-a-pipe"


def test_every_setting_of_a_device_can_be_set(line: Line) -> None:
    _add_device(line)
    shown = line.json(
        "device", "set", "main-gate", "--name", "Gate", "--zone", "UTC", "--site", "A",
        "--valid-until", "2026-12-31", "--suspended", "--direction-policy", "alternate",
        "--directions", '{"1":"check-in"}', "--verify-methods", '{"2":"palm"}',
        "--heartbeat-interval", "120",
    ).one  # fmt: skip
    assert (shown["name"], shown["zone"], shown["site"]) == ("Gate", "UTC", "A")
    assert (shown["is_suspended"], shown["direction_policy"]) == (True, "alternate")
    assert (shown["directions"]["1"], shown["directions"]["0"]) == ("check-in", "check-in")
    assert (shown["verify_methods"], shown["heartbeat_interval_s"]) == ({"2": "palm"}, 120)
    assert shown["version"] == 2


def test_a_device_is_made_active_again_and_an_empty_text_takes_a_value_away(line: Line) -> None:
    _add_device(line, "--name", "Gate", "--valid-until", "2026-12-31")
    line.run("device", "set", "main-gate", "--suspended")
    shown = line.json(
        "device", "set", "main-gate", "--active", "--name", "", "--valid-until", ""
    ).one
    assert (shown["is_suspended"], shown["name"], shown["valid_until"]) == (False, None, None)


@pytest.mark.parametrize(
    "words",
    [
        ("--zone", "Mars/Olympus"),
        ("--valid-until", "2026-02-30"),
        ("--direction-policy", "random"),
        ("--directions", "in"),
        ("--directions", '{"one":"check-in"}'),
        ("--directions", '{"1":"in"}'),
        ("--directions", '{"1":1}'),
        ("--verify-methods", "[]"),
        ("--heartbeat-interval", "5"),
        ("--engine", "carrier-pigeon"),
    ],
)
def test_a_value_that_will_not_do_is_a_usage_error(line: Line, words: tuple[str, str]) -> None:
    _add_device(line)
    said = line.run("device", "set", "main-gate", *words)
    assert said.code == 2
    assert line.json("device", "show", "main-gate").one["version"] == 1


def test_devices_are_listed_and_removed(line: Line) -> None:
    _add_device(line)
    line.json("device", "add", "SN2")
    assert [each["device_id"] for each in line.json("device", "list").many] == ["main-gate", "sn2"]
    assert line.json("device", "remove", "sn2").one == {"device_id": "sn2", "serial": "SN2"}
    assert line.json("device", "list").one["device_id"] == "main-gate"
    assert "main-gate" in line.run("device", "list").out


def test_a_serial_that_is_taken_is_refused(line: Line) -> None:
    _add_device(line)
    assert line.run("device", "add", "SN7A2300583").code == 4


def test_nobody_calls_so_nobody_can_be_claimed(line: Line) -> None:
    assert line.json("device", "list", "--unclaimed").many == []
    said = line.run("device", "claim", "SN9")
    assert said.code == 3
    assert "device add" in said.err


def test_I12_each_account_sees_its_own_devices(line: Line) -> None:
    line.json("account", "add", "other")
    _add_device(line)
    assert line.json("device", "list", "--account", "other").many == []
    assert line.run("device", "show", "main-gate", "--account", "other").code == 3


# people


def test_a_person_is_added_shown_and_changed(line: Line) -> None:
    added = line.json(
        "person", "add", "0042", "--name", "Zoë", "--custom-id", "S1", "--type", "Student"
    ).one
    assert added == {
        "person_no": 1,
        "user_code": "0042",
        "name": "Zoë",
        "custom_id": "S1",
        "type": "Student",
    }
    assert line.json("person", "show", "0042").one == added
    changed = line.json("person", "set", "0042", "--custom-id", "", "--name", "Zoe").one
    assert changed == {**added, "name": "Zoe", "custom_id": None}
    assert line.json("person", "list").many == [changed]
    assert "Zoe" in line.run("person", "list").out


def test_a_code_that_is_taken_is_refused(line: Line) -> None:
    line.run("person", "add", "1", "--name", "A")
    assert line.run("person", "add", "1", "--name", "B").code == 4


def test_the_name_of_a_person_cannot_drive_the_terminal(line: Line) -> None:
    line.run("person", "add", "1", "--name", "A")
    rows = [line.run("person", "list").out, line.run("person", "show", "1").out]
    assert not any("\x1b" in row for row in rows)


def test_erasing_asks_first_and_without_a_terminal_erases_nothing(line: Line) -> None:
    _add_device(line)
    line.replay({"serial": "SN7A2300583", "body": {"user_id": "1", "att_time": "2026-06-20 09:00"}})
    said = line.run("person", "erase", "1", answer="y\n")
    assert said.code == 4
    assert "--yes" in said.err
    assert "1 punches" in said.err
    assert len(line.json("punch", "list").many) == 1


def test_a_dry_run_counts_and_leaves(line: Line) -> None:
    _add_device(line)
    line.replay({"serial": "SN7A2300583", "body": {"user_id": "1", "att_time": "2026-06-20 09:00"}})
    counted = line.json("person", "erase", "1", "--dry-run").one
    assert (counted["punches"], counted["events"], counted["erased"]) == (1, 1, False)
    assert len(line.json("punch", "list").many) == 1


def test_erasing_says_what_went_and_a_second_time_nothing(line: Line) -> None:
    _add_device(line)
    line.replay({"serial": "SN7A2300583", "body": {"user_id": "1", "att_time": "2026-06-20 09:00"}})
    erased = line.json("person", "erase", "1", "--yes").one
    assert (erased["punches"], erased["erased"]) == (1, True)
    assert line.json("punch", "list").many == []
    again = line.json("person", "erase", "1", "--yes").one
    assert (again["punches"], again["erased"]) == (0, False)


def test_what_is_json_is_one_object_on_a_line(line: Line) -> None:
    for code in ("1", "2", "3"):
        line.run("person", "add", code)
    lines = line.run("person", "list", "--json").out.splitlines()
    assert [json.loads(each)["user_code"] for each in lines] == ["1", "2", "3"]
