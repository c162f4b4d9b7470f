"""One reading of a log from the call to the watermark, by itself or within a session."""

from punchgate.engines.zk import identity, reading
from punchgate.engines.zk import visit as visits
from punchgate.engines.zk.deadline import Deadline
from punchgate.engines.zk.fetch import Fetched, fetch
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
    waits (no `deadline`) the terminal's time is bounded, and recording takes what it takes.

    Errors:  TerminalTrouble; TimeoutError; NotFound; StoreBusy, StoreUnavailable.
    """
    if deadline is not None:
        return await reading.record(*await _visit(tools, whose, deadline, is_live=is_live, tap=tap))
    pace = tools.pace
    async with Deadline(pace.total_s, bytes_per_s=pace.bytes_per_s) as own:
        taken = await _visit(tools, whose, own, is_live=is_live, tap=tap)
    return await reading.record(*taken)


async def _visit(
    tools: Tools, whose: Whose, deadline: Deadline, *, is_live: bool, tap: Tap | None
) -> tuple[Visit, Fetched, identity.Problems]:
    async with visits.visiting(tools, whose, deadline, tap=tap) as visit:
        problems = await identity.identify(visit)
        fetched = await fetch(visit, is_live=is_live)
    return visit, fetched, problems


async def read_within(visit: Visit) -> LogRead:
    """Read the log within a session that goes on.

    Errors:  as above, and TimeoutError.
    """
    pace = visit.tools.pace
    async with Deadline(pace.total_s, bytes_per_s=pace.bytes_per_s) as deadline:
        visit.call.deadline = deadline
        try:
            problems = await identity.read_clock(visit)
            fetched = await fetch(visit, is_live=False)
            return await reading.record(visit, fetched, problems)
        finally:
            visit.call.deadline = None
