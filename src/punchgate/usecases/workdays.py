"""Keeping workdays current: the worker that computes what punches have touched.

A reader never waits for it: what is stale is computed for whoever asks. It computes outside the
writer and writes in a transaction of its own, so that a punch never waits for a day.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from punchgate import telemetry
from punchgate.store import workdays
from punchgate.usecases.context import Context

#: Days of one pass: those of a date share one read of its punches. A pass of this size takes a
#: tenth of a second.
PASS: Final = 1_000
#: Days of one transaction; more would hold a punch up for longer than a commit takes.
KEEP: Final = 250
#: How long to rest when there is nothing to do; "within a second".
IDLE_S: Final = 0.4
#: So many punches a second are a burst, in which days can wait: whoever asks computes them.
BURST: Final = 300
#: How much longer than a pass to rest after it: during a burst, and without one.
BURST_SHARE: Final = 19.0
QUIET_SHARE: Final = 0.5


async def refresh(context: Context, now: Callable[[], int]) -> float:
    """Compute one pass of stale days and say how many seconds to rest before the next.

    Where rules are changing, a step of that comes first.

    Concurrency: two processes that compute the same day write the same row.
    """
    elapsed, rows = telemetry.stopwatch(), context.writer.rows
    changing = await context.database.read(workdays.list_changing)
    for account in changing:
        await context.writer.run(partial(workdays.mark_some, account=account))
    stale = await context.database.read(partial(workdays.next_stale, limit=PASS))
    if stale:
        await _compute(context, stale, now)
    elif not changing:
        return IDLE_S
    return rest_s(elapsed(), context.writer.rows - rows)


async def _compute(
    context: Context, stale: Sequence[workdays.Stale], now: Callable[[], int]
) -> None:
    """Compute days of one account and keep them, some at a time."""
    account = stale[0].account
    keys = [each.key for each in stale]
    computed = await context.database.read(lambda tx: workdays.compute(tx, account, keys))
    for start in range(0, len(stale), KEEP):
        part = stale[start : start + KEEP]
        days = {each.key: computed[each.key] for each in part}
        changed = await context.writer.run(
            partial(
                workdays.keep,
                account=account,
                stale=part,
                computed=days,
                now=now(),
                default_zone=context.directory.default_zone,
            )
        )
        telemetry.SUMMARY_UPDATES.inc(changed)


def rest_s(seconds: float, punches: int) -> float:
    """Say how long to rest after a pass of so many seconds, in which so many punches came in."""
    return seconds * (BURST_SHARE if punches > BURST * seconds else QUIET_SHARE)


async def catch_up(context: Context, now: Callable[[], int]) -> None:
    """Compute until nothing is stale: for imports, benchmarks and whoever wants to see rows."""
    while await context.database.read(workdays.is_any_stale):
        await refresh(context, now)
