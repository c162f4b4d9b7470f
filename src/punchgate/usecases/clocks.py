"""Clocks that are wrong: our own, and those of devices that call us.

A punch that lies ahead of our clock is held. Was it our clock that was behind, what was held in the
meantime is judged again as soon as it is set right; is it the device's, an operator is told. The
clocks of terminals that we call are `terminal_contact.py`.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from punchgate import telemetry
from punchgate.domain.ids import AccountNo, DeviceId
from punchgate.store import devices, problems
from punchgate.store import quarantine as held
from punchgate.store.database import Connection
from punchgate.usecases import quarantine
from punchgate.usecases.context import Context

#: A clock that moved by so much against one that nobody can set was set.
SET_MS: Final = 60_000
#: As of terminals that we call.
KIND: Final = "clock_skew"
_DEVICE: Final = "device:"


class Watch:
    """Sees by the time since the machine was started that our clock was set, and by how much."""

    def __init__(
        self, context: Context, now: Callable[[], int], uptime: Callable[[], float]
    ) -> None:
        self._context = context
        self._now = now
        self._uptime = uptime
        self._at, self._up_s = now(), uptime()
        #: Since when our clock may have been behind; by itself.
        self._since = self._at

    async def look(self) -> None:
        """Judge again what was held while our clock was behind, once it has been set forward.

        Errors:     StoreUnavailable and StoreBusy; the next look begins again.
        Repeating:  safe: what was released is released once.
        """
        now, up_s = self._now(), self._uptime()
        set_ms = now - self._at - round((up_s - self._up_s) * 1000)
        if abs(set_ms) <= SET_MS:
            return
        released = 0
        if set_ms > 0:
            released = await quarantine.judge_again(
                self._context, since=self._since, until=now - set_ms, behind_ms=set_ms, now=now
            )
        self._at, self._up_s, self._since = now, up_s, now
        telemetry.say("clock.set", "warning", ms=set_ms, count=released)


async def tell(context: Context, *, now: int) -> None:
    """Name the devices of which something is held as ahead of us; clear those that are decided."""
    raised, over = await context.database.read(_changes)
    for (account, device_id), count in raised.items():
        detail = (
            f"{count} of its punches were ahead of us by more than 5 minutes and are in quarantine."
            " Set its clock, or the zone of the device; then release or dismiss them."
        )
        subject = _DEVICE + device_id
        await context.writer.run(
            partial(
                problems.raise_, account=account, kind=KIND, subject=subject, detail=detail, now=now
            )
        )
    for account, subject in over:
        await context.writer.run(
            partial(problems.clear, account=account, kind=KIND, subject=subject, now=now)
        )


def _changes(
    tx: Connection,
) -> tuple[dict[tuple[AccountNo, DeviceId], int], list[tuple[AccountNo, str]]]:
    """Give whom to name, with how many items, and whom to clear."""
    ahead, named = held.ahead(tx), problems.list_subjects(tx, KIND)
    raised = {
        (account, device_id): count
        for (account, device_id), count in ahead.items()
        if (account, _DEVICE + device_id) not in named
        and devices.find(tx, account, device_id) is not None
    }
    over = []
    for account, subject in named:
        device_id = DeviceId(subject.removeprefix(_DEVICE))
        device = devices.find(tx, account, device_id)
        if (account, device_id) not in ahead and device is not None and device.engine != "zk":
            over.append((account, subject))
    return raised, over
