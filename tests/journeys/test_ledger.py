"""The ledger: a gateway is ended at random instants under load and loses nothing it acknowledged.

Real: the gateway in its own process, its store, the sockets, SIGKILL and SIGTERM. Simulated: the
devices, in a process of their own. A process that is killed loses what it had not handed to the
kernel; what a power cut would take as well is the faulty file system's matter, not this one's.

`PUNCHGATE_LEDGER_ROUNDS` sets the number of rounds, `PUNCHGATE_LEDGER_SEED` repeats a run as far as
chance decides it.
"""

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import pytest

from tests import installed
from tests.journeys import gateway
from tests.journeys.ledger import (
    Fleet,
    Kept,
    Ledger,
    check,
    check_complete,
    check_summary,
    in_postgresql,
    in_sqlite,
    sending,
)
from tests.postgres import Cluster

ROUNDS: Final = int(os.environ.get("PUNCHGATE_LEDGER_ROUNDS", "5"))
SEED: Final = int(os.environ.get("PUNCHGATE_LEDGER_SEED", "0")) or Random().randrange(1, 10**9)  # noqa: S311 (a seed)
DEVICES: Final = 6
SETTINGS: Final = {"PUNCHGATE_INGEST__RATE_REQUESTS": "0", "PUNCHGATE_REPORT__RATE_REQUESTS": "0"}
#: From the start of the process, with the interpreter's own second in it. A soak has the machine to
#: itself and holds the goal; in a suite beside others it is for a hang only.
FIRST_ACKNOWLEDGEMENT_S: Final = 5 if ROUNDS > 5 else gateway.LIMIT_S
#: What a device is told that comes while there is nobody who could commit.
RETRY_AFTER_S: Final = 5
#: What a device may meet while a gateway stops as it should: an honest no, nobody there, or an idle
#: connection that ends just as the device wants to use it again. `stops_in_order` sees to it that
#: the last is all that `closed` stands for.
HONEST: Final = {"503 unavailable", "503 storage_unavailable", "refused", "closed"}

# A soak may take an hour.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 + 30 * ROUNDS)]


@dataclass
class Stage:
    gateway: gateway.Gateway
    fleet: Fleet
    ledger: Ledger
    key: str
    chance: Random
    kept: Callable[[], Kept]

    def acknowledges_again(self) -> None:
        """Start the gateway; the first acknowledgement has to come in time."""
        before = len(self.ledger.read().acked)
        self.gateway.start()
        gateway.until(
            lambda: self.gateway.is_there() and len(self.ledger.read().acked) > before,
            within_s=FIRST_ACKNOWLEDGEMENT_S,
        )

    def goes_on_without_a_start(self, dead: int | None) -> None:
        """Wait for another writing process, and the first acknowledgement through it, in time."""
        gateway.until(
            lambda: self.gateway.writer() not in {None, dead}, within_s=FIRST_ACKNOWLEDGEMENT_S
        )
        before = len(self.ledger.read().acked)
        gateway.until(
            lambda: len(self.ledger.read().acked) > before,
            within_s=RETRY_AFTER_S + FIRST_ACKNOWLEDGEMENT_S,
        )

    def goes_on_for_a_while(self, most: int = 3000) -> None:
        """Wait for a random number of acknowledgements, and a random part of a commit."""
        enough = len(self.ledger.acked) + self.chance.randint(1, most)
        gateway.until(lambda: len(self.ledger.read().acked) >= enough)
        threading.Event().wait(self.chance.random() * 0.02)

    def stops_in_order(self) -> None:
        """Ask the gateway to stop: everything that it stored by then, it has answered for."""
        before = len(self.ledger.read().troubles)
        assert self.gateway.stop() == 0
        stored = set(self.kept().punches)
        # The fleet may still be writing down an answer that it has read.
        gateway.until(lambda: stored <= self.ledger.read().acknowledged_ids())
        assert set(self.ledger.troubles[before:]) <= HONEST

    def ends_well(self) -> int:
        """Let the fleet send what it keeps, and check everything; give the rows of the summary."""
        self.acknowledges_again()
        self.fleet.end()
        rows = check_summary(self.gateway, self.key, self.ledger.path.parent)
        self.gateway.stop()
        check_complete(self.ledger.read(), self.kept())
        return rows


class House(NamedTuple):
    """What an operator has set up: the tokens of the devices, and a key for the report."""

    devices: list[tuple[str, str]]
    key: str


def set_up(running: gateway.Gateway, count: int) -> House:
    added = (running.command("device", "add", f"LEDGER-{number}") for number in range(count))
    devices = [(device["serial"], device["token"]) for device in added]
    key = running.command("key", "add", "--name", "ledger", "--scope", "reports:read")["key"]
    return House(devices, key)


