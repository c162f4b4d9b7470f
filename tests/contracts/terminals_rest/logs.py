"""Logs that terminals are made to remember: those of the printed samples."""

from datetime import datetime
from typing import Final

from punchgate.protocols.zk import users
from punchgate.simulators import zk_log
from punchgate.simulators.zk_memory import VirtualMemory

#: uid, user code, wall time, how, which way
Row = tuple[int, str, str, int, int]


def write_log(memory: VirtualMemory, *rows: Row) -> None:
    """Have a terminal remember these rows alone."""
    memory.log.clear()
    for uid, code, text, verify, state in rows:
        memory.people[uid] = users.new(uid, code)
        at = datetime.fromisoformat(text)
        memory.log.add(zk_log.at(uid, at, verify=verify, state=state))


PRINCIPAL: Final = ((5, "5", "2026-03-05 17:30:45", 0, 1), (5, "5", "2026-03-06 09:15:23", 1, 0))
BODEGA: Final = ((12, "12", "2026-03-06 08:45:12", 1, 0),)
