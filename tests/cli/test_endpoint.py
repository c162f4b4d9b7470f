"""Endpoints at the command line: options, output, exit codes, and what must never be printed.

Real: the application and a SQLite file. The rules are held by `tests/usecases`.
"""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from punchgate.domain.endpoint import SCHEDULE_S
from tests.cli import endpoints
from tests.cli.endpoints import URL
from tests.cli.line import Line

METADATA = "169.254.169.254"


# add, list, show, set


def test_an_endpoint_is_added_with_a_secret_shown_once(line: Line) -> None:
    said = line.json("endpoint", "add", URL)
    assert set(said.one) == {"endpoint_id", "secret"}
    assert said.one["secret"].startswith("whsec_")
    assert "cannot be shown again" in said.err
    name = said.one["endpoint_id"]
    for words in (("list",), ("show", name)):
        shown = line.json("endpoint", *words)
        assert said.one["secret"] not in shown.out
        assert shown.one["address"] == URL


def test_an_endpoint_keeps_what_it_was_added_with(line: Line) -> None:
    made = endpoints.add(
        line, "--format", "cams", "--event", "punch.recorded", "--device", "gate,canteen",
        "--person", "0042", "--site", "HQ", "--field", "direction~check-in,check-out",
        "--field", "device.name^=Main", "--field", "person.custom_id?",
        "--field", "verify=finger", "--rate", "2.5", "--concurrency", "4",
        "--schedule", "5s,30s,5m,2h,1d", "--batch-max", "10", "--batch-wait-ms", "250",
        "--on-dead", "hold", "--auth-token", "t0ken", "--security-key", "k" * 32,
        "--unspecified-as", "out",
    )  # fmt: skip
    shown = line.json("endpoint", "show", made["endpoint_id"]).one
    expected = {
        "format": "cams",
        "events": ["punch.recorded"],
        "devices": ["gate", "canteen"],
        "people": ["0042"],
        "sites": ["HQ"],
        "fields": [
            "direction~check-in,check-out",
            "device.name^=Main",
            "person.custom_id?",
            "verify=finger",
        ],
        "rate": 2.5,
        "concurrency": 4,
        "schedule_s": [5, 30, 300, 7_200, 86_400],
        "batch_max": 10,
        "batch_wait_ms": 250,
        "on_dead": "hold",
        "auth_token": "***",
        "security_key": "***",
        "unspecified_as": "out",
        "state": "active",
        "version": 1,
    }
    assert {name: shown[name] for name in expected} == expected


def test_set_changes_and_an_empty_text_takes_away(line: Line) -> None:
    name = endpoints.add(line, "--event", "punch.recorded", "--field", "a.b?", "--auth-token", "x")[
        "endpoint_id"
    ]
    after = line.json(
        "endpoint", "set", name, "--url", "https://other.example/", "--event", "", "--field", "",
        "--auth-token", "", "--rate", "3",
    ).one  # fmt: skip
    assert (after["address"], after["events"], after["fields"]) == (
        "https://other.example/",
        [],
        [],
    )
    assert (after["auth_token"], after["rate"], after["version"]) == (None, 3.0, 2)
    assert line.json("endpoint", "set", name, "--rate", "0").one["rate"] is None
    assert line.json("endpoint", "set", name, "--schedule", "5s").one["schedule_s"] == [5]
    after = line.json("endpoint", "set", name, "--schedule", "").one
    assert after["schedule_s"] == list(SCHEDULE_S)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--format", "xml"), 2),
        (("--event", "punch.forgotten"), 2),
        (("--field", "direction"), 2),
        (("--field", "=x"), 2),
        (("--field", "Person=x"), 2),
        (("--schedule", "5"), 2),
        (("--schedule", "5s,,30s"), 2),
        (("--schedule", "0s"), 2),
        (("--concurrency", "0"), 2),
        (("--start-at", "yesterday"), 2),
        (("--start-at", "2999-01-01"), 2),
        (("--security-key", "short", "--format", "cams"), 2),
        (("--on-dead", "wait"), 2),
        (("--account", "nobody"), 3),
    ],
)
def test_an_option_that_will_not_do_adds_nothing(
    line: Line, words: tuple[str, ...], code: int
) -> None:
    assert line.run("endpoint", "add", URL, *words).code == code
    assert line.json("endpoint", "list").many == []


