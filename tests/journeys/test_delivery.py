"""L4 and L5: every stored punch reaches its endpoint, in order per person, whatever is killed.

Real: the gateway in its own process (two of them on PostgreSQL), its store, SIGKILL, SIGSTOP, the
sockets. Simulated: the device, which is this test, and the receiver, which keeps books.

A lease lasts half a minute, so the journey in which one is waited for runs only in a soak
(`PUNCHGATE_LEDGER_ROUNDS` above 5); `tests/delivery/test_leases.py` has it in one process.
"""

import asyncio
import http.client
import json
import os
import signal
import sqlite3
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from punchgate.delivery.live import WINDOW
from tests import receiver
from tests.journeys import gateway
from tests.journeys.gateway import Gateway
from tests.postgres import Cluster
from tests.receiver import OK, Answer, Behaviour, Receiver, Request

ROUNDS: Final = int(os.environ.get("PUNCHGATE_LEDGER_ROUNDS", "5"))
SETTINGS: Final = {
    "PUNCHGATE_INGEST__RATE_REQUESTS": "0",
    "PUNCHGATE_DELIVERY__ALLOW_NETWORKS": '["127.0.0.0/8"]',
    # Processes on one database share the key that opens its secrets.
    "PUNCHGATE_SECRETS__KEY": b64encode(bytes(range(32))).decode(),
}
PEOPLE: Final = 40
BATCH: Final = 200
_FIRST: Final = datetime(2026, 6, 1, 5)  # noqa: DTZ001 (a wall time)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@dataclass
class Device:
    """A device that posts batches, each person's punches in their order."""

    where: Gateway
    serial: str
    token: str
    number: int = 0

    def post(self, batches: int) -> None:
        """Post batches of punches, each acknowledged before the next."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.where.port, timeout=gateway.LIMIT_S
        )
        with closing(connection):
            for _ in range(batches):
                items = [self._punch() for _ in range(BATCH)]
                headers = {
                    "sn": self.serial,
                    "auth-token": self.token,
                    "Content-Type": "application/json",
                }
                body = json.dumps(items)
                connection.request("POST", "/api/attendance/v1/punch", body, headers)
                answer = connection.getresponse()
                said = answer.read()
                assert answer.status in {200, 201, 207}, said

    def _punch(self) -> dict[str, Any]:
        self.number += 1
        at = _FIRST + timedelta(seconds=self.number)
        return {
            "user_id": str(1001 + self.number % PEOPLE),
            "att_time": f"{at:%Y-%m-%d %H:%M:%S}",
            "att_state": self.number // PEOPLE % 2,
        }


def set_up(where: Gateway, url: str) -> Device:
    added = where.command("device", "add", "DELIVERY-1")
    where.command(
        *("endpoint", "add", url, "--event", "punch.recorded"),
        *("--schedule", ",".join(["1s"] * 8)),
    )
    return Device(where, added["serial"], added["token"])


class Books:
    """What the receiver took, in its order; one request in fifty fails at first."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.bodies: dict[str, bytes] = {}
        self._number = 0

    def __call__(self, request: Request) -> Behaviour:
        event_id = request.headers["webhook-id"]
        assert self.bodies.setdefault(event_id, request.body) == request.body
        self._number += 1
        if self._number % 50 == 0:
            return Answer(500)
        self.taken.append(event_id)
        return OK

    def check(self, log: Sequence[tuple[str, str]]) -> None:
        """Assert L4 and L5 against the log: ids and keys in its order."""
        first_times = list(dict.fromkeys(self.taken))
        assert set(first_times) == {event_id for event_id, _ in log}, "L4"
        key_of = dict(log)
        arrived: dict[str, list[str]] = {}
        for event_id in first_times:
            arrived.setdefault(key_of[event_id], []).append(event_id)
        stored: dict[str, list[str]] = {}
        for event_id, key in log:
            stored.setdefault(key, []).append(event_id)
        assert arrived == stored, "L5"


def log_in_sqlite(where: Gateway) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(where.data / "punchgate.db")) as store:
        return store.execute(
            "SELECT id, key FROM event WHERE type = 'punch.recorded' ORDER BY seq"
        ).fetchall()


def log_in_postgresql(cluster: Cluster, database: str) -> list[tuple[str, str]]:
    lines = cluster.execute(
        "SELECT id || ' ' || key FROM event WHERE type = 'punch.recorded' ORDER BY tx, seq",
        database=database,
    ).splitlines()
    return [(line.split(" ")[0], line.split(" ")[1]) for line in lines]


async def every_punch_comes(r: Receiver, books: Books, count: int) -> None:
    await r.until(lambda: len(set(books.taken)) >= count, f"{count} events")


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[Gateway]:
    with gateway.running(tmp_path / "data", settings=SETTINGS) as running:
        yield running


