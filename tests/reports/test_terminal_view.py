"""A scope as a terminal would hold it: what is read, in which order, how far back, and the news.

Real: both databases and the verbs that fill them. How a terminal says it is tested with the facade.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from punchgate.domain.ids import AccountNo, DeviceId, UserCode
from punchgate.domain.person import Person
from punchgate.reports.terminal_view import Scope, Seen, TerminalView
from punchgate.store import terminal_view
from punchgate.usecases import accounts, devices, people
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway


@dataclass
class Room:
    """What a view was put into."""

    people: list[Person] = field(default_factory=list)
    punches: list[Seen] = field(default_factory=list)
    slices: int = 0
    wanted: int = 1_000_000

    def add_people(self, some: Sequence[Person]) -> bool:
        assert not self.punches
        self.people += some
        return len(self.people) < self.wanted

    def add_punches(self, some: Sequence[Seen]) -> None:
        assert 0 < len(some) <= terminal_view.SLICE
        self.punches += some
        self.slices += 1

    @property
    def times(self) -> list[str]:
        return [seen.wall_time for seen in self.punches]


@pytest.fixture(name="opened")
async def opened_gateway(tmp_path: Path, database_url: str) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path, database_url) as opened:
        await opened.add_device("SN1", id="gate", site="north")
        await opened.add_device("SN2", id="hall", site="south")
        yield opened


def said(number: int, code: str = "7") -> dict[str, Any]:
    hour, minute = divmod(number, 60)
    return {"user_id": code, "att_time": f"2026-06-{1 + hour // 24:02} {hour % 24:02}:{minute:02}"}


def view(opened: Gateway, scope: str = "account", *, most: int = 100_000) -> TerminalView:
    chosen = Scope.read(scope, MAIN)
    assert str(chosen) == scope
    return TerminalView(opened.context.database, opened.context.log, chosen, most=most)


async def test_everything_is_read_newest_first_in_slices(opened: Gateway) -> None:
    for start in (1_200, 0, 2_400):
        await opened.punch("SN1", *(said(start + at) for at in range(700)))
    room = Room()
    taken = await view(opened).read(room)
    assert room.slices == 3
    assert len(room.punches) == 2_100
    assert room.times == sorted(set(room.times), reverse=True)
    assert taken.devices is None
    assert taken.cut_at is None
    assert [person.code for person in room.people] == ["7"]


@pytest.mark.parametrize("most", [1, 999, 1_000, 1_001, 1_200])
async def test_no_more_than_the_most_are_read_and_the_cut_is_told(
    opened: Gateway, most: int
) -> None:
    await opened.punch("SN1", *(said(at) for at in range(1_000)))
    await opened.punch("SN1", *(said(at) for at in range(1_000, 1_100)))
    room = Room()
    taken = await view(opened, most=most).read(room)
    assert len(room.punches) == min(most, 1_100)
    newest = said(1_099)["att_time"] + ":00"
    assert room.times[0] == newest
    if most > 1_100:
        assert taken.cut_at is None
        return
    assert taken.cut_at == room.punches[-1].punch_id
    for among, counted in ((1_000_000, 1_100 - most), (50, min(50, 1_100 - most))):
        cut_at = taken.cut_at
        older = await opened.context.database.read(
            lambda tx, cut_at=cut_at, among=among: terminal_view.count_before(  # type: ignore[misc]  # the loop's own
                tx, MAIN, cut_at, None, among=among
            )
        )
        assert older == counted


async def test_a_log_that_ends_exactly_at_the_most_is_not_cut(opened: Gateway) -> None:
    await opened.punch("SN1", *(said(at) for at in range(5)))
    assert (await view(opened, most=5).read(Room())).cut_at is None


async def test_people_are_read_until_no_more_are_wanted(opened: Gateway) -> None:
    await opened.punch("SN1", *(said(at, f"c{at:04}") for at in range(1_000)))
    await opened.punch("SN1", *(said(at, f"d{at:04}") for at in range(1_000)))
    room = Room()
    await view(opened).read(room)
    assert [person.no for person in room.people] == list(range(1, 2_001))
    few = Room(wanted=1_000)
    await view(opened).read(few)
    assert len(few.people) == 1_000


async def test_a_device_and_a_site_pass_over_the_others(opened: Gateway) -> None:
    for at in range(0, 40, 2):
        await opened.punch("SN1", said(at))
        await opened.punch("SN2", said(at + 1))
    for scope, serial in (("device:hall", "SN2"), ("site:south", "SN2"), ("site:north", "SN1")):
        room = Room()
        taken = await view(opened, scope, most=10).read(room)
        assert taken.devices is not None
        assert list(taken.devices.values()) == [serial]
        assert len(room.punches) == 10
        odd = {int(time[14:16]) % 2 for time in room.times}
        assert odd == {1 if serial == "SN2" else 0}
        assert taken.cut_at == room.punches[-1].punch_id


async def test_a_moved_device_takes_its_punches_to_its_new_site(opened: Gateway) -> None:
    await opened.punch("SN1", said(1))
    changes = devices.Changes(site="south")
    await devices.set_device(
        opened.context, MAIN, DeviceId("gate"), changes, actor="test", now=NOON
    )
    room = Room()
    await view(opened, "site:south").read(room)
    assert len(room.punches) == 1


async def test_news_are_what_the_snapshot_did_not_have(opened: Gateway) -> None:
    looking = view(opened)
    await opened.punch("SN1", said(1))
    room = Room()
    place = (await looking.read(room)).position
    assert len(room.punches) == 1
    assert (await looking.news(place)).punches == []
    await opened.punch("SN1", said(3), said(2))
    await opened.punch("SN1", said(3))
    news = await looking.news(place)
    assert [seen.wall_time for seen in news.punches] == [
        "2026-06-01 00:03:00",
        "2026-06-01 00:02:00",
    ]
    assert (await looking.news(news.reached)).punches == []


async def test_news_of_many_come_in_parts_and_none_is_skipped(opened: Gateway) -> None:
    looking = view(opened, "device:hall")
    place = (await looking.read(Room())).position
    await opened.punch("SN1", *(said(at) for at in range(800)))
    await opened.punch("SN2", *(said(at) for at in range(800)))
    heard: list[str] = []
    parts = 0
    while len(heard) < 800:
        news = await looking.news(place)
        assert news.reached > place
        place = news.reached
        heard += [seen.wall_time for seen in news.punches]
        parts += 1
    assert parts > 2
    assert heard == [f"{said(at)['att_time']}:00" for at in range(800)]


async def test_news_of_an_erased_person_are_none(opened: Gateway) -> None:
    looking = view(opened)
    place = (await looking.read(Room())).position
    await opened.punch("SN1", said(1), said(2, "8"))
    await people.erase(opened.context, MAIN, UserCode("7"), actor="test", now=NOON)
    assert [seen.user_code for seen in (await looking.news(place)).punches] == ["8"]


async def test_a_wait_ends_when_the_log_goes_on(opened: Gateway) -> None:
    looking = view(opened)
    place = (await looking.read(Room())).position
    assert not await looking.wait(place, 0)
    waiting = asyncio.ensure_future(looking.wait(place, 30))
    await opened.punch("SN1", said(1))
    while not waiting.done():
        await opened.context.log.poll()
    assert await waiting


async def test_nothing_of_another_account_is_read(opened: Gateway) -> None:
    other = await accounts.add(opened.context, "other", actor="test", now=NOON)
    assert other.no == AccountNo(2)
    looking = view(opened)
    place = (await looking.read(Room())).position
    new = devices.New(serial="SN9", id="gate", changes=devices.Changes(site="north"))
    await devices.add(opened.context, other.no, new, actor="test", now=NOON)
    await opened.punch("SN9", said(1))
    for scope in ("account", "device:gate", "site:north"):
        room = Room()
        taken = await view(opened, scope).read(room)
        assert (room.people, room.punches) == ([], [])
        assert taken.devices is None or list(taken.devices.values()) == ["SN1"]
    assert (await looking.news(place)).punches == []


async def test_the_nth_newest_has_as_many_before_it(opened: Gateway) -> None:
    await opened.punch("SN1", *(said(at) for at in range(5)))
    room = Room()
    await view(opened).read(room)
    for number, expected in [*enumerate(room.punches), (5, None)]:
        found = await opened.context.database.read(
            lambda tx, number=number: terminal_view.nth_newest(tx, MAIN, number)  # type: ignore[misc]  # the loop's own
        )
        assert found == (None if expected is None else expected.punch_id)