@pytest.mark.parametrize(
    "url", ["http://receiver.example/", "https://127.0.0.1/", f"https://{METADATA}/x", "x"]
)
def test_an_address_that_is_not_allowed_is_refused(line: Line, url: str) -> None:
    said = line.run("endpoint", "add", url)
    assert said.code == 4
    assert said.out == ""


def test_secrets_are_taken_from_stdin_a_file_and_the_environment(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_text("k" * 32 + "\n")
    monkeypatch.setenv("THEIR_TOKEN", "from the environment")
    made = line.run(
        "endpoint", "add", URL, "--format", "cams", "--auth-token", "-", "--security-key",
        f"@{file}", "--json", answer="from stdin\n",
    ).one  # fmt: skip
    secrets = _secrets(line, made["endpoint_id"])
    assert (secrets["auth_token"], secrets["security_key"]) == ("from stdin", "k" * 32)
    line.run("endpoint", "set", made["endpoint_id"], "--auth-token", "env:THEIR_TOKEN")
    assert _secrets(line, made["endpoint_id"])["auth_token"] == "from the environment"
    for missing in ("env:NOT_THERE", "@/not/there"):
        assert line.run("endpoint", "add", URL, "--auth-token", missing).code == 2


def _secrets(line: Line, endpoint_id: str) -> Any:
    """Open what was sealed, as only somebody with the key file can."""
    from punchgate.vault import Vault  # noqa: PLC0415 (one test looks inside)

    with sqlite3.connect(line.data / "punchgate.db") as db:
        (blob,) = db.execute(
            "SELECT secrets FROM endpoint WHERE endpoint_id = ?", (endpoint_id,)
        ).fetchone()
    db.close()
    place = f"endpoint:1:{endpoint_id}".encode()
    return json.loads(Vault(line.data / "master.key").open(blob, place))


def test_a_key_that_everybody_may_read_is_refused_with_what_to_do(line: Line) -> None:
    name = endpoints.add(line)["endpoint_id"]
    (line.data / "master.key").chmod(0o644)
    said = line.run("endpoint", "rotate", name)
    assert said.code == 1
    assert "chmod 600" in said.err


def test_an_endpoint_whose_secrets_do_not_open_is_listed_with_its_problem(line: Line) -> None:
    bad, good = (endpoints.add(line)["endpoint_id"] for _ in range(2))
    endpoints.sql(line, f"UPDATE endpoint SET secrets = X'00' WHERE endpoint_id = '{bad}'")
    listed = {row["endpoint_id"]: row for row in line.json("endpoint", "list").many}
    assert listed[good]["problem"] is None
    assert "punchgate doctor" in listed[bad]["problem"]
    assert (listed[bad]["state"], listed[bad]["lag"]) == ("active", 0)
    assert line.json("endpoint", "show", bad).one["problem"] == listed[bad]["problem"]
    assert "do not open" in line.run("endpoint", "list").out
    doctor = line.run("doctor", "--json")
    assert doctor.code == 1
    (row,) = [row for row in map(json.loads, doctor.out.splitlines()) if row["check"] == "secrets"]
    assert row["state"] == "wrong"
    assert bad in row["says"]
    assert good not in row["says"]


def test_what_the_query_of_an_address_says_is_not_shown(line: Line) -> None:
    name = line.json("endpoint", "add", f"{URL}?token=s3cret").one["endpoint_id"]
    for words in (("list",), ("show", name), ("set", name, "--rate", "1")):
        said = line.json("endpoint", *words)
        assert said.one["address"] == f"{URL}?token=…"
        assert "s3cret" not in said.out


def test_a_lag_that_was_not_counted_to_its_end_says_so(line: Line) -> None:
    name = endpoints.add(line, "--person", "1")["endpoint_id"]
    endpoints.punches(line)
    shown = line.json("endpoint", "show", name).one
    # Of three punches one is of that person.
    assert (shown["lag"], shown["is_lag_whole"]) == (1, True)
    endpoints.sql(
        line,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)"
        " INSERT INTO event (account, id, key, type, occurred_at, received_at, body)"
        " SELECT account, id || '_' || i, key, type, occurred_at, received_at, body"
        " FROM event, n WHERE event.seq = 1",
    )
    shown = line.json("endpoint", "show", name).one
    assert (shown["lag"], shown["is_lag_whole"]) == (1, False)
    assert " 1+ " in line.run("endpoint", "list").out