@pytest.fixture
def on_postgresql(tmp_path: Path, postgres: Cluster) -> Iterator[tuple[Gateway, str]]:
    name = postgres.create()
    with gateway.running(tmp_path / "data", postgres.url(name), SETTINGS) as running:
        yield running, name
    postgres.drop(name)


async def test_L4_L5_what_is_killed_in_the_middle_delivers_everything_in_order(
    on_sqlite: Gateway,
) -> None:
    kills, batches = 3, 8
    books = Books()
    async with receiver.open() as r:
        r.otherwise = books
        device = await asyncio.to_thread(set_up, on_sqlite, r.url())
        for _ in range(kills):
            before = r.count
            await asyncio.to_thread(on_sqlite.serve)
            posting = asyncio.create_task(asyncio.to_thread(device.post, batches))
            # In the middle of a window: half of what there is to send has come.
            await r.received(before + batches * BATCH // 2)
            await posting
            await asyncio.to_thread(on_sqlite.kill)
        await asyncio.to_thread(on_sqlite.serve)
        count = kills * batches * BATCH
        await every_punch_comes(r, books, count)
        assert await asyncio.to_thread(on_sqlite.stop) == 0
        log = log_in_sqlite(on_sqlite)
        assert len(log) == count
        books.check(log)
        assert len(books.taken) - count <= kills * WINDOW
        sent = r.count
        # Stopped in order, it has nothing to repeat.
        await asyncio.to_thread(on_sqlite.serve)
        await asyncio.to_thread(device.post, 1)
        await every_punch_comes(r, books, count + BATCH)
        assert r.count <= sent + BATCH + BATCH // 50 + 1


async def test_L4_two_processes_on_one_database_send_each_event_once(
    on_postgresql: tuple[Gateway, str], tmp_path: Path, postgres: Cluster
) -> None:
    first, database = on_postgresql
    books = Books()
    async with receiver.open() as r:
        r.otherwise = books
        await asyncio.to_thread(first.command, "db", "migrate")
        device = await asyncio.to_thread(set_up, first, r.url())
        with second_on(tmp_path, first) as second:
            await asyncio.to_thread(first.serve)
            await asyncio.to_thread(second.serve)
            await asyncio.to_thread(device.post, 5)
            await every_punch_comes(r, books, 5 * BATCH)
            # Who leaves in order leaves its endpoint to the other at once.
            await asyncio.to_thread(first.stop)
            await asyncio.to_thread(replace(device, where=second).post, 1)
            await every_punch_comes(r, books, 6 * BATCH)
        log = log_in_postgresql(postgres, database)
        books.check(log)
        assert len(books.taken) == len(log)


@pytest.mark.skipif(ROUNDS <= 5, reason="waits for a lease of half a minute: make soak")
async def test_L4_a_holder_that_is_stopped_for_longer_than_its_lease_moves_nothing(
    on_postgresql: tuple[Gateway, str], tmp_path: Path, postgres: Cluster
) -> None:
    first, database = on_postgresql
    books = Books()

    def cursor() -> str:
        return postgres.execute(
            "SELECT lease_owner || ' ' || epoch || ' ' || seq FROM cursor", database=database
        )

    async with receiver.open() as r:
        r.otherwise = books
        await asyncio.to_thread(first.command, "db", "migrate")
        device = await asyncio.to_thread(set_up, first, r.url())
        with second_on(tmp_path, first) as second:
            await asyncio.to_thread(first.serve)
            posting = asyncio.create_task(asyncio.to_thread(device.post, 10))
            await r.received(300)
            await posting
            assert first.process is not None
            first.process.send_signal(signal.SIGSTOP)
            before = cursor().split(" ")
            await asyncio.to_thread(second.serve)
            # Nobody takes it before the lease is over.
            await asyncio.to_thread(gateway.until, lambda: cursor().split(" ")[0] != before[0])
            await every_punch_comes(r, books, 10 * BATCH)
            elsewhere = replace(device, where=second)
            await asyncio.to_thread(elsewhere.post, 2)
            await every_punch_comes(r, books, 12 * BATCH)
            after = cursor().split(" ")
            assert int(after[1]) == int(before[1]) + 1
            first.process.send_signal(signal.SIGCONT)
            await asyncio.to_thread(gateway.until, first.ready)
            await asyncio.to_thread(elsewhere.post, 1)
            await every_punch_comes(r, books, 13 * BATCH)
            assert cursor().split(" ")[:2] == after[:2]
        books.check(log_in_postgresql(postgres, database))
        assert len(books.taken) - 13 * BATCH <= WINDOW


def second_on(directory: Path, first: Gateway) -> Any:
    """Give another process on the same database."""
    return gateway.running(directory / "second", first.database, first.settings)