@contextmanager
def load(running: gateway.Gateway, house: House, kept: Callable[[], Kept]) -> Iterator[Stage]:
    print(f"PUNCHGATE_LEDGER_SEED={SEED}")  # noqa: T201 (pytest shows it when a test fails)
    ledger = Ledger(running.data.parent / "elsewhere" / "ledger.jsonl")
    ledger.path.parent.mkdir()
    chance = Random(SEED)  # noqa: S311 (a run that can be repeated)
    with sending(running.url, house.devices, ledger.path, SEED) as fleet:
        yield Stage(running, fleet, ledger, house.key, chance, kept)
    print(ledger.summary())  # noqa: T201 (a soak shows it)


@pytest.fixture(scope="module")
def ready_made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, House]:
    """Set up once what each test gets a copy of: a command takes the better part of a second."""
    data = tmp_path_factory.mktemp("ready") / "data"
    return data, set_up(gateway.Gateway(data, settings=SETTINGS), DEVICES)


@pytest.fixture
def on_sqlite(tmp_path: Path, ready_made: tuple[Path, House]) -> Iterator[Stage]:
    data, house = ready_made
    shutil.copytree(data, tmp_path / "data")
    with gateway.running(tmp_path / "data", settings=SETTINGS) as running:
        copy = tmp_path / "copy"
        with load(running, house, lambda: in_sqlite(running.data, copy)) as stage:
            yield stage


@pytest.fixture(scope="module")
def slow_write(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build what makes every write of a store wait."""
    built = tmp_path_factory.mktemp("shim") / "slow_write.so"
    compiler = installed.program("gcc", package="gcc libc6-dev")
    source = Path(__file__).with_name("slow_write.c")
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", source, "-o", built, "-ldl"], check=True)
    return built


@pytest.fixture
def writing_slowly(on_sqlite: Stage, slow_write: Path) -> Stage:
    slowly = {"LD_PRELOAD": str(slow_write), "SLOW_WRITE_US": "1000"}
    on_sqlite.gateway.settings = {**SETTINGS, **slowly}
    return on_sqlite


@pytest.fixture
def on_postgresql(tmp_path: Path, postgres: Cluster) -> Iterator[Stage]:
    name = postgres.create()
    with gateway.running(tmp_path / "data", postgres.url(name), SETTINGS) as running:
        house = set_up(running, DEVICES // 2)
        with load(running, house, lambda: in_postgresql(postgres, name)) as stage:
            yield stage
    postgres.drop(name)


def test_I1_nothing_acknowledged_is_lost_when_the_gateway_is_killed(on_sqlite: Stage) -> None:
    for _ in range(ROUNDS):
        on_sqlite.acknowledges_again()
        on_sqlite.goes_on_for_a_while()
        on_sqlite.gateway.kill(with_writer=on_sqlite.chance.random() < 0.5)
        check(on_sqlite.ledger.read(), on_sqlite.kept())
    assert on_sqlite.ends_well() > 0


def test_I1_nothing_acknowledged_is_lost_when_the_writing_process_is_killed(
    on_sqlite: Stage,
) -> None:
    on_sqlite.acknowledges_again()
    for _ in range(ROUNDS):
        on_sqlite.goes_on_for_a_while(most=1000)
        dead = on_sqlite.gateway.kill_writer()
        on_sqlite.goes_on_without_a_start(dead)
    on_sqlite.stops_in_order()
    check(on_sqlite.ledger.read(), on_sqlite.kept())
    assert on_sqlite.ends_well() > 0


def test_I1_nothing_acknowledged_is_lost_when_the_kill_falls_into_a_commit(
    writing_slowly: Stage,
) -> None:
    for _ in range(ROUNDS):
        writing_slowly.acknowledges_again()
        writing_slowly.goes_on_for_a_while(most=100)
        writing_slowly.gateway.kill()
        check(writing_slowly.ledger.read(), writing_slowly.kept())
    writing_slowly.gateway.settings = SETTINGS
    assert writing_slowly.ends_well() > 0


def test_I1_a_gateway_that_is_asked_to_stop_says_so_and_loses_nothing(on_sqlite: Stage) -> None:
    for _ in range(max(1, ROUNDS // 2)):
        on_sqlite.acknowledges_again()
        on_sqlite.goes_on_for_a_while()
        on_sqlite.stops_in_order()
        check(on_sqlite.ledger.read(), on_sqlite.kept())
    assert on_sqlite.ends_well() > 0


def test_I1_nothing_acknowledged_is_lost_on_postgresql(on_postgresql: Stage) -> None:
    for number in range(max(2, ROUNDS // 2)):
        on_postgresql.acknowledges_again()
        on_postgresql.goes_on_for_a_while()
        if number % 2:
            on_postgresql.stops_in_order()
        else:
            on_postgresql.gateway.kill(with_writer=on_postgresql.chance.random() < 0.5)
        check(on_postgresql.ledger.read(), on_postgresql.kept())
    assert on_postgresql.ends_well() > 0
