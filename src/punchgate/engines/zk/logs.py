"""One reading of a log from the call to the watermark, by itself or within a session."""

from punchgate.engines.zk import identity, reading
from punchgate.engines.zk import visit as visits
from punchgate.engines.zk.deadline import Deadline
from punchgate.engines.zk.fetch import Fetched, fetch
from punchgate.engines.zk.room import NoRoom, Share
from punchgate.engines.zk.tools import Tap, Tools
from punchgate.engines.zk.visit import Visit
from punchgate.usecases.terminal_contact import Whose
from punchgate.usecases.terminals import LogRead


async def read_log(
    tools: Tools,
    whose: Whose,
    deadline: Deadline | None = None,
    *,
    is_live: bool,
    tap: Tap | None = None,
) -> LogRead:
    """Call a terminal, read its log, hang up, and record what was read.

    The session is over before anything is recorded: many terminals have room for one. Where nobody
    waits (no `deadline`) the terminal's time is bounded, and recording takes what it takes. A log
    for which no memory is left is read from its beginning when there is.

    Errors:  TerminalTrouble; TimeoutError; NotFound; StoreBusy, StoreUnavailable.
    """
    size_bytes = 0
    while True:
        async with tools.room.share(size_bytes) as share:
            try:
                if deadline is not None:
                    taken = await _visit(tools, whose, deadline, share, is_live=is_live, tap=tap)
                else:
                    pace = tools.pace
                    async with Deadline(pace.total_s, bytes_per_s=pace.bytes_per_s) as own:
                        taken = await _visit(tools, whose, own, share, is_live=is_live, tap=tap)
            except NoRoom as none:
                size_bytes = none.size_bytes
                continue
            return await reading.record(*taken)


async def _visit(
    tools: Tools,
    whose: Whose,
    deadline: Deadline,
    share: Share,
    *,
    is_live: bool,
    tap: Tap | None,
) -> tuple[Visit, Fetched, identity.Problems]:
    async with visits.visiting(tools, whose, deadline, tap=tap, is_recording=True) as visit:
        problems = await identity.identify(visit)
        fetched = await fetch(visit, share, is_live=is_live)
    return visit, fetched, problems


async def read_within(visit: Visit) -> LogRead:
    """Read the log within a session that goes on.

    Errors:  as above, TimeoutError, and TerminalTrouble(busy) where no memory is left for it now.
    """
    async with visit.call.in_time(), visit.tools.room.share() as share:
        problems = await identity.read_clock(visit)
        fetched = await fetch(visit, share, is_live=False)
        return await reading.record(visit, fetched, problems)
