"""The event log: whoever follows it skips nothing, however many write and however late they commit.

Real: both databases, writers in transactions of their own, one of them held open. Invented: the
events.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

import asyncpg
import pytest

from punchgate.domain.event import Entry, Event, Position
from punchgate.domain.ids import AccountNo
from punchgate.store import events, installation, locks
from punchgate.store.events import Window
from tests.store import stage as stages
from tests.store.stage import MAIN, NOW, Stage

OTHER: Final = AccountNo(2)
ORIGIN: Final = Position(1, 0, 0, 0)
WRITERS: Final = 16


def event(number: int, key: str = "person:1", at: int = NOW, writer: int = 0) -> Event:
    return Event(f"evt_{writer}_{number}", key, "punch.recorded", at, at, f'{{"n":{number}}}')


async def append(stage: Stage, *told: Event, account: AccountNo = MAIN) -> None:
    await stage.store.writer.run(partial(events.append, account=account, events=told))


async def read(
    stage: Stage,
    after: Position = ORIGIN,
    *,
    limit: int = 1_000,
    until: Position | None = None,
    keys: Sequence[str] | None = None,
    account: AccountNo = MAIN,
) -> Window:
    return await stage.read(
        partial(events.read, account=account, after=after, limit=limit, until=until, keys=keys)
    )


async def everything(
    stage: Stage, *, limit: int, keys: Sequence[str] | None = None, account: AccountNo = MAIN
) -> list[Entry]:
    """Read from the beginning to the end, in windows."""
    found: list[Entry] = []
    place, is_end = ORIGIN, False
    while not is_end:
        window = await read(stage, place, limit=limit, keys=keys, account=account)
        assert window.reached >= place
        found += window.entries
        place, is_end = window.reached, window.is_end
    return found


def ids(entries: Sequence[Entry]) -> list[str]:
    return [entry.id for entry in entries]


@pytest.fixture(name="postgres_stage")
async def _postgres_stage(postgresql_url: str) -> AsyncIterator[Stage]:
    async with stages.open_stage(postgresql_url) as opened:
        yield opened


class Sessions:
    """Other processes' writers: plain sessions that append as `store/events.py` does."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def write(self, writer: int, count: int) -> None:
        session = await asyncpg.connect(self._url)
        try:
            for number in range(count):
                async with session.transaction():
                    await self.insert(session, event(number, f"person:{number % 3}", writer=writer))
        finally:
            await session.close()

    @staticmethod
    async def insert(session: "asyncpg.Connection[asyncpg.Record]", told: Event) -> None:
        await session.execute("SELECT pg_advisory_xact_lock($1)", locks.lock_key(MAIN, told.key))
        await session.execute(
            "INSERT INTO event (account, id, key, type, occurred_at, received_at, body)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)",
            *(MAIN, *told),
        )


@pytest.mark.slow
async def test_I6_a_reader_beside_sixteen_writers_skips_nothing(postgres_stage: Stage) -> None:
    sessions, count = Sessions(postgres_stage.url), 120
    ours: list[str] = []
    naive: set[int] = set()
    place, last = ORIGIN, 0
    async with AsyncExitStack() as stack:
        slow = await asyncpg.connect(postgres_stage.url)
        stack.push_async_callback(slow.close)
        # A transaction that took its number first and commits last.
        held = slow.transaction()
        await held.start()
        await sessions.insert(slow, event(0, "person:slow", writer=99))
        writing = asyncio.gather(*(sessions.write(each, count) for each in range(WRITERS)))
        is_over = False
        while not is_over:
            is_over = writing.done()
            if is_over:
                await held.commit()
            window = await read(postgres_stage, place)
            assert is_over or not window.entries
            ours += ids(window.entries)
            place = window.reached
            # What one would write without having read the page.
            rows = await slow.fetch("SELECT seq FROM event WHERE seq > $1 ORDER BY seq", last)
            naive |= {row["seq"] for row in rows}
            last = max(naive, default=0)
        await writing
    while not (window := await read(postgres_stage, place)).is_end or window.entries:
        ours += ids(window.entries)
        place = window.reached
    told = {f"evt_{writer}_{number}" for writer in range(WRITERS) for number in range(count)}
    assert len(ours) == len(told) + 1
    assert set(ours) == {*told, "evt_99_0"}
    # The held one at least: its number is lower than those that had been read by then.
    assert len(naive) < len(ours)


@pytest.mark.slow
async def test_I6_a_reader_beside_writers_that_commit_keeps_up_and_skips_nothing(
    postgres_stage: Stage,
) -> None:
    sessions, count = Sessions(postgres_stage.url), 120
    writing = asyncio.gather(*(sessions.write(each, count) for each in range(WRITERS)))
    found: list[Entry] = []
    place, windows = ORIGIN, 0
    while len(found) < WRITERS * count:
        assert not writing.done() or writing.exception() is None
        window = await read(postgres_stage, place, limit=100)
        assert window.reached >= place
        windows += bool(window.entries)
        found += window.entries
        place = window.reached
    await writing
    assert windows > 1
    assert len(set(ids(found))) == len(found) == WRITERS * count
    # Per writer and key, as it wrote; the order of the log is one order.
    for writer in range(WRITERS):
        for key in range(3):
            mine = [
                int(entry.id.split("_")[2])
                for entry in found
                if entry.id.startswith(f"evt_{writer}_") and entry.key == f"person:{key}"
            ]
            assert mine == sorted(mine)
    assert [entry.position for entry in found] == sorted(entry.position for entry in found)


