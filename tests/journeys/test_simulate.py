"""`punchgate simulate http` against a real gateway, both in processes of their own.

Real: both ends, the published API between them, the store. Simulated: nothing but the day.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from tests.journeys import gateway
from tests.ports import free_port

pytestmark = pytest.mark.slow


class Ended(NamedTuple):
    code: int
    said: str
    told: str

    def tally(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(self.said)
        return values


@dataclass
class House:
    gateway: gateway.Gateway
    tokens: dict[str, str]
    key: str

    def simulate(self, *options: str, serials: tuple[str, ...] = ("SIM-A", "SIM-B")) -> Ended:
        devices = (f"--serial={serial} --token={self.tokens[serial]}" for serial in serials)
        return simulate("--server", self.gateway.url, *" ".join(devices).split(), *options)

    def days(self, date: str) -> list[dict[str, Any]]:
        query = f"start_date={date}&end_date={date}&limit=100"
        status, body = gateway.ask(
            f"{self.gateway.url}/api/v1/attendance/summary?{query}", {"X-API-Key": self.key}
        )
        assert status == 200
        users: list[dict[str, Any]] = body["data"]["users"]
        return users


def simulate(*options: str) -> Ended:
    done = subprocess.run(
        [sys.executable, "-m", "punchgate", "simulate", "http", *options],
        capture_output=True,
        text=True,
        check=False,
        env=dict(gateway.environment()),
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with gateway.running(tmp_path_factory.mktemp("house") / "data") as running:
        tokens = {
            serial: running.command("device", "add", serial)["token"]
            for serial in ("SIM-A", "SIM-B", "SIM-EXPIRED")
        }
        running.command("device", "set", "sim-expired", "--valid-until", "2020-01-31")
        key = running.command("key", "add", "--name", "report", "--scope", "reports:read")["key"]
        running.serve()
        yield House(running, tokens, key)


def test_a_day_of_a_fleet_is_recorded_and_the_summary_shows_everybody(house: House) -> None:
    options = ("--people", "9", "--until", "2026-06-15", "--rate", "0", "--json")
    first = house.simulate(*options)
    assert first.code == 0, first.told
    tally = first.tally()
    assert tally["planned"] == tally["sent"] == tally["acknowledged"] > 9
    assert tally["duplicates"] == tally["quarantined"] == tally["refused"] == 0
    assert (tally["first_date"], tally["last_date"]) == ("2026-06-15", "2026-06-15")
    present = {row["user_name"] for row in house.days("2026-06-15")}
    assert {"1009"} < present <= {str(1000 + number) for number in range(1, 10)}


def test_the_same_day_sent_again_in_batches_is_nothing_but_duplicates(house: House) -> None:
    options = ("--people", "7", "--until", "2026-06-16", "--seed", "5", "--rate", "0", "--json")
    first = house.simulate(*options)
    before = house.days("2026-06-16")
    again = house.simulate(*options, "--batch", "20")
    assert (first.code, again.code) == (0, 0)
    assert first.tally()["duplicates"] == 0
    assert again.tally()["duplicates"] == again.tally()["acknowledged"] == first.tally()["planned"]
    assert house.days("2026-06-16") == before


def test_several_days_end_with_the_one_that_was_asked_for(house: House) -> None:
    ended = house.simulate("--days", "3", "--until", "2026-06-20", "--people", "2", "--json")
    assert ended.tally()["first_date"] == "2026-06-18"
    assert house.days("2026-06-18")
    assert house.days("2026-06-20")


def test_a_day_that_has_not_begun_has_no_punches(house: House) -> None:
    ended = house.simulate("--until", "2099-12-31", "--json")
    assert (ended.code, ended.tally()["planned"]) == (0, 0)
    assert ended.told == "Nothing was sent: at the device, these days are still to come.\n"


def test_without_json_the_outcome_is_a_list_for_people(house: House) -> None:
    ended = house.simulate("--people", "2", "--until", "2026-06-10", "--rate", "0")
    assert ended.code == 0
    assert "acknowledged" in ended.said
    assert "2026-06-10" in ended.said


def test_a_wrong_token_ends_with_one_and_a_sentence(house: House) -> None:
    ended = simulate("--server", house.gateway.url, "--serial", "SIM-A", "--token", "wrong-token")
    assert ended.code == 1
    assert "SIM-A: the token is not valid for this device" in ended.told


def test_an_expired_subscription_is_waited_for_as_long_as_patience_lasts(house: House) -> None:
    ended = house.simulate("--patience", "1", "--json", serials=("SIM-EXPIRED",))
    assert ended.code == 1
    assert "403 inactive_subscription" in ended.told
    assert ended.tally()["acknowledged"] == 0


def test_a_server_that_is_away_is_given_up_after_patience() -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    ended = simulate(
        *("--server", nobody, "--serial", "SIM-A", "--token", "some-token"),
        *("--patience", "0.1", "--json"),
    )
    assert ended.code == 1
    assert "at last: refused" in ended.told
    assert ended.tally()["sent"] == 0


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--server", "http://127.0.0.1:8080"),
        ("--server", "127.0.0.1:8080", "--serial", "A", "--token", "t"),
        ("--server", "http://h", "--serial", "A", "--serial", "B", "--token", "t"),
        ("--server", "http://h", "--serial", "A", "--token", "t", "--people", "0"),
        ("--server", "http://h", "--serial", "A", "--token", "t", "--batch", "1001"),
        ("--server", "http://h", "--serial", "A", "--token", "t", "--until", "soon"),
        ("--server", "http://h", "--serial", "A", "--token", "t", "--until", "0001-01-01"),
        ("--server", "http://h", "--serial", "A", "--token", "t", "--until", "9999-12-31"),
        ("--server", "http://[::1", "--serial", "A", "--token", "t"),
        ("--server", "http://h", "--serial", "A", "--token", "t\nX-Other: 1"),
    ],
)
def test_options_that_make_no_sense_are_a_usage_error(options: tuple[str, ...]) -> None:
    assert simulate(*options).code == 2
