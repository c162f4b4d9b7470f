"""Limits on how many requests a key may send: fixed windows, counted in the store.

The limits of the device paths are another thing: they are counted in memory, because a punch has no
room for it. What a refusal looks like is the contract's.
"""

from dataclasses import dataclass

from punchgate.domain.key import Key
from punchgate.store import limits
from punchgate.store.database import Connection
from punchgate.store.limits import Rate
from punchgate.usecases.context import Context


@dataclass(frozen=True, slots=True)
class Window:
    """What is left of a window after a request was counted, or was found to be one too many."""

    left: int
    #: Whole seconds until it ends, at least 1.
    resets_in_s: int
    is_exceeded: bool


async def count(
    context: Context, key: Key, name: str, *, quota: int, window_s: int, now: int
) -> Window:
    """Count one request of a key against the limit of this name.

    Shapes:  `quota` is at least 1. A window begins with the key's first counted request and lasts
             `window_s` seconds; a request beyond the quota is not counted.
    Errors:  StoreUnavailable and StoreBusy; the request is then not counted.
    Concurrency:  any number of callers and processes; no two take the same last request.
    """
    rate = Rate(quota, window_s * 1000)

    def work(tx: Connection) -> Window:
        counted = limits.take(tx, key.account, key.key_id, name, rate, now)
        if counted is not None:
            return _window(counted.started_at, left=quota - counted.used)
        full = limits.find(tx, key.account, key.key_id, name)
        return _window(now if full is None else full.started_at, left=0, is_exceeded=True)

    def _window(started_at: int, *, left: int, is_exceeded: bool = False) -> Window:
        remaining_ms = started_at + rate.window_ms - now
        return Window(max(0, left), max(1, -(-remaining_ms // 1000)), is_exceeded)

    return await context.writer.run(work)