async def test_I6_of_one_key_the_order_of_the_log_is_the_order_of_the_commits(
    postgres_stage: Stage,
) -> None:
    sessions = Sessions(postgres_stage.url)
    early = await asyncpg.connect(postgres_stage.url)
    try:
        # It takes its number early, by writing about another key in the order of the locks.
        transaction = early.transaction()
        await transaction.start()
        await early.execute("SELECT pg_advisory_xact_lock($1)", locks.lock_key(MAIN, "person:a"))
        other = asyncio.ensure_future(append(postgres_stage, event(1, "person:a", writer=1)))
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while not await early.fetchval(waits):
            pass
        assert not other.done()
        await sessions.insert(early, event(0, "person:a"))
        await transaction.commit()
        await other
    finally:
        await early.close()
    assert ids((await read(postgres_stage)).entries) == ["evt_0_0", "evt_1_1"]


async def test_what_is_appended_is_read_as_it_was(stage: Stage) -> None:
    told = [event(number, f"person:{number % 2}", NOW + number) for number in range(3)]
    await append(stage, *told)
    window = await read(stage)
    assert [tuple(entry[1:]) for entry in window.entries] == [tuple(one) for one in told]
    assert window.is_end
    assert window.reached[:3] == window.entries[-1].position[:3]
    found = await stage.read(partial(events.find, account=MAIN, event_id="evt_0_1"))
    assert found == window.entries[1]
    assert await stage.read(partial(events.find, account=OTHER, event_id="evt_0_1")) is None


async def test_an_id_that_is_there_already_stays_as_it_is(stage: Stage) -> None:
    await append(stage, event(1))
    await append(stage, event(1)._replace(body='{"n":9}'), event(2))
    assert [entry.body for entry in (await read(stage)).entries] == ['{"n":1}', '{"n":2}']


async def test_nothing_to_append_is_nothing(stage: Stage) -> None:
    await append(stage)
    assert await read(stage) == Window([], ORIGIN, is_end=True)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_windows_of_any_size_give_every_entry_once(stage: Stage, limit: int) -> None:
    told = [event(number, f"person:{number % 3}") for number in range(12)]
    for one in told:
        await append(stage, one)
    assert ids(await everything(stage, limit=limit)) == [one.id for one in told]
    of_two = await everything(stage, limit=limit, keys=["person:0", "person:2"])
    assert ids(of_two) == [one.id for one in told if one.key != "person:1"]


async def test_a_window_ends_at_its_end(stage: Stage) -> None:
    for number in range(6):
        await append(stage, event(number, f"person:{number % 2}"))
    places = [entry.position for entry in (await read(stage)).entries]
    window = await read(stage, places[0], until=places[3])
    assert ids(window.entries) == ["evt_0_1", "evt_0_2", "evt_0_3"]
    assert (window.reached[:3], window.is_end) == (places[3][:3], True)
    window = await read(stage, places[0], until=places[3], keys=["person:0"])
    assert ids(window.entries) == ["evt_0_2"]
    assert (window.reached[:3], window.is_end) == (places[3][:3], True)
    # Up to where one is already there is nothing.
    window = await read(stage, places[3], until=places[3])
    assert (list(window.entries), window.reached[:3]) == ([], places[3][:3])


@pytest.mark.slow
async def test_a_key_is_found_though_a_read_looks_at_a_part_of_the_log_only(stage: Stage) -> None:
    few = {0, events.SPAN - 1, events.SPAN, events.SPAN + 1, 2 * events.SPAN + 5}
    count = 2 * events.SPAN + 10
    for start in range(0, count, 5_000):
        await append(
            stage,
            *(
                event(number, "person:few" if number in few else f"person:{number % 500}")
                for number in range(start, min(start + 5_000, count))
            ),
        )
    first = await read(stage, keys=["person:few"])
    assert ids(first.entries) == ["evt_0_0", f"evt_0_{events.SPAN - 1}"]
    assert not first.is_end
    found = await everything(stage, limit=100, keys=["person:few"])
    assert ids(found) == [f"evt_0_{number}" for number in sorted(few)]
    # Nothing of it at all: still a bounded number of bounded reads, and an end.
    assert await everything(stage, limit=100, keys=["person:none"]) == []


