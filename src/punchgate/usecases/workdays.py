"""Keeping workdays current: the worker that computes what punches have touched.

A reader never waits for it: what is stale is computed for whoever asks. It computes outside the
writer and writes in a transaction of its own, so that a punch never waits for a day.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from punchgate import telemetry
from punchgate.domain.ids import AccountNo
from punchgate.store import workdays
from punchgate.store.database import Connection
from punchgate.store.workdays import Computed, Stale
from punchgate.usecases.context import Context

#: Days of one pass: those of a date share one read of its punches.
PASS: Final = 5_000
#: Days of one transaction; more would hold a punch up for longer than a commit takes.
KEEP: Final = 250
#: How long to rest when there is nothing to do; "within a second".
IDLE_S: Final = 0.4
#: How much longer than a pass to rest after it: while punches wait for the writer, while none do.
BUSY_SHARE: Final = 9.0
QUIET_SHARE: Final = 0.5


async def refresh(context: Context, now: Callable[[], int]) -> float:
    """Compute one pass of stale days and say how many seconds to rest before the next.

    Concurrency: two processes that compute the same day write the same row.
    """
    elapsed = telemetry.stopwatch()
    stale = await context.database.read(partial(workdays.next_stale, limit=PASS))
    if not stale:
        return IDLE_S
    account = stale[0].account
    keys = [each.key for each in stale]
    computed = await context.database.read(lambda tx: workdays.compute(tx, account, keys))
    for start in range(0, len(stale), KEEP):
        part = stale[start : start + KEEP]
        days = {each.key: computed[each.key] for each in part}
        await context.writer.run(partial(_keep, account, part, days, now()))
    share = BUSY_SHARE if context.writer.waiting else QUIET_SHARE
    return elapsed() * share


def _keep(
    account: AccountNo, stale: Sequence[Stale], computed: Computed, now: int, tx: Connection
) -> None:
    workdays.keep(tx, account, stale, computed, now)


async def catch_up(context: Context, now: Callable[[], int]) -> None:
    """Compute until nothing is stale: for imports, benchmarks and whoever wants to see rows."""
    while await context.database.read(workdays.count_stale):
        await refresh(context, now)
