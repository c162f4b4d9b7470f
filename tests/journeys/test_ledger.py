"""The ledger: a gateway is ended at random instants under load, and nothing it acknowledged is lost.

Real: the gateway in its own process, its store, the sockets, SIGKILL and SIGTERM. Simulated: the
devices, in a process of their own. A process that is killed loses what it had not handed to the
kernel; what a power cut would take as well is the faulty file system's matter, not this one's.

`PUNCHGATE_LEDGER_ROUNDS` sets the number of rounds, `PUNCHGATE_LEDGER_SEED` repeats a run as far as
chance decides it.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import pytest

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
DEVICES: Final = 8
#: From the start of the process, with the interpreter's own second in it.
FIRST_ACKNOWLEDGEMENT_S: Final = 5
#: What a device may meet while a gateway stops as it should: an honest no, or nobody there.
HONEST: Final = {"503 unavailable", "503 storage_unavailable", "refused", "closed"}

# A soak may take an hour.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120 + 30 * ROUNDS)]


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
            lambda: len(self.ledger.read().acked) > before, within_s=FIRST_ACKNOWLEDGEMENT_S
        )

    def goes_on_for_a_while(self) -> None:
        """Wait for a random number of acknowledgements, and a random part of a commit."""
        enough = len(self.ledger.acked) + self.chance.randint(1, 3000)
        gateway.until(lambda: len(self.ledger.read().acked) >= enough, within_s=30)
        threading.Event().wait(self.chance.random() * 0.02)

    def ends_well(self) -> int:
        """Let the fleet send what it keeps, and check everything; give the rows of the summary."""
        self.acknowledges_again()
        self.fleet.end()
        rows = check_summary(self.gateway, self.key, self.ledger.path.parent)
        self.gateway.stop()
        check_complete(self.ledger.read(), self.kept())
        return rows


@contextmanager
def stage(home: Path, database: str | None, kept: Callable[[], Kept] | None) -> Iterator[Stage]:
    print(f"PUNCHGATE_LEDGER_SEED={SEED}")  # noqa: T201 (pytest shows it when a test fails)
    settings = {"PUNCHGATE_INGEST__RATE_REQUESTS": "0", "PUNCHGATE_REPORT__RATE_REQUESTS": "0"}
    ledger = Ledger(home / "elsewhere" / "ledger.jsonl")
    ledger.path.parent.mkdir()
    with gateway.running(home / "data", database, settings) as running:
        devices = [
            (added["serial"], added["token"])
            for added in (
                running.command("device", "add", f"LEDGER-{number}") for number in range(DEVICES)
            )
        ]
        key = running.command("key", "add", "--name", "ledger", "--scope", "reports:read")["key"]
        with sending(running.url, devices, ledger.path, SEED) as fleet:
            read = kept or (lambda: in_sqlite(running.data, home / "copy"))
            yield Stage(running, fleet, ledger, key, Random(SEED), read)  # noqa: S311 (repeatable)


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path, None, None) as made:
        yield made


@pytest.fixture
def on_postgresql(tmp_path: Path, postgres: Cluster) -> Iterator[Stage]:
    name = postgres.create()
    with stage(tmp_path, postgres.url(name), lambda: in_postgresql(postgres, name)) as made:
        yield made
    postgres.drop(name)


def test_I1_nothing_acknowledged_is_lost_when_the_gateway_is_killed(on_sqlite: Stage) -> None:
    for _ in range(ROUNDS):
        on_sqlite.acknowledges_again()
        on_sqlite.goes_on_for_a_while()
        on_sqlite.gateway.kill()
        check(on_sqlite.ledger.read(), on_sqlite.kept())
    assert on_sqlite.ends_well() > 0


def test_I1_a_gateway_that_is_asked_to_stop_says_so_and_loses_nothing(on_sqlite: Stage) -> None:
    for _ in range(max(1, ROUNDS // 2)):
        on_sqlite.acknowledges_again()
        on_sqlite.goes_on_for_a_while()
        troubles = len(on_sqlite.ledger.read().troubles)
        assert on_sqlite.gateway.stop(within_s=30) == 0
        check(on_sqlite.ledger.read(), on_sqlite.kept())
        assert set(on_sqlite.ledger.troubles[troubles:]) <= HONEST
    assert on_sqlite.ends_well() > 0


def test_I1_nothing_acknowledged_is_lost_on_postgresql(on_postgresql: Stage) -> None:
    for number in range(max(2, ROUNDS // 2)):
        on_postgresql.acknowledges_again()
        on_postgresql.goes_on_for_a_while()
        if number % 2:
            assert on_postgresql.gateway.stop(within_s=30) == 0
        else:
            on_postgresql.gateway.kill()
        check(on_postgresql.ledger.read(), on_postgresql.kept())
    assert on_postgresql.ends_well() > 0
