"""What became of deliveries at the command line: the log, test events, replays, problems.

Real: the application, a SQLite file, and for `endpoint test` a receiver on loopback.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.cli import endpoints
from tests.cli.line import Line
from tests.receiver import Answer

_SOURCE = Path(__file__).parents[2] / "src"
NETWORKS = "PUNCHGATE_DELIVERY__ALLOW_NETWORKS"


# the delivery log and problems


def test_what_became_of_deliveries_is_listed(line: Line) -> None:
    name = endpoints.add(line)["endpoint_id"]
    endpoints.sql(
        line,
        "INSERT INTO attempt (account, endpoint_id, event_id, n, at, outcome, status, ms, error)"
        f" VALUES (1, '{name}', 'evt_1', 2, 1782014403000, 'refused', 500, 12, 'status 500')",
    )
    endpoints.sql(
        line,
        f"INSERT INTO parked VALUES (1, '{name}', 'person:1', 1, 0, 0, 0, 2, 1782014403000, NULL,"
        " 'refused', 500, 'status 500')",
    )
    endpoints.sql(
        line,
        f"INSERT INTO dead VALUES (1, '{name}', 'evt_0', 'person:1', 'unknown', 400, 11,"
        " 1782014403000)",
    )
    (tried,) = line.json("endpoint", "attempts", name).many
    assert (tried["at"], tried["n"], tried["error"]) == ("2026-06-21T04:00:03Z", 2, "status 500")
    assert line.json("endpoint", "attempts", name, "--event", "evt_9").many == []
    (waits,) = line.json("endpoint", "parked", name).many
    assert (waits["key"], waits["attempts"], waits["due_at"]) == ("person:1", 2, None)
    (gone,) = line.json("endpoint", "dead", name).many
    assert (gone["event_id"], gone["reason"]) == ("evt_0", "unknown")
    assert "unknown" in line.run("endpoint", "dead", name).out


def test_what_a_receiver_answered_cannot_drive_a_terminal(line: Line) -> None:
    name = endpoints.add(line)["endpoint_id"]
    endpoints.sql(
        line,
        "INSERT INTO attempt (account, endpoint_id, event_id, n, at, outcome, ms, error)"
        f" VALUES (1, '{name}', 'evt_1', 1, 1782014403000, 'refused', 1, 'x' || char(27) || '[2J')",
    )
    for words in ((), ("--json",)):
        assert "\x1b" not in line.run("endpoint", "attempts", name, *words).out


def test_problems_are_listed_until_they_are_cleared(line: Line) -> None:
    assert line.json("problems").many == []
    for cleared_at in ("NULL", "1782014403001"):
        endpoints.sql(
            line,
            "INSERT INTO problem (account, kind, subject, detail, raised_at, last_at, times,"
            " cleared_at) VALUES (1, 'endpoint_failing', 'endpoint:ep_a', 'status 500',"
            f" 1782014403000, 1782014403000, 3, {cleared_at})",
        )
    (found,) = line.json("problems").many
    assert (found["kind"], found["times"], found["cleared_at"]) == ("endpoint_failing", 3, None)
    assert len(line.json("problems", "--all").many) == 2
    assert "status 500" in line.run("problems").out


# test


def test_a_test_event_is_sent_and_its_answer_shown(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NETWORKS, '["127.0.0.0/8"]')
    with endpoints.other_side(Answer(200, body=b"welcome")) as other_side:
        name = line.json("endpoint", "add", other_side.url("/hook")).one["endpoint_id"]
        said = line.json("endpoint", "test", name).one
        assert (said["is_accepted"], said["status"], said["answer"]) == (True, 200, "welcome")
        assert said["type"] == "endpoint.test"
        assert other_side.count == 1
    assert line.json("endpoint", "attempts", name).many == []
    assert line.json("endpoint", "show", name).one["state"] == "active"


def test_a_test_event_that_is_refused_fails_and_says_why(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NETWORKS, '["127.0.0.0/8"]')
    with endpoints.other_side(Answer(401, body=b"who are you")) as other_side:
        name = line.json("endpoint", "add", other_side.url("/hook")).one["endpoint_id"]
        said = line.run("endpoint", "test", name, "--event", "summary.updated")
        assert said.code == 1
        assert "does it hold this secret" in said.out
        assert "who are you" in said.out
        monkeypatch.delenv(NETWORKS)
        refused = line.run("endpoint", "test", name)
        assert refused.code == 1
        assert "delivery.allow_networks" in refused.out
        assert other_side.count == 1


# replay


def test_a_dry_run_counts_and_starts_nothing(line: Line) -> None:
    name = endpoints.add(line)["endpoint_id"]
    endpoints.punches(line)
    endpoints.catch_up(line, name)
    count = line.json("endpoint", "replay", name, "--since", "2026-01-01", "--dry-run").one
    assert count == {"endpoint_id": name, "events": 3}
    for words, expected in (
        (("--person", "0"), 2),
        (("--device", "gate", "--type", "punch.recorded"), 3),
        (("--until", "2026-01-02"), 0),
        (("--dead",), 0),
    ):
        said = line.json(
            "endpoint", "replay", name, "--since", "2026-01-01", "--dry-run", *words
        ).one
        assert said["events"] == expected
    assert line.json("endpoint", "replays", name).many == []


def test_a_replay_is_started_listed_and_cancelled(line: Line) -> None:
    name = endpoints.add(line)["endpoint_id"]
    endpoints.punches(line)
    endpoints.catch_up(line, name)
    job = line.json(
        "endpoint", "replay", name, "--since", "2026-01-01T00:00:00+05:30", "--rate", "7",
        "--no-follow",
    ).one  # fmt: skip
    assert (job["state"], job["events"], job["sent"], job["rate"]) == ("running", 3, 0, 7)
    assert job["since"] == "2025-12-31T18:30:00Z"
    assert line.json("endpoint", "replays", name).one == job
    assert line.json("endpoint", "cancel", job["replay_id"]).one["state"] == "cancelled"
    assert line.run("endpoint", "cancel", "rp_unknown").code == 3


def test_a_replay_without_anything_to_send_is_done_at_once(line: Line) -> None:
    name = endpoints.add(line)["endpoint_id"]
    said = line.json("endpoint", "replay", name, "--dead").one
    assert (said["state"], said["events"]) == ("done", 0)


def test_a_replay_is_followed_until_it_ends(line: Line) -> None:
    name = endpoints.add(line)["endpoint_id"]
    endpoints.punches(line)
    endpoints.catch_up(line, name)
    ended = threading.Thread(target=_end_when_started, args=(line.data / "punchgate.db",))
    ended.start()
    said = line.json("endpoint", "replay", name, "--since", "2026-01-01")
    ended.join()
    assert said.code == 1
    job = json.loads(said.out)
    assert (job["state"], job["sent"], job["failed"]) == ("done", 2, 1)


def _end_when_started(file: Path) -> None:
    """Do what a server does when it comes to the end of a replay."""
    with sqlite3.connect(file, timeout=30, isolation_level=None) as db:
        done = 0
        while not done:
            done = db.execute(
                "UPDATE replay SET state = 'done', sent = 2, failed = 1, ended_at = 1"
                " WHERE state = 'running'"
            ).rowcount
    db.close()


@pytest.mark.slow
def test_to_stop_looking_on_leaves_a_replay_running_and_says_so(line: Line) -> None:
    name = endpoints.add(line)["endpoint_id"]
    endpoints.punches(line)
    endpoints.catch_up(line, name)
    words = ["endpoint", "replay", name, "--since", "2026-01-01", "--data", str(line.data)]
    looking_on = subprocess.Popen(
        [sys.executable, "-m", "punchgate", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(_SOURCE)},
    )
    deadline = time.monotonic() + 60
    while not (jobs := line.json("endpoint", "replays", name).many):
        assert looking_on.poll() is None
        assert time.monotonic() < deadline
    looking_on.send_signal(signal.SIGINT)
    out, err = looking_on.communicate(timeout=60)
    assert (looking_on.returncode, out) == (0, "")
    assert f"The replay {jobs[0]['replay_id']} goes on" in err
    assert line.json("endpoint", "replays", name).one["state"] == "running"


def test_a_replay_needs_a_beginning(line: Line) -> None:
    name = endpoints.add(line)["endpoint_id"]
    assert line.run("endpoint", "replay", name).code == 2
    assert line.run("endpoint", "replay", name, "--since", "June").code == 2
    assert line.run("endpoint", "replay", name, "--since", "2026-01-01", "--rate", "0").code == 2


def test_only_what_has_a_form_in_the_format_is_counted(line: Line) -> None:
    name = endpoints.add(line, "--format", "cams")["endpoint_id"]
    endpoints.punches(line)
    endpoints.catch_up(line, name)
    words = ("endpoint", "replay", name, "--since", "2026-01-01", "--dry-run")
    assert line.json(*words).one["events"] == 3
    assert "names nothing" in line.run(*words, "--type", "").err
    refused = line.run(*words, "--type", "device.online")
    assert refused.code == 4
    assert "device.online" in refused.err