async def test_I12_two_accounts_share_a_log_and_see_their_own(stage: Stage) -> None:
    for number in range(10):
        await append(stage, event(number, writer=1))
        # The same id in another account is another event.
        await append(stage, event(number, writer=1), event(number, writer=2), account=OTHER)
    assert ids(await everything(stage, limit=3)) == [f"evt_1_{number}" for number in range(10)]
    theirs = await everything(stage, limit=3, account=OTHER)
    assert ids(theirs) == [f"evt_{one}_{number}" for number in range(10) for one in (1, 2)]
    of_key = await everything(stage, limit=3, keys=["person:1"])
    assert len(of_key) == 10


async def test_the_end_is_behind_everything_and_moves(stage: Stage) -> None:
    end = await stage.read(partial(events.end_of, account=MAIN))
    assert end == ORIGIN
    await append(stage, event(1))
    end = await stage.read(partial(events.end_of, account=MAIN))
    assert (await read(stage, end)).entries == []
    await append(stage, event(2))
    assert ids((await read(stage, end)).entries) == ["evt_0_2"]


@pytest.mark.parametrize(
    ("at", "expected"),
    [(0, 0), (1_000, 1), (1_001, 2), (4_999, 5), (5_000, 5), (9_000, 9), (9_001, 10)],
)
async def test_a_log_begins_with_the_first_that_was_received_then(
    stage: Stage, at: int, expected: int
) -> None:
    for number in range(10):
        await append(stage, event(number, at=NOW + number * 1_000))
        await append(stage, event(number, at=NOW + number * 1_000), account=OTHER)
    place = await stage.read(partial(events.start_of, account=MAIN, received_at=NOW + at))
    assert ids((await read(stage, place)).entries) == [
        f"evt_0_{number}" for number in range(expected, 10)
    ]


async def test_hours_of_log_are_found_by_their_time(stage: Stage) -> None:
    # Ten minutes apart, so that the disorder that is reckoned with is less than one step.
    for number in range(100):
        await append(stage, event(number, at=NOW + number * 600_000))
    for number in (0, 1, 37, 98, 99):
        at = NOW + number * 600_000
        place = await stage.read(partial(events.start_of, account=MAIN, received_at=at))
        window = await read(stage, place, limit=1)
        assert ids(window.entries) == [f"evt_0_{number}"]


async def test_a_clock_that_was_set_back_a_little_hides_nothing(stage: Stage) -> None:
    minutes = [0, 10, 20, 17, 18, 19, 30, 40]
    for number, minute in enumerate(minutes):
        await append(stage, event(number, at=NOW + minute * 60_000))
    place = await stage.read(partial(events.start_of, account=MAIN, received_at=NOW + 19 * 60_000))
    assert ids((await read(stage, place)).entries)[:1] == ["evt_0_2"]


async def test_a_place_of_an_older_generation_is_found_by_its_time_and_repeats(
    stage: Stage,
) -> None:
    for number in range(100):
        await append(stage, event(number, at=NOW + number * 10_000))
    place = (await read(stage, limit=50)).reached
    assert (await read(stage, place, limit=1)).entries[0].id == "evt_0_50"
    # As after a restore: numbers mean nothing any more.
    await stage.sql("UPDATE installation SET generation = generation + 1")
    stale = place._replace(tx=10**9, seq=10**9)
    found = await stage.read(partial(events.resolve, account=MAIN, position=stale))
    assert found.generation == await stage.read(installation.generation) == place.generation + 1
    window = await read(stage, stale, limit=1)
    # It stood behind 49; a minute before that is 43.
    assert ids(window.entries) == ["evt_0_43"]
    same = window.reached
    assert await stage.read(partial(events.resolve, account=MAIN, position=same)) == same


async def test_news_are_of_whoever_has_entries_behind_his_place(stage: Stage) -> None:
    ask = events.with_news
    assert await stage.read(partial(ask, ends={})) == []
    ends = {MAIN: ORIGIN, OTHER: ORIGIN, AccountNo(3): ORIGIN}
    assert await stage.read(partial(ask, ends=ends)) == []
    await append(stage, event(1))
    await append(stage, event(1), account=OTHER)
    assert sorted(await stage.read(partial(ask, ends=ends))) == [MAIN, OTHER]
    ends[MAIN] = await stage.read(partial(events.end_of, account=MAIN))
    assert await stage.read(partial(ask, ends=ends)) == [OTHER]
    await append(stage, event(2))
    assert sorted(await stage.read(partial(ask, ends=ends))) == [MAIN, OTHER]


async def test_what_cannot_be_read_yet_is_no_news(postgres_stage: Stage) -> None:
    session = await asyncpg.connect(postgres_stage.url)
    ask = partial(events.with_news, ends={MAIN: ORIGIN})
    try:
        transaction = session.transaction()
        await transaction.start()
        await Sessions.insert(session, event(0, "person:slow", writer=99))
        await append(postgres_stage, event(1))
        assert await postgres_stage.read(ask) == []
        assert (await read(postgres_stage)).entries == []
        await transaction.commit()
    finally:
        await session.close()
    assert await postgres_stage.read(ask) == [MAIN]
    assert sorted(ids((await read(postgres_stage)).entries)) == ["evt_0_1", "evt_99_0"]
