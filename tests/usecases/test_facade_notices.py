"""What the facade cannot serve, as problems: raised once, cleared when it is over.

Real: a store. The findings are made by hand.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from punchgate.domain.ids import DeviceId
from punchgate.domain.punch import first_id_at
from punchgate.store import diagnosis
from punchgate.store.error import StoreUnavailable
from punchgate.usecases import facade_notices, problems
from punchgate.usecases.facade_notices import Findings, Notices
from tests import gateway
from tests.facades import stage
from tests.gateway import MAIN, Gateway

HOUR_MS = 3_600_000


@pytest.fixture(name="opened")
async def opened_gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway.open(tmp_path) as opened:
        await opened.add_device("SN1", id="gate")
        yield opened


def notices(opened: Gateway) -> Notices:
    return Notices(opened.context, MAIN, "account", opened.clock)


async def told(opened: Gateway) -> dict[str, tuple[str, int]]:
    found = await problems.list_problems(opened.context, MAIN)
    assert {each.subject for each in found} <= {"facade:account"}
    return {each.kind: (each.detail, each.times) for each in found}


async def test_nothing_found_is_no_problem(opened: Gateway) -> None:
    await notices(opened).note(Findings())
    assert await told(opened) == {}


@pytest.mark.parametrize(
    ("found", "kind", "words"),
    [
        (Findings(unfit=3), facade_notices.UNFIT, "3 people cannot be served"),
        (Findings(times=2), facade_notices.UNFIT, "2 punches have a year"),
        (Findings(long=5), facade_notices.LONG, "5 people have a user code of 10 to 24"),
        (Findings(devices=frozenset()), facade_notices.NOBODY, "No device is in the scope"),
    ],
)
async def test_each_finding_is_a_problem_that_ends_with_it(
    opened: Gateway, found: Findings, kind: str, words: str
) -> None:
    noting = notices(opened)
    await noting.note(found)
    assert set(await told(opened)) == {kind}
    assert (await told(opened))[kind][0].startswith(words)
    # The doctor counts it with the other problems.
    assert (await opened.context.database.read(diagnosis.examine)).problems == 1
    await noting.note(Findings())
    assert await told(opened) == {}
    assert (await opened.context.database.read(diagnosis.examine)).problems == 0


async def test_devices_in_the_scope_are_no_problem(opened: Gateway) -> None:
    await notices(opened).note(Findings(devices=frozenset({DeviceId("gate")})))
    assert await told(opened) == {}


async def test_what_was_written_is_written_again_after_an_hour(opened: Gateway) -> None:
    noting = notices(opened)
    for _ in range(3):
        await noting.note(Findings(long=1))
    assert (await told(opened))[facade_notices.LONG][1] == 1
    opened.clock.ms += HOUR_MS
    await noting.note(Findings(long=1))
    assert (await told(opened))[facade_notices.LONG][1] == 2


async def test_what_could_not_be_written_is_written_the_next_time(opened: Gateway) -> None:
    noting, writer = notices(opened), opened.context.writer
    await writer.run(lambda tx: tx.execute(text("ALTER TABLE problem RENAME TO away")))
    with pytest.raises(StoreUnavailable):
        await noting.note(Findings(long=1))
    await writer.run(lambda tx: tx.execute(text("ALTER TABLE away RENAME TO problem")))
    await noting.note(Findings(long=1))
    assert set(await told(opened)) == {facade_notices.LONG}


async def test_what_is_left_out_is_counted(opened: Gateway) -> None:
    times = [str(stage.wall_time(minute)) for minute in range(7)]
    await opened.punch("SN1", *({"user_id": "7", "att_time": time} for time in times))
    noting = notices(opened)
    cut_at = first_id_at(stage.wall_time(4))
    await noting.note(Findings(cut_at=cut_at))
    assert (await told(opened))[facade_notices.CUT][0].startswith("4 older punches are left out")
    # Of other devices there are none, so nothing of this scope is left out.
    await noting.note(Findings(cut_at=cut_at, devices=frozenset({DeviceId("hall")})))
    assert await told(opened) == {}
