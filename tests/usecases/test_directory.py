"""The directory: fresh within half a second, and never a cached "unknown".

Real: the store; changes are made through another context on the same file, as the command line
does. Invented: the monotonic clock, which a test turns.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection

from punchgate.domain.ids import DeviceId, SerialNumber, UserCode
from punchgate.store.database import Address, Database
from punchgate.usecases import accounts, devices, people, policies
from punchgate.usecases.directory import BOUND, CHECK_INTERVAL_S, Directory
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway

SN1 = SerialNumber("SN1")
T = TypeVar("T")


@dataclass
class Monotonic:
    """A clock of seconds that a test turns."""

    s: float = 1000.0

    def __call__(self) -> float:
        return self.s


@dataclass
class Pair:
    """A server's directory, and another program that changes what it should know."""

    directory: Directory
    clock: Monotonic
    other: Gateway


@pytest.fixture(name="pair")
async def _pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with gateway.open(tmp_path) as other:
        clock = Monotonic()
        directory = Directory(other.context.database, default_zone="UTC", monotonic=clock)
        yield Pair(directory, clock, other)


async def _set_zone(pair: Pair, zone: str) -> None:
    changes = devices.Changes(zone=zone)
    await devices.set_device(
        pair.other.context, MAIN, DeviceId("sn1"), changes, actor="test", now=NOON
    )


def test_a_change_is_seen_within_a_second() -> None:
    assert CHECK_INTERVAL_S <= 1.0


async def test_a_change_made_elsewhere_is_seen_once_the_interval_is_over(pair: Pair) -> None:
    await pair.other.add_device("SN1", id="sn1", zone="UTC")
    before = await pair.directory.find(SN1)
    await _set_zone(pair, "Asia/Kolkata")

    remembered = await pair.directory.find(SN1)
    pair.clock.s += CHECK_INTERVAL_S + 0.001
    after = await pair.directory.find(SN1)

    assert before is not None
    assert remembered is before
    assert after is not None
    assert (after.zone_name, after.zone_source) == ("Asia/Kolkata", "device")


async def test_a_device_that_is_added_is_accepted_at_its_next_request(pair: Pair) -> None:
    assert await pair.directory.find(SN1) is None
    await pair.other.add_device("SN1")

    found = await pair.directory.find(SN1)

    assert found is not None
    assert found.device.serial == "SN1"
    assert pair.clock.s == 1000.0


async def test_a_device_that_is_removed_is_unknown_within_the_interval(pair: Pair) -> None:
    await pair.other.add_device("SN1", id="sn1")
    assert await pair.directory.find(SN1) is not None
    await devices.remove(pair.other.context, MAIN, DeviceId("sn1"), actor="test", now=NOON)

    pair.clock.s += CHECK_INTERVAL_S + 0.001

    assert await pair.directory.find(SN1) is None
    assert pair.directory.recall("SN1") is None


async def test_what_is_remembered_is_recalled_until_it_may_be_stale(pair: Pair) -> None:
    await pair.other.add_device("SN1")

    assert pair.directory.recall("SN1") is None
    entry = await pair.directory.find(SN1)
    assert pair.directory.recall("SN1") is entry
    assert pair.directory.recall("SN2") is None
    pair.clock.s += CHECK_INTERVAL_S
    assert pair.directory.recall("SN1") is entry
    pair.clock.s += 0.001
    assert pair.directory.recall("SN1") is None


async def test_nothing_is_forgotten_while_nothing_changes(pair: Pair) -> None:
    await pair.other.add_device("SN1")
    entry = await pair.directory.find(SN1)
    for _ in range(5):
        pair.clock.s += 10
        assert await pair.directory.find(SN1) is entry


@pytest.mark.parametrize("change", ["account", "person", "device", "key"])
async def test_every_kind_of_change_makes_it_look_again(pair: Pair, change: str) -> None:
    await pair.other.add_device("SN1")
    entry = await pair.directory.find(SN1)
    context = pair.other.context
    if change == "account":
        await accounts.set_zone(context, MAIN, "Europe/Berlin", actor="test", now=NOON)
    elif change == "person":
        await people.add(context, MAIN, UserCode("1"), actor="test", now=NOON)
    elif change == "device":
        await pair.other.add_device("SN2")
    else:
        await pair.other.add_key()

    pair.clock.s += 1

    again = await pair.directory.find(SN1)
    assert again is not None
    assert again is not entry


async def test_what_was_read_across_a_change_is_not_remembered(pair: Pair) -> None:
    """The check is fresh, the entry is read after a change: the next check must find it gone."""
    await pair.other.add_device("SN1", id="sn1", zone="UTC")
    await pair.directory.find(SerialNumber("NOBODY"))
    await _set_zone(pair, "Asia/Kolkata")

    first = await pair.directory.find(SN1)

    assert first is not None
    assert first.zone_name == "Asia/Kolkata"
    assert pair.directory.recall("SN1") is None


async def test_the_account_tells_whether_its_rules_spread(pair: Pair) -> None:
    await pair.other.add_device("SN1")
    before = await pair.directory.find(SN1)
    rules = policies.StoredPolicy(date(2026, 1, 1), {"attribution": "session"})
    await policies.set_policy(pair.other.context, MAIN, rules, actor="test", now=NOON)
    pair.clock.s += 1

    after = await pair.directory.find(SN1)

    assert before is not None
    assert after is not None
    assert (before.account.spread, after.account.spread) == (0, 2)


async def test_an_entry_holds_the_events_object_of_its_device(pair: Pair) -> None:
    await pair.other.add_device("SN1", id="gate", name='Gate "A"', site="Nord")

    entry = await pair.directory.find(SN1)

    assert entry is not None
    assert entry.json == '{"id":"gate","serial":"SN1","name":"Gate \\"A\\"","site":"Nord"}'


class Counted:
    """A database that counts what it is asked."""

    def __init__(self, database: Database) -> None:
        self.address: Address = database.address
        self.reads = 0
        self.asked = asyncio.Event()
        self._database = database

    async def read(self, work: Callable[[Connection], T]) -> T:
        self.reads += 1
        self.asked.set()
        return await self._database.read(work)

    async def close(self) -> None:
        await self._database.close()


async def test_whoever_comes_while_the_store_is_asked_waits_for_that_answer(pair: Pair) -> None:
    await pair.other.add_device("SN1")
    counted = Counted(pair.other.context.database)
    directory = Directory(counted, default_zone="UTC", monotonic=pair.clock)
    await directory.find(SN1)
    pair.clock.s += CHECK_INTERVAL_S + 0.1
    counted.reads = 0

    found = await asyncio.gather(*(directory.find(SN1) for _ in range(50)))

    assert counted.reads == 1
    assert {entry.device.serial for entry in found if entry is not None} == {SN1}


async def test_who_gives_up_waiting_takes_the_answer_from_nobody(pair: Pair) -> None:
    await pair.other.add_device("SN1")
    counted = Counted(pair.other.context.database)
    directory = Directory(counted, default_zone="UTC", monotonic=pair.clock)
    first = asyncio.create_task(directory.find(SN1))
    second = asyncio.create_task(directory.find(SN1))
    await counted.asked.wait()

    first.cancel()

    assert (await second) is not None
    with pytest.raises(asyncio.CancelledError):
        await first


def test_memory_is_bounded() -> None:
    assert BOUND == 100_000