def test_without_data_nothing_is_listed_and_nothing_made(bare_line: Line) -> None:
    assert bare_line.run("endpoint", "list").code == 3
    assert list(bare_line.data.iterdir()) == []


def test_the_list_is_a_table_for_people(line: Line) -> None:
    name = endpoints.add(line)["endpoint_id"]
    out = line.run("endpoint", "list").out
    assert name in out
    assert "active" in out


# rotate, pause, resume, remove


def test_a_secret_is_rotated_and_the_old_one_stays_for_a_day(line: Line) -> None:
    made = endpoints.add(line)
    rotated = line.json("endpoint", "rotate", made["endpoint_id"])
    assert rotated.one["secret"] != made["secret"]
    assert rotated.one["old_secrets"] == 1
    assert rotated.one["old_valid_until"] is not None
    assert "cannot be shown again" in rotated.err
    at_once = line.json("endpoint", "rotate", made["endpoint_id"], "--old-valid-for", "0s").one
    assert (at_once["old_secrets"], at_once["old_valid_until"]) == (0, None)


@pytest.mark.parametrize("old_valid_for", ["8d", "day", "-1s", ""])
def test_an_overlap_that_will_not_do_is_a_usage_error(line: Line, old_valid_for: str) -> None:
    name = endpoints.add(line)["endpoint_id"]
    assert line.run("endpoint", "rotate", name, f"--old-valid-for={old_valid_for}").code == 2


def test_github_has_room_for_one_signature_and_that_is_said(line: Line) -> None:
    name = endpoints.add(line, "--format", "github")["endpoint_id"]
    assert "pause" in line.json("endpoint", "rotate", name).err
    assert "pause" not in line.json("endpoint", "rotate", name, "--old-valid-for", "0s").err


def test_an_endpoint_is_paused_resumed_and_removed(line: Line) -> None:
    name = endpoints.add(line)["endpoint_id"]
    assert line.json("endpoint", "pause", name).one["state"] == "paused"
    assert line.json("endpoint", "list").one["state"] == "paused"
    assert line.json("endpoint", "resume", name).one["state"] == "active"
    assert line.json("endpoint", "remove", name).one == {"endpoint_id": name}
    assert line.json("endpoint", "list").many == []
    assert line.run("endpoint", "show", name).code == 3


def test_the_lag_is_shown_until_it_is_skipped(line: Line) -> None:
    name = endpoints.add(line)["endpoint_id"]
    endpoints.punches(line)
    shown = line.json("endpoint", "show", name).one
    assert shown["lag"] == 3
    assert shown["lag_s"] >= 0
    endpoints.catch_up(line, name)
    assert line.json("endpoint", "show", name).one["lag"] == 0


@pytest.mark.parametrize(
    "words",
    [
        ("show",), ("set", "--rate", "1"), ("test",), ("rotate",), ("pause",), ("resume",),
        ("remove",), ("attempts",), ("parked",), ("dead",), ("replays",),
        ("replay", "--since", "2026-06-01"),
    ],
)  # fmt: skip
def test_an_unknown_endpoint_is_not_found(line: Line, words: tuple[str, ...]) -> None:
    said = line.run("endpoint", words[0], "ep_unknown", *words[1:])
    assert said.code == 3
    assert "ep_unknown" in said.err
