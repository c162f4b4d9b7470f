"""The log in pages: what is wanted of it, where a page ends, and where the first one begins.

Real: both databases. What goes over the wire of it is tested with its contract.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from punchgate.domain.endpoint import Condition, Filter
from punchgate.domain.error import NotFound
from punchgate.domain.event import Entry, Event, Position
from punchgate.domain.ids import AccountNo, DeviceId
from punchgate.reports import events as report
from punchgate.reports.events import Wanted
from punchgate.store import events
from tests import gateway
from tests.gateway import MAIN, NOON, Gateway

EVERYTHING = Wanted(Filter())
BEGINNING = Position(1, 0, 0, 0)
AT_GATE = '{"person":{"code":"1"},"device":{"id":"gate","serial":"SN1"}}'
AT_HALL = '{"person":{"code":"2"},"device":{"id":"hall","serial":"SN2"}}'
OF_NONE = '{"person":{"code":"1"}}'
ERASED = '{"punch_id":"X","erased":true}'
GATE = frozenset({DeviceId("gate")})


@pytest.fixture(name="opened")
async def opened_gateway(tmp_path: Path, database_url: str) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path, database_url) as opened:
        yield opened


async def fill(opened: Gateway, *bodies: str) -> list[str]:
    """Put events into the log, one a second from noon on, and give their ids."""
    made = [
        Event(f"evt_{n}", f"key:{n}", "punch.recorded", 0, NOON + n * 1_000, body)
        for n, body in enumerate(bodies)
    ]
    await opened.context.writer.run(lambda tx: events.append(tx, MAIN, made))
    return [event.id for event in made]


def entry(body: str, kind: str = "punch.recorded") -> Entry:
    return Entry(BEGINNING, "evt_1", "key:1", kind, 0, 0, body)  # type: ignore[arg-type]  # of a table


@pytest.mark.parametrize(
    ("wanted", "passing"),
    [
        (EVERYTHING, [AT_GATE, AT_HALL, OF_NONE, ERASED]),
        (Wanted(Filter(events=("punch.recorded",))), [AT_GATE, AT_HALL, OF_NONE, ERASED]),
        (Wanted(Filter(events=("summary.updated",))), []),
        (Wanted(Filter(people=("1",))), [AT_GATE, OF_NONE]),
        (Wanted(Filter(devices=("hall", "SN1"))), [AT_GATE, AT_HALL]),
        (Wanted(Filter(fields=(Condition("erased", "exists"),))), [ERASED]),
        (Wanted(Filter(), GATE), [AT_GATE]),
        (Wanted(Filter(people=("2",)), GATE), []),
        (Wanted(Filter(events=("summary.updated",)), GATE), []),
        (Wanted(Filter(), frozenset()), []),
    ],
)
def test_an_entry_passes_what_it_is_wanted_by(wanted: Wanted, passing: list[str]) -> None:
    bodies = [AT_GATE, AT_HALL, OF_NONE, ERASED]
    assert [body for body in bodies if wanted.passes(entry(body))] == passing
    assert wanted.is_everything == (wanted == EVERYTHING)


@pytest.mark.parametrize("body", ['{"device":null}', '{"device":"gate"}', '{"device":{"id":7}}'])
def test_a_device_of_another_form_is_none_of_theirs(body: str) -> None:
    assert not Wanted(Filter(), GATE).passes(entry(body))


@pytest.mark.parametrize("wanted", [EVERYTHING, Wanted(Filter(devices=("gate",)))])
async def test_a_page_is_full_or_at_the_end_and_knows_which(
    opened: Gateway, wanted: Wanted
) -> None:
    log, ids = opened.context.log, await fill(opened, *[AT_GATE] * 5)
    full = await report.read(log, MAIN, BEGINNING, wanted, limit=3)
    assert ([one.id for one in full.entries], full.has_more) == (ids[:3], True)
    assert full.reached == full.entries[-1].position
    rest = await report.read(log, MAIN, full.reached, wanted, limit=2)
    assert ([one.id for one in rest.entries], rest.has_more) == (ids[3:], False)
    none = await report.read(log, MAIN, rest.reached, wanted, limit=2)
    assert (none.entries, none.reached, none.has_more) == ([], rest.reached, False)


async def test_the_end_of_a_page_is_behind_what_was_not_wanted(opened: Gateway) -> None:
    await fill(opened, AT_GATE, AT_HALL, AT_HALL)
    wanted = Wanted(Filter(devices=("gate",)))
    page = await report.read(opened.context.log, MAIN, BEGINNING, wanted, limit=3)
    assert [one.id for one in page.entries] == ["evt_0"]
    (last,) = (await report.read(opened.context.log, MAIN, BEGINNING, EVERYTHING, limit=3))[0][2:]
    assert page.reached == last.position


@pytest.mark.parametrize(
    ("since", "first"),
    [(None, 0), (0, 0), (NOON, 0), (NOON + 1, 1), (NOON + 2_000, 2), (NOON + 2_001, 3)],
)
async def test_a_start_is_before_the_first_that_was_received_then(
    opened: Gateway, since: int | None, first: int
) -> None:
    ids = await fill(opened, AT_GATE, AT_GATE, AT_GATE)
    place = await report.start(opened.context.database, MAIN, since)
    page = await report.read(opened.context.log, MAIN, place, EVERYTHING, limit=9)
    assert [one.id for one in page.entries] == ids[first:]


async def test_every_account_has_its_name_and_the_one_secret(opened: Gateway) -> None:
    about = await report.about(opened.context.database, MAIN)
    assert (about.name, len(about.secret)) == ("main", 32)
    assert await report.about(opened.context.database, MAIN) == about
    with pytest.raises(NotFound):
        await report.about(opened.context.database, AccountNo(99))
