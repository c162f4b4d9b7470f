"""Terminals from the registration to the report: a gateway and a fleet, each in its own process.

Real: both programs, the protocol between them, the store, the published APIs. Simulated: the
terminals; the dead one is a port that takes calls and says nothing.
"""

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from tests.journeys import gateway
from tests.journeys.gateway import Gateway

pytestmark = pytest.mark.slow

RECORDS: Final = 60
#: The dead terminal may take far longer for each of its steps, and the others nothing like it.
DEADLINE_S: Final = 20
#: For a hang only.
LIMIT_S: Final = 60


@dataclass
class House:
    """A gateway, the terminals that it calls, and a key for the other APIs."""

    gateway: Gateway
    names: tuple[str, ...]
    key: str

    def rest(self, method: str, target: str, body: Any = None) -> tuple[int, Any]:
        """Ask as a program on the same machine does: without a key."""
        place = urlsplit(self.gateway.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=LIMIT_S)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, target, content)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def api(self, target: str) -> Any:
        """Ask one of the other APIs, with the key."""
        status, body = gateway.ask(self.gateway.url + target, {"X-API-Key": self.key})
        assert status == 200
        return body


@contextmanager
def simulated(count: int, *options: str) -> Iterator[list[int]]:
    """Let virtual terminals listen in a process of their own, and give their ports."""
    command = [sys.executable, "-m", "punchgate", "simulate", "zk", "--count", str(count)]
    with subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0", "--json", *options],
        stdout=subprocess.PIPE,
        env=dict(gateway.environment()),
    ) as process:
        assert process.stdout is not None
        try:
            rows = [json.loads(process.stdout.readline()) for _ in range(count)]
            yield [int(row["address"].rpartition(":")[2]) for row in rows]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with (
        gateway.running(
            tmp_path_factory.mktemp("terminals") / "data",
            settings={"PUNCHGATE_TERMINALS__ALL_DEADLINE_S": str(DEADLINE_S)},
        ) as running,
        simulated(3, "--users", "5", "--records", str(RECORDS), "--punch-every", "0.5") as ports,
        socket.create_server(("127.0.0.1", 0)) as dead,
    ):
        key = running.command("key", "add", "--name", "all")["key"]
        running.serve()
        names = ("principal", "bodega", "almacen")
        house = House(running, names, key)
        for name, port in zip(names, ports, strict=True):
            _register(house, name, port)
        _register(house, "mudo", dead.getsockname()[1], timeout=60)
        yield house


def _register(house: House, name: str, port: int, **fields: Any) -> None:
    body = {"id": name, "name": name.title(), "ip": "127.0.0.1", "port": port, **fields}
    status, answer = house.rest("POST", "/devices", body)
    assert (status, answer["success"]) == (200, True), answer


@pytest.fixture(scope="module")
def shown(house: House) -> Any:
    """Read all terminals at once: it takes the deadline, for the dead one is among them."""
    status, body = house.rest("GET", "/attendance/all")
    assert status == 200
    return body


def test_one_dead_terminal_keeps_nobody_waiting_beyond_the_deadline(
    house: House, shown: Any
) -> None:
    assert set(shown["errors"]) == {"mudo"}
    assert shown["errors"]["mudo"] in {"Connection timeout", "Dispositivo ocupado."}
    counts = dict.fromkeys(house.names, 0)
    for row in shown["data"]:
        counts[row["device_id"]] += 1
    assert all(count >= RECORDS for count in counts.values()), counts
    assert shown["total"] == len(shown["data"])
    times = [row["timestamp"] for row in shown["data"]]
    assert times == sorted(times, reverse=True)


def test_what_was_shown_is_in_the_store_the_summary_and_the_log(house: House, shown: Any) -> None:
    _, kept = house.rest("GET", "/attendance/all?source=store")
    rows = [json.dumps(row) for row in kept["data"]]
    assert {json.dumps(row) for row in shown["data"]} <= set(rows)
    assert len(rows) == len(set(rows))
    oldest = shown["data"][-1]
    day = oldest["timestamp"][:10]
    summary = house.api(f"/api/v1/attendance/summary?start_date={day}&end_date={day}&limit=100")
    times = [one["time"] for user in summary["data"]["users"] for one in user["activities"]]
    assert oldest["timestamp"] in times
    told = _told(house)
    assert {(row["device_id"], row["user_id"], row["timestamp"]) for row in shown["data"]} <= told


def _told(house: House) -> set[tuple[str, str, str]]:
    """Give device, user code and time of every punch in the log."""
    found, place = set(), "since=2020-01-01T00:00:00Z"
    while True:
        page = house.api(f"/v1/events?type=punch.recorded&limit=1000&{place}")
        for event in page["events"]:
            told = event["data"]
            time = told["at_local"].replace("T", " ")
            found.add((told["device"]["id"], told["person"]["code"], time))
        place = f"cursor={page['next_cursor']}"
        if not page["has_more"]:
            return found


@pytest.mark.parametrize("name", ["principal", "bodega", "almacen"])
def test_a_terminal_that_was_read_lets_people_punch_again(house: House, name: str) -> None:
    # Nobody can punch at one that is disabled, so a log that goes on is that of an enabled one.
    def total() -> int:
        status, body = house.rest("GET", f"/devices/{name}/attendance")
        assert status == 200
        count: int = body["total"]
        return count

    before = total()
    gateway.until(lambda: total() > before, within_s=LIMIT_S)


def test_a_device_that_nobody_has_is_named_with_those_that_there_are(house: House) -> None:
    status, body = house.rest("GET", "/devices/invalid_id/attendance")
    assert status == 404
    assert body == {
        "success": False,
        "error": "Dispositivo 'invalid_id' no encontrado.",
        "disponibles": [*house.names, "mudo"],
    }


def test_the_root_answers_and_the_device_listener_knows_nothing_of_it(
    house: House,
) -> None:
    status, body = house.rest("GET", "/")
    assert (status, body["total_dispositivos"]) == (200, 4)
    for path in ("/", "/devices", "/attendance/all"):
        other, _ = gateway.ask(f"http://127.0.0.1:{house.gateway.devices_port}{path}", {})
        assert other == 404
