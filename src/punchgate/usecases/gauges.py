"""The figures that are asked for and not counted along: set when `/metrics` is read."""

from collections.abc import Callable
from functools import partial

from punchgate import telemetry
from punchgate.store import figures
from punchgate.usecases.context import Context


async def measure(context: Context, now: Callable[[], int]) -> None:
    """Set every gauge that needs the store."""
    found = await context.database.read(partial(figures.read, now=now()))
    telemetry.QUEUE.set(context.writer.waiting)
    telemetry.STALE.set(found.stale_days)
    telemetry.UNCLAIMED.set(found.unclaimed)
    for state, count in found.quarantine.items():
        telemetry.QUARANTINE.labels(state).set(count)
    telemetry.GUARD.set(found.guard_s)
    for state, count in found.endpoints.items():
        telemetry.ENDPOINTS.labels(state).set(count)
    for state, count in found.replays.items():
        telemetry.REPLAYS.labels(state).set(count)
    for state, count in found.devices.items():
        telemetry.DEVICES.labels(state).set(count)
