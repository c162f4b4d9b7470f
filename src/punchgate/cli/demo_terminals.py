"""The two virtual terminals of `punchgate demo`: the gateway calls them, they never call it.

They stand on free ports of this machine, with a log of days before those that the demo plays. That
they were read is seen where a customer would see it, in the summary.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from punchgate.domain.error import PunchgateError
from punchgate.domain.ids import AccountNo
from punchgate.simulators import fleet, payroll, zk_faults, zk_fleet, zk_memory
from punchgate.simulators.zk import Nature, VirtualTerminal
from punchgate.usecases import devices, terminal_register
from punchgate.usecases.context import Context

#: Id and name of each.
TERMINALS: Final = (("dock", "Loading Dock"), ("office", "Office"))
#: Punches in the log of each.
RECORDS: Final = 100
_SEED: Final = 4370
_HOST: Final = "127.0.0.1"
#: The last day of their logs lies before the days that are played, a night shift's morning too.
_DAYS_AGO: Final = 3
#: All of their logs lies within so many days.
_DAYS: Final = 30
_PUNCH_EVERY_S: Final = 5.0
#: The gateway calls a new terminal within seconds.
_PATIENCE_S: Final = 30.0
#: A key may ask for a hundred reports an hour.
_LOOK_AGAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Terminals that wait for a call."""

    terminals: Sequence[VirtualTerminal]
    ports: Sequence[int]
    last: date

    @property
    def addresses(self) -> Sequence[str]:
        """Give where they are."""
        return [f"{_HOST}:{port}" for port in self.ports]

    async def punch(self) -> None:
        """Let somebody punch at each every few seconds, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for terminal in self.terminals:
                pause = terminal.nature.pause
                group.create_task(zk_fleet.live(terminal, every_s=_PUNCH_EVERY_S, pause=pause))


@asynccontextmanager
async def standing(people: int) -> AsyncIterator[Standing]:
    """Let two terminals stand while the block runs."""
    faults = zk_faults.read([])
    last = datetime.now(UTC).astimezone().date() - timedelta(days=_DAYS_AGO)
    group = zk_fleet.Fleet(
        contents=zk_memory.Contents(users=people, records=RECORDS, last=last, seed=_SEED),
        nature=Nature(faults=faults, pause=asyncio.sleep, seed=_SEED),
        clock=datetime.now,
        count=len(TERMINALS),
    )
    terminals = group.terminals()
    async with zk_fleet.listening(terminals, (_HOST, 0), group.limits()) as ports:
        yield Standing(terminals, ports, last)


async def register(
    context: Context, account: AccountNo, there: Standing, *, zone: str, by: dict[str, Any]
) -> None:
    """Add them as an operator would."""
    for (name, title), terminal, port in zip(TERMINALS, there.terminals, there.ports, strict=True):
        new = terminal_register.New(
            id=name,
            serial=terminal.memory.serial,
            device=devices.Changes(name=title, zone=zone),
            terminal=terminal_register.Changes(host=_HOST, port=port, realtime=True),
        )
        await terminal_register.add(context, account, new, **by)


async def read(server: str, key: str, there: Standing) -> int:
    """Wait until the summary has all of their logs, and say how many punches that is.

    Errors:  PunchgateError when they were not read in time; payroll.Refused.
    """
    wanted = RECORDS * len(there.terminals)
    since = there.last - timedelta(days=_DAYS)
    # A night shift goes home on the next morning.
    until = there.last + timedelta(days=1)
    async with fleet.open_session() as opened:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while True:
                    rows = await payroll.read_summary(opened, server, key, since, until)
                    found = sum(len(row["activities"]) for row in rows)
                    if found >= wanted:
                        return found
                    await asyncio.sleep(_LOOK_AGAIN_S)
        except TimeoutError:
            raise PunchgateError(
                f"The demo cannot go on. The terminals at {' and '.join(there.addresses)} were not"
                f" read within {_PATIENCE_S:.0f} s."
            ) from None
