"""What becomes of a key whose head was tried again. Pure; see delivery/schedule.py for the steps.

A key that has used up its schedule is *spent*: its head is dead, and each further event gets one
attempt until one is accepted. So a person whom the receiver does not know costs one request per
punch and not ten.
"""

from collections.abc import Sequence
from typing import NamedTuple

from punchgate.delivery import schedule
from punchgate.domain.endpoint import OnDead
from punchgate.domain.event import Position
from punchgate.store.cursors import Parked

#: When a spent key is looked at again though nothing new has come for it.
_IDLE_MS = 24 * 3_600_000


class Failed(NamedTuple):
    """What follows from a failure of a key's head."""

    parked: Parked
    #: Whether the head is given up, so that the key goes on behind it.
    is_dead: bool


def is_spent(parked: Parked, schedule_s: Sequence[int]) -> bool:
    """Say whether a key has used up its schedule."""
    return parked.attempt > len(schedule_s)


def first(key: str, after: Position, now: int) -> Parked:
    """Park a key that only waits for its endpoint: nothing counts against it."""
    return Parked(key, after, 0, now, now, "endpoint")


def failed(  # noqa: PLR0913 (one decision, six facts)
    parked: Parked,
    *,
    schedule_s: Sequence[int],
    on_dead: OnDead,
    status: int | None,
    error: str | None,
    share: float,
    now: int,
) -> Failed:
    """Say what follows when a head has failed; `share` is a random number from 0 to 1."""
    attempt = parked.attempt + 1
    wait_ms = schedule.step_ms(schedule_s, attempt, share)
    after = parked._replace(attempt=attempt, reason="refused", last_status=status, last_error=error)
    if wait_ms is not None:
        return Failed(after._replace(due_at=now + wait_ms), is_dead=False)
    if on_dead == "hold":
        return Failed(after._replace(due_at=None), is_dead=False)
    return Failed(
        after._replace(attempt=len(schedule_s) + 1, due_at=now, first_failed_at=now), is_dead=True
    )


def idle(parked: Parked, after: Position, now: int) -> Parked:
    """Have a spent key wait for its next event."""
    return parked._replace(after=after, due_at=now + _IDLE_MS)
